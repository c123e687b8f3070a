# SPDX-License-Identifier: MIT
"""What the readers in Python may do with any bytes: accept them, or one sentence as a ValueError.

`TARGETS` has a function for each; tools/fuzz.py calls them with changed inputs, test_fuzz.py with
the corpus.
"""

import random
import struct
import zlib

from tinyvlm.device import vocab as device
from tinyvlm.words import tvp, vocabulary


def words(data: bytes) -> None:
    """A word list."""
    try:
        entries = vocabulary.parse(data, "w.txt")
    except vocabulary.VocabularyError as error:
        assert all(line.startswith("w.txt:") for line in str(error).split("\n")), error
        return
    again = vocabulary.parse(
        "\n".join(f"{e.label}: {', '.join(e.phrases)}" for e in entries).encode()
    )
    assert [(e.label, e.phrases) for e in again] == [(e.label, e.phrases) for e in entries]


def prototypes(data: bytes) -> None:
    """A `.tvp`, its size and checksum put right: the same verdict on the PC and on the board."""
    if len(data) >= 48:
        data = bytearray(data)
        struct.pack_into("<I", data, 8, len(data))
        struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
        data = bytes(data)
    said, opened = [], []
    for read in (lambda raw: tvp.from_bytes(raw, "vocabulary"), device.Vocab):
        try:
            opened.append(read(data))
            said.append(None)
        except ValueError as error:
            assert str(error).startswith("vocabulary: "), error
            said.append(str(error))
    assert (said[0] is None) == (said[1] is None), said
    if said[0] is None:
        here, there = opened
        assert list(there.labels) == here.labels
        embedding = bytes(range(256)) * (here.dim // 256 + 1)
        for label, score in there.match(embedding, 3):
            assert label == "unknown" or label in here.labels
            assert isinstance(score, float)


TARGETS = {"tvp": prototypes, "words": words}


def changed(rng: random.Random, seeds: list[bytes]) -> bytes:
    """One of the seeds with a few bytes changed, left out, doubled or taken from another."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 12))
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = data[at : at + size]
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        else:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[at : at + size] = other[start : start + size]
    return bytes(data)
