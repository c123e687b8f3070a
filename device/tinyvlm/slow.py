# SPDX-License-Identifier: MIT
"""Comparing embeddings with prototypes in plain Python, for firmware without the engine.

The functions have the engine's names and arguments (native/tv.h says what they mean) and give
its answers: embeddings and maps are int8 buffers, vectors rows of 8 or 4 bits, results go into the
arrays given. Cosines and scores are equal to the last bit, except on ports with floats of 30 bits
(CircuitPython); heat is not.
"""

from array import array
from math import sqrt

from .rows import check_floats, check_items, nibble, row_size, signed

_ONE = 1 << 31  # the unit of powers
_single = array("f", [0, 0, 0])  # a number that was here is one of C's floats

try:
    from binascii import crc32
except ImportError:

    def crc32(data, crc=0):
        """zlib's CRC-32, continued from `crc`."""
        crc ^= 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        return crc ^ 0xFFFFFFFF


def score(embedding, vectors, rows, stored_dim, bits, dim, out):
    """Cosines of an embedding with the rows."""
    check_items("the embedding", embedding, 1)
    own, single = signed(embedding, dim), _single
    length = sum([x * x for x in own])
    size = row_size(stored_dim, bits)
    for row in range(rows):
        data = vectors[row * size : (row + 1) * size]
        values = signed(data, dim) if bits == 8 else [nibble(data, i) for i in range(dim)]
        dot = square = 0
        for i in range(dim):
            dot += own[i] * values[i]
            square += values[i] * values[i]
        if dot:
            single[0], single[1] = length, square
            single[0] *= single[1]
            single[0] = sqrt(single[0])
            single[1] = dot
            out[row] = single[1] / single[0]
        else:
            out[row] = 0


def weigh(cosines, index, count, factors):
    """Cosines of the rows that index lists, times the factors."""
    for i in range(count):
        cosines[index[i]] *= factors[i]


def largest(values, rows, count, index):
    """The rows of the largest values, in order; returns how many."""
    found = 0  # not sorted(), which on MicroPython leaves equal ones in any order
    for row in range(rows):
        value = values[row]
        if found == count and (not count or value <= values[index[count - 1]]):
            continue
        found = min(found + 1, count)
        at = found - 1
        while at and values[index[at - 1]] < value:
            index[at] = index[at - 1]
            at -= 1
        index[at] = row
    return found


def rank(cosines, labels, rows, how, scores, count, index):
    """The softmax and the nearest labels in order; returns how many of them count.

    how: scale, threshold, and the cosine of "none of them", below -1 if that takes no part.
    """
    check_floats("scores", scores)
    count = largest(cosines, labels, count, index)
    if not count:
        return 0
    steps, nearest, high, total = _softmax(cosines, rows, how[0], how[2])
    for i in range(labels):
        scores[i] = _number(_power(high, cosines[i], steps)) / total
    if cosines[index[0]] < nearest:
        return 0
    sure = 0
    while sure < count and scores[index[sure]] >= how[1]:
        sure += 1
    return sure


def best(
    embedding,
    vectors,
    labels,
    rows,
    stored_dim,
    bits,
    dim,
    shown,
    many,
    gains,
    how,
    count,
    index,
    scores,
):
    """score(), weigh() and rank() in one; scores are those of the labels in index.

    shown, many, gains: rows, their number, and the factors on their cosines.
    """
    cosines, every = array("f", bytes(4 * rows)), array("f", bytes(4 * labels))
    score(embedding, vectors, rows, stored_dim, bits, dim, cosines)
    weigh(cosines, shown, many, gains)
    sure = rank(cosines, labels, rows, how, every, count, index)
    for i in range(min(count, labels)):
        scores[i] = every[index[i]]
    return sure


def _softmax(cosines, rows, scale, none):
    # (steps, nearest row, nearest of all, total) as native/tv_rank.c sums, in the units of _power
    single = _single
    single[0] = 1.44269504
    single[0] *= scale
    steps, total, high, nearest = single[0], 0, 0.0, 0.0
    for i in range(rows + (none >= -1)):
        cosine = cosines[i] if i < rows else none
        if not total or cosine > high:
            total = (total * _power(cosine, high, steps) >> 31) + _ONE
            high = cosine
        else:
            total += _power(high, cosine, steps)
        if i < rows:
            nearest = high
    unit = 1.0
    while total >> 32:
        total >>= 1
        unit *= 2
    return steps, nearest, high, _number(total) * unit


def _power(high, low, steps):
    # 2^-((high - low) * steps), in units of 2^-31
    single = _single
    single[0] = high
    single[0] -= low
    single[0] *= steps
    x = single[0]
    if not x < 31:
        return 0
    fixed = int(x * 67108864.0) if x > 0 else 0
    u, total, n = ((fixed & 0x3FFFFFF) << 5) * 1488522236 >> 31, _ONE, 10
    while n:
        total = _ONE - (u * total >> 31) // n
        n -= 1
    return total >> (fixed >> 26)


def _number(whole):
    # an integer of 32 bits as a float of C, rounded once
    _single[2] = (whole >> 16) * 65536.0 + (whole & 65535)
    return _single[2]


