# SPDX-License-Identifier: MIT
"""Which `.tvlm` files are legal, for the plain Python engine: native/tv_check.c, line by line.

This engine does not use the arena's plan; it checks it all the same, so that a file is legal
everywhere or nowhere, and its error reads the same.
"""

import struct

CONV, DEPTHWISE, ADD, AVGPOOL, SPACE_TO_DEPTH = 1, 2, 3, 4, 5
DENSE, STREAM, RELU = 1, 2, 4
NO_LAYER = 0xFFFF
MAX_LAYERS = 1024
MAX_ARENA = 1 << 26
_MAX_WORK = 1 << 24
_MAX_STAGES = 16

_OP = "operation, kernel or stride is not supported"
_SHAPE = "shapes do not fit the operation"
_TENSOR = "a tensor does not fit into the arena"
_PRODUCER = "an operand is not what an earlier layer writes"
_RING = "a tensor keeps too few rows"
_PLANAR = "pitch or margin of a planar tensor is wrong"
_WEIGHTS = "weights or table lie outside the file, or their padding is not zero"
_QUANT = "bias, multiplier or shift is out of range"
_SCRATCH = "scratch_size is too small for a kernel"
_SEGMENT = "a streamed segment is too long, not closed or has a dense layer"
_OUTPUT = "the layer cannot be the embedding or the dense map"
_OVERLAP = "tensors or scratch overlap"
_WORK = "a row takes more steps than Ctrl-C may wait for"


def layers(file):
    """Checks all layers of a File. Returns the layers that each reads, -1 for the image."""
    reads, first = [], 0
    written = {}  # tensor reference -> the last layer that writes it
    for index in range(file.count):
        layer = file.layer(index)
        try:
            if index - first >= _MAX_STAGES:
                raise ValueError(_SEGMENT)
            reads.append(_layer(file, layer, index, first, written))
            last = not layer.flags & STREAM
            dense = layer.flags & DENSE and (not last or index != first or index == 0)
            if not last and index == file.count - 1 or dense:
                raise ValueError(_SEGMENT)
        except ValueError as error:
            raise _named(file, index, error) from None
        if not layer.flags & DENSE:
            written[layer.target] = index
        if last:
            first = index + 1
    for index in range(file.count):
        try:
            _operands(file, index, reads[index])
        except ValueError as error:
            raise _named(file, index, error) from None
    return reads


def outputs(file, embed, dense):
    """Checks the layers that write the embedding and the dense map, if there is one."""
    layer = file.layer(embed)
    dim, pitch = layer.out_c, _tensor(layer.target)[3]
    wrong = layer.out_h != 1 or layer.out_w != 1 or pitch or layer.out_zero_point
    if wrong or layer.flags & (DENSE | STREAM):
        raise _named(file, embed, _OUTPUT)
    if dense != NO_LAYER:
        layer = file.layer(dense)
        _, _, rows, pitch = _tensor(layer.target)
        wrong = layer.out_c != dim or rows != layer.out_h or pitch or layer.out_zero_point
        if wrong or not layer.flags & DENSE:
            raise _named(file, dense, _OUTPUT)


def tensor(file, reference, h, w, c):
    """Does a tensor of h x w x c lie in the arena, beside the scratch?"""
    offset, row_bytes, rows, pitch = _tensor(reference)
    if not (0 < h <= 1024 and 0 < w <= 1024 and c):
        raise ValueError(_SHAPE)
    if pitch and (pitch < w or pitch % 2 or offset % 4 or row_bytes % 4):
        raise ValueError(_PLANAR)
    if not 0 < rows <= h or rows > 1 and row_bytes < (2 * c * pitch or w * c):
        raise ValueError(_TENSOR)
    start, end = _span(reference, w, c)
    if end > file.arena:
        raise ValueError(_TENSOR)
    if start < file.scratch[0] + file.scratch[1] and file.scratch[0] < end:
        raise ValueError(_OVERLAP)


def _named(file, index, error):
    return ValueError("layer %d (%s): %s" % (index, file.layer_name(index), error))


def _tensor(reference):
    return struct.unpack("<IIHH", reference)  # offset, row_bytes, rows, pitch


def _span(reference, w, c):
    offset, row_bytes, rows, pitch = _tensor(reference)
    return offset, offset + (rows - 1) * row_bytes + (2 * c * pitch if pitch else w * c)


