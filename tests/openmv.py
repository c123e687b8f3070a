# SPDX-License-Identifier: MIT
"""Stand-ins for the modules of OpenMV's and ESP-VISION's firmware that tinyvlm uses.

They follow the documentation and sources of OpenMV 5 (`ml`, `image`, `csi`; before 5 `sensor`) and
ESP-VISION (`tflite`, `image`, `sensor`): what is accepted, what is handed out, and in which units.
Both Models run the .tflite by LiteRT's reference kernels; ml's outputs are real numbers, tflite's
the integers. Resampling is not modelled: draw_image takes the nearest pixel, so tests of equal
pixels use frames that need none.

    with openmv.firmware("openmv") as image:
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
        self.drawn, self.flushed = [], 0

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

    def draw_rectangle(self, rect, *, color=(255, 255, 255), thickness=1, fill=False):
        x, y, width, height = rect
        assert 0 <= x < x + width <= self.width() and 0 <= y < y + height <= self.height()
        self.drawn.append(tuple(rect))
        return self

    def draw_string(self, x, y, text, *, color=(255, 255, 255)):
        assert 0 <= x < self.width() and 0 <= y < self.height()
        self.drawn.append(text)
        return self

    def flush(self):
        self.flushed += 1

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


class PlainImage(Image):
    """An image.Image without to_ndarray, which ESP-VISION's stubs do not list."""

    to_ndarray = property()


class Model:
    """ml.Model(path): int8 inputs are filled by callables, outputs are float arrays."""

    def __init__(self, path, *, postprocess=None):
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
        outputs = [self._interpreter.get_tensor(details["index"]) for details in self._outputs]
        if callback is not None:
            return callback(self, inputs, outputs)
        return [self._handed_out(i, output) for i, output in enumerate(outputs)]

    def _handed_out(self, i, output):
        return (output.astype(np.float32) - self.output_zero_point[i]) * np.float32(
            self.output_scale[i]
        )


class RawModel(Model):
    """tflite.Model(path): as ml's, but the outputs are the integers themselves."""

    def _handed_out(self, i, output):
        return output


# What runs a .tflite, and the class of images
FIRMWARE = {"openmv": ("ml", Model, Image), "espvision": ("tflite", RawModel, PlainImage)}


def module(name, **contents):
    made = types.ModuleType(name)
    vars(made).update(contents)
    return made


@contextlib.contextmanager
def firmware(kind="openmv"):
    """`import image` works inside, and `import ml` or, on ESP-VISION, `import tflite`."""
    name, model, kind_of_image = FIRMWARE[kind]
    image = module("image", Image=kind_of_image, AREA=AREA, BILINEAR=BILINEAR)
    image.GRAYSCALE, image.RGB565, image.JPEG = GRAYSCALE, RGB565, JPEG
    sys.modules.update({"image": image, name: module(name, Model=model)})
    try:
        yield image
    finally:
        del sys.modules["image"], sys.modules[name]


def csi(take):
    """OpenMV 5's module; take() gives the next picture."""

    class CSI:
        def __init__(self):
            self.calls = []

        def reset(self, hard=True):
            self.calls.append("reset")

        def pixformat(self, value):
            self.calls.append(value)

        def framesize(self, value):
            self.calls.append(value)

        def snapshot(self, time=-1, frames=-1):
            assert self.calls == ["reset", "RGB565", "QVGA"]
            return None if time >= 0 or frames >= 0 else take()

    return module("csi", CSI=CSI, RGB565="RGB565", QVGA="QVGA")


def sensor(take):
    """The module before csi, and ESP-VISION's."""
    calls = []

    def snapshot():
        assert calls == ["reset", "RGB565", "QVGA"]
        return take()

    return module(
        "sensor",
        reset=lambda: calls.append("reset"),
        set_pixformat=calls.append,
        set_framesize=calls.append,
        skip_frames=lambda time=0, n=0: None,
        snapshot=snapshot,
        RGB565="RGB565",
        QVGA="QVGA",
    )
