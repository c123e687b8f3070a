# SPDX-License-Identifier: MIT
"""The encoder file `*.tvlm` for the plain Python engine: sections, layer records, checks.

docs/format.md has every bit, native/tv_model.c is the C engine's reader. Errors read as there.
pure_check.py has the checks of the layers.
"""

import struct

from . import pure_check
from .pure_check import CONV, DENSE, DEPTHWISE, NO_LAYER, RELU
from .rows import checksum
from .slow import crc32

_NAMES = ("", "conv", "depthwise", "add", "avgpool", "spacetodepth")
_HEADER = 72
_RECORD = 72
_OTHER_ORDER = (
    "it is made for CMSIS-NN, which is not built in here; use the encoder that it was made of"
)
_SECTION = "a section is missing, has a wrong size or is not UTF-8"


class Layer:
    """A record, read. weights and table: offsets in the file. taps: stored weights a channel."""

    def __init__(self, data, at, weights):
        (
            self.op, self.flags, self.kernel, self.stride, self.pad_top, self.pad_left,
            self.in_zero_point, self.out_zero_point,
            self.in_h, self.in_w, self.in_c, self.out_h, self.out_w, self.out_c,
        ) = struct.unpack_from("<BBBBBBbbHHHHHH", data, at)  # fmt: skip
        self.in2_zero_point, self.out_margin = struct.unpack_from("<bB", data, at + 56)
        offset, table = struct.unpack_from("<II", data, at + 60)
        self.weights, self.table = weights + offset, weights + table
        # the tensor's reference in the arena: the same bytes name the same tensor
        self.source = bytes(data[at + 20 : at + 32])
        self.source2 = bytes(data[at + 44 : at + 56])
        self.target = bytes(data[at + 32 : at + 44])
        self.dense = bool(self.flags & DENSE)
        # nothing below this leaves the layer
        self.low = self.out_zero_point if self.flags & RELU else -128

    @property
    def name(self):
        return _NAMES[self.op]

    @property
    def taps(self):
        if self.op == CONV:
            return (self.kernel * self.kernel * self.in_c + 3) // 4 * 4
        return self.kernel * ((self.kernel + 3) // 4 * 4)

    @property
    def macs(self):
        if self.op > DEPTHWISE:
            return 0
        taps = self.kernel * self.kernel * (self.in_c if self.op == CONV else 1)
        return self.out_h * self.out_w * self.out_c * taps


class File:
    """A `.tvlm` in a buffer. ValueError says what is wrong with it, and with which layer.

    check(file, layer): of one for CMSIS-NN, is a layer as it wants it? None: these are refused.
    """

    def __init__(self, data, check=None):
        self.check = None
        data = self.data = memoryview(data)
        if len(data) and bytes(data[:4]) != b"TVLM"[: len(data)]:
            raise ValueError("this is not an encoder file (.tvlm)")
        if len(data) < _HEADER:
            raise ValueError("the file is truncated")
        version, header, size, crc = struct.unpack_from("<HHII", data, 4)
        if version != 1:
            raise ValueError("the file is of a version that this firmware does not read")
        if header != _HEADER:
            raise ValueError("the header is inconsistent")
        if not _HEADER <= size <= len(data):
            raise ValueError("the file is truncated")
        if checksum(crc32, data, size) != crc:
            raise ValueError("the checksum does not match, the file is damaged")
        self.fingerprint = bytes(data[16:24])
        h, w, c, self.zero_point, sections = struct.unpack_from("<HHHbB", data, 24)
        count, self.embed_layer, dense = struct.unpack_from("<HHH", data, 36)
        self.arena, *self.scratch = struct.unpack_from("<III", data, 44)
        self.image = bytes(data[56:68])
        self.macs = struct.unpack_from("<I", data, 68)[0]
        self.size, self.count, self.dense_layer = h, count, dense
        offset, length = self.scratch
        good = 0 < h <= pure_check.MAX_IMAGE and w == h and c == 3
        good = good and 0 < count <= pure_check.MAX_LAYERS
        good = good and self.embed_layer < count and (dense == NO_LAYER or dense < count)
        good = good and not offset % 4 and offset + length <= self.arena <= pure_check.MAX_ARENA
        good = good and not struct.unpack_from("<H", data, 66)[0]  # the image is not planar
        try:
            if not good:
                raise ValueError
            pure_check.tensor(self, self.image, h, h, 3)
        except ValueError:
            raise ValueError("the header is inconsistent") from None
        if 12 * h > length:
            raise ValueError(pure_check.SCRATCH)
        self._read_sections(sections, size, check)
        # per layer: the layers whose outputs it reads, -1 for the image
        self.reads = pure_check.layers(self)
        pure_check.outputs(self, self.embed_layer, dense)
        self.dim, self.map = self.layer(self.embed_layer).out_c, None
        if dense != NO_LAYER:
            layer = self.layer(dense)
            self.map = layer.out_h, layer.out_w
        if self.test is not None and len(self.test) != 4 + self.dim:
            raise ValueError(_SECTION)
        if self.test:
            self.test = struct.unpack_from("<I", self.test, 0)[0], self.test[4:]

    def layer(self, index):
        """The record `index`, read anew: only what runs takes memory."""
        return Layer(self.data, self._records + _RECORD * index, self.weights)

    def flags(self, index):
        """The flags of the record `index`, without reading the rest."""
        return self.data[self._records + _RECORD * index + 1]

    def layer_name(self, index):
        at = self._names
        if at is None:
            return ""
        for _ in range(index):
            at += 1 + self.data[at]
        return str(bytes(self.data[at + 1 : at + 1 + self.data[at]]), "utf-8")

    def _read_sections(self, sections, size, check):
        found = {}
        for i in range(sections):
            at = _HEADER + 12 * i
            if at + 12 > size:
                raise ValueError(_SECTION)
            offset, length = struct.unpack_from("<II", self.data, at + 4)
            if offset + length > size:
                raise ValueError(_SECTION)
            found.setdefault(bytes(self.data[at : at + 4]), (offset, length))
        self._records, length = found.get(b"LAYR", (0, -1))
        if length != _RECORD * self.count or not (b"WGHT" in found or b"CMNN" in found):
            raise ValueError(_SECTION)
        order = b"WGHT" if b"WGHT" in found else b"CMNN"
        if order == b"CMNN":
            if check is None:
                raise ValueError(_OTHER_ORDER)
            self.check = check
        self.weights, length = found[order]
        self.weights_end = self.weights + length
        at, length = found.get(b"INFO", (0, 0))
        if length > pure_check.MAX_INFO:
            raise ValueError(_SECTION)
        self.info = _text(self.data, at, length) or "{}"
        at, length = found.get(b"TEST", (0, -1))
        self.test = bytes(self.data[at : at + length]) if length >= 0 else None
        self._names, length = found.get(b"NAME", (None, 0))
        if self._names is not None:
            at, end = self._names, self._names + length
            for _ in range(self.count):
                if at >= end or at + 1 + self.data[at] > end:
                    raise ValueError(_SECTION)
                _text(self.data, at + 1, self.data[at])
                at += 1 + self.data[at]
            if at != end:
                raise ValueError(_SECTION)


def _text(data, at, size):
    try:
        return str(bytes(data[at : at + size]), "utf-8")
    except ValueError:  # UnicodeError is one
        raise ValueError(_SECTION) from None
