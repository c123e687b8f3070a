# SPDX-License-Identifier: MIT
"""The integer arithmetic in numpy, one function an op: what every other engine must equal.

It is TFLite's int8 scheme with gemmlowp's double rounding (docs/format.md, "Arithmetic"), the one
that CMSIS-NN, TFLite Micro and LiteRT's BUILTIN_REF kernels compute. Tensors are int8, shape
(..., H, W, C): an optional batch axis in front is carried through.

    tensors = run(graph, image_q)        # every tensor by name
    vector = embed(graph, image_q)       # int8 (dim,)

Sums are computed by float matrix products where these are exact (every partial sum is an integer
below 2**24 for float32, 2**53 for float64), which is what makes the reference fast.
"""

from __future__ import annotations

import numpy as np

from .graph import INPUT, Add, AvgPool, Conv, Graph, Layer, SpaceToDepth, same_padding

TEST_SEED = 0x2545F491  # of the known-answer image; any number but 0
ADD_LEFT_SHIFT = 20  # TFLite's ADD gives its operands 20 fractional bits


def quantize_multiplier(real: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """real = mult * 2**-31 * 2**-shift with 2**30 <= mult < 2**31, as TFLite's QuantizeMultiplier.

    `real` is a positive float or array (double). Returns int64 arrays (mult, shift) of its shape;
    shift is a right shift, 0 for 0.5 <= real < 1 and negative for larger values.
    """
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    mult = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = mult == 1 << 31  # the fraction was rounded up to 1
    return np.where(carry, 1 << 30, mult), -(exponent.astype(np.int64) + carry)


def scaled(acc: np.ndarray, mult: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """acc * mult * 2**-31 * 2**-shift in double rounding; int64 of the shape of acc.

    First gemmlowp's SaturatingRoundingDoublingHighMul, then its RoundingDivideByPOT (half away
    from zero). acc holds int32 values; mult and shift >= 0 broadcast against it (last axis: C).
    """
    mult, shift = np.asarray(mult, np.int64), np.asarray(shift, np.int64)
    high = np.multiply(acc, mult, dtype=np.int64)
    high += 1 << 30  # the nudge and truncation of gemmlowp amount to "half up" for either sign
    high >>= 31
    # Half away from zero: negative numbers lose one before the half is added (not if shift is 0).
    high += (high >> 63) & -(shift > 0).astype(np.int64)
    high += (1 << shift) >> 1
    high >>= shift
    return high


def requantize(
    acc: np.ndarray, mult: np.ndarray, shift: np.ndarray, out_zero_point: int
) -> np.ndarray:
    """int32 accumulators (..., C) to int8: scaled, plus the zero point, saturated."""
    out = scaled(acc, mult, shift)
    out += out_zero_point
    return np.clip(out, -128, 127, out=out).astype(np.int8)


def conv_multipliers(
    in_scale: float, weight_scale: np.ndarray, out_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Per-channel (mult, shift) of a convolution from float32 scales, in double precision."""
    return quantize_multiplier(
        float(in_scale) * np.asarray(weight_scale, np.float64) / float(out_scale)
    )


def add_multipliers(
    scale1: float, scale2: float, out_scale: float
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """TFLite ADD: ((mult1, mult2, mult_out), (shift1, shift2, shift_out))."""
    twice = 2.0 * max(scale1, scale2)
    reals = (scale1 / twice, scale2 / twice, twice / ((1 << ADD_LEFT_SHIFT) * out_scale))
    mult, shift = quantize_multiplier(np.array(reals))
    return tuple(mult.tolist()), tuple(shift.tolist())


def fold_bias(weights: np.ndarray, bias: np.ndarray, in_zero_point: int) -> np.ndarray:
    """bias - in_zero_point * sum(weights), int64 (out_c,): the bias for raw int8 inputs."""
    sums = weights.reshape(len(weights), -1).astype(np.int64).sum(axis=1)
    return bias.astype(np.int64) - in_zero_point * sums


def _pad(x: np.ndarray, kernel: int, stride: int, value: int) -> np.ndarray:
    """SAME padding of (N, H, W, C) with the zero point."""
    pads = [same_padding(size, kernel, stride)[1:] for size in x.shape[1:3]]
    return np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value) if kernel > 1 else x


def conv(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    mult: np.ndarray,
    shift: np.ndarray,
    in_zero_point: int,
    out_zero_point: int,
    stride: int = 1,
) -> np.ndarray:
    """Convolution, SAME padding. x int8 (..., H, W, in_c), weights int8 (out_c, k, k, in_c),
    bias int32, mult and shift (out_c,) from `conv_multipliers`. Returns int8 (..., h, w, out_c).
    """
    lead, x = x.shape[:-3], x.reshape(-1, *x.shape[-3:])
    out_c, kernel, _, in_c = weights.shape
    flat = weights.reshape(out_c, -1)
    exact32 = np.abs(flat.astype(np.int64)).sum(axis=1).max(initial=0) * 128 < 1 << 24
    dtype = np.float32 if exact32 else np.float64
    if kernel == 1:
        patches = x[:, ::stride, ::stride].astype(dtype)
    else:
        padded = _pad(x, kernel, stride, in_zero_point)
        view = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
        view = view[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # taps in (ky, kx, c) order
        patches = view.astype(dtype, order="C")
    shape = patches.shape[:3]
    acc = (patches.reshape(-1, kernel * kernel * in_c) @ flat.T.astype(dtype)).astype(np.int64)
    acc += fold_bias(weights, bias, in_zero_point)
    out = requantize(acc, mult, shift, out_zero_point)
    return out.reshape(*lead, *shape[1:], out_c)


def depthwise(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    mult: np.ndarray,
    shift: np.ndarray,
    in_zero_point: int,
    out_zero_point: int,
    stride: int = 1,
) -> np.ndarray:
    """Depthwise convolution, SAME padding. x int8 (..., H, W, c), weights int8 (c, k, k)."""
    lead, x = x.shape[:-3], x.reshape(-1, *x.shape[-3:])
    channels, kernel = weights.shape[:2]
    out_h, out_w = (same_padding(size, kernel, stride)[0] for size in x.shape[1:3])
    # 7 * 7 taps of at most 2**14 each: float32 sums are exact
    padded = _pad(x, kernel, stride, in_zero_point).astype(np.float32)
    taps = np.ascontiguousarray(weights.transpose(1, 2, 0), np.float32)
    acc = np.zeros((len(x), out_h, out_w, channels), np.float32)
    part = np.empty_like(acc)
    for ky in range(kernel):
        for kx in range(kernel):
            rows = slice(ky, ky + (out_h - 1) * stride + 1, stride)
            cols = slice(kx, kx + (out_w - 1) * stride + 1, stride)
            np.multiply(padded[:, rows, cols], taps[ky, kx], out=part)
            acc += part
    total = acc.astype(np.int64)
    total += fold_bias(weights, bias, in_zero_point)
    return requantize(total, mult, shift, out_zero_point).reshape(*lead, out_h, out_w, channels)


def add(
    x1: np.ndarray,
    x2: np.ndarray,
    mult: tuple[int, int, int],
    shift: tuple[int, int, int],
    zero_point1: int,
    zero_point2: int,
    out_zero_point: int,
) -> np.ndarray:
    """TFLite's ADD of two int8 tensors of one shape; mult and shift from `add_multipliers`."""
    one = (x1.astype(np.int64) - zero_point1) << ADD_LEFT_SHIFT
    two = (x2.astype(np.int64) - zero_point2) << ADD_LEFT_SHIFT
    total = scaled(one, mult[0], shift[0]) + scaled(two, mult[1], shift[1])
    return requantize(total, mult[2], shift[2], out_zero_point)


def avg_pool(x: np.ndarray, kernel: int = 0, stride: int = 0) -> np.ndarray:
    """Mean over kernel x kernel windows, VALID, half away from zero. kernel 0: the whole map."""
    height, width = x.shape[-3:-1]
    kh, kw = (kernel, kernel) if kernel else (height, width)
    stride = stride or max(kh, kw)
    view = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(-3, -2))
    total = view[..., ::stride, ::stride, :, :, :].sum(axis=(-2, -1), dtype=np.int64)
    count = kh * kw
    mean = (np.abs(total) + count // 2) // count
    return np.where(total < 0, -mean, mean).astype(np.int8)


def space_to_depth(x: np.ndarray, block: int) -> np.ndarray:
    """(..., H, W, C) to (..., H/block, W/block, block * block * C), TFLite's channel order."""
    *lead, height, width, channels = x.shape
    cut = x.reshape(*lead, height // block, block, width // block, block, channels)
    shape = *lead, height // block, width // block, block * block * channels
    return np.moveaxis(cut, -3, -4).reshape(shape)


def known_image(shape: tuple[int, int, int], seed: int = TEST_SEED) -> np.ndarray:
    """The image of a known answer, int8 (H, W, C): bytes of an xorshift32 generator, minus 128."""
    state, out = seed, bytearray(shape[0] * shape[1] * shape[2])
    for i in range(len(out)):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        out[i] = state >> 24 ^ 0x80
    return np.frombuffer(bytes(out), np.int8).reshape(shape)


def run_layer(graph: Graph, layer: Layer, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The output of one layer, given the tensors it reads."""
    if isinstance(layer, AvgPool):
        return avg_pool(tensors[layer.src], layer.kernel, layer.stride)
    if isinstance(layer, SpaceToDepth):
        return space_to_depth(tensors[layer.src], layer.block)
    out = _linear(graph, layer, tensors)
    return np.maximum(out, np.int8(layer.out.zero_point)) if layer.relu else out


def _linear(graph: Graph, layer: Layer, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """A convolution or an addition before its ReLU, saturated to int8."""
    source, x = graph.quant(layer.src), tensors[layer.src]
    if isinstance(layer, Add):
        source2 = graph.quant(layer.src2)
        mult, shift = add_multipliers(source.scale, source2.scale, layer.out.scale)
        points = source.zero_point, source2.zero_point, layer.out.zero_point
        return add(x, tensors[layer.src2], mult, shift, *points)
    mult, shift = conv_multipliers(source.scale, layer.weight_scale, layer.out.scale)
    if shift.min() < 0:
        raise ValueError(f"layer {layer.name!r}: a multiplier is 1 or more; raise the out scale")
    op = conv if isinstance(layer, Conv) else depthwise
    points = source.zero_point, layer.out.zero_point
    return op(x, layer.weights, layer.bias, mult, shift, *points, layer.stride)


def run(graph: Graph, image_q: np.ndarray, dense: bool = True) -> dict[str, np.ndarray]:
    """All tensors by name for image_q, int8 (..., H, W, 3); dense layers only if `dense`."""
    if tuple(image_q.shape[-3:]) != tuple(graph.input_shape) or image_q.dtype != np.int8:
        raise ValueError(
            f"the image must be int8 {tuple(graph.input_shape)}, "
            f"got {image_q.dtype} {tuple(image_q.shape)}"
        )
    tensors = {INPUT: image_q}
    for layer in graph.layers:
        if dense or not graph.is_dense(layer.name):
            tensors[layer.name] = run_layer(graph, layer, tensors)
    return tensors


def embed(graph: Graph, image_q: np.ndarray, batch: int = 8) -> np.ndarray:
    """The embedding, int8 (..., dim). Many images go through `batch` at a time (cache, memory)."""
    lead = image_q.shape[:-3]
    flat = image_q.reshape(-1, *image_q.shape[-3:])
    parts = [
        run(graph, flat[i : i + batch], dense=False)[graph.embedding].reshape(
            len(flat[i : i + batch]), -1
        )
        for i in range(0, len(flat), batch)
    ]
    return np.concatenate(parts).reshape(*lead, -1)
