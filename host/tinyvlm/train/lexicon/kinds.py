# SPDX-License-Identifier: MIT
"""What some words look like, from kinds.txt, where an estimate goes by spelling.

"gyoza" is spelled like a gyroscope, "great tit" like a great dane, and no regression knows better.
An estimate with kinds is mixed with their mean, and turned until it is as near to it as most
true vectors are to the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyvlm.words.lexicon import canonical
from tinyvlm.words.space import normalize

FILE = Path(__file__).with_name("kinds.txt")
# Chosen by the names of kinds.txt that CLIP knows, see measure.py: more of the kinds, and names of
# one kind cannot be told apart.
SHARE, LEAST = 0.2, 0.5


def read(path: Path = FILE) -> dict[str, tuple[str, ...]]:
    """Name -> its kinds, all in canonical form."""
    kinds: dict[str, tuple[str, ...]] = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            left, right = (map(canonical, part.split(",")) for part in line.split(":"))
            kinds |= dict.fromkeys(right, tuple(left))
    return kinds


def middle(vectors: Sequence[np.ndarray], centre: np.ndarray) -> np.ndarray:
    """The centred unit vector amid those of some kinds, which are not centred."""
    return normalize(normalize(np.array(vectors) - centre).mean(0))


def toward(made: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Centred unit vectors (n, d), moved towards those of their kinds (n, d)."""
    mixed = normalize((1 - SHARE) * made + SHARE * kind)
    along = (mixed * kind).sum(1, keepdims=True)
    across = mixed - along * kind
    turned = np.linalg.norm(across, axis=1, keepdims=True) * LEAST / np.sqrt(1 - LEAST**2)
    return np.where(along < LEAST, normalize(across + turned * kind), mixed)


def correct(
    vector: dict[str, np.ndarray], kinds: dict[str, tuple[str, ...]], centre: np.ndarray
) -> None:
    """Move the vectors of the names in `kinds` towards their kinds.

    vector: name -> unit vector. KeyError if it lacks a kind.
    """
    known = dict(vector)
    for name, of in kinds.items():
        kind = middle([known[k] for k in of], centre)
        away = vector[name] - centre
        made = toward(normalize(away)[None], kind[None])[0]
        vector[name] = normalize(made * np.linalg.norm(away) + centre).astype(np.float32)
