# SPDX-License-Identifier: MIT
"""Vocabularies: labels with their prototypes, read from a `.tvp` file (docs/format.md)."""

import struct
from array import array
from math import exp, sqrt

try:
    import _tinyvlm
except ImportError:  # CircuitPython: scoring works without the engine
    _tinyvlm = None

_HEADER = "<4sHHII8sHHHBBffII"
_HEADER_SIZE = 48


class Vocab:
    """The words to tell apart: `Vocab("pets.tvp")`, made by tinyvlm-pack.

    labels: list of str. dim: how many numbers of each prototype are used; set it to any smaller
    value for speed. threshold: least score that counts. ValueError if the file is damaged.
    """

    def __init__(self, path):
        if isinstance(path, (bytes, bytearray, memoryview)):
            data, path = bytes(path), "vocabulary"
        else:
            with open(path, "rb") as file:
                data = file.read()
        self.path = path
        self._parse(data)

    def _parse(self, data):
        path = self.path
        if len(data) < 16 or data[:4] != b"TVPR":
            raise ValueError("%s: not a tinyvlm vocabulary; make one with tinyvlm-pack" % path)
        version, header_size, size, crc = struct.unpack_from("<HHII", data, 4)
        if version != 1:
            raise ValueError("%s: format version %d, this tinyvlm reads 1" % (path, version))
        if size > len(data) or size < _HEADER_SIZE or header_size != _HEADER_SIZE:
            raise ValueError(
                "%s: truncated, %d of %d bytes; copy it again" % (path, len(data), size)
            )
        if _crc32(memoryview(data)[16:size]) != crc:
            raise ValueError("%s: damaged (CRC differs); copy it again" % path)
        header = struct.unpack_from(_HEADER, data, 0)
        self.fingerprint, labels, background, dim, self.bits = header[5:10]
        self.logit_scale, self.threshold, vectors, at = header[11:15]
        self._rows = labels + background
        self._row_bytes = dim if self.bits == 8 else (dim + 1) // 2
        end = vectors + self._rows * self._row_bytes
        if self.bits not in (4, 8) or dim < 1 or labels < 1 or end > size:
            raise ValueError("%s: inconsistent header; pack it again" % path)
        texts = []
        for _ in range(3 + labels):
            length = struct.unpack_from("<H", data, at)[0] if at + 2 <= size else size
            if at + 2 + length > size:
                raise ValueError("%s: inconsistent strings; pack it again" % path)
            texts.append(str(data[at + 2 : at + 2 + length], "utf-8"))
            at += 2 + length
        self.encoder, self.text_encoder, self.prompt = texts[:3]
        self.labels = texts[3:]
        self._vectors = memoryview(data)[vectors:end]
        self._stored_dim = self._dim = dim
        self._cosines = array("f", bytes(4 * self._rows))

    @property
    def dim(self):
        """Numbers in use per prototype, 1 ... what the file holds."""
        return self._dim

    @dim.setter
    def dim(self, dim):
        if not 1 <= dim <= self._stored_dim:
            raise ValueError(
                "dim %d: this vocabulary holds %d; pack it with --dim %d for more"
                % (dim, self._stored_dim, dim)
            )
        self._dim = dim

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return "Vocab(%d labels, dim %d of %d, %d bits, for %s)" % (
            len(self.labels),
            self._dim,
            self._stored_dim,
            self.bits,
            self.encoder,
        )

    def cosines(self, embedding):
        """Cosine of an embedding (int8 buffer) with every prototype, as an array('f').

        The array is reused by the next call.
        """
        if len(embedding) < self._dim:
            raise ValueError(
                "the embedding has %d numbers, dim is %d" % (len(embedding), self._dim)
            )
        score = _tinyvlm.score if _tinyvlm else _score
        score(
            embedding,
            self._vectors,
            self._rows,
            self._stored_dim,
            self.bits,
            self._dim,
            self._cosines,
        )
        return self._cosines

    def match(self, embedding, top=3):
        """The best labels for an embedding: list of (label, score), best first.

        The score is the softmax of logit_scale * cosine over all labels; labels under the
        threshold are left out.
        """
        # max() and index() run in C, and a list does not make a new float at every look
        cosines = list(self.cosines(embedding))
        best = max(cosines)
        scale = self.logit_scale
        total = 0.0
        for cosine in cosines:
            total += exp(scale * (cosine - best))
        cosines = cosines[: len(self.labels)]
        found = []
        for _ in range(min(top, len(cosines))):
            cosine = max(cosines)
            index = cosines.index(cosine)
            score = exp(scale * (cosine - best)) / total
            if score < self.threshold:
                break
            cosines[index] = -2.0  # below every cosine
            found.append((self.labels[index], score))
        return found


def _crc32(data):
    if _tinyvlm:
        return _tinyvlm.crc32(data)
    from binascii import crc32

    return crc32(data)


def _score(embedding, vectors, rows, stored_dim, bits, dim, out):
    # The engine's `score` in Python, for boards without it.
    signed = [x - 256 if x > 127 else x for x in memoryview(embedding)[:dim]]
    length = sum(x * x for x in signed)
    row_bytes = stored_dim if bits == 8 else (stored_dim + 1) // 2
    for row in range(rows):
        at = row * row_bytes
        dot = square = 0
        for i in range(dim):
            if bits == 8:
                value = vectors[at + i]
                value = value - 256 if value > 127 else value
            else:
                value = vectors[at + i // 2] >> (4 * (i & 1)) & 15
                value = value - 16 if value > 7 else value
            dot += signed[i] * value
            square += value * value
        out[row] = dot / sqrt(length * square) if length and square else 0.0
