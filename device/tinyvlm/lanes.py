# SPDX-License-Identifier: MIT
"""Arithmetic on many numbers at once in plain Python: one long integer holds a row of lanes.

A lane is 32 bits. A product of a weight and such an integer multiplies all lanes, inside the
interpreter's C code, which costs little more than one small product: this is what makes `pure`
some ten times faster than a loop. Nothing is rounded away: the results are those of
docs/format.md, "Arithmetic", to the last bit.

Lanes that may be negative carry BIAS, so that none borrows from its neighbour.
"""

import struct
from array import array

BIAS = 1 << 31  # of a lane that holds a signed number below 2**30


class Lanes:
    """The constants for `n` lanes."""

    def __init__(self, n):
        self.n = n
        self.format = "<%dI" % n
        self.ones = int.from_bytes(b"\1\0\0\0" * n, "little")
        # products have 64 bits: even and odd lanes are multiplied one after the other
        self.pairs = int.from_bytes(b"\1\0\0\0\0\0\0\0" * ((n + 1) // 2), "little")
        self.even = self.pairs * 0xFFFFFFFF
        self.nudge = self.pairs << 30
        self.all = self.ones * 0xFFFFFFFF
        self._after = {}  # by shift: what follows the multiplication

    def pack(self, values):
        """n numbers 0 ... 2**32-1 (bytes, a list) to lanes."""
        # as list: an array of bytes would take four of them for one number
        return int.from_bytes(array("I", list(values)), "little")

    def unpack(self, lanes):
        """A tuple of n numbers. Anything above the last lane is dropped."""
        return struct.unpack(self.format, (lanes & self.all).to_bytes(4 * self.n, "little"))

    def scale(self, acc, mult, shift):
        """acc * mult * 2**-31 * 2**-shift in double rounding, as (lanes, their bias).

        acc: lanes of abs(acc) < 2**30 plus BIAS. 2**30 <= mult < 2**31, shift 0 ... 30. The bias
        of the result is 2**31 >> shift.
        """
        # high = floor((acc * mult + 2**30) / 2**31); BIAS makes it high + mult, below 2**32
        even = ((acc & self.even) * mult + self.nudge >> 31) & self.even
        odd = ((acc >> 32 & self.even) * mult + self.nudge >> 31) & self.even
        high = (even | odd << 32) + self.ones * (BIAS - mult)  # high + BIAS: bit 31 says >= 0
        if not shift:
            return high, BIAS
        if shift not in self._after:
            half = self.ones * ((1 << shift - 1) - 1)
            self._after[shift] = half, self.ones * ((1 << 32 - shift) - 1)
        half, mask = self._after[shift]
        # half away from zero: a negative number loses one before the half is added
        return (high + (high >> 31 & self.ones) + half >> shift) & mask, BIAS >> shift

    def clamp(self, lanes, bias, zero_point, low):
        """Lanes plus zero_point, not below `low`, not above 127: bytes, 128 for a zero."""
        # in a loop, which takes fewer instructions than ten operations on long integers
        down = bias - zero_point - 128
        least, most = low + 128 + down, 255 + down
        return bytes(
            [
                value - down if least <= value <= most else (low + 128 if value < least else 255)
                for value in self.unpack(lanes)
            ]
        )
