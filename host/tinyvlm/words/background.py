# SPDX-License-Identifier: MIT
"""None of them: what makes scores probabilities, and from which score on a label counts.

A frame may show nothing of a vocabulary. So "none of them" takes part in the softmax with a cosine
of its own, and a label counts from a threshold on. Both, and the scale, were fitted on photos,
encoder by encoder, for several sizes of vocabulary and prefixes of the embedding, and lie beside
the encoder: base.tvlm, base.background.json. `python -m tinyvlm.background` makes that.

Words that stand for the rest of the world do not make verdicts: they took frames away from labels
that they were cousins of, and a single cosine rejects better (docs/design.md). detect() sees
labels against a few.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .gains import Cohort, from_json
from .space import TextEncoder, UnknownPhrase, millionths, normalize

KNOB = {"cautious": 10, "balanced": 25, "eager": 50}  # frames of none of them that are named, in %
RIVAL = 0.5  # cosine with a label from which on a background word takes its frames
RATES = ("right", "unknown", "wrong", "named")


@dataclass(frozen=True)
class Background:
    """What was fitted for one encoder, for vocabularies of one size.

    words: to see heat against; margin: a word serves a vocabulary if its cosine with every label
    is below. dims: prefixes that were measured; at: a value by name, as in the JSON, and prefix.
    cohort: what gives words their gains; None in files from before there were any.
    """

    words: tuple[str, ...]
    margin: float
    unknown: str
    dims: tuple[int, ...]
    at: Callable[[str, int], float]
    cohort: Cohort | None = None

    def scale_at(self, dim: int) -> float:
        """The factor on cosines for `dim` dimensions."""
        return self.at("off.logit_scale" if self.unknown == "off" else "logit_scale", dim)

    def none_at(self, dim: int) -> float | None:
        """The cosine that stands for none of them; None if every frame gets a label."""
        return None if self.unknown == "off" else self.at("none", dim)

    def threshold_at(self, dim: int) -> float:
        """The least score with which a label counts as seen."""
        return (
            0.0 if self.unknown == "off" else round(self.at(f"{self.unknown}.threshold", dim), 3)
        )

    def rates_at(self, dim: int) -> dict[str, float]:
        """In per cent, measured: RATES. The first three add up to 100."""
        return {name: self.at(f"{self.unknown}.{name}", dim) for name in RATES}

    def gains(self, vectors: np.ndarray) -> np.ndarray:
        """The factor on the cosines of each label, by its unit vector (labels, any)."""
        return self.cohort.gains(vectors) if self.cohort else np.ones(len(vectors), np.float32)

    def rows(
        self, encoder: TextEncoder, vectors: np.ndarray, prompts: tuple[str, ...] = ()
    ) -> tuple[list[str], np.ndarray]:
        """The words that are far enough from all labels, and their vectors (words, dim).

        vectors: the labels', unit length. Words that the text encoder lacks are left out.
        """
        words, rows, labels = [], [], vectors.astype(np.float64)
        for word in self.words if self.unknown != "off" else ():
            try:
                row = normalize(encoder.encode(word, prompts).vector[: vectors.shape[1]])
            except UnknownPhrase:
                continue
            if float(millionths(labels @ row).max()) < self.margin:
                words.append(word)
                rows.append(row)
        return words, np.array(rows, np.float32).reshape(len(rows), vectors.shape[1])


def left_out(
    labels: Sequence[str], vectors: np.ndarray, words: Sequence[str], rows: np.ndarray
) -> dict[str, str]:
    """Words of a maker's own background that would take a label's frames, each with the reason.

    vectors, rows: unit length, of the labels and the words.
    """
    found = {}
    table = millionths(rows.astype(np.float64) @ vectors.T)
    for word, cosines in zip(words, table, strict=True):
        nearest = int(cosines.argmax())
        if cosines[nearest] >= RIVAL:
            found[word] = f"cosine {cosines[nearest]:.2f} with {labels[nearest]}"
    return found


def interpolate(table: dict[int, float], at: float) -> float:
    """Between two entries linear in the logarithm, beyond the ends constant."""
    known = sorted(table)
    return float(np.interp(np.log(at), np.log(known), [table[k] for k in known]))


def beside(model: Path) -> Path:
    """Where the choice for an encoder lies."""
    return model.with_suffix(".background.json")


def find(
    model: Path, fingerprint: bytes, labels: int, unknown: str = "balanced"
) -> Background | None:
    """The choice for an encoder and vocabularies of `labels` labels; None if none was made for
    just this encoder. ValueError if there is a file that is none.

    unknown: a word of KNOB, or "off". Between two sizes that were measured the logarithm decides.
    """
    path = beside(model)
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text("utf-8"))
        sizes = {int(size): at["dims"] for size, at in raw["sizes"].items()}

        def at(name: str, dim: int) -> float:
            first, _, second = name.partition(".")
            values = {}
            for size, dims in sizes.items():
                rows = {int(d): row[first] for d, row in dims.items()}
                table = {d: row[second] if second else row for d, row in rows.items()}
                values[size] = interpolate(table, dim)
            return interpolate(values, labels)

        dims = tuple(sorted({int(dim) for dims in sizes.values() for dim in dims}))
        cohort = from_json(raw["cohort"]) if "cohort" in raw else None
        found = Background(tuple(raw["words"]), float(raw["margin"]), unknown, dims, at, cohort)
        for check in (found.scale_at, found.none_at, found.threshold_at, found.rates_at):
            check(64)  # all is there
        return found if raw["fingerprint"] == fingerprint.hex() else None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not made by tinyvlm.background ({error!r}); make it again or remove it"
        ) from error


def said(threshold: float) -> str:
    """A threshold in as many digits as it has: "0.28", "0.305"."""
    return f"{threshold:.3f}".removesuffix("0")
