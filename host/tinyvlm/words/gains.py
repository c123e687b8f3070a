# SPDX-License-Identifier: MIT
"""Gains: factors on cosines that make the scores of different words comparable.

Some words are near to photos of everything, others hardly to photos of themselves: between them
the first win too often. Verification of speakers knows that, and scales each model's scores by
those of strangers, its "cohort" (z-norm: Auckenthaler et al., "Score normalization for
text-independent speaker verification systems", Digital Signal Processing 10, 2000). Here it is the
means of COUNT groups of alike photos that an encoder was trained on. Photos of the word itself are
among them, so a gain is the root of the quotient, not all of it.

    gain = sqrt(typical / mean of the TOP highest products with the cohort)

The engine has gains already: Vocab.add() gives one to what was shown (docs/format.md, LEARNT).
The cohort is made by `python -m tinyvlm.background` and lies with what that fits.
web/words/gains.ts does the same.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from .space import far_apart, normalize
from .tvp import quantize

DIM = 64  # dimensions that are looked at; a gain holds for every prefix
COUNT = 256  # groups of photos
TOP = 3
MOST = 256  # labels: a gain takes a board 90 bytes of RAM, and longer lists stay in flash
LIMITS = 0.5, 2.0  # of a gain
STEPS = 20  # of k-means


@dataclass(frozen=True)
class Cohort:
    """rows: int8 (groups, dim), mean embeddings of photos, all in one unit of length, in which
    `typical` is what is usual of words."""

    rows: np.ndarray
    typical: float

    def heights(self, vectors: np.ndarray) -> np.ndarray:
        """Mean of the TOP highest products of each unit vector (n, any) with the cohort."""
        rows = quantize(vectors[:, : self.rows.shape[1]]).astype(np.int64)
        products = np.sort(rows @ self.rows.T.astype(np.int64), axis=1)[:, -TOP:]
        return products.sum(axis=1) / (TOP * np.sqrt((rows * rows).sum(axis=1)))

    def gains(self, vectors: np.ndarray) -> np.ndarray:
        """The factor on the cosines of each of these vectors, float32 (n,); 1 in long lists."""
        if len(vectors) > MOST:
            return np.ones(len(vectors), np.float32)
        low, high = LIMITS
        heights = np.maximum(self.heights(vectors), self.typical / high**2)
        return np.maximum(np.sqrt(self.typical / heights), low).astype(np.float32)

    def to_json(self) -> dict:
        """What from_json() reads."""
        rows = [base64.b64encode(row.tobytes()).decode() for row in self.rows]
        return {"typical": self.typical, "rows": rows}


def from_json(raw: dict) -> Cohort:
    """ValueError, KeyError or TypeError if it is something else."""
    rows = np.stack([np.frombuffer(base64.b64decode(row), np.int8) for row in raw["rows"]])
    typical = float(raw["typical"])
    if len(rows) < TOP or not typical > 0:
        raise ValueError("cohort of photos")
    return Cohort(rows, typical)


def make(embeddings: np.ndarray, vectors: np.ndarray) -> Cohort:
    """Groups of photos by k-means, of int8 embeddings (photos, any); vectors: of usual words.

    They begin with photos that are far apart: no chance in it.
    """
    photos = normalize(embeddings[:, :DIM].astype(np.float64))
    means = photos[far_apart(photos, min(COUNT, len(photos)))]
    for _ in range(STEPS):
        of = (photos @ means.T - (means * means).sum(axis=1) / 2).argmax(axis=1)
        for k in np.unique(of):
            means[k] = photos[of == k].mean(axis=0)
    rows = np.rint(means / np.abs(means).max() * 127).astype(np.int8)
    found = Cohort(rows, 1.0)
    return Cohort(rows, round(float(np.median(found.heights(normalize(vectors)))), 3))
