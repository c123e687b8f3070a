# SPDX-License-Identifier: MIT
"""The lexicon as the page reads it: every name, and the vectors of some names or of all.

The form is described in web/words/lexicon.ts. tools/web_lexicon.py chooses what lies in the page
itself; lexicon.bin, which the page fetches from beside it, has all.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from .lexicon import Lexicon
from .space import normalize

FILE = "lexicon.bin"  # beside the page
ABSENT = 128
BLOCK = 1024  # names at a time that look for their nearest


def whole(lexicon: Lexicon) -> bytes:
    """The file with every vector."""
    return to_bytes(lexicon, range(len(lexicon)))


def to_bytes(lexicon: Lexicon, chosen: Sequence[int]) -> bytes:
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
