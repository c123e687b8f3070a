# SPDX-License-Identifier: MIT
"""How a `.tvlm` for CMSIS-NN orders weights and tables (docs/format.md, "A file for CMSIS-NN").

The library uses all of it where it lies. Functions have the names and arguments of packing.py.
"""

from __future__ import annotations

import struct

import numpy as np

from .graph import AvgPool, Conv, Depthwise, Graph, Quant
from .packing import cut, weight_scales
from .reference import conv_multipliers

MAX_ACC = 1 << 31  # its accumulators are int32
MAX_SHIFT = 22
MAX_WORK = 10_000_000  # steps of a layer, which keeps Ctrl-C waiting for 50 ms then
CONV, DEPTHWISE, ADD, AVGPOOL = 1, 2, 3, 4  # of a record


def pack_conv(weights: np.ndarray) -> bytes:
    """int8 (out_c, k, k, in_c), as it is."""
    return weights.tobytes()


def pack_depthwise(weights: np.ndarray) -> bytes:
    """int8 (c, k, k): tap by tap, all channels of each."""
    return weights.transpose(1, 2, 0).tobytes()


def pack_table(
    weights: np.ndarray, bias: np.ndarray, weight_scale: np.ndarray, source: Quant, out: Quant
) -> bytes:
    """Biases as they are, multipliers, and shifts, which go to the left."""
    mult, shift = conv_multipliers(source.scale, weight_scale, out.scale)
    return b"".join(column.astype("<i4").tobytes() for column in (bias, mult, -shift))


def unpack_conv(blob: bytes, at: int, shape: tuple[int, int, int, int]) -> np.ndarray:
    raw = cut(blob, at, int(np.prod(shape)))
    return np.frombuffer(raw, np.int8).reshape(shape).copy()


def unpack_depthwise(blob: bytes, at: int, shape: tuple[int, int, int]) -> np.ndarray:
    channels, kernel, _ = shape
    raw = np.frombuffer(cut(blob, at, channels * kernel * kernel), np.int8)
    return raw.reshape(kernel, kernel, channels).transpose(2, 0, 1).copy()


def unpack_table(
    blob: bytes, at: int, weights: np.ndarray, source: Quant, out_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Raw biases and weight scales."""
    count = len(weights)
    if at % 4:
        raise ValueError("the table lies at an address that is no multiple of 4")
    bias, mult, left = np.frombuffer(cut(blob, at, 12 * count), "<i4").reshape(3, -1)
    scale = weight_scales(mult.astype(np.int64), -left.astype(np.int64), source, out_scale)
    return bias.copy(), scale


def scratch_bytes(graph: Graph) -> int:
    """The most that the library asks for, and the intake, for the arena of `graph`."""
    shapes = graph.shapes()
    need = 12 * graph.input_shape[1]
    for layer in graph.layers:
        op = {Conv: CONV, Depthwise: DEPTHWISE, AvgPool: AVGPOOL}.get(type(layer), ADD)
        taps = layer.weights[0].size if op <= DEPTHWISE else 0
        need = max(need, _scratch(op, taps, shapes[layer.src][2]))
    return -(-need // 16) * 16


def _scratch(op: int, taps: int, channels: int) -> int:
    """On a core with DSP instructions or with Helium, whichever wants more."""
    if op == CONV:
        return 4 * -(-taps // 16) * 16
    if op == DEPTHWISE:
        return taps * max(2 * channels, 496)
    return 4 * channels if op == AVGPOOL else 0


def check(graph: Graph) -> None:
    """ValueError where an accumulator could leave int32; limits.check() says all else."""
    for layer in graph.layers:
        if isinstance(layer, Conv | Depthwise):
            bias, taps = int(np.abs(layer.bias.astype(np.int64)).max()), layer.weights[0].size
            if bias + (taps << 15) >= MAX_ACC:
                raise ValueError(
                    f"layer {layer.name!r}: CMSIS-NN's accumulator can leave int32 (bias {bias}, "
                    f"{taps} taps); use fewer inputs"
                )


def check_layer(file, layer) -> None:
    """ValueError, in the engine's words, unless a record is as native/tv_cmsis_nn.c wants it.

    file, layer: of device/tinyvlm/pure_file.py.
    """
    from ..device import pure_check as engine

    if work(layer) > MAX_WORK:
        raise ValueError("a layer takes more steps than CMSIS-NN may at one go")
    tensors = [(layer.source, layer.in_h, layer.in_w, layer.in_c)]
    tensors += [(layer.target, layer.out_h, layer.out_w, layer.out_c)]
    tensors += [(layer.source2, *tensors[0][1:])] if layer.op == ADD else []
    whole = not layer.flags & engine.STREAM and not layer.out_margin
    for reference, height, width, channels in tensors:
        _, row_bytes, rows, pitch = engine.parts(reference)
        whole &= not pitch and rows == height and (rows == 1 or row_bytes == width * channels)
    if not whole:
        raise ValueError("in a file for CMSIS-NN every tensor is whole")
    taps = layer.kernel**2 * (layer.in_c if layer.op == CONV else 1)
    if layer.op <= DEPTHWISE:
        _check_same(layer, layer.in_h, layer.out_h, layer.pad_top, engine.SHAPE)
        _check_same(layer, layer.in_w, layer.out_w, layer.pad_left, engine.SHAPE)
        count, end = layer.out_c, file.weights_end
        outside = layer.weights + taps * count > end or layer.table + 12 * count > end
        if outside or (layer.table - file.weights) % 4:
            raise ValueError(engine.WEIGHTS)
        table = np.array(struct.unpack_from(f"<{3 * count}i", file.data, layer.table))
        bias, mult, left = table.reshape(3, count)
        good = taps < 1 << 16 and (np.abs(bias) + (taps << 15) < MAX_ACC).all()
        if not good or mult.min() < 1 << 30 or left.min() < -MAX_SHIFT or left.max() >= 0:
            raise ValueError(engine.QUANT)
    if _scratch(layer.op, taps, layer.in_c) > file.scratch[1]:
        raise ValueError(engine.SCRATCH)


def work(layer) -> int:
    """Steps of a record, by the rule of docs/format.md."""
    square, channels = layer.kernel**2, layer.out_c
    taps = {CONV: square * layer.in_c, DEPTHWISE: 4 * square, AVGPOOL: 4 * square}
    pixels = -(-layer.out_h * layer.out_w // 2) * 2
    return pixels * (channels + 12) * (taps.get(layer.op, 12) + 24)


def _check_same(layer, size: int, out: int, pad: int, words: str) -> None:
    """TensorFlow's SAME, along one axis."""
    end = (out - 1) * layer.stride + layer.kernel
    if out != -(-size // layer.stride) or pad != max(end - size, 0) // 2:
        raise ValueError(words)
