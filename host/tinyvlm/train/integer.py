# SPDX-License-Identifier: MIT
"""The engine's integer arithmetic in torch: whole batches, with gradients, on a CPU or a GPU.

    vectors = run(graph, images)            # int8 (n, dim), equal to the engine's: 0 of N differ

The operations below take and give *centred* tensors: q - zero_point as whole numbers in float32,
(n, C, H, W), channels last in memory, so that what lies outside an image is 0.  Quantization-aware
training calls the same operations with weights that have gradients; backward, every rounding
counts as the identity, and a value at an end of its range passes nothing (straight-through).

Exactness: a float holds every whole number below 2**24 (float32) or 2**53 (float64), so sums that
stay below may be added up by any convolution that only multiplies and adds.  On a GPU cuDNN may
transform (Winograd) or shorten (TF32) what it multiplies; there float64 is taken and rounded.
Arithmetic: docs/format.md, "Arithmetic"; the same in numpy: `tinyvlm.net.reference`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tinyvlm.net import reference
from tinyvlm.net.graph import (
    INPUT,
    Add,
    AvgPool,
    Depthwise,
    Graph,
    Layer,
    Quant,
    SpaceToDepth,
    same_padding,
)

CHUNK = 1 << 17  # values that are requantized at a time: their float64 stay in the cache
EXACT = 1 << 22  # below, accumulator times multiplier (31 bits) fits a float64
AWAY = 1 + 2.0**-40  # makes of round-half-to-even round-half-away for values below 2**12


# -- rounding ------------------------------------------------------------------------------------


def scaled(acc: Tensor, mult: Tensor | int, shift: Tensor | int) -> Tensor:
    """acc * mult * 2**-31 * 2**-shift in double rounding, int64; as `reference.scaled`."""
    high = (acc * mult + (1 << 30)) >> 31
    half = (1 << shift) >> 1
    return (high + (high >> 63) * (half != 0) + half) >> shift


def straight_through(exact: Tensor, real: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `real`."""
    return exact.detach() + (real - real.detach())


