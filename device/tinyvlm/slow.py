# SPDX-License-Identifier: MIT
"""Comparing embeddings with prototypes in plain Python, for firmware without the engine.

The functions have the engine's names and arguments (native/tv.h says what they mean) and give
its answers: embeddings and maps are int8 buffers, vectors rows of 8 or 4 bits, results go into the
arrays given.
"""

from math import sqrt

from .rows import nibble, row_size, signed

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
    own = signed(embedding, dim)
    length = sum(x * x for x in own)
    size = row_size(stored_dim, bits)
    for row in range(rows):
        data = vectors[row * size : (row + 1) * size]
        values = signed(data, dim) if bits == 8 else [nibble(data, i) for i in range(dim)]
        dot = square = 0
        for i in range(dim):
            dot += own[i] * values[i]
            square += values[i] * values[i]
        out[row] = dot / sqrt(length * square) if length and square else 0.0


def top(embedding, vectors, rows, stored_dim, bits, dim, count, index, cosines):
    """The best rows, in order; returns how many."""
    all_of_them = [0.0] * rows
    score(embedding, vectors, rows, stored_dim, bits, dim, all_of_them)
    order = sorted(range(rows), key=lambda row: -all_of_them[row])[:count]
    for i, row in enumerate(order):
        index[i], cosines[i] = row, all_of_them[row]
    return len(order)


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
    """The embedding of the cells whose mask is not 0."""
    size = len(cells_of) // cells
    sums = [0] * size
    for c in range(cells):
        if mask[c]:
            for i, x in enumerate(signed(cells_of[c * size : (c + 1) * size], size)):
                sums[i] += x
    most = max(max(sums), -min(sums)) or 1
    bytewise = isinstance(out, bytearray)
    for i, x in enumerate(sums):
        x = (2 * 127 * abs(x) + most) // (2 * most) * (-1 if x < 0 else 1)
        out[i] = x & 255 if bytewise else x
