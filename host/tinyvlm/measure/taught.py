# SPDX-License-Identifier: MIT
"""Would words be better where an encoder sees their photos? Training photos, shown to its words.

A word is one point for all encoders; the photos that an encoder was trained on lie a little beside
it. So each word that names a class of training is shown some, as Vocab.add() does: the word counts
as five photos. Photos that training holds out are asked, as in looks.py: they are of the sets
that the shown ones are of, so that photos of other sets have to be asked as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..device.vocab import GAIN, WORD
from ..words.space import normalize
from .held_out import Photos
from .looks import COLUMNS, draw, worth

COUNTS = (0, 1, 2, 3, 5, 12)
MOST = max(COUNTS)
OTHERS = 8  # photos of a class of other sets that are asked


def shown(photos: Photos, trained: Photos, most: int) -> tuple[Photos, np.ndarray]:
    """The same photos, with words that at most `most` photos of training were shown to; and each
    word's factor on its cosines, as Vocab.add() has it.
    """
    rows, factors = normalize(photos.vectors), np.ones(len(photos.classes))
    units = normalize(trained.embeddings.astype(np.float32))
    number = {name: i for i, name in enumerate(trained.classes)}
    for i, name in enumerate(photos.classes):
        if name in number:
            mine = units[trained.label == number[name]][:most]
            total = WORD * rows[i] + mine.sum(axis=0)
            factors[i] = (np.linalg.norm(total) / (WORD + len(mine))) ** GAIN
            rows[i] = normalize(total)
    return replace(photos, vectors=rows), factors


def table(photos: Photos, trained: Photos, counts: Sequence[int] = ()) -> list[list[str]]:
    """A row for each number of photos of training: what worth() says of 64 dimensions."""
    rows, trials = [["photos shown", *COLUMNS]], draw(photos)
    for count in counts or COUNTS:
        moved, factors = shown(photos, trained, count)
        rows.append([str(count), *worth(moved, trials, 64, factors)])
    return rows
