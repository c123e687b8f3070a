# SPDX-License-Identifier: MIT
"""OpenMV's and ESP-VISION's stock firmware: their Model runs a .tflite, the rest is Python.

    tinyvlm-deploy pets.tvp --openmv                    # on the PC
    tinyvlm.classify(csi0.snapshot(), pets)             # on the camera: takes an image.Image

`Engine` has the interface of the C engine, without its profile. The .tflite must be one that
tinyvlm-deploy or tinyvlm-export wrote: behind the model it carries the encoder's identity
(docs/format.md).
"""

import json
import struct

from .frame import GRAY8, RGB565_LE
from .pure_intake import Intake, NoiseIntake
from .rows import signed

_BACK = 1024  # a footer is rarely longer


def runtime():
    """The module that runs a .tflite: OpenMV's `ml` or ESP-VISION's `tflite`; None without one."""
    try:
        import ml

        return ml
    except ImportError:
        pass
    try:
        import tflite

        return tflite
    except ImportError:
        return None


def is_ours(path):
    """Does the .tflite say which encoder it is? Those that come with the firmware do not."""
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4))
        return file.read() == b"TVLM"


class Engine:
    """A .tflite run by the firmware's Model: `Engine("/rom/base.tflite")`.

    exact: resize frames in the exact integers of docs/format.md, in Python. Otherwise, for frames
    of RGB565_LE and GRAY8, by the firmware's own code in C: much faster, and not the same pixels
    unless the frame's shorter side is the encoder's size. ValueError for a foreign .tflite.
    """

    in_place = False  # the firmware decides: OpenMV uses a file in ROMFS in place
    layers = 0
    exact = False

    def __init__(self, path):
        self.file_size, (self.fingerprint, self.macs, self.info, self._test) = _footer(path)
        module = runtime()
        if module is None:
            raise ValueError("this firmware has neither ml nor tflite to run it; use a .tvlm")
        self.backend = module.__name__
        self._raw = self.backend == "tflite"  # its outputs are the integers themselves
        self._model = model = module.Model(path)
        shape, kind = model.input_shape[0], model.input_dtype[0]
        self.size = shape[1]
        self.dim = model.output_shape[0][-1]
        if kind != "b" or shape[2] != self.size or model.output_dtype[0] != "b":
            raise ValueError("a model with int8 input and output is needed, not %s" % kind)
        self._of = self._units(0)
        self.map = None
        if len(model.output_shape) > 1:
            self.map = tuple(model.output_shape[1][1:3])
            self._of_map = self._units(1)
        self.arena = getattr(model, "ram", 0)

    def embed(self, buffer, width, height, format, stride, out):
        """Write the embedding of a frame into `out`, int8: the dimensions it has room for."""
        self._run(Intake(buffer, width, height, format, stride, self.size), out)

    def embed_map(self, buffer, width, height, format, stride, out, map_out):
        """As embed, and the map of embeddings into `map_out`: h x w x as many dimensions."""
        if self.map is None:
            raise ValueError("this .tflite has no dense map; export it with --dense")
        outputs = self._run(Intake(buffer, width, height, format, stride, self.size), out)
        _store(outputs[1], self._of_map, self.dim, min(len(out), self.dim), map_out)

    def profile(self, *arguments):
        """The firmware's Model does not say what its layers take."""
        raise RuntimeError("%s.Model runs the layers as one; there is no profile" % self.backend)

    def selftest(self):
        """True, or RuntimeError if the embedding of the known-answer image is another one."""
        seed, want = self._test
        if len(want) != self.dim:
            raise RuntimeError("the file's test has %d of %d dimensions" % (len(want), self.dim))
        got = bytearray(self.dim)
        self._run(NoiseIntake(seed, self.size), got)
        wrong = most = dot = us = them = 0
        got, want = signed(got, self.dim), signed(want, self.dim)
        for i in range(self.dim):
            a, b = got[i], want[i]
            wrong += a != b
            most = max(most, abs(a - b))
            dot, us, them = dot + a * b, us + a * a, them + b * b
        if wrong:
            raise RuntimeError(
                "the embedding of the test image differs from the file's in %d of %d dimensions, "
                "by at most %d, cosine %.4f: this firmware rounds another way; what that does to "
                "labels: docs/boards/openmv.md"
                % (wrong, self.dim, most, dot / ((us * them) ** 0.5 or 1))
            )
        return True

    def _units(self, output):
        if self._raw:
            return None
        return self._model.output_scale[output], self._model.output_zero_point[output]

    def _run(self, intake, out):
        def fill(tensor, shape, dtype):  # called with the model's own input
            if not self.exact and isinstance(intake, Intake) and _resized(intake, tensor):
                return
            planes, at = intake.planes(), 0
            for i in range(len(planes[0])):
                for plane in planes:
                    tensor[at] = plane[i] ^ 128
                    at += 1

        outputs = self._model.predict([fill])
        _store(outputs[0], self._of, self.dim, min(len(out), self.dim), out)
        return outputs


