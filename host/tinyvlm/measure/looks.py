# SPDX-License-Identifier: MIT
"""Does a second look help? Embeddings of a photo, its mirror image and parts of it, averaged.

Each look costs a run of the encoder. What it is worth is measured as calibrate.py chooses: scale
and "none of them" are fitted on one half of the classes, and on the other half the threshold is
where a quarter of the frames that show none is named: so `right` is compared at equal `named`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from ..net.intake import seen_square
from ..picture import rgb
from ..words.space import normalize
from . import calibrate
from .held_out import Photos

SIZE = 10  # labels
NAMED = 0.25  # of the frames that show none
MOST = 25  # photos of a class that are kept
HEADS = ("right", "unknown", "wrong", "off")  # off: right, without a threshold
COLUMNS = (*HEADS, *(f"unseen: {head}" for head in HEADS))  # what worth() says


@dataclass(frozen=True)
class Look:
    """A part of the seen square: share of its side; where, 0 ... 1 from left and top."""

    share: float = 1.0
    x: float = 0.5
    y: float = 0.5
    mirrored: bool = False

    def __call__(self, image: Image.Image) -> Image.Image:
        """What it sees of a photo."""
        image = rgb(image)
        left, top, side = seen_square(*image.size)
        part = max(1, round(side * self.share))
        left += int((side - part) * self.x)
        top += int((side - part) * self.y)
        image = image.crop((left, top, left + part, top + part))
        return ImageOps.mirror(image) if self.mirrored else image


LOOKS = (Look(), Look(mirrored=True), Look(0.8), Look(0.85, 0, 0), Look(0.85, 1, 1))
MIXES = {  # what is averaged: numbers of looks
    "the frame": (0,),
    "and its mirror image": (0, 1),
    "and its centre (80 %)": (0, 2),
    "and two corners (85 %)": (0, 3, 4),
    "all five": (0, 1, 2, 3, 4),
}


def table(photos: Photos, dims: Sequence[int] = (64,)) -> list[list[str]]:
    """A row a mix, and of each prefix the frame alone: runs of the encoder, and what worth() says.

    photos: their embeddings are those of LOOKS, in this order.
    """
    rows = [["what is averaged", "runs", *COLUMNS]]
    unit = normalize(photos.embeddings.astype(np.float32))
    trials = draw(photos)
    for name, looks in MIXES.items():
        vectors = normalize(unit[:, looks].sum(axis=1))
        for dim in dims if len(looks) == 1 else dims[:1]:
            what = name if dim == dims[0] else f"{name}, {dim} dimensions"
            cells = worth(replace(photos, embeddings=vectors), trials, dim)
            rows.append([what, str(len(looks)), *cells])
    return rows


def draw(photos: Photos) -> list[calibrate.Trials]:
    """Vocabularies of each half of the classes, and of those that no training has seen."""
    return [calibrate.draw(photos, half, SIZE) for half in (0, 1, calibrate.UNSEEN)]


def worth(
    photos: Photos, trials: Sequence[calibrate.Trials], dim: int, factors: np.ndarray | None = None
) -> list[str]:
    """COLUMNS, in per cent: the mean of what both halves give, each by what was fitted on the
    other; and of classes that no training has seen, by what was fitted on the first half.

    trials: what draw() gave. factors: on the cosines with each class.
    """
    first, second, unseen = (calibrate.Scores(photos, some, dim, factors) for some in trials)
    fitted = calibrate.fit(first)
    both = _at(second, *fitted), _at(first, *calibrate.fit(second))
    return [f"{cent:.1f}" for cent in (*np.mean(both, axis=0), *_at(unseen, *fitted))]


def _at(scores: calibrate.Scores, scale: float, none: float) -> tuple[float, ...]:
    p = scores.probabilities(scale, none)[:, : scores.size]
    best, hit, shows = p.max(axis=1), p.argmax(axis=1) == scores.right, scores.shows
    named = best > np.quantile(best[~shows], 1 - NAMED)
    parts = (named & hit, ~named, named & ~hit, hit)
    return tuple(100 * float(part[shows].mean()) for part in parts)
