# SPDX-License-Identifier: MIT
"""Which `.tvlm` files are legal, for the plain Python engine: native/tv_check.c, line by line.

This engine does not use the arena's plan; it checks it all the same, so that a file is legal
everywhere or nowhere, and its error reads the same. What layers do to each other is checked in
pure_check_plan.py.
"""

import struct

from . import pure_check_plan as plan
from .pure_check_plan import ADD, DENSE, STREAM, parts, span

CONV, DEPTHWISE, AVGPOOL, SPACE_TO_DEPTH = 1, 2, 4, 5
RELU = 4
NO_LAYER = 0xFFFF
MAX_IMAGE = 1024
MAX_LAYERS = 1024
MAX_ARENA = 1 << 26
MAX_INFO = 0xFFFF
_MAX_WORK = 1 << 23
_MAX_CHANNELS = 1 << 18
_MAX_STAGES = 16

_OP = "operation, kernel or stride is not supported"
SHAPE = "shapes do not fit the operation"
_TENSOR = "a tensor does not fit into the arena"
WEIGHTS = "weights or table lie outside the file, or their padding is not zero"
QUANT = "bias, multiplier or shift is out of range"
SCRATCH = "scratch_size is too small for a kernel"
_SEGMENT = "a streamed segment is too long, not closed or has a dense layer"
_OUTPUT = "the layer cannot be the embedding or the dense map"
_WORK = "a row, or opening, takes more steps than allowed"


def layers(file):
    """Checks all layers of a File. Returns the layers that each reads, -1 for the image."""
    first = channels = 0
    for index in range(file.count):
        layer = file.layer(index)
        try:
            _layer(file, layer)
            channels += layer.out_c
            if channels > _MAX_CHANNELS:
                raise ValueError(_WORK)
            last, dense = not layer.flags & STREAM, layer.flags & DENSE
            wrong = index - first >= _MAX_STAGES or not last and index == file.count - 1
            if wrong or dense and (not last or index != first or index == 0):
                raise ValueError(_SEGMENT)
        except ValueError as error:
            raise _named(file, index, error) from None
        if last:
            first = index + 1
    reads, written, dense = [], {file.image: -1}, {file.image: -1}
    for index in range(file.count):
        layer = file.layer(index)
        try:
            known = dense if layer.flags & DENSE else written
            reads.append(plan.operands(file, index, known))
        except ValueError as error:
            raise _named(file, index, error) from None
        dense[layer.target] = index
        if not layer.flags & DENSE:  # what such a record writes is there for its like alone
            written[layer.target] = index
    return reads


def outputs(file, embed, dense):
    """Checks the layers that write the embedding and the dense map, if there is one."""
    layer = file.layer(embed)
    dim, pitch = layer.out_c, parts(layer.target)[3]
    wrong = layer.out_h != 1 or layer.out_w != 1 or pitch or layer.out_zero_point
    if wrong or layer.flags & (DENSE | STREAM):
        raise _named(file, embed, _OUTPUT)
    if dense != NO_LAYER:
        layer = file.layer(dense)
        _, _, rows, pitch = parts(layer.target)
        wrong = layer.out_c != dim or rows != layer.out_h or pitch or layer.out_zero_point
        if wrong or not layer.flags & DENSE:
            raise _named(file, dense, _OUTPUT)


def tensor(file, reference, h, w, c):
    """Does a tensor of h x w x c lie in the arena, beside the scratch?"""
    offset, row_bytes, rows, pitch = parts(reference)
    if not (0 < h <= MAX_IMAGE and 0 < w <= MAX_IMAGE and c):
        raise ValueError(SHAPE)
    if pitch and (pitch < w or pitch % 2 or offset % 4 or row_bytes % 4):
        raise ValueError(plan.PLANAR)
    if not 0 < rows <= h or rows > 1 and row_bytes < (2 * c * pitch or w * c):
        raise ValueError(_TENSOR)
    own = span(reference, w, c)
    if own[1] > file.arena:
        raise ValueError(_TENSOR)
    if plan.meet(own, (file.scratch[0], sum(file.scratch))):
        raise ValueError(plan.OVERLAP)


def _named(file, index, error):
    return ValueError("layer %d (%s): %s" % (index, file.layer_name(index), error))


