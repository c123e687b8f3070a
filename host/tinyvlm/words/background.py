# SPDX-License-Identifier: MIT
"""None of them: background words, threshold and scale that make scores probabilities.

A frame may show nothing of a vocabulary. So `tinyvlm-pack` adds prototypes of words that stand for
everything else; a frame that is nearer to them takes the labels' probability away. Which words,
how many, and from which score on a label counts was chosen on photos, encoder by encoder, and lies
beside the encoder: base.tvlm, base.background.json. `python -m tinyvlm.background` makes that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .space import TextEncoder, UnknownPhrase, normalize


@dataclass(frozen=True)
class Background:
    """What was chosen for one encoder and one size of vocabulary.

    words: background words; margin: a word counts for a vocabulary if its cosine with every label
    is below. logit_scale, threshold: by prefix.
    """

    words: tuple[str, ...]
    margin: float
    logit_scale: dict[int, float]
    threshold: dict[int, float]

    def scale_at(self, dim: int) -> float:
        """The factor on cosines for `dim` dimensions, between two that were fitted if need be."""
        return interpolate(self.logit_scale, dim)

    def threshold_at(self, dim: int) -> float:
        """The least score with which a label counts as seen."""
        return round(interpolate(self.threshold, dim), 3)

    def rows(
        self, encoder: TextEncoder, vectors: np.ndarray, prompts: tuple[str, ...] = ()
    ) -> tuple[list[str], np.ndarray]:
        """The words that are far enough from all labels, and their vectors (words, dim).

        vectors: the labels', unit length. Words that the text encoder lacks are left out.
        """
        words, rows = [], []
        for word in self.words:
            try:
                row = normalize(encoder.encode(word, prompts).vector[: vectors.shape[1]])
            except UnknownPhrase:
                continue
            if float((vectors @ row).max()) < self.margin:
                words.append(word)
                rows.append(row)
        return words, np.array(rows, np.float32).reshape(len(rows), vectors.shape[1])


def interpolate(table: dict[int, float], at: float) -> float:
    """Between two entries linear in the logarithm, beyond the ends constant."""
    known = sorted(table)
    return float(np.interp(np.log(at), np.log(known), [table[k] for k in known]))


def beside(model: Path) -> Path:
    """Where the choice for an encoder lies."""
    return model.with_suffix(".background.json")


def find(model: Path, fingerprint: bytes, labels: int) -> Background | None:
    """The choice for an encoder and for vocabularies of about `labels` labels; None if none was
    made for just this encoder. ValueError if there is a file that is none.
    """
    path = beside(model)
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text("utf-8"))
        sizes = {int(size): at for size, at in raw["sizes"].items()}
        at = sizes[min(sizes, key=lambda size: abs(np.log(size / labels)))]
        found = Background(
            words=tuple(at["words"]),
            margin=float(at["margin"]),
            logit_scale={int(d): float(row["logit_scale"]) for d, row in at["dims"].items()},
            threshold={int(d): float(row["threshold"]) for d, row in at["dims"].items()},
        )
        found.threshold_at(1)  # there is at least one
        return found if raw["fingerprint"] == fingerprint.hex() else None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: not made by tinyvlm.background ({error!r}); make it again or remove it"
        ) from error