def _resized(intake, tensor):
    # The centred square by the firmware's code into the tensor; False if it cannot read it.
    import image

    size, gray = intake.size, intake.format == GRAY8
    if intake.format not in (GRAY8, RGB565_LE):
        return False
    if intake.stride != intake.width * (1 if gray else 2):
        return False
    kind = image.GRAYSCALE if gray else image.RGB565
    source = image.Image(intake.width, intake.height, kind, buffer=intake.data)
    pixels = size * size * (1 if gray else 2)
    # at the end of the tensor: it is widened from the front without overtaking
    target = image.Image(size, size, kind, buffer=memoryview(tensor)[len(tensor) - pixels :])
    square = intake.x, intake.y, intake.side, intake.side
    scale = size / intake.side
    hint = image.AREA if intake.side > size else image.BILINEAR
    target.draw_image(source, 0, 0, x_scale=scale, y_scale=scale, roi=square, hint=hint)
    if hasattr(target, "to_ndarray") and not gray:  # ESP-VISION's firmware may lack it
        target.to_ndarray(ord("b"), buffer=tensor)
        return True
    at = 0
    for i in range(len(tensor) - pixels, len(tensor), 1 if gray else 2):
        low = tensor[i]
        if gray:
            r = g = b = low
        else:
            high = tensor[i + 1]
            r, g, b = high >> 3, (high & 7) << 3 | low >> 5, low & 31
            r, g, b = r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2
        tensor[at] = r ^ 128
        tensor[at + 1] = g ^ 128
        tensor[at + 2] = b ^ 128
        at += 3
    return True


def _store(numbers, units, every, dim, out):
    # The first `dim` of every so many. OpenMV's ml hands out real numbers:
    # int8 = real / scale + zero point, exactly.
    i = 0
    for at, value in enumerate(numbers.flatten()):
        if at % every >= dim:
            continue
        value = int(value) if units is None else int(round(value / units[0])) + units[1]
        try:
            out[i] = value
        except (ValueError, OverflowError):
            out[i] = value & 255
        i += 1


def _footer(path):
    # (size of the file, what tinyvlm-export wrote behind the model: fingerprint, macs, info, test)
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _BACK))
        tail = file.read()
        if tail[-4:] != b"TVLM" or len(tail) < 8:
            raise ValueError(
                "this .tflite does not say which encoder it is; make it with "
                "tinyvlm-export MODEL.tvlm --tflite OUT.tflite, and do not convert it afterwards"
            )
        length = struct.unpack("<I", tail[-8:-4])[0]
        if length > size - 8:
            raise ValueError("the end of the file is damaged; copy it again")
        file.seek(size - 8 - length)
        text = file.read(length)
    try:
        about = json.loads(text)
        test = int(about["test"]["seed"]), _from_hex(about["test"]["embedding"])
        fingerprint, macs = _from_hex(about["fingerprint"]), int(about["macs"])
        return size, (fingerprint, macs, json.dumps(about["info"]), test)
    except (ValueError, RuntimeError, KeyError, TypeError):  # the second if it is too deep
        raise ValueError("the end of the file is damaged; copy it again") from None


def _from_hex(text):
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])
