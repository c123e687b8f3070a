# SPDX-License-Identifier: MIT
"""Prototypes and embeddings as Python numbers: rows of 8 or 4 bits."""

from math import sqrt


def signed(data, count):
    """The first numbers of an int8 buffer, whatever type the buffer says it has."""
    return [x - 256 if x > 127 else x for x in memoryview(data)[:count]]


def check_items(name, data, size):
    """ValueError if a buffer's items are larger: of floats, say, that are no int8.

    Where plain Python computes; the engine finds out without allocating, in the same words.
    """
    found = item_size(memoryview(data))
    if found > size:
        raise ValueError(
            "%s must have items of %d byte%s, these have %d bytes"
            % (name, size, "" if size == 1 else "s", found)
        )


def check_floats(name, data):
    """The same for an array('f')."""
    check_items(name, data, 4)
    if len(data) and not isinstance(data[0], float):
        raise ValueError("%s must be an array('f'), of floats" % name)


def item_size(view):
    """Bytes of an item of a memoryview, 0 if it is empty. (MicroPython's has no itemsize.)"""
    return len(bytes(view[:1]))


def nibble(row, i):
    """Number i of a row of 4 bits."""
    value = row[i // 2] >> 4 * (i & 1) & 15
    return value - 16 if value > 7 else value


def checksum(crc32, data, end):
    """The CRC-32 that a file has at offset 12, piece by piece: Ctrl-C comes in between."""
    crc, data = 0, memoryview(data)
    for at in range(16, end, 1 << 18):
        crc = crc32(data[at : min(at + (1 << 18), end)], crc)
    return crc & 0xFFFFFFFF


def row_size(dim, bits):
    """Bytes of one stored prototype."""
    return dim if bits == 8 else (dim + 1) // 2


def unit(values):
    """The values as a list, scaled to length 1."""
    length = sqrt(sum(x * x for x in values)) or 1
    return [x / length for x in values]