def _meet(a, b):
    return a[0] < b[1] and b[0] < a[1]


def _layer(file, layer, index, first, written):
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
    _layout(layer)
    _apart(layer)
    if moves:
        if layer.in_zero_point != layer.out_zero_point:
            raise ValueError(_QUANT)
    else:
        _table(file, layer)
    pitch = _tensor(layer.source)[3]
    need = 10 * layer.taps if layer.op == CONV else 2 * pitch if layer.op == DEPTHWISE else 0
    if need > file.scratch[1]:
        raise ValueError(_SCRATCH)
    producer = _producer(file, layer, layer.source, layer.in_zero_point, written)
    if producer != index - 1 and index != first:
        raise ValueError(_PRODUCER)  # a stage reads the stage before it
    if layer.op != ADD:
        return (producer,)
    other = _producer(file, layer, layer.source2, layer.in2_zero_point, written)
    return producer, other


def _operands(file, index, reads):
    # What is left to check of a layer once all of them are known to be sound.
    layer, first = file.layer(index), _start(file, index)
    for second in range(len(reads)):
        reference = layer.source2 if second else layer.source
        _rows(file, index, first, reads[second], layer, reference, second)
        _alive(file, index, reads[second], layer, reference)


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
        raise ValueError(_SHAPE)


def _work(layer):
    row = max(layer.out_w, _tensor(layer.target)[3]) * layer.out_c
    if layer.op == CONV:
        row *= layer.in_c
    return row if layer.op in (ADD, SPACE_TO_DEPTH) else row * layer.kernel * layer.kernel


def _layout(layer):
    rows, pitch = _tensor(layer.source)[2:]
    out_pitch = _tensor(layer.target)[3]
    depthwise = layer.op == DEPTHWISE
    if rows < layer.in_h and rows < (1 if layer.op == ADD else layer.kernel):
        raise ValueError(_RING)
    bad = depthwise != bool(pitch) or layer.op == ADD and _tensor(layer.source2)[3]
    if depthwise and not bad:
        wide = (layer.out_w - 1) * layer.stride + layer.kernel
        bad = pitch < max(layer.pad_left + layer.in_w, wide)
    if out_pitch:
        bad = bad or out_pitch < layer.out_margin + layer.out_w or layer.op != CONV
    if bad or layer.out_margin and not out_pitch:
        raise ValueError(_PLANAR)


def _apart(layer):
    # Only an addition may write where it reads, and then in the very same place.
    out, add = _span(layer.target, layer.out_w, layer.out_c), layer.op == ADD
    for reference in (layer.source, layer.source2) if add else (layer.source,):
        met = _meet(_span(reference, layer.in_w, layer.in_c), out)
        if met and not (add and reference == layer.target):
            raise ValueError(_OVERLAP)


def _start(file, index):
    # The first record of the segment that `index` is in.
    while index > 0 and file.layer(index - 1).flags & STREAM:
        index -= 1
    return max(index, 0)


def _end(file, index):
    while index + 1 < file.count and file.layer(index).flags & STREAM:
        index += 1
    return index


def _alive(file, index, producer, reader, reference):
    # An operand reaches its reader as its producer wrote it; an addition may put its sum there.
    own = _span(reference, reader.in_w, reader.in_c)
    added = producer >= 0 and file.layer(producer).op == ADD
    whole = _tensor(reference)[2] == reader.in_h
    start = _start(file, producer)
    for i in range(start or -1, _end(file, index) + 1):
        if i < 0:
            other, span = file.image, _span(file.image, file.size, 3)
        else:
            layer = file.layer(i)
            other, span = layer.target, _span(layer.target, layer.out_w, layer.out_c)
        in_place = other == reference and (
            i == index
            and reader.op == ADD
            or added
            and i < producer
            and (i == producer - 1 or whole)
            or i > index
            and layer.op == ADD
            and whole
            and _read_before(file, _start(file, index), i, index)
        )
        if i != producer and not in_place and _meet(own, span):
            raise ValueError(_OVERLAP)


def _schedule(file, first, last):
    # The schedule in numbers: (stages, rows written, how to say which stage is next).
    stages = [file.layer(i) for i in range(first, last + 1)]
    rows = [1 << 32 if first else 0] + [0] * len(stages)

    def following():
        s = len(stages)
        while s > 0 and _needed(stages[s - 1], rows[s]) > rows[s - 1]:
            s -= 1
        return s

    return stages, rows, following


