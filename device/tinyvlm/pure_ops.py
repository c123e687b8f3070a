# SPDX-License-Identifier: MIT
# ruff: noqa: B905 (MicroPython's zip has no strict)
"""The layers for the plain Python engine: planes in, planes out (see pure.py, docs/format.md).

A plane holds one channel, row by row, as bytes of number + 128. Pixels of several rows are
taken as lanes of one long integer; how many is bounded by WORK and MOST_LANES.
"""

import gc
import struct

from .lanes import BIAS, Lanes
from .pure_check import ADD, AVGPOOL, CONV, DEPTHWISE

# More bytes for the inputs of a convolution as lanes, and more lanes: faster.
WORK = 24 * 1024
MOST_LANES = 64


def rows_at_a_time(layer):
    """Output rows whose pixels are computed together."""
    inputs = layer.taps if layer.op == CONV else 32
    lanes = min(MOST_LANES, WORK // (4 * inputs))
    return max(1, min(layer.out_h, lanes // layer.out_w))


def work(layer):
    """Bytes of lanes that the layer needs beside its planes."""
    inputs = layer.taps if layer.op == CONV else 32
    return 4 * inputs * rows_at_a_time(layer) * layer.out_w


def run(layer, data, sources, most):
    """The planes of a layer's output. data: the file; sources: the planes of what it reads.

    most: so many of a convolution's are wanted, at most; the others are not computed.
    """
    # All planes first: pieces of them between what only passes would leave holes in the heap.
    if hasattr(gc, "mem_free"):  # not on a PC, where it takes longer than the layer
        gc.collect()
    count = min(layer.out_c, most) if layer.op == CONV else layer.out_c
    planes = [bytearray(layer.out_h * layer.out_w) for _ in range(count)]
    if layer.op > ADD:
        move = _pool if layer.op == AVGPOOL else _space_to_depth
        for channel, plane in enumerate(sources[0]):
            move(layer, plane, planes[channel :: layer.in_c])
        return planes
    step, lanes = rows_at_a_time(layer), None
    for y in range(0, layer.out_h, step):
        rows = min(step, layer.out_h - y)
        if lanes is None or lanes.n != rows * layer.out_w:
            lanes = Lanes(rows * layer.out_w)
        begin = y * layer.out_w
        made = _KERNELS[layer.op](layer, data, sources, y, rows, lanes)
        for plane, pixels in zip(planes, made):
            plane[begin : begin + lanes.n] = pixels
    return planes


def _taps(layer, plane, y, rows):
    # For each tap (ky, kx) of the window: the numbers it meets for `rows` output rows from y on.
    width, stride, kernel = layer.in_w, layer.stride, layer.kernel
    if kernel == 1 and stride == 1 and width == layer.out_w:
        return [plane[y * width : (y + rows) * width]]
    span = (layer.out_w - 1) * stride + 1
    zero = [layer.in_zero_point + 128]
    left = zero * layer.pad_left
    right = zero * max(0, span + kernel - 1 - layer.pad_left - width)
    padded = []
    for at in range(y * stride - layer.pad_top, (y + rows - 1) * stride - layer.pad_top + kernel):
        inside = 0 <= at < layer.in_h
        row = list(plane[at * width : (at + 1) * width]) if inside else zero * width
        padded.append(left + row + right)
    taps = []
    for ky in range(kernel):
        for kx in range(kernel):
            tap = []
            for row in padded[ky : ky + (rows - 1) * stride + 1 : stride]:
                tap += row[kx : kx + span : stride]
            taps.append(tap)
    return taps


def _finish(layer, data, channel, lanes, total, weight_sum):
    # The sum of weight * (number + 128) to the output's plane.
    bias, mult = [
        struct.unpack_from("<i", data, layer.table + 4 * (channel + i * layer.out_c))[0]
        for i in (0, 1)
    ]
    shift = data[layer.table + 8 * layer.out_c + channel]
    total += lanes.ones * (bias - 128 * weight_sum + BIAS)
    scaled, offset = lanes.scale(total, mult, shift)
    return lanes.clamp(scaled, offset, layer.out_zero_point, layer.low)


def _conv(layer, data, sources, y, rows, lanes):
    by_channel = [
        [lanes.pack(tap) for tap in _taps(layer, plane, y, rows)] for plane in sources[0]
    ]
    if layer.kernel == 1:
        inputs = [taps[0] for taps in by_channel]
    else:  # weights come in the order (ky, kx, channel)
        inputs = [taps[t] for t in range(layer.kernel**2) for taps in by_channel]
    del by_channel
    # The file interleaves the weights of two channels in fours (docs/format.md): every eighth
    # byte from j on belongs to inputs j, j + 4, ...
    parts = [inputs[j::4] for j in range(4)]
    taps, form = layer.taps, "<%db" % (2 * layer.taps)
    for channel in range(layer.out_c):
        if channel % 2 == 0:  # a list: MicroPython's tuples have no slices with a step
            block = list(struct.unpack_from(form, data, layer.weights + channel * taps))
        total = weight_sum = 0
        for j in range(4):
            weights = block[channel % 2 * 4 + j :: 8][: len(parts[j])]
            weight_sum += sum(weights)
            for weight, x in zip(weights, parts[j]):
                total += weight * x
        yield _finish(layer, data, channel, lanes, total, weight_sum)


def _depthwise(layer, data, sources, y, rows, lanes):
    kernel, stored = layer.kernel, layer.taps // layer.kernel
    form = "<%db" % layer.taps
    for channel, plane in enumerate(sources[0]):
        block = struct.unpack_from(form, data, layer.weights + channel * layer.taps)
        weights = ()
        for ky in range(kernel):
            weights += block[ky * stored : ky * stored + kernel]
        total = 0
        for weight, tap in zip(weights, _taps(layer, plane, y, rows)):
            total += weight * lanes.pack(tap)
        yield _finish(layer, data, channel, lanes, total, sum(weights))


def _add(layer, data, sources, y, rows, lanes):
    # TFLite's ADD: both operands get 20 more bits and twice the larger scale.
    mult1, mult2, mult, shift1, shift2, shift = struct.unpack_from("<iiiBBB", data, layer.table)
    begin, end = y * layer.out_w, (y + rows) * layer.out_w
    for one, two in zip(*sources):
        total, bias = 0, 0
        for plane, zero_point, m, s in (
            (one, layer.in_zero_point, mult1, shift1),
            (two, layer.in2_zero_point, mult2, shift2),
        ):
            acc = (lanes.pack(plane[begin:end]) << 20) - lanes.ones * (128 + zero_point << 20)
            scaled, offset = lanes.scale(acc + lanes.ones * BIAS, m, s)
            total, bias = total + scaled, bias + offset
        scaled, offset = lanes.scale(total + lanes.ones * (BIAS - bias), mult, shift)
        yield lanes.clamp(scaled, offset, layer.out_zero_point, layer.low)


_KERNELS = {CONV: _conv, DEPTHWISE: _depthwise, ADD: _add}


def _pool(layer, plane, out):
    # The mean of each window, half away from zero.
    width, kernel, stride = layer.in_w, layer.kernel, layer.stride
    count, at = kernel * kernel, 0
    for y in range(0, layer.out_h * stride, stride):
        rows = [plane[(y + i) * width : (y + i + 1) * width] for i in range(kernel)]
        for x in range(0, layer.out_w * stride, stride):
            total = sum([sum(row[x : x + kernel]) for row in rows]) - 128 * count
            mean = (abs(total) + count // 2) // count
            out[0][at] = 128 - mean if total < 0 else 128 + mean
            at += 1


def _space_to_depth(layer, plane, out):
    # A square of pixels becomes as many channels: row of the square, column, channel.
    width, block = layer.in_w, layer.kernel
    for y in range(layer.in_h):
        row, at = list(plane[y * width : (y + 1) * width]), y // block * layer.out_w
        for kx in range(block):
            out[y % block * block + kx][at : at + layer.out_w] = bytes(row[kx::block])
