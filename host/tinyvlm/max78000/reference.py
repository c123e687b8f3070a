# SPDX-License-Identifier: MIT
"""The accelerator's arithmetic in numpy, from the network and nothing else: no registers, no
memories, no processors. The simulator and the driver must equal it to the last bit.

Tensors are integers of shape (H, W, C). Inside a layer: pool and combine the operands (or combine
and pool), convolve, add the bias, shift, round, clip, activate.
"""

from __future__ import annotations

import numpy as np

from .layers import Layer, Network


def run(network: Network, image: np.ndarray) -> list[np.ndarray]:
    """The output of every layer for an image, int8 (H, W, C): int8, of a `wide` layer int32."""
    outputs: list[np.ndarray] = []
    for index, layer in enumerate(network.layers):
        sources = layer.sources or (index - 1,)
        inputs = [image if source < 0 else outputs[source] for source in sources]
        outputs.append(run_layer(layer, inputs, network.rounding))
    return outputs


def run_layer(layer: Layer, inputs: list[np.ndarray], rounding: bool) -> np.ndarray:
    """The output of one layer; one input per operand."""
    inputs = [x.astype(np.int64) for x in inputs]
    if layer.pool_first:
        x = combine([pool(x, layer, rounding) for x in inputs], layer.function)
    else:
        x = pool(combine(inputs, layer.function), layer, rounding)
    if not layer.convolves:
        return x.astype(np.int8)
    total = convolve(x, layer)
    if layer.bias is not None:
        total += layer.bias.astype(np.int64) * 128
    if layer.wide:
        return total.astype(np.int32)
    right = 7 - (8 - layer.bits + layer.shift)
    y = (total + (1 << right >> 1)) >> right if right >= 0 else total << -right
    y = np.clip(y, -128, 127)
    if layer.activation == "relu":
        y = np.maximum(y, 0)
    elif layer.activation == "abs":
        y = np.minimum(np.abs(y), 127)
    return y.astype(np.int8)


def pool(x: np.ndarray, layer: Layer, rounding: bool) -> np.ndarray:
    """Maximum or average over windows; those that do not fit are dropped."""
    view = np.lib.stride_tricks.sliding_window_view(x, layer.pool, axis=(0, 1))
    view = view[:: layer.pool_stride, :: layer.pool_stride]
    if not layer.average:
        return view.max(axis=(-2, -1))
    total, count = view.sum(axis=(-2, -1)), layer.pool[0] * layer.pool[1]
    mean = (np.abs(total) + (count // 2 if rounding else 0)) // count
    return np.where(total < 0, -mean, mean)


def combine(operands: list[np.ndarray], function: str) -> np.ndarray:
    """Element-wise, in full precision, then clipped to int8. One operand stays as it is."""
    result = operands[0]
    for x in operands[1:]:
        match function:
            case "add":
                result = result + x
            case "sub":
                result = result - x
            case "or":
                result = result | x
            case _:
                result = result ^ x
    return np.clip(result, -128, 127)


def convolve(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Exact sums, int64 (h, w, out_c): float64 holds them, they stay far below 2**53."""
    if layer.flatten:
        flat = x.transpose(2, 0, 1).reshape(-1).astype(np.float64)
        return (layer.weights.astype(np.float64) @ flat).astype(np.int64)[None, None]
    k, pad = layer.kernel, layer.pad
    padded = np.pad(x, [(pad, pad), (pad, pad), (0, 0)]).astype(np.float64)
    view = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(0, 1))
    patches = view.reshape(*view.shape[:2], -1)  # (c, ky, kx) order
    return (patches @ layer.weights.reshape(layer.out_c, -1).T).astype(np.int64)
