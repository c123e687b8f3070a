# SPDX-License-Identifier: MIT
"""How a `.tvlm` orders weights and tables (docs/format.md, "Conv weights", "Table").

Pack and unpack are inverse: weights keep their shape, scales come back as the same float32.
"""

from __future__ import annotations

import numpy as np

from .graph import Conv, Depthwise, Layer, Quant
from .reference import conv_multipliers, fold_bias


def padded(taps: int) -> int:
    """Taps in a row of weights as it is stored: a multiple of 4."""
    return -(-taps // 4) * 4


def stored_taps(layer: Conv | Depthwise) -> int:
    """Weights of one output channel, padding included."""
    if isinstance(layer, Conv):
        return padded(layer.weights[0].size)
    kernel = layer.weights.shape[1]
    return kernel * padded(kernel)


def weight_bytes(layer: Layer) -> int:
    """Bytes of the layer's weights, tables not counted."""
    if isinstance(layer, Conv):
        return stored_taps(layer) * _paired(len(layer.weights))
    return stored_taps(layer) * len(layer.weights) if isinstance(layer, Depthwise) else 0


def _paired(channels: int) -> int:
    return -(-channels // 2) * 2


def pack_conv(weights: np.ndarray) -> bytes:
    """int8 (out_c, k, k, in_c) in the file's order: pairs of channels, four taps at a time."""
    out_c, taps = len(weights), weights[0].size
    flat = np.zeros((_paired(out_c), padded(taps)), np.int8)
    flat[:out_c, :taps] = weights.reshape(out_c, -1)
    return flat.reshape(len(flat) // 2, 2, -1, 4).transpose(0, 2, 1, 3).tobytes()


def pack_depthwise(weights: np.ndarray) -> bytes:
    """int8 (c, k, k) with each row of taps padded to a multiple of 4."""
    kernel = weights.shape[1]
    return np.pad(weights, [(0, 0), (0, 0), (0, padded(kernel) - kernel)]).tobytes()


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
    rows, row = _paired(out_c), padded(taps)
    raw = np.frombuffer(cut(blob, at, rows * row), np.int8)
    flat = raw.reshape(rows // 2, row // 4, 2, 4).transpose(0, 2, 1, 3).reshape(rows, row)
    return flat[:out_c, :taps].reshape(shape).copy()


def unpack_depthwise(blob: bytes, at: int, shape: tuple[int, int, int]) -> np.ndarray:
    channels, kernel, _ = shape
    row = padded(kernel)
    raw = np.frombuffer(cut(blob, at, channels * kernel * row), np.int8)
    return raw.reshape(channels, kernel, row)[:, :, :kernel].copy()


def weight_scales(
    mult: np.ndarray, shift: np.ndarray, source: Quant, out_scale: float
) -> np.ndarray:
    """The float32 weight scales that multipliers and right shifts were made of."""
    good = (mult > 0).all() and (shift >= 0).all() and (shift < 256).all()
    real = np.ldexp(mult.astype(np.float64), -31 - shift * good)
    scale = (real * out_scale / source.scale).astype(np.float32)
    good = good and np.isfinite(scale).all() and (scale > 0).all()
    again = conv_multipliers(source.scale, scale, out_scale) if good else (0, 0)
    if not (np.all(again[0] == mult) and np.all(again[1] == shift)):
        raise ValueError("a multiplier does not come from float32 scales")
    return scale


def unpack_table(
    blob: bytes, at: int, weights: np.ndarray, source: Quant, out_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Raw biases and weight scales. mult has 31 bits, a float32 24: the scale is exact."""
    count = len(weights)
    raw = cut(blob, at, 9 * count)
    bias, mult = np.frombuffer(raw, "<i4", 2 * count).astype(np.int64).reshape(2, -1)
    shift = np.frombuffer(raw, np.uint8, count, 8 * count).astype(np.int64)
    scale = weight_scales(mult, shift, source, out_scale)
    bias = bias - fold_bias(weights, np.zeros(count, np.int64), source.zero_point)
    if np.abs(bias).max(initial=0) >= 1 << 31:
        raise ValueError("a bias is out of range")
    return bias.astype(np.int32), scale
