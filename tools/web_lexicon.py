# SPDX-License-Identifier: MIT
"""The lexicon as the page has it: every name, and the vectors of as many as fit.

python tools/web_lexicon.py build/words/lexicon.bin               # what the page embeds
python tools/web_lexicon.py build/words/whole.bin --bytes 0       # every vector, some 7 MB

CLIP's own vectors come first, then everyday names, then those that more names are made of. Numbers
are the lexicon's own: what the page can pack, it packs to the same bytes as tinyvlm-pack. The
form is described in web/words/lexicon.ts.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from tinyvlm.files import write_atomic
from tinyvlm.shipped import DATA
from tinyvlm.train.lexicon import kinds, words
from tinyvlm.words.lexicon import KINDS, Lexicon, canonical
from tinyvlm.words.space import normalize

BYTES = 1_770_000  # of a page of 3 MB
ABSENT = 128
BLOCK = 1024  # names at a time that look for their nearest


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("output", type=Path, metavar="FILE.bin")
    parser.add_argument(
        "--bytes", type=int, default=BYTES, help=f"at most (default: {BYTES:,}); 0: every vector"
    )
    args = parser.parse_args(argv)
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    count, data = fitting(lexicon, args.bytes)
    size = write_atomic(args.output, data)
    print(f"{args.output}: {len(lexicon):,} names, {count:,} with vectors, {size:,} bytes")
    return 0


def fitting(lexicon: Lexicon, limit: int) -> tuple[int, bytes]:
    """How many names have their vectors in `limit` bytes, and the file; 0: all have."""
    order = by_use(lexicon)
    if not limit:
        return len(order), to_bytes(lexicon, order)
    count = int(limit / lexicon.vectors.shape[1])
    while len(data := to_bytes(lexicon, order[:count])) > limit:
        count = int(count * limit / len(data)) - 1
    return count, data


def by_use(lexicon: Lexicon) -> list[int]:
    """Rows of all names, those that are typed most first (a guess)."""
    lists = (words.EXTRA, words.FOOD, words.FLOWERS, words.MAKERS)
    everyday = {canonical(name) for name in ",".join(lists).split(",")} | kinds.read().keys()
    uses = Counter(word for name in lexicon.index for word in set(name.split()))

    def rank(name: str) -> tuple:
        parts = name.split()
        known = KINDS.index(lexicon.kind(name)) < 2
        return (not known, name not in everyday, len(parts), -min(uses[part] for part in parts))

    return [lexicon.index[name] for name in sorted(lexicon.index, key=rank)]


def to_bytes(lexicon: Lexicon, chosen: list[int]) -> bytes:
    """The file with the vectors of the rows `chosen`."""
    names, here = list(lexicon.index), np.zeros(len(lexicon), bool)
    here[chosen] = True
    spelling = front_coded(names)
    head = {
        "space": lexicon.space,
        "dim": lexicon.vectors.shape[1],
        "names": len(names),
        "rows": int(here.sum()),
        "spelling": len(spelling),
    }
    raw = json.dumps(head).encode()
    flags = np.where(here, lexicon.kinds, lexicon.kinds | ABSENT).astype(np.uint8)
    near = nearest(lexicon.vectors, here)
    parts = (
        struct.pack("<I", len(raw)) + raw + spelling,
        flags.tobytes(),
        (near & 255).astype(np.uint8).tobytes(),
        (near >> 8).astype(np.uint8).tobytes(),
        np.ascontiguousarray(lexicon.vectors[here].T).tobytes(),  # columns compress better
    )
    return b"TVLX" + zlib.compress(b"".join(parts), 9)


def front_coded(names: list[str]) -> bytes:
    """Each name as the number of letters it shares with the one before, and the rest."""
    out, before = bytearray(), ""
    for name in names:
        same = len(os.path.commonprefix([name, before]))
        out += bytes([same]) + name[same:].encode("ascii") + b"\n"
        before = name
    return bytes(out)


def nearest(vectors: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Of each row that is not here the one that is nearest to it, counted among those here."""
    rows = normalize(vectors.astype(np.float32))
    absent, found = rows[~here], [np.zeros(0, int)]
    for start in range(0, len(absent), BLOCK):
        found.append((absent[start : start + BLOCK] @ rows[here].T).argmax(1))
    return np.concatenate(found)


if __name__ == "__main__":
    sys.exit(main())
