# SPDX-License-Identifier: MIT
"""Encoder files put together record by record, for the rules that no net of the writer comes near.

`FILES` is {name: (file, what the engines in C and in Python say, None where it is legal)}.
test_legal.py asks both, tools/branches.py counts what the files reach in C.
"""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from dataclasses import dataclass, replace

CONV, DEPTHWISE, ADD, POOL = 1, 2, 3, 4
DENSE, STREAM = 1, 2
SCRATCH, ARENA = 2048, 1 << 16
SHAPE = (4, 4, 4)
_RNG = random.Random(1)


@dataclass(frozen=True)
class Tensor:
    """h x w x c in the arena."""

    offset: int
    shape: tuple[int, int, int] = SHAPE
    rows: int = 0  # 0: all
    pitch: int = 0

    def pack(self) -> bytes:
        h, w, c = self.shape
        row = 2 * c * self.pitch or w * c
        return struct.pack("<IIHH", self.offset, min(row, 1 << 31), self.rows or h, self.pitch)


IMAGE = Tensor(2048, (4, 4, 3))
A, B, C, D = (Tensor(2112 + 64 * i) for i in range(4))
POOLED, EMBEDDING = Tensor(3072, (1, 1, 4)), Tensor(3080, (1, 1, 4))


@dataclass(frozen=True)
class Layer:
    op: int
    source: Tensor
    to: Tensor
    second: Tensor | None = None
    kernel: int = 1
    pad: int = 0
    flags: int = 0
    table: bytes = b""

    def weights(self) -> bytes:
        """Of a convolution; one of 3 channels has its padding."""
        taps = self.kernel**2 * self.source.shape[2]
        if self.op != CONV or self.source.pitch:
            return b""
        count = (self.to.shape[2] + 1) // 2 * 2
        if taps > 1 << 15:
            return bytes((taps + 3) // 4 * 4 * count)
        row = b"\x05\x0b\xf9\x00" if taps == 3 else _RNG.randbytes((taps + 3) // 4 * 4)
        return row * count

    def tables(self) -> bytes:
        count = self.to.shape[2]
        if self.op == ADD:
            return self.table or struct.pack("<3i3B", 1 << 30, 1 << 30, 1 << 30, 1, 1, 18)
        if self.op == CONV:
            return bytes(4 * count) + struct.pack("<i", 1 << 30) * count + bytes([5]) * count
        return b""


def file(
    *layers: Layer,
    embed: int | None = None,
    arena: int = ARENA,
    scratch: int = 0,
    info: bytes = b"{}",
) -> bytes:
    """The layers, and what makes an embedding of the last one's output where `embed` is None."""
    if embed is None:
        last = replace(layers[-1].to, rows=0)
        tail = Layer(POOL, last, POOLED, kernel=4), Layer(CONV, POOLED, EMBEDDING)
        layers = *layers, *tail
        embed = len(layers) - 1
    records, data, places = [], b"", {}
    for layer in layers:
        if layer not in places:  # the same weights and table again lie where they are
            weights, table = layer.weights(), layer.tables()
            places[layer] = len(data), len(data) + len(weights)
            data += weights + table
        second = layer.second.pack() if layer.second else bytes(12)
        record = struct.pack(
            "<8B6H12s12s12sbBxxIIf",
            *(layer.op, layer.flags, layer.kernel if layer.op != ADD else 0),
            *(int(layer.op != ADD), layer.pad, layer.pad, 0, 0),
            *(*layer.source.shape, *layer.to.shape),
            *(layer.source.pack(), layer.to.pack(), second),
            *(0, 0, *places[layer], 1.0),
        )
        records.append(record)
    parts = {b"LAYR": b"".join(records), b"WGHT": data, b"INFO": info}
    at, table = 72 + 12 * len(parts), b""
    for tag, content in parts.items():
        table += struct.pack("<4sII", tag, at, len(content))
        at += len(content)
    header = struct.pack(
        "<4sHHII8sHHHbBfHHHHIII12sI",
        *(b"TVLM", 1, 72, at, 0, b"hostile!", 4, 4, 3, 0, len(parts), 1 / 128),
        *(len(layers), embed, 0xFFFF, 0, arena, scratch, SCRATCH, IMAGE.pack(), 0),
    )
    return signed(header + table + b"".join(parts.values()))


def signed(data: bytes) -> bytes:
    """The same with a checksum that matches."""
    return data[:12] + struct.pack("<I", zlib.crc32(data[16:])) + data[16:]


def streamed(*layers: Layer) -> tuple[Layer, ...]:
    """As one segment."""
    *others, last = layers
    return *(replace(layer, flags=layer.flags | STREAM) for layer in others), last


def add_table(*shifts: int) -> bytes:
    return struct.pack("<3i3B", 1 << 30, 1 << 30, 1 << 30, *shifts)


def conv(source: Tensor, to: Tensor, kernel: int = 1, **more) -> Layer:
    return Layer(CONV, source, to, kernel=kernel, pad=kernel // 2, **more)


def add(source: Tensor, second: Tensor, to: Tensor, **more) -> Layer:
    return Layer(ADD, source, to, second, **more)


STEM = conv(IMAGE, A)
RING = replace(A, rows=1)
CROPPED = replace(B, shape=(3, 4, 4))
LONG = Tensor(4096, (1, 1, 65535))
WIDE = Tensor(4096, (1, 1, 65534))
DOT = Tensor(2112, (1, 1, 3))
TALL = Tensor(4096, (255, 255, 44))


def wide(count: int, dim: int) -> bytes:
    """So many layers of 65,534 channels, whose tables lie in one place; 3 + dim channels more."""
    last = Tensor(EMBEDDING.offset, (1, 1, dim))
    layers = Layer(POOL, IMAGE, DOT, kernel=4), *[conv(DOT, WIDE)] * count, conv(DOT, last)
    return file(*layers, embed=count + 1, arena=72 << 10)


def info(size: int) -> bytes:
    """An INFO of so many bytes, of four bytes a character."""
    count, more = divmod(size - 8, 4)
    return b'{"a":"' + b"\xf0\x9f\x98\x80" * count + b" " * more + b'"}'


_OVERLAP = "overlap"
_RING = "too few rows"
FILES = {
    "plain": (file(STEM), None),
    "scratch behind the tensors": (file(STEM, scratch=4096), None),
    "scratch in the last tensor": (file(STEM, scratch=3080), "overlap"),
    "no weights": (signed(file(STEM).replace(b"WGHT", b"wght", 1)), "a section is missing"),
    "no library": (signed(file(STEM).replace(b"WGHT", b"CMNN", 1)), "made for CMSIS-NN"),
    # INFO: longer than need be, half of a pair, behind the last character
    "overlong": (file(STEM, info=b'{"a":"\xc1\x81"}'), "UTF-8"),
    "surrogate": (file(STEM, info=b'{"a":"\xed\xa0\x80"}'), "UTF-8"),
    "no character": (file(STEM, info=b'{"a":"\xf4\x90\x80\x80"}'), "UTF-8"),
    "the longest INFO": (file(STEM, info=info(65535)), None),
    "a longer one": (file(STEM, info=info(65536)), "a wrong size"),
    # layers by themselves
    "262,143 channels": (wide(4, 4), None),
    "262,145 channels": (wide(4, 6), "opening"),
    "a row of 8 GB": (file(conv(Tensor(2048, (4, 4, 65535), pitch=65534), A)), "does not fit"),
    "planar second operand": (file(STEM, add(A, replace(A, pitch=4), B)), "planar"),
    "first shift": (file(STEM, add(A, A, B, table=add_table(31, 1, 1))), "out of range"),
    "second shift": (file(STEM, add(A, A, B, table=add_table(1, 31, 1))), "out of range"),
    "last shift": (file(STEM, add(A, A, B, table=add_table(1, 1, 31))), "out of range"),
    "no last shift": (file(STEM, add(A, A, B, table=add_table(1, 1, 0))), "out of range"),
    "65,536 taps": (file(conv(LONG, Tensor(2048, (1, 1, 2))), arena=1 << 20), "out of range"),
    "a row of work": (
        file(Layer(POOL, TALL, Tensor(2048, (1, 1, 44)), kernel=255), arena=1 << 22),
        "steps",
    ),
    "17 stages": (
        file(STEM, *itertools.repeat(replace(conv(A, B), flags=STREAM), 17), conv(B, C)),
        "segment",
    ),
    "a row for an embedding": (file(STEM, conv(A, Tensor(3072, (1, 2, 4))), embed=1), "embedding"),
    "a dense layer that streams": (
        file(STEM, replace(conv(A, B), flags=DENSE | STREAM), conv(B, C)),
        "segment",
    ),
    "a dense layer at first": (file(replace(STEM, flags=DENSE), conv(A, B)), "segment"),
    "a dense layer that is streamed to": (
        file(replace(STEM, flags=STREAM), replace(conv(A, B), flags=DENSE), conv(A, C)),
        "segment",
    ),
    "a dense layer that reads another": (
        file(STEM, *(replace(x, flags=DENSE) for x in (conv(A, B), conv(B, C))), conv(A, D)),
        None,
    ),
    "what is there for the map alone": (
        file(STEM, replace(conv(A, B), flags=DENSE), conv(B, C)),
        "not what an earlier layer writes",
    ),
    "a dense layer over what the next one reads": (
        file(
            STEM,
            *(replace(x, flags=DENSE) for x in (conv(A, B), conv(A, A), conv(B, C))),
            conv(A, D),
        ),
        _OVERLAP,
    ),
    "a stream without an end": (
        file(STEM, replace(conv(A, Tensor(3072)), flags=STREAM), embed=1),
        "segment",
    ),
    # what they do to each other
    "a sum in a ring, in place": (
        file(*streamed(conv(IMAGE, RING), add(RING, RING, RING), conv(RING, B))),
        None,
    ),
    "a sum over a ring that is read": (
        file(*streamed(conv(IMAGE, RING), conv(RING, B), add(B, RING, RING), conv(RING, C))),
        _OVERLAP,
    ),
    "a convolution in place": (file(*streamed(STEM, conv(A, A), conv(A, B))), _OVERLAP),
    "a dense sum in between": (
        file(STEM, replace(add(A, A, A), flags=DENSE), conv(A, B)),
        _OVERLAP,
    ),
    "read at once": (file(*streamed(STEM, conv(A, B), conv(B, C, 7), add(C, A, A))), None),
    "over what a sum read": (
        file(*streamed(STEM, add(A, A, B), conv(B, C), add(C, B, A))),
        None,
    ),
    "a sum ahead of its operand": (
        file(*streamed(STEM, conv(A, CROPPED), conv(CROPPED, C, 3), add(C, A, D))),
        _RING,
    ),
    "a ring that is gone": (
        file(*streamed(conv(IMAGE, RING), conv(RING, B), conv(B, C, 3), add(C, RING, D))),
        _RING,
    ),
    "rows that nobody made": (file(*streamed(STEM, conv(A, CROPPED)), conv(A, C)), _RING),
}
