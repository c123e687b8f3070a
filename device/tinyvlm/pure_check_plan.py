# SPDX-License-Identifier: MIT
"""Is the arena's plan of a `.tvlm` sound? native/tv_check_plan.c, line by line.

What a layer reads was written by an earlier one, all of it by then, and by nobody else since.
Every layer by itself is sound already. The image is the output of "record" -1, which streams
into 0.
"""

import struct

ADD = 3
DENSE, STREAM = 1, 2

PRODUCER = "an operand is not what an earlier layer writes"
RING = "a tensor keeps too few rows"
PLANAR = "pitch or margin of a planar tensor is wrong"
OVERLAP = "tensors or scratch overlap"
_AHEAD = 1 << 31


def operands(file, index, written):
    """Checks what a layer reads; written: reference -> the last layer that writes it, -1 being the
    intake. Returns the layers that it reads."""
    layer, first, reads = file.layer(index), _start(file, index), []
    for second in range(2 if layer.op == ADD else 1):
        reference = layer.source2 if second else layer.source
        zero_point = layer.in2_zero_point if second else layer.in_zero_point
        producer = _producer(file, layer, reference, zero_point, written)
        if not second and producer != index - 1 and index != first:
            raise ValueError(PRODUCER)  # a stage reads the stage before it
        if not _has_rows(file, index, first, producer, layer, reference):
            raise ValueError(RING)
        if not _is_alive(file, index, producer, layer, reference):
            raise ValueError(OVERLAP)
        reads.append(producer)
    return reads


def parts(reference):
    """offset, row_bytes, rows, pitch"""
    return struct.unpack("<IIHH", reference)


def span(reference, w, c):
    """Where a tensor starts and ends in the arena."""
    offset, row_bytes, rows, pitch = parts(reference)
    return offset, offset + (rows - 1) * row_bytes + (2 * c * pitch if pitch else w * c)


def meet(a, b):
    """Do two spans have a byte in common?"""
    return a[0] < b[1] and b[0] < a[1]


class _Intake:
    # What "record" -1 writes.
    op, out_c, out_margin = 0, 3, 0

    def __init__(self, file):
        self.out_h = self.out_w = file.size
        self.target, self.out_zero_point = file.image, file.zero_point


def _record(file, index):
    return _Intake(file) if index < 0 else file.layer(index)


def _streams(file, index):
    return index < 0 or file.flags(index) & STREAM


def _start(file, index):
    # The first record of the segment that `index` is in, and the last.
    while index >= 0 and _streams(file, index - 1):
        index -= 1
    return index


def _end(file, index):
    while _streams(file, index):
        index += 1
    return index


def _producer(file, reader, reference, zero_point, written):
    if reference not in written:
        raise ValueError(PRODUCER)
    found = written[reference]
    layer = _record(file, found)
    shape = reader.in_h, reader.in_w, reader.in_c
    if (layer.out_h, layer.out_w, layer.out_c) != shape or layer.out_zero_point != zero_point:
        raise ValueError(PRODUCER)
    if parts(layer.target)[3] and layer.out_margin != reader.pad_left:
        raise ValueError(PLANAR)
    return found


def _has_rows(file, index, first, producer, reader, reference):
    # Are all rows of an operand there when they are read, and still there?
    rows = parts(reference)[2]
    if producer >= first:
        if producer == index - 1:
            return True
        least, most, _ = _lead(file, first, index, producer)
        return least > 0 and most <= rows
    # of an earlier segment, where a ring is gone
    start, end = _start(file, producer), _end(file, producer)
    written = reader.in_h if producer == end else _lead(file, start, end, producer)[2]
    return rows == reader.in_h and written == reader.in_h


def _is_alive(file, index, producer, reader, reference):
    # An operand must reach its reader as its producer wrote it.
    own = span(reference, reader.in_w, reader.in_c)
    for i in range(_start(file, producer), _end(file, index) + 1):
        layer = _record(file, i)
        if i == producer or not meet(own, span(layer.target, layer.out_w, layer.out_c)):
            continue
        same = layer.target == reference
        if not same or not _in_place(file, index, producer, reader, reference, i, layer):
            return False
    return True


def _in_place(file, index, producer, reader, reference, i, layer):
    # Does record i, an addition, write over the operand in a way that harms nobody?
    whole = parts(reference)[2] == reader.in_h
    if i <= producer:  # the producer's own operand
        return _record(file, producer).op == ADD and (whole or i == producer - 1)
    # an operand of it, which the reader is done with
    if layer.op != ADD or i == index:
        return layer.op == ADD
    return i > index and whole and _lead(file, _start(file, index), i, index, True)[0] > 0


def _lead(file, first, last, which, reads=False):
    # By how many rows a stage is ahead of `last`, whenever that writes a row: least, most; and the
    # rows that it has written in the end. One that reads: the top rows that it is done with.
    stages = [_record(file, i) for i in range(first, last + 1)]
    rows, end = [0] * len(stages), len(stages) - 1
    layer, own = stages[which - first], which - first
    least, most = _AHEAD, 0
    while rows[end] < stages[end].out_h:
        s = end
        while s > 0 and _needed(stages[s], rows[s]) > rows[s - 1]:
            s -= 1
        if s == end:
            ahead = rows[own]
            if reads and ahead == layer.out_h:
                ahead = _AHEAD
            elif reads and layer.op != ADD:
                ahead = ahead * layer.stride - layer.pad_top
            ahead -= rows[end]
            least, most = min(least, ahead), max(most, ahead)
        rows[s] += 1
    return least, most, rows[own]


def _needed(layer, y):
    # Input rows that must be there before row y can be computed.
    if layer.op == ADD:
        return y + 1
    return min(y * layer.stride + layer.kernel - layer.pad_top, layer.in_h)
