# SPDX-License-Identifier: MIT
"""What tuning is worth: photos answered by vocabularies that were fitted without them.

Each folder is cut into blocks in the order of its names, so that pictures of one burst are mostly
in one block. A photo's held-out answer comes from the fit on all other blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..words import tvp
from .answers import Answers, ask, ask_without, blank, put, rates
from .sorted_photos import Sorted
from .tune_fit import COSTS, Tuned, fit

FOLDS = 8


@dataclass(frozen=True)
class Outcome:
    """before, after: all photos, asked the file as it is and, held out, the tuned ones.

    stand_in: the same of photos with their own label taken away, if there are none of none.
    """

    before: Answers
    after: Answers
    stand_in: tuple[Answers, Answers] | None
    tuned: Tuned
    cost: tuple[float, float]

    @property
    def better(self) -> bool:
        return self.cost[1] < self.cost[0] - 1e-9


def tune(p: tvp.Prototypes, photos: Sorted, unknown: str, shots: int) -> Iterator[int | Outcome]:
    """One fit a fold, one with all photos. Yields how many are left, then the Outcome."""
    fold, stand_in = folds(photos.target), None
    blocks = np.unique(fold)
    before = ask(p, photos.embeddings, photos.target)
    after = blank(p.labels, photos.target)
    lone = not (photos.target == len(p.labels)).any() and len(p.labels) > 1
    if lone:
        first = ask_without(p, photos.embeddings, photos.target)
        stand_in = first, blank(p.labels, first.target)
    for left, block in enumerate(blocks[::-1]):
        yield len(blocks) - left + 1
        rest, mine = fold != block, np.flatnonzero(fold == block)
        made = fit(p, take(photos, rest), unknown, shots).prototypes
        put(after, mine, ask(made, photos.embeddings[mine], photos.target[mine]))
        if lone:
            found = ask_without(made, photos.embeddings[mine], photos.target[mine])
            put(stand_in[1], mine, found)
    yield 1
    tuned = fit(p, photos, unknown, shots)
    pairs = zip((before, after), stand_in or (None, None), strict=True)
    yield Outcome(before, after, stand_in, tuned, tuple(cost(*pair, unknown) for pair in pairs))


def folds(target: np.ndarray) -> np.ndarray:
    """The block of every photo: as many as the largest folder has photos, FOLDS at most."""
    fold = np.zeros(len(target), int)
    count = min(FOLDS, int(np.bincount(target).max()))
    for label in np.unique(target):
        mine = np.flatnonzero(target == label)
        fold[mine] = (np.arange(len(mine)) * count // len(mine) + label) % count
    return fold


def take(photos: Sorted, some: np.ndarray) -> Sorted:
    """Some of the photos."""
    paths = [path for path, kept in zip(photos.paths, some, strict=True) if kept]
    return Sorted(photos.labels, paths, photos.embeddings[some], photos.target[some])


def cost(answers: Answers, stand_in: Answers | None, unknown: str) -> float:
    """What tune_fit.py minimizes, without smoothing."""
    none = len(answers.labels)
    present = np.unique(answers.target[answers.target < none])
    missed = [answers.wrong[answers.target == label].mean() for label in present]
    found = rates(stand_in or answers)
    named = found.named / found.none if found.none else 0.0
    return float(np.mean(missed) if missed else 0.0) + COSTS[unknown] * named


def gained(before: Answers, after: Answers) -> tuple[int, int]:
    """(photos whose answer became right, photos whose answer became wrong)."""
    return int((before.wrong & ~after.wrong).sum()), int((~before.wrong & after.wrong).sum())