def map_peaks(cells_of, cells, vectors, rows, stored_dim, bits, dim, cosines, peaks, levels):
    """The highest heat of every row in a map, and the cells' levels."""
    size = len(cells_of) // cells
    lengths = []
    for c in range(cells):
        cell = signed(cells_of[c * size : (c + 1) * size], dim)
        lengths.append(sqrt(sum(x * x for x in cell)))
    mean = sum(lengths) / cells or 1
    for c in range(cells):
        cell = cells_of[c * size : (c + 1) * size]
        score(cell, vectors, rows, stored_dim, bits, dim, cosines)
        level = sum(cosines[i] for i in range(rows)) / rows if rows > 1 else 0
        levels[2 * c], levels[2 * c + 1] = level, lengths[c] / mean
        for row in range(rows):
            heat = (cosines[row] - level) * levels[2 * c + 1]
            if c == 0 or heat > peaks[row]:
                peaks[row] = heat


def map_heat(cells_of, cells, vectors, row, stored_dim, bits, dim, levels, heat):
    """One row's heat in all cells."""
    size, step = len(cells_of) // cells, row_size(stored_dim, bits)
    vector, one = vectors[row * step : (row + 1) * step], [0.0]
    for c in range(cells):
        cell = cells_of[c * size : (c + 1) * size]
        score(cell, vector, 1, stored_dim, bits, dim, one)
        heat[c] = (one[0] - levels[2 * c]) * levels[2 * c + 1]


def map_mean(cells_of, cells, mask, out):
    """The embedding of the cells whose mask is not 0: as many dimensions as `out` has room for."""
    size = len(cells_of) // cells
    dim = min(size, len(out))
    sums = [0] * dim
    for c in range(cells):
        if mask[c]:
            for i, x in enumerate(signed(cells_of[c * size : c * size + dim], dim)):
                sums[i] += x
    most = max(max(sums), -min(sums)) or 1
    bytewise = isinstance(out, bytearray)
    for i, x in enumerate(sums):
        x = (2 * 127 * abs(x) + most) // (2 * most) * (-1 if x < 0 else 1)
        out[i] = x & 255 if bytewise else x


# What a box is made with, as native/tv_region.c explains it.
_UNIT = 4096
_MOST = 100 * _UNIT
_CENTRE = 3 * _UNIT // 2
_MEAN, _MAXIMUM, _BELOW = 4, 2, _UNIT * 14 // 100
_WARMEST = 63
_MARGIN = 3


def map_region(heat, height, width, side, mask, box):
    """The warm cells around the warmest one, in the mask, and the box around them."""
    cells = height * width
    warm = [_whole(heat[c]) - _away(c % width, width) - _away(c // width, height)
            for c in range(cells)]  # fmt: skip
    most, scale = max(warm), 16 * cells
    level = _MEAN * sum(warm) + _MAXIMUM * cells * most - scale * _BELOW
    span = scale * most - level
    for cell in range(cells):
        mask[cell] = 2 if scale * warm[cell] > level else 0  # 2: if connected
    grown = [warm.index(most)]
    mask[grown[0]] = 1
    x, y = [0, 0, 0], [0, 0, 0]  # weights, times position, times its square
    while grown:
        cell = grown.pop()
        row, column = cell // width, cell % width
        above = scale * warm[cell] - level
        weight = 1 + (_WARMEST * above // span if span > 0 and above > 0 else 0)
        for sums, at in ((x, 2 * column + 1), (y, 2 * row + 1)):
            sums[0] += weight
            sums[1] += weight * at
            sums[2] += weight * at * at
        for near, inside in (
            (cell - 1, column > 0),
            (cell + 1, column < width - 1),
            (cell - width, row > 0),
            (cell + width, row < height - 1),
        ):
            if inside and mask[near] == 2:
                mask[near] = 1
                grown.append(near)
    for cell in range(cells):
        mask[cell] &= 1
    box[0], box[2] = _measure(x, width, side)
    box[1], box[3] = _measure(y, height, side)


def _whole(heat):
    value = heat * _UNIT
    if not value > -_MOST:  # not a number, too
        return -_MOST
    return int(value) if value < _MOST else _MOST


def _away(index, count):
    twice = 2 * index + 1 - count
    return _CENTRE * twice * twice // (4 * count * count)


def _root(value):
    found, bit = 0, 1 << 31
    while bit:
        if (found + bit) * (found + bit) <= value:
            found += bit
        bit >>= 1
    return found


def _measure(sums, count, side):
    # (first pixel, pixels) along one axis.
    weight, moment, square = sums
    spread = _root(12 * (square * weight - moment * moment) + 4 * weight * weight)
    every = 32 * count * weight
    size = min(2 * (8 * spread + _MARGIN * count * weight), every)
    first = min(max(16 * moment - size // 2, 0), every - size)
    at, pixels = [(2 * part * side + every) // (2 * every) for part in (first, size)]
    pixels = pixels or 1  # a square of few pixels
    return min(at, side - pixels), pixels  # both may have been rounded up
