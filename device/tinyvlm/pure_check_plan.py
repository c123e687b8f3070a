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
    kept = parts(reference)[2]
    if producer >= first:
        if producer == index - 1:
            return True
        stages = _stages(file, producer, index)
        rows = _rows_by(stages, stages[-1].out_h - 1)
        return rows >= stages[-1].out_h and rows - _first_by(stages, rows) <= kept
    # of an earlier segment, where a ring is gone
    stages = _stages(file, producer, _end(file, producer))
    return kept == reader.in_h == _rows_by(stages, stages[-1].out_h - 1)


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
    if i < producer:
        # Record i + 1 reads i's output, in this segment, and the producer writes over it: what
        # that needs was checked for that operand, as it comes first.
        return True
    # an operand of it, which the reader is done with
    if layer.op != ADD or i == index:
        return layer.op == ADD
    whole = parts(reference)[2] == reader.in_h
    return i > index and whole and _is_done_before(_stages(file, index, i))


def _stages(file, first, last):
    return [_record(file, i) for i in range(first, last + 1)]


def _rows_by(stages, y):
    # How many rows the first stage has written when the last may write its row y: the lesser of a
    # line and a constant, so that its extremes are at its ends and where these meet.
    rows = y + 1
    for i in range(len(stages) - 1, 0, -1):
        rows = _needed(stages[i], rows - 1)
    return rows


def _first_by(stages, rows):
    # The first row of the last stage for which that many are there; its rows if none.
    low, high = 0, stages[-1].out_h
    while low < high:
        middle = (low + high) // 2
        if _rows_by(stages, middle) >= rows:
            high = middle
        else:
            low = middle + 1
    return low


def _is_done_before(stages):
    # Is the first stage, which reads what the last one writes over, always done with a row then?
    layer, end = stages[0], _first_by(stages, stages[0].out_h)
    for y in (0, end - 1) if end else ():
        done = _rows_by(stages, y)
        if (done if layer.op == ADD else done * layer.stride - layer.pad_top) <= y:
            return False
    return True


def _needed(layer, y):
    # Input rows that must be there before row y can be computed.
    if layer.op == ADD:
        return y + 1
    return min(y * layer.stride + layer.kernel - layer.pad_top, layer.in_h)
