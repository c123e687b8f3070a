# SPDX-License-Identifier: MIT
"""What is measured on embeddings and prototypes, in numpy alone. All figures are in per cent.

Embeddings are int8 (photos, D); prototypes (classes, d) with d <= D, of any type: their width is
the prefix that counts. label is int (photos,), the number of each photo's class.
"""

from __future__ import annotations

from collections import Counter

import numpy as np


def cosines(embeddings: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """float32 (photos, classes). The products of int8 numbers are exact, as they are in C."""
    z = embeddings[:, : prototypes.shape[1]].astype(np.float32)
    p = np.asarray(prototypes, np.float32)
    return z @ p.T / _lengths(z)[:, None] / _lengths(p)


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(rows, axis=1), 1e-9)  # of zeros: every cosine is 0


def top(scores: np.ndarray, label: np.ndarray, count: int) -> float:
    """Photos whose class is among the `count` highest; of equal scores the first class counts."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return per_cent((best == label[:, None]).any(axis=1).mean())


def confusions(scores: np.ndarray, label: np.ndarray) -> list[tuple[int, int, int]]:
    """(true class, class said, photos) of every error that was made, the most frequent first."""
    said = scores.argmax(axis=1)
    wrong = said != label
    pairs = Counter(zip(label[wrong].tolist(), said[wrong].tolist(), strict=True))
    return sorted(((*pair, n) for pair, n in pairs.items()), key=lambda x: (-x[2], x[0], x[1]))


def retrieval(scores: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Text to image: each class word ranks all photos by cosine; means over the classes.

    precision1, 5, 10: the share of the first 1, 5, 10 photos that are of the class (of fewer, if
    there are fewer photos). map: mean average precision, which is the precision at the rank of
    each photo of the class, averaged over these photos. Expected by chance, for all four: 100 /
    classes (for map a little more in small sets). Equal cosines keep the order of the photos.
    """
    precisions = []
    for number in np.unique(label):
        hit = (label == number)[np.argsort(-scores[:, number], kind="stable")]
        precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
        at = [precision[min(rank, len(hit)) - 1] for rank in (1, 5, 10)]
        precisions.append([*at, precision[hit].mean()])
    means = np.mean(precisions, axis=0)
    names = ("precision1", "precision5", "precision10", "map")
    return {name: per_cent(mean) for name, mean in zip(names, means, strict=True)}


def per_cent(share: float) -> float:
    """A share as per cent with two decimals."""
    return round(100 * float(share), 2)
