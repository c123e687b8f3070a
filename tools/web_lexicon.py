# SPDX-License-Identifier: MIT
"""The lexicon as the page has it: every name, and the vectors of as many as fit.

python tools/web_lexicon.py build/web/data/lexicon.bin         # what the page embeds
python tools/web_lexicon.py build/web/lexicon.bin --bytes 0    # every vector, 7 MB: lies beside it

CLIP's own vectors come first, then everyday names, then those that more names are made of. Numbers
are the lexicon's own: what the page can pack, it packs to the same bytes as tinyvlm-pack.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tinyvlm.files import write_atomic
from tinyvlm.shipped import DATA
from tinyvlm.train.lexicon import kinds, words
from tinyvlm.words import tvlx
from tinyvlm.words.lexicon import KINDS, Lexicon, canonical

BYTES = 1_770_000  # of a page of 3 MB


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
        return len(order), tvlx.whole(lexicon)
    count = int(limit / lexicon.vectors.shape[1])
    while len(data := tvlx.to_bytes(lexicon, order[:count])) > limit:
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


if __name__ == "__main__":
    sys.exit(main())
