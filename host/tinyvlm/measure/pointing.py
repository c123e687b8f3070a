# SPDX-License-Identifier: MIT
"""The pointing game: does the best cell of the dense map lie on the object?

For a photo with a box, the best cell is the one in which the middle of the box lies that detect()
draws for the photo's own class, as if its vocabulary had that one word (native/tv_region.c). It
hits if its centre lies inside the known box. The map covers the centred square of the photo (the
frame intake, native/tv_frame.c), cell by cell of equal size.

Boxes are (x0, y0, x1, y1) in pixels of the photo, the last column and row included: a box over
all of a 64 x 64 photo is 0, 0, 63, 63.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from ..device.score import map_region
from ..net.intake import seen_square
from .metrics import cosines, per_cent

Box = tuple[float, float, float, float]
SIDE = 60000  # of the square, in the units of map_region()


def in_square(box: Box, width: int, height: int) -> Box | None:
    """The box with its edges (not pixels) in 0 ... 1 of the seen square; None if it is outside."""
    left, top, side = seen_square(width, height)
    x0, y0, x1, y1 = box
    edges = np.array([x0 - left, y0 - top, x1 + 1 - left, y1 + 1 - top]) / side
    x0, y0, x1, y1 = np.clip(edges, 0, 1).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def best_cells(cells: np.ndarray, prototypes: Sequence[np.ndarray]) -> list[int]:
    """The cell in the middle of the word's box, by prefix.

    cells: int8 (height, width, D), a dense map; prototypes: one vector (d,) a prefix.
    """
    height, width, _ = cells.shape
    flat, best = cells.reshape(height * width, -1), []
    mask, box = bytearray(height * width), array("H", [0, 0, 0, 0])
    for vector in prototypes:
        lengths = np.linalg.norm(flat[:, : len(vector)].astype(np.float32), axis=1)
        heat = cosines(flat, vector[None])[:, 0] * lengths / max(lengths.mean(), 1e-9)
        map_region(array("f", heat.tolist()), height, width, SIDE, mask, box)
        column, row = (
            (2 * box[i] + box[i + 2]) * count // (2 * SIDE)
            for i, count in enumerate((width, height))
        )
        best.append(row * width + column)
    return best


def centres(height: int, width: int) -> np.ndarray:
    """(cells, 2): x and y of the cells' centres, 0 ... 1 of the seen square, in reading order."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x.ravel() + 0.5) / width, (y.ravel() + 0.5) / height], axis=1)


def score(best: np.ndarray, boxes: Sequence[Box], shape: tuple[int, int]) -> dict:
    """Hits in per cent, and what two rules that do not look at the photo reach.

    best: int (photos, prefixes), from `best_cells`; boxes: one a photo, from `in_square`; shape:
    of the map. centre: always the middle of the photo; random: any cell, all equally likely,
    which is about the mean share of the photo that the box covers.
    """
    points, box = centres(*shape), np.array(boxes)[:, None]
    inside = _inside(points, box)  # (photos, cells)
    hits = np.take_along_axis(inside, np.asarray(best), axis=1)
    return {
        "hits": [per_cent(mean) for mean in hits.mean(axis=0)],
        "centre": per_cent(_inside(np.array([[0.5, 0.5]]), box).mean()),
        "random": per_cent(inside.mean()),
    }


def _inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    return (box[..., 0] <= x) & (x < box[..., 2]) & (box[..., 1] <= y) & (y < box[..., 3])
