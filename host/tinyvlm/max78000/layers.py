# SPDX-License-Identifier: MIT
"""One layer as the MAX78000's CNN accelerator sees it, and the sizes that follow from it.

The accelerator has 64 processors in 4 quadrants. A layer reads its input channels through the
processors of the map `processors` (bit p = processor p) and writes its output channels to the
places that the map `out_processors` names. More than 64 channels take several passes: channel c
is handled in pass c // per_pass by the (c % per_pass)-th processor of the map.

Data is int8 and means value / 128. Weights are signed integers of `bits` bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PROCESSORS = 64
QUADRANTS = 4


def bits_set(mask: int) -> list[int]:
    """The indices of the set bits, lowest first."""
    return [p for p in range(mask.bit_length()) if mask >> p & 1]


def first_bit(mask: int) -> int:
    """Index of the lowest set bit."""
    return (mask & -mask).bit_length() - 1


def spread(channels: int) -> tuple[int, int]:
    """(passes, channels a pass): at most 64 a pass, a multiple of 4 if there are several."""
    passes = -(-channels // PROCESSORS)
    per_pass = -(-channels // passes)
    return passes, per_pass if passes == 1 else (per_pass + 3) // 4 * 4


@dataclass
class Layer:
    """A convolution (1x1 or 3x3, perhaps of pooled or combined data), a fully connected layer
    (`flatten`) or, without weights, a pass-through, which copies, pools or combines.

    weights: signed integers, (out_c, in_c, k, k); flattened (out_c, in_c * h * w), channel by
    channel. bias: int8 (out_c,), in units of one weight step times data 1.0. The output is
    the sum times 2**shift / 2**(bits - 1) (`wide`: the 32-bit sum itself).
    """

    name: str
    in_c: int
    out_c: int
    size: tuple[int, int]  # rows, columns of the input
    processors: int
    out_processors: int
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    bits: int = 8
    shift: int = 0
    activation: str = "none"  # "relu", "abs"
    pad: int = 0
    pool: tuple[int, int] = (1, 1)
    pool_stride: int = 1
    average: bool = False  # else maximum
    operands: int = 1  # element-wise combination of so many inputs
    function: str = "add"  # "sub", "or", "xor"
    pool_first: bool = True  # pool the operands, then combine them
    flatten: bool = False
    wide: bool = False
    gap: int = 0  # words left free after each word written, for another operand
    sources: tuple[int, ...] = ()  # layers it reads, -1: the image; empty: the one before
    in_offset: int = 0  # bytes inside each data memory instance
    out_offset: int = 0
    chw: bool = False  # the first layer may read planes instead of interleaved channels
    words_at: int = field(default=0, compare=False)  # first word in the weight memories
    bias_at: tuple[int, int] | None = field(default=None, compare=False)  # (quadrant, start)

    @property
    def convolves(self) -> bool:
        """Does it multiply with weights (else: pass-through)?"""
        return self.weights is not None

    @property
    def kernel(self) -> int:
        return self.weights.shape[2] if self.convolves and not self.flatten else 1

    @property
    def pools(self) -> bool:
        return self.pool != (1, 1)

    @property
    def pooled(self) -> tuple[int, int]:
        """Rows and columns after pooling; windows that do not fit are dropped."""
        (h, w), (ph, pw), s = self.size, self.pool, self.pool_stride
        return (h - ph) // s + 1, (w - pw) // s + 1

    @property
    def out_size(self) -> tuple[int, int]:
        if self.flatten:
            return 1, 1
        grow = 2 * self.pad - self.kernel + 1
        return self.pooled[0] + grow, self.pooled[1] + grow

    @property
    def in_passes(self) -> int:
        return spread(self.in_c)[0]

    @property
    def out_passes(self) -> int:
        return spread(self.out_c)[0]

    @property
    def pixels(self) -> int:
        """Input pixels that one output of a flattened layer sees; 1 for all others."""
        return self.pooled[0] * self.pooled[1] if self.flatten else 1

    @property
    def flat_count(self) -> int:
        """Input words of a processor for one output of a flattened layer, minus one."""
        return self.in_passes * self.pixels - 1 if self.flatten else 0

    @property
    def time_slots(self) -> int:
        """How often four processors of a quadrant take turns in a pass-through."""
        if self.convolves:
            return 1
        parts = (self.processors >> 16 * q & 0xFFFF for q in range(QUADRANTS))
        return max((part.bit_count() - 1) // 4 for part in parts if part) + 1

    @property
    def lead(self) -> int:
        """Empty kernel places before the first, where the output map starts inside a word."""
        return first_bit(self.out_processors) % 4 * self.out_passes * self.in_passes * self.pixels

    @property
    def kernels(self) -> int:
        """Kernels (flattened: values) that each processor steps through, without `lead`."""
        first, last = first_bit(self.out_processors), self.out_processors.bit_length() - 1
        start = first // 4 * 4 if self.out_passes > 1 else first
        steps = self.in_passes * self.pixels
        count = (1 + last - start) * self.out_passes * steps
        if self.flatten:
            count -= (self.out_passes * self.out_processors.bit_count() - self.out_c) * steps
        return count


@dataclass
class Network:
    """Layers in the order in which they run. `rounding`: averages are rounded half away from
    zero (CTRL bit 13), else truncated."""

    layers: list[Layer]
    rounding: bool = True

    @property
    def quadrants(self) -> list[int]:
        """The quadrants that are needed, the lowest first."""
        mask = self.layers[-1].out_processors
        for layer in self.layers:
            mask |= layer.processors
        return [q for q in range(QUADRANTS) if mask >> 16 * q & 0xFFFF]
