# SPDX-License-Identifier: MIT
# ruff: noqa: B905 (MicroPython's zip has no strict)
"""From a frame to the image that the network wants, for the plain Python engine.

Centred square, area average or bilinear, in the exact integers of docs/format.md, "Frame
intake". Source rows are decoded and added up as lanes (lanes.py), the columns in a loop.
"""

import struct

from .frame import BGR888, RGB565_BE, YUYV
from .lanes import Lanes
from .rows import check_items

_MAX_SIDE = 4096
_BYTES = (1, 2, 2, 3, 3, 2)


class Intake:
    """A checked frame: `Intake(buffer, width, height, format, stride, size).planes()`."""

    def __init__(self, buffer, width, height, format, stride, size):
        if not 0 <= format < len(_BYTES):
            raise ValueError("unknown pixel format")
        if width < 1 or height < 1:
            raise ValueError("width and height must be at least 1")
        if min(width, height) > _MAX_SIDE or max(width, height) > 65535:
            raise ValueError(
                "the frame is too large: its shorter side is at most 4096 pixels, "
                "its longer one at most 65535"
            )
        if format == YUYV and width % 2:
            raise ValueError("a YUYV frame must have an even width")
        row = width * _BYTES[format]
        self.stride = stride or row
        if self.stride < row:
            raise ValueError("stride is less than a row of pixels")
        check_items("the frame", buffer, 1)
        self.data = memoryview(buffer)
        need = (height - 1) * self.stride + row
        if _is_jpeg(self.data, need):
            raise ValueError("this is a JPEG; ask the camera for RGB565 or GRAYSCALE")
        if len(self.data) < need:
            message = "the frame needs %d bytes, the buffer has %d"
            raise ValueError(message % (need, len(self.data)))
        self.format, self.size = format, size
        self.width, self.height = width, height
        self.side = min(width, height)
        self.x, self.y = (width - self.side) // 2, (height - self.side) // 2

    def planes(self):
        """Red, green and blue: bytes of size * size pixels each."""
        axis, total = _axis(self.side, self.size)
        self._lanes = Lanes(self.side)
        self._at, self._row = -1, None  # the row decoded last
        planes = [bytearray(self.size * self.size) for _ in range(3)]
        at = 0
        for first, last, low, middle, high in axis:
            sums = [low * lanes for lanes in self._decode(first)]
            for y in range(first + 1, last):
                sums = [a + middle * b for a, b in zip(sums, self._decode(y))]
            if high:
                sums = [a + high * b for a, b in zip(sums, self._decode(last))]
            made = [self._columns(lanes, axis, total * total) for lanes in sums]
            for c in range(3):  # gray has one for all
                planes[c][at : at + self.size] = made[c % len(made)]
            at += self.size
        return planes

    def _columns(self, lanes, axis, area):
        row, half = self._lanes.unpack(lanes), area // 2
        out = []
        for first, last, low, middle, high in axis:
            value = low * row[first] + high * row[last]
            if last - first > 1:
                value += middle * sum(row[first + 1 : last])
            out.append((value + half) // area)
        return bytes(out)

    def _decode(self, y):
        # Row y of the square as lanes: red, green and blue, or gray alone.
        if y != self._at:
            at, n = (self.y + y) * self.stride, self.side
            self._at = y
            if self.format == YUYV:
                self._row = self._yuyv(at)
            elif _BYTES[self.format] == 2:
                self._row = self._rgb565(at + 2 * self.x)
            else:
                step = _BYTES[self.format]
                row = list(self.data[at + step * self.x : at + step * (self.x + n)])
                self._row = [self._lanes.pack(row[c::step]) for c in range(step)]
                if self.format == BGR888:
                    self._row.reverse()
        return self._row

    def _rgb565(self, at):
        # Five and six bits become eight by repeating the top bits below.
        lanes = self._lanes
        order = ">%dH" if self.format == RGB565_BE else "<%dH"
        v = lanes.pack(struct.unpack_from(order % lanes.n, self.data, at))
        five, six = lanes.ones * 31, lanes.ones * 63
        r, g, b = v >> 11 & five, v >> 5 & six, v & five
        low3, low2 = lanes.ones * 7, lanes.ones * 3
        return [r << 3 | (r >> 2 & low3), g << 2 | (g >> 4 & low2), b << 3 | (b >> 2 & low3)]

    def _yuyv(self, at):
        # BT.601, full range; two neighbours share U and V.
        data, red, green, blue = self.data, [], [], []
        for x in range(self.x, self.x + self.side):
            pair = at + x // 2 * 4
            luma, u, v = data[pair + x % 2 * 2], data[pair + 1] - 128, data[pair + 3] - 128
            red.append(min(255, max(0, luma + (359 * v + 128 >> 8))))
            green.append(min(255, max(0, luma - (88 * u + 183 * v + 128 >> 8))))
            blue.append(min(255, max(0, luma + (454 * u + 128 >> 8))))
        return [self._lanes.pack(row) for row in (red, green, blue)]


class NoiseIntake:
    """The known-answer image of docs/format.md instead of a frame."""

    def __init__(self, seed, size):
        self.seed, self.size = seed, size

    def planes(self):
        """As Intake.planes()."""
        state, out = self.seed, [bytearray(self.size * self.size) for _ in range(3)]
        for i in range(self.size * self.size):
            for plane in out:
                state ^= state << 13 & 0xFFFFFFFF
                state ^= state >> 17
                state ^= state << 5 & 0xFFFFFFFF
                plane[i] = state >> 24
        return out


def _axis(source, size):
    # How output i mixes the source pixels: (first, last, weight of the first, of each between,
    # of the last), and what the weights of one output add up to.
    axis = []
    if source >= size:
        for i in range(size):
            begin, end = i * source, (i + 1) * source
            first, last = begin // size, (end - 1) // size
            if first == last:
                axis.append((first, last, source, 0, 0))
            else:
                axis.append((first, last, (first + 1) * size - begin, size, end - last * size))
        return axis, source
    for i in range(size):
        n = (2 * i + 1) * source - size
        j, right = n // (2 * size), n % (2 * size)
        first, last = min(max(j, 0), source - 1), min(max(j + 1, 0), source - 1)
        axis.append((first, last, 2 * size - right, 0, right))
    return axis, 2 * size


def _is_jpeg(data, need):
    # Raw pixels may begin like a JPEG by chance: a second marker must follow the first segment.
    if len(data) < 6 or bytes(data[:3]) != b"\xff\xd8\xff":
        return False
    after = 4 + (data[4] << 8 | data[5])
    if len(data) < need:
        return True
    if data[3] < 0xC0 or after + 2 > len(data):
        return False
    return data[after] == 0xFF and data[after + 1] >= 0xC0
