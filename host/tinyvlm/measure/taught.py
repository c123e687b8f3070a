# SPDX-License-Identifier: MIT
"""Would words be better where an encoder sees their photos? Training photos, shown to its words.

A word is one point for all encoders; the photos that an encoder was trained on lie a little beside
it. So each word that names a class of training is moved as Vocab.add() moves it: the word counts
as five photos. Photos that training holds out are asked, as in looks.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..device.vocab import WORD
from ..words.space import normalize
from . import calibrate
from .held_out import Photos
from .looks import HEADS, SIZE, worth

COUNTS = (0, 1, 2, 3, 5, 12)
MOST = max(COUNTS)


def shown(photos: Photos, trained: Photos, most: int) -> Photos:
    """The same photos, with words that at most `most` photos of training were shown to."""
    rows = normalize(photos.vectors)
    units = normalize(trained.embeddings.astype(np.float32))
    number = {name: i for i, name in enumerate(trained.classes)}
    for i, name in enumerate(photos.classes):
        if name in number:
            mine = units[trained.label == number[name]][:most]
            rows[i] = normalize(WORD * rows[i] + mine.sum(axis=0))
    return replace(photos, vectors=rows)


def table(photos: Photos, trained: Photos, counts: Sequence[int] = ()) -> list[list[str]]:
    """A row for each number of photos of training: what worth() says of 64 dimensions."""
    rows = [["photos shown", *HEADS, *(f"unseen: {head}" for head in HEADS)]]
    trials = [calibrate.draw(photos, half, SIZE) for half in (0, 1, calibrate.UNSEEN)]
    for count in counts or COUNTS:
        found = worth(shown(photos, trained, count), trials, 64)
        rows.append([str(count), *(f"{cent:.1f}" for part in found for cent in part)])
    return rows
