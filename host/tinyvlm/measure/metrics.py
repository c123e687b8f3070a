# SPDX-License-Identifier: MIT
"""What is measured on embeddings and prototypes, in numpy alone. All figures are in per cent.

Embeddings are int8 (photos, D); prototypes (classes, d) with d <= D, of any type: their width is
the prefix that counts. label is int (photos,), the index of each photo's class.
"""

from __future__ import annotations

from collections import Counter
from math import comb

import numpy as np

RANKS = (1, 5, 10)  # of image-text retrieval


def cosines(embeddings: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """float32 (photos, classes). The products of int8 values are exact, as they are in C."""
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


def recall(scores: np.ndarray, owner: np.ndarray) -> dict[str, dict[str, float]]:
    """Image-text retrieval, both ways: R@1, R@5, R@10 as CLIP's paper has them (its table 13).

    scores: (photos, captions); owner: int (captions,), each caption's photo. A photo is right if
    any of its captions is among the first k, a caption if its photo is. chance: what random
    orders reach. Of equal scores the first counts.
    """
    photos, captions = scores.shape
    mine = owner == np.arange(photos)[:, None]
    own = mine.sum(axis=1)
    first_caption = mine[np.arange(photos)[:, None], _order(scores)].argmax(axis=1)
    first_photo = np.argmax(_order(scores.T) == owner[:, None], axis=1)
    found: dict[str, dict[str, float]] = {"to_text": {}, "to_image": {}, "chance_to_text": {},
                                          "chance_to_image": {}}  # fmt: skip
    for k in RANKS:
        missed = [comb(captions - n, k) / comb(captions, min(k, captions)) for n in own.tolist()]
        found["to_text"][f"r{k}"] = per_cent((first_caption < k).mean())
        found["to_image"][f"r{k}"] = per_cent((first_photo < k).mean())
        found["chance_to_text"][f"r{k}"] = per_cent(1 - np.mean(missed))
        found["chance_to_image"][f"r{k}"] = per_cent(min(k / photos, 1))
    return found


def _order(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")


def per_cent(share: float) -> float:
    """A share as per cent with two decimals."""
    return round(100 * float(share), 2)


BINS = 15  # of the calibration error


def calibration_error(score: np.ndarray, hit: np.ndarray) -> float:
    """Expected calibration error: the mean over bins of |score - share that is right|."""
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(place, score - hit, BINS)).sum() / len(score))
