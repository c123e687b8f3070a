# SPDX-License-Identifier: MIT
"""The encoder file `*.tvlm` for the plain Python engine: sections, layer records, checks.

docs/format.md has every bit, native/tv_model.c and tv_check.c are the C engine's reader. Errors
read as there. Left out are the checks of the arena's plan, which this engine does not use.
"""

import struct

from .slow import crc32

CONV, DEPTHWISE, ADD, AVGPOOL, SPACE_TO_DEPTH = 1, 2, 3, 4, 5
DENSE, STREAM, RELU = 1, 2, 4
_NAMES = ("", "conv", "depthwise", "add", "avgpool", "spacetodepth")
_HEADER = 72
_RECORD = 72
_NO_LAYER = 0xFFFF
_NOT_SUPPORTED = "operation, kernel or stride is not supported"
_SHAPES = "shapes do not fit the operation"
_QUANT = "bias, multiplier or shift is out of range"
_OUTSIDE = "weights or table lie outside the file"
_PRODUCER = "an operand is not what an earlier layer writes"


class Layer:
    """A record, read. weights and table: offsets in the file. taps: stored weights a channel."""

    def __init__(self, data, at, weights):
        (
            self.op, self.flags, self.kernel, self.stride, self.pad_top, self.pad_left,
            self.in_zero_point, self.out_zero_point,
            self.in_h, self.in_w, self.in_c, self.out_h, self.out_w, self.out_c,
        ) = struct.unpack_from("<BBBBBBbbHHHHHH", data, at)  # fmt: skip
        self.in2_zero_point = struct.unpack_from("<b", data, at + 56)[0]
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
    """A `.tvlm` in a buffer. ValueError says what is wrong with it, and with which layer."""

    def __init__(self, data):
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
        if crc32(data[16:size]) & 0xFFFFFFFF != crc:
            raise ValueError("the checksum does not match, the file is damaged")
        self.fingerprint = bytes(data[16:24])
        h, w, c, self.zero_point, sections = struct.unpack_from("<HHHbB", data, 24)
        count, self.embed_layer, dense = struct.unpack_from("<HHH", data, 36)
        self.image = bytes(data[56:68])
        self.macs = struct.unpack_from("<I", data, 68)[0]
        self.size, self.count = h, count
        outside = self.embed_layer >= count or (dense != _NO_LAYER and dense >= count)
        if not 0 < h <= 1024 or w != h or c != 3 or not 0 < count <= 32767 or outside:
            raise ValueError("the header is inconsistent")
        self._read_sections(sections, size)
        self.reads = []  # per layer: the layers whose outputs it reads, -1 for the image
        for index in range(count):
            try:
                self._check(self.layer(index))
                self.reads.append(self._find_sources(index))
            except ValueError as error:
                raise ValueError(
                    "layer %d (%s): %s" % (index, self.layer_name(index), error)
                ) from None
        embed = self.layer(self.embed_layer)
        self.dim, self.map = embed.out_c, None
        wrong = embed.out_h != 1 or embed.out_w != 1 or embed.out_zero_point or embed.dense
        if dense != _NO_LAYER:
            layer = self.layer(dense)
            self.map = layer.out_h, layer.out_w
            wrong = wrong or layer.out_c != self.dim or layer.out_zero_point or not layer.dense
        if wrong or (self.test and len(self.test[1]) != self.dim):
            raise ValueError("the layer cannot be the embedding or the dense map")

    def layer(self, index):
        """The record `index`, read anew: only what runs takes memory."""
        return Layer(self.data, self._records + _RECORD * index, self._weights)

    def layer_name(self, index):
        at = self._names
        if at is None:
            return ""
        for _ in range(index):
            at += 1 + self.data[at]
        return str(bytes(self.data[at + 1 : at + 1 + self.data[at]]), "utf-8")

    def _read_sections(self, sections, size):
        found = {}
        for i in range(sections):
            at = _HEADER + 12 * i
            if at + 12 > size:
                raise ValueError("a section is missing or has a wrong size")
            offset, length = struct.unpack_from("<II", self.data, at + 4)
            if offset + length > size:
                raise ValueError("a section is missing or has a wrong size")
            found.setdefault(bytes(self.data[at : at + 4]), (offset, length))
        self._records, length = found.get(b"LAYR", (0, -1))
        if length != _RECORD * self.count or b"WGHT" not in found:
            raise ValueError("a section is missing or has a wrong size")
        self._weights, self._weights_size = found[b"WGHT"]
        at, length = found.get(b"INFO", (0, 0))
        self.info = str(bytes(self.data[at : at + length]), "utf-8") or "{}"
        at, length = found.get(b"TEST", (0, 0))
        self.test = None
        if length > 4:
            seed = struct.unpack_from("<I", self.data, at)[0]
            self.test = seed, bytes(self.data[at + 4 : at + length])
        self._names, length = found.get(b"NAME", (None, 0))
        if self._names is not None:
            at = end = self._names
            for _ in range(self.count):
                at += 1 + self.data[at] if at < end + length else size
            if at != end + length:
                raise ValueError("a section is missing or has a wrong size")

    def _check(self, layer):
        # What the arithmetic of lanes.py and the loops of pure_ops.py rely on.
        op, k, s = layer.op, layer.kernel, layer.stride
        moves = op in (AVGPOOL, SPACE_TO_DEPTH)  # these keep scale and zero point
        known = DENSE | STREAM if moves else DENSE | STREAM | RELU
        if not CONV <= op <= SPACE_TO_DEPTH or layer.flags & ~known:
            raise ValueError(_NOT_SUPPORTED)
        sizes = layer.in_h, layer.in_w, layer.in_c, layer.out_h, layer.out_w, layer.out_c
        if min(sizes) < 1:
            raise ValueError(_SHAPES)
        if op == ADD:
            fits = sizes[:3] == sizes[3:]
        elif k == 0 or s == 0:
            raise ValueError(_NOT_SUPPORTED)
        elif op == SPACE_TO_DEPTH:
            fits = k == s and sizes[:3] == (sizes[3] * k, sizes[4] * k, layer.in_c)
            fits = fits and layer.out_c == layer.in_c * k * k
        else:
            last_y, last_x = (layer.out_h - 1) * s, (layer.out_w - 1) * s
            fits = op == CONV or layer.in_c == layer.out_c
            if op == AVGPOOL:
                fits = fits and last_y + k <= layer.in_h and last_x + k <= layer.in_w
            elif k > 7 or k % 2 == 0 or s > 2:
                raise ValueError(_NOT_SUPPORTED)
            else:
                fits = fits and layer.pad_top < k and layer.pad_left < k
                fits = fits and last_y < layer.in_h + layer.pad_top
                fits = fits and last_x < layer.in_w + layer.pad_left
        if not fits:
            raise ValueError(_SHAPES)
        if moves:
            if layer.in_zero_point != layer.out_zero_point:
                raise ValueError(_QUANT)
        else:
            self._check_table(layer)

    def _check_table(self, layer):
        end, data = self._weights + self._weights_size, self.data
        if layer.op == ADD:
            if layer.table + 15 > end:
                raise ValueError(_OUTSIDE)
            table = struct.unpack_from("<iiiBBB", data, layer.table)
            if min(table[:3]) < 1 << 30 or max(table[3:]) > 30 or table[5] < 1:
                raise ValueError(_QUANT)
            return
        count, taps = layer.out_c, layer.taps
        stored = (count + 1) // 2 * 2 if layer.op == CONV else count
        if layer.weights + stored * taps > end or layer.table + 9 * count > end:
            raise ValueError(_OUTSIDE)
        room = (1 << 30) - (taps << 14)
        for c in range(count):
            bias = struct.unpack_from("<i", data, layer.table + 4 * c)[0]
            mult = struct.unpack_from("<i", data, layer.table + 4 * (count + c))[0]
            shift = data[layer.table + 8 * count + c]
            if abs(bias) >= room or mult < 1 << 30 or not 1 <= shift <= 22:
                raise ValueError(_QUANT)

    def _find_sources(self, index):
        layer = self.layer(index)
        sources = (self._producer(index, layer, layer.source, layer.in_zero_point),)
        if layer.op == ADD:
            sources += (self._producer(index, layer, layer.source2, layer.in2_zero_point),)
        return sources

    def _producer(self, index, reader, reference, zero_point):
        # The last layer before `index` that writes exactly this tensor; -1: it is the image.
        shape = reader.in_h, reader.in_w, reader.in_c
        for i in range(index - 1, -1, -1):
            at = self._records + _RECORD * i
            if self.data[at + 1] & DENSE or bytes(self.data[at + 32 : at + 44]) != reference:
                continue
            layer = self.layer(i)
            same = (layer.out_h, layer.out_w, layer.out_c) == shape
            if not same or layer.out_zero_point != zero_point:
                raise ValueError(_PRODUCER)
            return i
        if reference != self.image or shape != (self.size, self.size, 3):
            raise ValueError(_PRODUCER)
        if zero_point != self.zero_point:
            raise ValueError(_PRODUCER)
        return -1