def _watch(file, first, last, watched):
    # Rows of `watched` to keep (0: some come too late), and those that are written in the end.
    stages, rows, following = _schedule(file, first, last)
    keep = 1
    while rows[-1] < stages[-1].out_h:
        s, y, there = following(), rows[-1], rows[watched - first + 1]
        if s == len(stages):
            keep = max(keep, there - y) if keep and there > y else 0
        rows[s] += 1
    return keep, rows[watched - first + 1]


def _read_before(file, first, last, reader):
    # May the addition `last` write row y where the stage `reader` reads?
    stages, rows, following = _schedule(file, first, last)
    layer = stages[reader - first]
    while rows[-1] < stages[-1].out_h:
        s, row = following(), rows[reader - first + 1]
        start = row if layer.op == ADD else row * layer.stride - layer.pad_top
        if s == len(stages) and row != layer.out_h and start <= rows[-1]:
            return False
        rows[s] += 1
    return True


def _needed(layer, y):
    if layer.op == ADD:
        return y + 1
    return min(y * layer.stride + layer.kernel - layer.pad_top, layer.in_h)


def _rows(file, index, first, producer, reader, reference, second):
    # Are all rows of an operand there when they are read, and still there?
    rows = _tensor(reference)[2]
    if first > 0 and producer < first:  # of an earlier segment, where a ring is gone
        if rows != reader.in_h:
            raise ValueError(_RING)
        if producer < 0 or file.layer(producer).flags & STREAM:
            at = max(producer, 0)
            _, done = _watch(file, _start(file, at), _end(file, at), producer)
            if done != reader.in_h:
                raise ValueError(_RING)
    elif second and producer != index - 1:
        keep, _ = _watch(file, first, index, producer)
        if not 0 < keep <= rows:
            raise ValueError(_RING)


def _producer(file, reader, reference, zero_point, written):
    shape = reader.in_h, reader.in_w, reader.in_c
    found = written.get(reference, -1)
    if found < 0:
        image = reference == file.image and shape == (file.size, file.size, 3)
        if not image or zero_point != file.zero_point:
            raise ValueError(_PRODUCER)
        return -1
    layer = file.layer(found)
    if (layer.out_h, layer.out_w, layer.out_c) != shape or layer.out_zero_point != zero_point:
        raise ValueError(_PRODUCER)
    if _tensor(layer.target)[3] and layer.out_margin != reader.pad_left:
        raise ValueError(_PLANAR)
    return found


def _table(file, layer):
    end, data = file.weights_end, file.data
    if layer.op == ADD:
        if layer.table + 15 > end:
            raise ValueError(_WEIGHTS)
        table = struct.unpack_from("<iiiBBB", data, layer.table)
        if min(table[:3]) < 1 << 30 or max(table[3:]) > 30 or table[5] < 1:
            raise ValueError(_QUANT)
        return
    count, taps = layer.out_c, layer.taps
    stored = (count + 1) // 2 * 2 if layer.op == CONV else count
    if layer.weights + stored * taps > end or layer.table + 9 * count > end:
        raise ValueError(_WEIGHTS)
    if any(data[i] for i in _padding(layer, stored)):
        raise ValueError(_WEIGHTS)
    room = (1 << 30) - (taps << 14)
    for c in range(count):
        bias = struct.unpack_from("<i", data, layer.table + 4 * c)[0]
        mult = struct.unpack_from("<i", data, layer.table + 4 * (count + c))[0]
        shift = data[layer.table + 8 * count + c]
        if abs(bias) >= room or mult < 1 << 30 or not 1 <= shift <= 22:
            raise ValueError(_QUANT)


def _padding(layer, stored):
    # Where the weights are that round a channel up to words, and those beside an odd last channel.
    k, at = layer.kernel, layer.weights
    if layer.op == DEPTHWISE:
        width = (k + 3) // 4 * 4
        for row in range(at, at + layer.out_c * k * width, width):
            yield from range(row + k, row + width)
        return
    taps = k * k * layer.in_c
    for o in range(stored):
        block = at + o // 2 * 2 * layer.taps + o % 2 * 4
        for i in range(taps if o < layer.out_c else 0, layer.taps):
            yield block + i // 4 * 8 + i % 4
