# SPDX-License-Identifier: MIT
"""Stand-ins for the two modules of OpenMV's firmware that tinyvlm uses: `ml` and `image`.

They follow OpenMV's documentation and firmware (modules/py_ml.c, modules/py_image.c): what is
accepted, what is handed out, and in which units. ml.Model runs the .tflite by LiteRT's reference
kernels. Resampling is not modelled: draw_image takes the nearest pixel, so tests of equal pixels
use frames that need none.

    with openmv.firmware():
        img = image.Image(96, 96, image.RGB565)
"""

import contextlib
import sys
import types

import numpy as np

GRAYSCALE, RGB565, JPEG = 3, 4, 10  # any three numbers
AREA, BILINEAR = 1 << 7, 1 << 8


class Image:
    """image.Image(width, height, pixformat, buffer=...): pixels in a buffer, not copied."""

    def __init__(self, width, height, pixformat, *, buffer=None):
        size = width * height * (2 if pixformat == RGB565 else 1)
        buffer = bytearray(size) if buffer is None else buffer
        if len(buffer) < size:
            raise ValueError("Buffer is too small")
        self._size, self._format, self._buffer = (width, height), pixformat, buffer

    def width(self):
        return self._size[0]

    def height(self):
        return self._size[1]

    def format(self):
        return self._format

    def bytearray(self):
        return self._buffer

    def _pixels(self):
        kind = "<u2" if self._format == RGB565 else np.uint8  # native order: little-endian
        count = self._size[0] * self._size[1]
        return np.frombuffer(self._buffer, kind, count).reshape(self._size[::-1])

    def draw_image(self, other, x, y, *, x_scale=1.0, y_scale=1.0, roi=None, hint=0):
        assert self._format == other._format and (x, y) == (0, 0)
        left, top, width, height = roi
        assert (
            abs(width * x_scale - self.width()) < 1 and abs(height * y_scale - self.height()) < 1
        )
        cut = other._pixels()[top : top + height, left : left + width]
        rows = np.arange(self.height()) * height // self.height()
        columns = np.arange(self.width()) * width // self.width()
        self._pixels()[:] = cut[rows][:, columns]
        return self

    def to_ndarray(self, dtype, buffer=None):
        assert dtype == ord("b")
        pixels = self._pixels().astype(np.int32)
        if self._format == RGB565:
            r, g, b = pixels >> 11, pixels >> 5 & 63, pixels & 31
            pixels = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], 2)
        if pixels.size > len(buffer):
            raise ValueError("Buffer is too small")
        out = np.frombuffer(buffer, np.int8, pixels.size)
        out[:] = (pixels - 128).ravel()
        return out.reshape(pixels.shape)


class Model:
    """ml.Model(path): int8 inputs are filled by callables, outputs are float arrays."""

    def __init__(self, path, load_to_fb=False):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        with open(path, "rb") as file:
            data = file.read()  # all of it, the footer too
        self._interpreter = Interpreter(
            model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self.len, self.ram = len(data), 123456
        for name, details in (("input", self._inputs), ("output", self._outputs)):
            setattr(self, name + "_shape", tuple(tuple(d["shape"].tolist()) for d in details))
            setattr(self, name + "_scale", tuple(d["quantization"][0] for d in details))
            setattr(self, name + "_zero_point", tuple(d["quantization"][1] for d in details))
            types = [{np.int8: "b", np.float32: "f"}[d["dtype"]] for d in details]
            setattr(self, name + "_dtype", tuple(types))

    def predict(self, inputs, callback=None):
        if not isinstance(inputs, list):
            raise ValueError("Unsupported input type. Expected a list")
        for given, details, shape in zip(inputs, self._inputs, self.input_shape, strict=True):
            if not callable(given):
                raise ValueError("Unsupported input type")
            tensor = bytearray(int(np.prod(shape)))
            given(tensor, shape, ord("b"))
            value = np.frombuffer(tensor, np.int8).reshape(shape)
            self._interpreter.set_tensor(details["index"], value)
        self._interpreter.invoke()
        outputs = []
        for i, details in enumerate(self._outputs):
            value = self._interpreter.get_tensor(details["index"]).astype(np.float32)
            outputs.append((value - self.output_zero_point[i]) * np.float32(self.output_scale[i]))
        return outputs if callback is None else callback(self, inputs, outputs)


@contextlib.contextmanager
def firmware():
    """`import ml` and `import image` work inside."""
    image, ml = types.ModuleType("image"), types.ModuleType("ml")
    image.Image, ml.Model = Image, Model
    image.GRAYSCALE, image.RGB565, image.JPEG = GRAYSCALE, RGB565, JPEG
    image.AREA, image.BILINEAR = AREA, BILINEAR
    sys.modules.update(image=image, ml=ml)
    try:
        yield image
    finally:
        del sys.modules["image"], sys.modules["ml"]