class Requantize(torch.autograd.Function):
    """Accumulators (n, C, h, w) plus bias (C,), scaled and saturated to [low, high]; float32.

    mult, shift: int64 (C,), shift > 0; by_float: every sum is below EXACT or surely saturates.
    """

    @staticmethod
    def forward(ctx, acc, bias, mult, shift, low, high, by_float):
        rows = acc.permute(0, 2, 3, 1).reshape(-1, acc.shape[1])
        out = torch.empty(rows.shape, dtype=torch.float32, device=acc.device)
        step = max(len(rows), 1)
        if acc.device.type == "cpu":
            step = min(step, -(-CHUNK * torch.get_num_threads() // acc.shape[1]))
        room = torch.empty((step, acc.shape[1]), dtype=torch.float64, device=acc.device)
        up, down = mult.double() * 2.0**-31, AWAY / (1 << shift).double()
        half = torch.full_like(up, 0.5)
        for at in range(0, len(rows), step):
            x = rows[at : at + step]
            y = room[: len(x)].copy_(x)
            if x.dtype == torch.float64:
                y.round_()  # of what a GPU made
            y.add_(bias)
            if by_float:
                torch.addcmul(half, y, up, out=y).floor_().mul_(down).round_()  # loses no bit
            else:
                y.copy_(scaled(y.long(), mult, shift))
            out[at : at + step] = y.clamp_(low, high)
        n, c, h, w = acc.shape
        out = out.view(n, h, w, c).permute(0, 3, 1, 2)
        ctx.save_for_backward(out, mult, shift)
        ctx.bounds, ctx.dtype = (low, high), acc.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        out, mult, shift = ctx.saved_tensors
        gain = (mult.double() * 2.0**-31 / (1 << shift)).to(grad.dtype)
        grad = torch.ops.aten.hardtanh_backward(grad, out, *ctx.bounds)
        grad = grad.mul_(gain[:, None, None])
        bias = grad.sum((0, 2, 3)).double() if ctx.needs_input_grad[1] else None
        return grad.to(ctx.dtype), bias, None, None, None, None, None


class Sum(torch.autograd.Function):
    """TFLite's ADD of two centred tensors."""

    @staticmethod
    def forward(ctx, one, two, source, source2, out, low, high):
        mult, shift = reference.add_multipliers(source.scale, source2.scale, out.scale)
        total = scaled(one.long() << reference.ADD_LEFT_SHIFT, mult[0], shift[0])
        total += scaled(two.long() << reference.ADD_LEFT_SHIFT, mult[1], shift[1])
        y = scaled(total, mult[2], shift[2]).clamp_(low, high).float()
        ctx.save_for_backward(y)
        ctx.bounds, ctx.gains = (low, high), (source.scale / out.scale, source2.scale / out.scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        grad = torch.ops.aten.hardtanh_backward(grad, *ctx.saved_tensors, *ctx.bounds)
        return grad * ctx.gains[0], grad * ctx.gains[1], None, None, None, None, None


# -- operations ----------------------------------------------------------------------------------


def bounds(out: Quant, relu: bool) -> tuple[int, int]:
    """Least and largest centred value of a layer's output."""
    return 0 if relu else -128 - out.zero_point, 127 - out.zero_point


def conv(
    x: Tensor,
    w: Tensor,
    bias: Tensor,
    weight_scale: np.ndarray,
    source: Quant,
    out: Quant,
    stride: int = 1,
    relu: bool = False,
) -> Tensor:
    """Convolution, SAME padding; depthwise where w is (C, 1, k, k) and x has more channels.

    w: whole numbers (out_c, in_c, k, k) in float32; bias: whole numbers (out_c,) in float64, for
    centred inputs; weight_scale: float32 (out_c,).
    """
    mult, shift = reference.conv_multipliers(source.scale, weight_scale, out.scale)
    if shift.min() < 1:
        raise ValueError("a multiplier is 0.5 or more; raise the scale of the output")
    reach = max(127 - source.zero_point, 128 + source.zero_point)
    with torch.no_grad():
        sums = w.abs().sum((1, 2, 3), dtype=torch.float64) * reach
        largest, totals = sums.max().item(), (sums + bias.abs()).cpu().numpy()
    # At shift 12 an accumulator of EXACT is 512 steps of the output or more: it saturates.
    by_float = ((totals < EXACT) | (shift <= 12)).all()
    if x.is_cuda or largest >= 1 << 24:
        x, w = x.double(), w.double()
    kernel, groups = w.shape[2], x.shape[1] // w.shape[1]
    (_, top, bottom), (_, left, right) = (same_padding(n, kernel, stride) for n in x.shape[2:])
    inner = (top, left)
    if top != bottom or left != right:
        x, inner = F.pad(x, (left, right, top, bottom)), 0
    with torch.autocast(x.device.type, enabled=False):
        acc = F.conv2d(x, w, None, stride, inner, groups=groups)
    mult, shift = (torch.from_numpy(a).to(x.device) for a in (mult, shift))
    return Requantize.apply(acc, bias, mult, shift, *bounds(out, relu), by_float)


def add(x: Tensor, x2: Tensor, source: Quant, source2: Quant, out: Quant, relu: bool) -> Tensor:
    """Element-wise sum."""
    return Sum.apply(x, x2, source, source2, out, *bounds(out, relu))


def pool(x: Tensor, source: Quant, kernel: int = 0, stride: int = 0) -> Tensor:
    """Mean over windows (kernel 0: the whole map), of q itself: halves go away from q = 0."""
    kernel = (kernel, kernel) if kernel else tuple(x.shape[2:])
    count = kernel[0] * kernel[1]
    total = F.avg_pool2d(x, kernel, stride or max(kernel), divisor_override=1)
    q = total.detach() + count * source.zero_point
    q = torch.sign(q) * torch.div(q.abs() + count // 2, count, rounding_mode="floor")
    return straight_through(q - source.zero_point, total / count)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Each block x block square of pixels becomes one, channels (row, column, channel)."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    x = x.reshape(n, c * block * block, h // block, w // block)
    return x.contiguous(memory_format=torch.channels_last)


# -- graphs --------------------------------------------------------------------------------------


def _layer(graph: Graph, layer: Layer, tensors: dict[str, Tensor]) -> Tensor:
    """The centred output of one layer, given the centred tensors it reads."""
    source, x = graph.quant(layer.src), tensors[layer.src]
    if isinstance(layer, AvgPool):
        return pool(x, source, layer.kernel, layer.stride)
    if isinstance(layer, Add):
        x2, source2 = tensors[layer.src2], graph.quant(layer.src2)
        return add(x, x2, source, source2, layer.out, layer.relu)
    if isinstance(layer, SpaceToDepth):
        return space_to_depth(x, layer.block)
    w = layer.weights[..., None] if isinstance(layer, Depthwise) else layer.weights
    w = torch.from_numpy(w.astype(np.float32)).permute(0, 3, 1, 2).to(x.device)
    bias = torch.from_numpy(layer.bias.astype(np.float64)).to(x.device)
    more = layer.weight_scale, source, layer.out, layer.stride, layer.relu
    return conv(x, w, bias, *more)


def run(graph: Graph, images: Tensor, everything: bool = False) -> Tensor | dict[str, Tensor]:
    """int8 embeddings (n, dim) of images, int8 (n, H, W, C) as pixel - 128.

    everything: all tensors by name instead, int8 (n, h, w, c), the dense map among them.
    """
    if images.dtype != torch.int8 or tuple(images.shape[1:]) != tuple(graph.input_shape):
        raise ValueError(
            f"the images must be int8 (n, {', '.join(map(str, graph.input_shape))}), "
            f"got {images.dtype} {tuple(images.shape)}"
        )
    x = images.permute(0, 3, 1, 2).float() - graph.input.zero_point
    tensors = {INPUT: x.contiguous(memory_format=torch.channels_last)}
    with torch.no_grad():
        for layer in graph.layers:
            if everything or not graph.is_dense(layer.name):
                tensors[layer.name] = _layer(graph, layer, tensors)
    wanted = tensors if everything else [graph.embedding]
    whole = {
        name: (tensors[name] + graph.quant(name).zero_point).to(torch.int8).permute(0, 2, 3, 1)
        for name in wanted
    }
    return whole if everything else whole[graph.embedding].flatten(1)
