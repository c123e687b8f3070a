# SPDX-License-Identifier: MIT
"""Writer and reader of `*.tvp` prototype files (docs/format.md, "`*.tvp`: prototypes").

The boards read these files with `device/tinyvlm/vocab.py`; a test opens with one what the other
wrote.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ..files import write_atomic

MAGIC = b"TVPR"
VERSION = 1
HEADER = struct.Struct("<4sHHII8sHHHBBffII")  # 48 bytes, the fields in the order of the page
PREFIX = struct.Struct("<Hff")  # dim, logit_scale, threshold
LEARNT = struct.Struct("<HHff")  # label, times shown, weight, gain
SHOTS, PREFIXES, NONE, SHOWN = 1, 2, 4, 8  # flags; no file has the first any more
WORD = 5.0  # weight of a word: device/tinyvlm/vocab.py has it, too, but loads the engine
MAX_DIM = 65535
MAX_LABELS = 65535
MAX_TEXT = 255  # bytes of UTF-8 per string: what a small board can afford to show


@dataclass
class Prototypes:
    """Contents of a `.tvp` file.

    vectors: int8 (len(labels) + background, dim), each row a direction (its length has no
    meaning); with 4 bits the values lie in -7 ... 7. logit_scale, threshold: at all `dim`;
    prefixes: (dim, logit_scale, threshold) for fewer, by dim. none: the cosine that stands for
    "none of them", for each of the prefixes and then for all `dim`, or empty; rivals: how many
    of the background's rows compete with the labels, all of them without `none`; the others are
    what detect() sees a label's heat against. learnt: by index of a label, how often it was shown
    (0: a word with a gain), how many frames its prototype stands for, the factor on its cosines.
    """

    labels: list[str]
    vectors: np.ndarray
    fingerprint: bytes
    encoder: str
    text_encoder: str = ""
    prompt: str = ""
    bits: int = 8
    logit_scale: float = 20.0
    threshold: float = 0.0
    background: int = 0
    prefixes: list[tuple[int, float, float]] = field(default_factory=list)
    none: list[float] = field(default_factory=list)
    rivals: int = 0
    learnt: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    size: int = field(default=0, compare=False)

    @property
    def dim(self) -> int:
        """Dimensions per prototype."""
        return self.vectors.shape[1]

    def gains(self) -> list[float]:
        """The factor on the cosines of each label."""
        return [self.learnt[i][2] if i in self.learnt else 1.0 for i in range(len(self.labels))]

    def to_float(self) -> np.ndarray:
        """Unit vectors, float32 (rows, dim)."""
        rows = self.vectors.astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def quantize(vectors: np.ndarray, bits: int = 8) -> np.ndarray:
    """Round float rows (n, dim) to int8 directions: round(v / max|v| * 127), or * 7 for 4 bits."""
    if bits not in (8, 4):
        raise ValueError(f"bits must be 8 or 4, got {bits}")
    vectors = np.asarray(vectors, np.float64)
    peak = np.abs(vectors).max(axis=1, keepdims=True)
    if not np.isfinite(peak).all() or (peak == 0).any():
        raise ValueError("a prototype is zero or not finite; every row must have a direction")
    top = 127 if bits == 8 else 7
    return np.rint(vectors / peak * top).astype(np.int8)


def row_bytes(dim: int, bits: int) -> int:
    """Bytes of one prototype."""
    return dim if bits == 8 else (dim + 1) // 2


def to_bytes(prototypes: Prototypes) -> bytes:
    """Serialize. ValueError says what does not fit the format."""
    p = prototypes
    rows, dim = p.vectors.shape
    if not p.labels:
        raise ValueError("a vocabulary needs at least one label")
    if len(set(p.labels)) != len(p.labels):
        raise ValueError("labels must be unique")
    if "" in p.labels:
        raise ValueError("a label is empty")
    if rows != len(p.labels) + p.background:
        raise ValueError(f"{rows} vectors for {len(p.labels)} labels + {p.background} background")
    if len(p.fingerprint) != 8:
        raise ValueError("the encoder's fingerprint has 8 bytes")
    if len(p.labels) > MAX_LABELS or not 1 <= dim <= MAX_DIM:
        raise ValueError("at most 65535 labels of 1 ... 65535 dimensions fit the format")
    if not _ascend(p.prefixes, dim) or len(p.prefixes) > 255:
        raise ValueError(f"prefixes must ascend from 1 to {dim - 1}, 255 at most")
    if p.none and len(p.none) != len(p.prefixes) + 1:
        raise ValueError("none must be one cosine for each prefix, and one for all dimensions")
    if not 0 <= p.rivals <= p.background:
        raise ValueError(f"{p.rivals} rivals of {p.background} background rows")
    if not all(0 <= i < len(p.labels) and 0 <= p.learnt[i][0] < 65536 for i in p.learnt):
        raise ValueError("what was learnt must be of labels that were shown 0 ... 65535 times")
    numbers = chain(*p.prefixes, p.none, *p.learnt.values())
    if not _finite(p.logit_scale, p.threshold, *numbers):
        raise ValueError("a scale, threshold, cosine or gain is not finite")
    vectors = p.vectors.astype(np.int8)
    if p.bits == 4:
        vectors = _pack_nibbles(vectors)
    body = vectors.tobytes()
    strings = b"".join(
        struct.pack("<H", len(raw)) + raw
        for raw in (_text(s) for s in (p.encoder, p.text_encoder, p.prompt, *p.labels))
    )
    flags, tail = 0, b""
    if p.prefixes:
        flags |= PREFIXES
        tail += struct.pack("<B", len(p.prefixes))
        tail += b"".join(PREFIX.pack(*prefix) for prefix in p.prefixes)
    if p.none:
        flags |= NONE
        tail += struct.pack(f"<H{len(p.none)}f", p.rivals, *p.none)
    if p.learnt:
        flags |= SHOWN
        tail += struct.pack("<H", len(p.learnt))
        tail += b"".join(LEARNT.pack(i, *p.learnt[i]) for i in sorted(p.learnt))
    at = HEADER.size
    header = HEADER.pack(
        MAGIC,
        VERSION,
        HEADER.size,
        at + len(body) + len(strings) + len(tail),
        0,
        p.fingerprint,
        len(p.labels),
        p.background,
        dim,
        p.bits,
        flags,
        p.logit_scale,
        p.threshold,
        at,
        at + len(body),
    )
    data = bytearray(header + body + strings + tail)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def from_bytes(data: bytes, name: str = "vocabulary") -> Prototypes:
    """Parse. ValueError tells what is wrong with `name`, in the order of docs/format.md."""
    if len(data) < 16 or data[:4] != MAGIC:
        raise ValueError(f"{name}: not a tinyvlm vocabulary (.tvp); make one with tinyvlm-pack")
    version, header_size, size, crc = struct.unpack_from("<HHII", data, 4)
    if version != VERSION:
        raise ValueError(f"{name}: format version {version}, this tinyvlm reads {VERSION}")
    if size > len(data) or size < HEADER.size or header_size != HEADER.size:
        raise ValueError(f"{name}: truncated, {len(data)} of {size} bytes; copy it again")
    if zlib.crc32(data[16:size]) != crc:
        raise ValueError(f"{name}: damaged (CRC differs); copy it again")
    fields = HEADER.unpack_from(data)
    fingerprint, labels, background, dim, bits, flags = fields[5:11]
    if flags & SHOTS:
        raise ValueError(
            f"{name}: shown things by an older tinyvlm; pack it again and show them again"
        )
    if flags & ~(PREFIXES | NONE | SHOWN):
        raise ValueError(f"{name}: made by a newer tinyvlm (flags {flags}); update this one")
    logit_scale, threshold, vectors_at, strings_at = fields[11:15]
    row = row_bytes(dim, bits)
    rows = labels + background
    if bits not in (8, 4) or not dim or not labels or vectors_at + rows * row > size:
        raise ValueError(f"{name}: inconsistent header; make it again with tinyvlm-pack")
    raw = np.frombuffer(data, np.int8, rows * row, vectors_at).reshape(rows, row)
    texts, at = [], strings_at
    for _ in range(3 + labels):
        if at + 2 > size:
            raise ValueError(f"{name}: inconsistent strings; make it again with tinyvlm-pack")
        length = struct.unpack_from("<H", data, at)[0]
        if at + 2 + length > size:
            raise ValueError(f"{name}: inconsistent strings; make it again with tinyvlm-pack")
        try:
            texts.append(data[at + 2 : at + 2 + length].decode("utf-8"))
        except UnicodeDecodeError:
            raise ValueError(f"{name}: a string is not UTF-8; pack it again") from None
        at += 2 + length
    if len(set(texts[3:])) != labels:
        raise ValueError(f"{name}: the same label twice; pack it again")
    if "" in texts[3:]:
        raise ValueError(f"{name}: an empty label; pack it again")
    prefixes, none, rivals, learnt = _tail(data[at:size], fields, name)
    return Prototypes(
        labels=texts[3:],
        vectors=raw.copy() if bits == 8 else _unpack_nibbles(raw, dim),
        fingerprint=fingerprint,
        encoder=texts[0],
        text_encoder=texts[1],
        prompt=texts[2],
        bits=bits,
        logit_scale=logit_scale,
        threshold=threshold,
        background=background,
        prefixes=prefixes,
        none=none,
        rivals=rivals,
        learnt=learnt,
        size=size,
    )


def write(prototypes: Prototypes, path: str | Path) -> int:
    """Write `path` at once or not at all; returns the bytes."""
    return write_atomic(path, to_bytes(prototypes))


def read(path: str | Path) -> Prototypes:
    """Read a `.tvp` file."""
    return from_bytes(Path(path).read_bytes(), str(path))


def _tail(data: bytes, fields: tuple, name: str) -> tuple[list, list, int, dict]:
    """What follows the strings: prefixes, none, rivals and what was learnt."""
    labels, background, dim, _, flags = fields[6:11]
    prefixes, none, rivals, learnt, what = [], [], 0, {}, "prefixes"
    try:
        if flags & PREFIXES:
            end = 1 + data[0] * PREFIX.size
            prefixes = [PREFIX.unpack_from(data, at) for at in range(1, end, PREFIX.size)]
            data = data[end:]
        good = _ascend(prefixes, dim) and _finite(*fields[11:13], *chain(*prefixes))
        if good and flags & NONE:
            what = "background"
            rivals, *none = struct.unpack_from(f"<H{len(prefixes) + 1}f", data)
            data = data[2 + 4 * len(none) :]
            good = rivals <= background and _finite(*none)
        if good and flags & SHOWN:
            what = "shots"
            (count,) = struct.unpack_from("<H", data)
            rows = [LEARNT.unpack_from(data, 2 + i * LEARNT.size) for i in range(count)]
            good = all(label < labels and _finite(*row) for label, *row in rows)
            learnt = {label: tuple(row) for label, *row in rows}
    except (IndexError, struct.error):
        good = False
    if not good:
        raise ValueError(f"{name}: inconsistent {what}; make it again with tinyvlm-pack")
    return prefixes, none, rivals, learnt


def _ascend(prefixes: list[tuple[int, float, float]], dim: int) -> bool:
    dims = [0, *(prefix[0] for prefix in prefixes), dim]
    return all(low < high for low, high in zip(dims, dims[1:], strict=False))


def _finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    if len(raw) > MAX_TEXT:
        raise ValueError(f"{text[:40]!r}...: {len(raw)} bytes, at most {MAX_TEXT} fit")
    return raw


def _pack_nibbles(vectors: np.ndarray) -> np.ndarray:
    if np.abs(vectors).max() > 7:
        raise ValueError("4-bit vectors must lie in -7 ... 7; use quantize(vectors, 4)")
    if vectors.shape[1] % 2:
        vectors = np.pad(vectors, ((0, 0), (0, 1)))
    low, high = vectors[:, 0::2] & 15, vectors[:, 1::2] & 15
    return (low | high << 4).astype(np.uint8)


def _unpack_nibbles(raw: np.ndarray, dim: int) -> np.ndarray:
    codes = raw.view(np.uint8)
    both = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(raw), -1)[:, :dim]
    return (both.astype(np.int8) ^ 8) - 8  # sign extension of a nibble