def _layer(file, layer):
    moves = layer.op in (AVGPOOL, SPACE_TO_DEPTH)  # these keep scale and zero point
    known = DENSE | STREAM if moves else DENSE | STREAM | RELU
    if not CONV <= layer.op <= SPACE_TO_DEPTH or layer.flags & ~known:
        raise ValueError(_OP)
    shape = layer.in_h, layer.in_w, layer.in_c
    tensor(file, layer.source, *shape)
    tensor(file, layer.target, layer.out_h, layer.out_w, layer.out_c)
    if layer.op == ADD:
        tensor(file, layer.source2, *shape)
    _shape(layer)
    if _work(layer) > _MAX_WORK:
        raise ValueError(_WORK)
    if file.check is None:
        _layout(layer)
    else:
        file.check(file, layer)
    if moves:
        if layer.in_zero_point != layer.out_zero_point:
            raise ValueError(QUANT)
    elif file.check is None or layer.op == ADD:
        _table(file, layer)
    if file.check is not None:
        return
    pitch = parts(layer.source)[3]
    need = 10 * layer.taps if layer.op == CONV else 2 * pitch if layer.op == DEPTHWISE else 0
    if need > file.scratch[1]:
        raise ValueError(SCRATCH)


def _shape(layer):
    op, k, s = layer.op, layer.kernel, layer.stride
    last_y, last_x = (layer.out_h - 1) * s, (layer.out_w - 1) * s
    inner = not layer.pad_top and not layer.pad_left
    same = layer.in_c == layer.out_c
    if op == ADD:
        fits = same and (layer.in_h, layer.in_w) == (layer.out_h, layer.out_w)
    elif not k or not s:
        raise ValueError(_OP)
    elif op == SPACE_TO_DEPTH:
        fits = inner and k == s and (layer.in_h, layer.in_w) == (layer.out_h * k, layer.out_w * k)
        fits = fits and layer.out_c == layer.in_c * k * k
    elif op == AVGPOOL:
        fits = inner and same and last_y + k <= layer.in_h and last_x + k <= layer.in_w
    elif k > 7 or k % 2 == 0 or s > 2:
        raise ValueError(_OP)
    else:
        fits = (same or op == CONV) and layer.pad_top < k and layer.pad_left < k
        fits = fits and last_y < layer.in_h + layer.pad_top
        fits = fits and last_x < layer.in_w + layer.pad_left
    if not fits:
        raise ValueError(SHAPE)


def _work(layer):
    window = 1 if layer.op in (ADD, SPACE_TO_DEPTH) else layer.kernel * layer.kernel
    window *= {CONV: layer.in_c, AVGPOOL: 3}.get(layer.op, 1)
    width = max(layer.out_w, parts(layer.target)[3])
    return width * ((layer.out_c + 1) // 2 * 2) * (24 + window)


def _layout(layer):
    rows, pitch = parts(layer.source)[2:]
    out_pitch = parts(layer.target)[3]
    depthwise = layer.op == DEPTHWISE
    if rows < layer.in_h and rows < (1 if layer.op == ADD else layer.kernel):
        raise ValueError(plan.RING)
    bad = depthwise != bool(pitch) or layer.op == ADD and parts(layer.source2)[3]
    if depthwise and not bad:
        wide = (layer.out_w - 1) * layer.stride + layer.kernel
        bad = pitch < max(layer.pad_left + layer.in_w, wide)
    if out_pitch:
        bad = bad or out_pitch < layer.out_margin + layer.out_w or layer.op != CONV
    if bad or layer.out_margin and not out_pitch:
        raise ValueError(plan.PLANAR)


def _table(file, layer):
    end, data = file.weights_end, file.data
    if layer.op == ADD:
        if layer.table + 15 > end:
            raise ValueError(WEIGHTS)
        table = struct.unpack_from("<iiiBBB", data, layer.table)
        if min(table[:3]) < 1 << 30 or max(table[3:]) > 30 or table[5] < 1:
            raise ValueError(QUANT)
        return
    count, taps = layer.out_c, layer.taps
    stored = (count + 1) // 2 * 2 if layer.op == CONV else count
    if layer.weights + stored * taps > end or layer.table + 9 * count > end:
        raise ValueError(WEIGHTS)
    if any(data[i] for i in _padding(layer, stored)):
        raise ValueError(WEIGHTS)
    room = (1 << 30) - (taps << 14)
    for c in range(count):
        bias = struct.unpack_from("<i", data, layer.table + 4 * c)[0]
        mult = struct.unpack_from("<i", data, layer.table + 4 * (count + c))[0]
        shift = data[layer.table + 8 * count + c]
        if abs(bias) >= room or mult < 1 << 30 or not 1 <= shift <= 22:
            raise ValueError(QUANT)


def _padding(layer, stored):
    # Where the weights are that round a channel up to words, and those beside an odd last channel.
    k, at, row = layer.kernel, layer.weights, layer.taps
    if layer.op == DEPTHWISE:
        width = (k + 3) // 4 * 4
        for first in range(at, at + layer.out_c * row, width):
            yield from range(first + k, first + width)
        return
    taps = k * k * layer.in_c
    for o in range(stored):
        block = at + o // 2 * 2 * row + o % 2 * 4
        for i in range(taps if o < layer.out_c else 0, row):
            yield block + i // 4 * 8 + i % 4
