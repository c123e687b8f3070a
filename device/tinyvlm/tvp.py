# SPDX-License-Identifier: MIT
"""Prototype files (`*.tvp`, docs/format.md): reading them where they lie, writing them safely."""

import os
import struct
from array import array
from math import log

from .rows import checksum, row_size
from .score import crc32

HEADER = "<4sHHII8sHHHBBffII"
HEADER_SIZE = 48
SHOTS = 1  # flag of files that were shown things before gains were a label's own
PREFIXES = 2  # flag: scale and threshold of smaller prefixes follow the strings
NONE = 4  # flag: then the cosine of "none of them" for each prefix, and how many rows compete
LEARNT = 8  # flag: at the end, what is known of the labels that were shown
NOTHING = -2.0  # a cosine that there is not: without NONE
LIST = 256  # so many labels are a list; more are decoded when they are asked for
STEP = 16  # of these, the place of every 16th is kept


class Labels:
    """Many labels, UTF-8 in a buffer, as a sequence of str: 4 bytes of RAM for 16 of them."""

    def __init__(self, data, at, count, path):
        self._data = data
        self._path = path
        self._count = count
        self.empty = False  # is one of them ""?
        self._places = array("I", [0] * ((count + STEP - 1) // STEP))
        for i in range(count):
            if i % STEP == 0:
                self._places[i // STEP] = at
            size = data[at] | data[at + 1] << 8
            if not size:
                self.empty = True
            at += 2 + size

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError("label %d of %d" % (index, self._count))
        at = self._places[index // STEP]
        for _ in range(index % STEP):
            at += 2 + (self._data[at] | self._data[at + 1] << 8)
        return self._text(at)

    def __iter__(self):
        at = self._places[0] if self._count else 0
        for _ in range(self._count):
            yield self._text(at)
            at += 2 + (self._data[at] | self._data[at + 1] << 8)

    def __repr__(self):
        return "<%d labels: %s, %s, ...>" % (self._count, self[0], self[1])

    def _text(self, at):
        # u16 length, UTF-8
        size = self._data[at] | self._data[at + 1] << 8
        try:
            return str(bytes(self._data[at + 2 : at + 2 + size]), "utf-8")
        except ValueError:  # UnicodeError is one
            raise ValueError("%s: a string is not UTF-8; pack it again" % self._path) from None

    def index(self, label):
        """Where a label stands. ValueError if it is not there."""
        for i, name in enumerate(self):
            if name == label:
                return i
        raise ValueError("no label %r" % (label,))


def open_file(path):
    """The bytes of a file: in place if it lies in ROMFS, else read into RAM.

    A file that was being replaced when the power went may only be there as PATH.new.
    """
    try:
        file = open(path, "rb")
    except OSError as error:
        try:
            file = open(path + ".new", "rb")
        except OSError:
            raise named(error, path) from None
    with file:
        try:
            return memoryview(file)
        except TypeError:
            return file.read()


def label_size(label):
    """Bytes that a label takes in UTF-8; 0 if it cannot be one."""
    if not isinstance(label, str) or any([0xD800 <= ord(c) < 0xE000 for c in label]):
        return 0  # half of a surrogate pair has no UTF-8, although MicroPython makes some
    return len(label.encode())


def named(error, path):
    """An OSError with the file's name in it, which CPython alone puts there."""
    if error.errno == 30:
        path += ": ROMFS cannot be written; save it under another name"
    return error if hasattr(error, "filename") else OSError(error.errno, path)


def check(data, path):
    """The header's fields after magic, version and sizes. ValueError says what is wrong."""
    if len(data) < 16 or bytes(data[:4]) != b"TVPR":
        raise ValueError("%s: not a tinyvlm vocabulary; make one with tinyvlm-pack" % path)
    version, header_size, size, crc = struct.unpack_from("<HHII", data, 4)
    if version != 1:
        raise ValueError("%s: format version %d, this tinyvlm reads 1" % (path, version))
    if size > len(data) or size < HEADER_SIZE or header_size != HEADER_SIZE:
        raise ValueError("%s: truncated, %d of %d bytes; copy it again" % (path, len(data), size))
    if checksum(crc32, data, size) != crc:
        raise ValueError("%s: damaged (CRC differs); copy it again" % path)
    fields = struct.unpack_from(HEADER, data, 0)
    labels, background, dim, bits, flags = fields[6:11]
    if flags & SHOTS:
        raise ValueError(
            "%s: shown things by an older tinyvlm; pack it again and show them again" % path
        )
    if flags & ~(PREFIXES | NONE | LEARNT):
        raise ValueError("%s: made by a newer tinyvlm (flags %d); update this one" % (path, flags))
    end = fields[13] + (labels + background) * row_size(dim, bits)
    if bits not in (4, 8) or not dim or not labels or end > size:
        raise ValueError("%s: inconsistent header; pack it again" % path)
    return fields


def strings_end(data, path, at, count, size):
    """Where `count` strings from `at` on end. ValueError if that is outside the file."""
    for _ in range(count):
        if at + 2 <= size:
            at += 2 + (data[at] | data[at + 1] << 8)
        else:
            at = size + 1
        if at > size:
            raise ValueError("%s: inconsistent strings; pack it again" % path)
    return at


def read_levels(data, path, at, fields):
    """([(dim, logit_scale, threshold, none), ...] by dim, those of the whole rows last, how many
    background rows compete with the labels, where all that ends).

    at: where the strings end.
    """
    levels, size, dim = [], fields[3], fields[8]
    if fields[10] & PREFIXES:
        count = data[at] if at < size else 255
        end = at + 1 + 10 * count
        if end <= size:
            levels = [struct.unpack_from("<Hff", data, i) for i in range(at + 1, end, 10)]
        dims = [0] + [level[0] for level in levels] + [dim]
        if end > size or any(dims[i] >= dims[i + 1] for i in range(len(dims) - 1)):
            raise ValueError("%s: inconsistent prefixes; pack it again" % path)
        at = end
    levels.append((dim, fields[11], fields[12]))
    nones, rivals = [NOTHING] * len(levels), fields[7]
    if fields[10] & NONE:
        end = at + 2 + 4 * len(levels)
        if end <= size:
            rivals = data[at] | data[at + 1] << 8
            nones = struct.unpack_from("<%df" % len(levels), data, at + 2)
        if end > size or rivals > fields[7]:
            raise ValueError("%s: inconsistent background; pack it again" % path)
        at = end
    levels = [levels[i] + (nones[i],) for i in range(len(levels))]
    if not all([_finite(value) for level in levels for value in level]):
        raise ValueError("%s: inconsistent prefixes; pack it again" % path)
    return levels, rivals, at


def read_learnt(data, path, at, fields):
    """{label: [times shown, weight, gain]} of the labels that were shown. at: where it begins."""
    learnt, size = {}, fields[3]
    if fields[10] & LEARNT:
        count = data[at] | data[at + 1] << 8 if at + 2 <= size else 65535
        if at + 2 + 12 * count > size:
            raise ValueError("%s: inconsistent shots; pack it again" % path)
        for i in range(count):
            label, shots, weight, gain = struct.unpack_from("<HHff", data, at + 2 + 12 * i)
            if label >= fields[6] or not _finite(weight) or not _finite(gain):
                raise ValueError("%s: inconsistent shots; pack it again" % path)
            learnt[label] = [shots, weight, gain]
    return learnt


def _finite(value):
    return value - value == 0


def level_at(levels, dim):
    """The level for a prefix: between two that are listed linear in the logarithm of dim."""
    low = levels[0]
    for high in levels:
        if dim <= high[0]:
            break
        low = high
    if dim == high[0] or low is high:  # below the first, that one
        return high
    part = log(dim / low[0]) / log(high[0] / low[0])
    return (dim,) + tuple([low[i] + part * (high[i] - low[i]) for i in (1, 2, 3)])


def pieces(header, parts):
    """What a file consists of, as buffers in turn: its header, then what parts() gives.

    header: the fields from the fingerprint on, less the two offsets; parts: a function that gives
    (0, buffer) for the vectors, then (1, buffer) for the strings and what follows; it is called
    3 times.
    """
    size = [0, 0]
    for which, part in parts():
        size[which] += len(part)
    raw = bytearray(HEADER_SIZE)
    start = (b"TVPR", 1, HEADER_SIZE, HEADER_SIZE + sum(size), 0) + header
    struct.pack_into(HEADER, raw, 0, *start, HEADER_SIZE, HEADER_SIZE + size[0])
    crc = crc32(memoryview(raw)[16:])
    for _, part in parts():
        crc = crc32(part, crc)
    struct.pack_into("<I", raw, 12, crc)
    yield raw
    for _, part in parts():
        yield part


def write(path, content):
    """Write a file of these buffers at once or not at all; returns its size.

    Power loss leaves the old file or the new one: PATH.new is complete before it takes PATH's
    place.
    """
    whole = 0
    folder = False
    try:
        folder = os.stat(path)[0] & 0x4000
    except OSError:  # a PATH.new that a FAT was left with (see below) may be the only copy
        try:
            check(open_file(path), path)
            os.rename(path + ".new", path)
        except (OSError, ValueError, AttributeError):  # none, half of one; the last in ROMFS
            pass
    if folder:  # remove() below would take an empty one
        raise OSError(21, path)
    new = path + ".new"
    try:
        with open(new, "wb") as file:
            for part in content:
                whole += file.write(part)
            file.flush()
            if hasattr(os, "fsync"):  # a PC
                os.fsync(file.fileno())
        if hasattr(os, "sync"):
            os.sync()
        replaced = _rename(new, path)
    except BaseException as error:  # the flash is full, the heap, Ctrl-C: no half file stays
        no_room = isinstance(error, MemoryError)
        _remove(new)
        if no_room:  # MicroPython's only object for that; what remove() raised may have taken it
            raise MemoryError(path) from None
        if isinstance(error, OSError):
            raise named(error, path) from None
        raise
    if not replaced:  # FAT replaces nothing; open_file() finds PATH.new if the power goes here
        os.remove(path)
        os.rename(new, path)
    return whole


def _rename(old, new):
    try:
        os.rename(old, new)
        return True
    except OSError:
        return False


def _remove(path):
    try:
        os.remove(path)
    except (OSError, AttributeError):  # the last in ROMFS
        pass
