# SPDX-License-Identifier: MIT
"""The order in which a `.tvlm` stores numbers (docs/format.md, "Conv weights", "Table").

Pack and unpack are inverse: weights keep their shape, scales come back as the same float32.
"""

from __future__ import annotations

import numpy as np

from .graph import Quant
from .reference import conv_multipliers, fold_bias


def pack_conv(weights: np.ndarray) -> bytes:
    """int8 (out_c, k, k, in_c) in the file's order: pairs of channels, four taps at a time."""
    out_c, taps = len(weights), weights[0].size
    flat = np.zeros((-(-out_c // 2) * 2, -(-taps // 4) * 4), np.int8)
    flat[:out_c, :taps] = weights.reshape(out_c, -1)
    return flat.reshape(len(flat) // 2, 2, -1, 4).transpose(0, 2, 1, 3).tobytes()


def pack_depthwise(weights: np.ndarray) -> bytes:
    """int8 (c, k, k) with each row of taps padded to a multiple of 4."""
    kernel = weights.shape[1]
    return np.pad(weights, [(0, 0), (0, 0), (0, -kernel % 4)]).tobytes()


def pack_table(
    weights: np.ndarray, bias: np.ndarray, weight_scale: np.ndarray, source: Quant, out: Quant
) -> bytes:
    """Folded biases, multipliers and shifts of a convolution, for inputs quantized as `source`."""
    mult, shift = conv_multipliers(source.scale, weight_scale, out.scale)
    folded = fold_bias(weights, bias, source.zero_point)
    columns = folded.astype("<i4"), mult.astype("<i4"), shift.astype(np.uint8)
    return b"".join(column.tobytes() for column in columns)


def cut(blob: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(blob):
        raise ValueError("weights or table lie outside the file")
    return blob[offset : offset + size]


def unpack_conv(blob: bytes, at: int, shape: tuple[int, int, int, int]) -> np.ndarray:
    out_c, taps = shape[0], shape[1] * shape[2] * shape[3]
    blocks, fours = -(-out_c // 2), -(-taps // 4)
    raw = np.frombuffer(cut(blob, at, blocks * fours * 8), np.int8)
    flat = raw.reshape(blocks, fours, 2, 4).transpose(0, 2, 1, 3).reshape(blocks * 2, -1)
    return flat[:out_c, :taps].reshape(shape).copy()


def unpack_depthwise(blob: bytes, at: int, shape: tuple[int, int, int]) -> np.ndarray:
    channels, kernel, _ = shape
    padded = -(-kernel // 4) * 4
    raw = np.frombuffer(cut(blob, at, channels * kernel * padded), np.int8)
    return raw.reshape(channels, kernel, padded)[:, :, :kernel].copy()


def unpack_table(
    blob: bytes, at: int, weights: np.ndarray, source: Quant, out_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Raw biases and weight scales. mult has 31 bits, a float32 24: the scale is exact."""
    count = len(weights)
    raw = cut(blob, at, 9 * count)
    bias, mult = np.frombuffer(raw, "<i4", 2 * count).astype(np.int64).reshape(2, -1)
    shift = np.frombuffer(raw, np.uint8, count, 8 * count).astype(np.int64)
    real = np.ldexp(mult.astype(np.float64), -31 - shift)
    scale = (real * out_scale / source.scale).astype(np.float32)
    good = (mult > 0).all() and np.isfinite(scale).all() and (scale > 0).all()
    again = conv_multipliers(source.scale, scale, out_scale) if good else (0, 0)
    if not (np.all(again[0] == mult) and np.all(again[1] == shift)):
        raise ValueError("a multiplier does not come from float32 scales")
    bias = bias - fold_bias(weights, np.zeros(count, np.int64), source.zero_point)
    if np.abs(bias).max(initial=0) >= 1 << 31:
        raise ValueError("a bias is out of range")
    return bias.astype(np.int32), scale
