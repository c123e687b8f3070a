# SPDX-License-Identifier: MIT
"""Text spaces: vectors of phrases, and the linear map that takes a teacher's to the student's.

Every text encoder ends in the 256-dimensional space of the image encoder, by a fixed linear map
(`TextMap`) that was learned together with it. It lies in the lexicon, or, for an encoder that
learned from another CLIP than the lexicon's, beside the encoder: mine.tvlm, mine.space.npz.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..files import write_atomic

JOIN = "+open_clip:"  # between several text towers that are one text encoder


class UnknownPhrase(ValueError):
    """A phrase that the text encoder has no vector for; the message suggests near ones."""


@dataclass(frozen=True)
class Encoded:
    """A phrase's unit vector (dim,) and, in a few words, how it came about."""

    vector: np.ndarray
    how: str


class TextEncoder(Protocol):
    """What `tinyvlm-pack` needs of a text encoder."""

    name: str  # goes into the .tvp, e.g. "lexicon" or "open_clip:ViT-B-32/openai"
    space: str  # must equal the image encoder's `text_space`

    def encode(self, phrase: str, prompts: tuple[str, ...]) -> Encoded:
        """The phrase's vector; prompts are templates with one `{}`. UnknownPhrase if none."""
        ...


@dataclass(frozen=True)
class TextMap:
    """The linear map from the teacher's text space to the student's: (v - centre) @ projection.

    centre: float32 (teacher dim,); projection: float32 (teacher dim, student dim).
    """

    name: str
    centre: np.ndarray
    projection: np.ndarray

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors (n, student dim) from L2-normalized teacher vectors (n, teacher dim)."""
        return normalize((np.asarray(vectors, np.float32) - self.centre) @ self.projection)


def space_beside(model: Path) -> Path:
    """Where the map of an encoder's text space lies, if it is not the lexicon's."""
    return model.with_suffix(".space.npz")


def save_space(space: TextMap, path: Path) -> None:
    """Write the map, in float16."""
    out = io.BytesIO()
    parts = {"centre": space.centre, "projection": space.projection}
    np.savez(out, space=space.name, **{k: v.astype(np.float16) for k, v in parts.items()})
    write_atomic(path, out.getvalue())


def load_space(path: Path) -> TextMap:
    """Read what `save_space` wrote. ValueError if it is something else."""
    try:
        with np.load(path) as table:
            parts = (table[key].astype(np.float32) for key in ("centre", "projection"))
            return TextMap(str(table["space"]), *parts)
    except (KeyError, TypeError, AttributeError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError(
            f"{path}: not the map of a text space ({e}); export the encoder again"
        ) from e


def normalize(vectors: np.ndarray) -> np.ndarray:
    """L2-normalize along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def far_apart(rows: np.ndarray, count: int) -> list[int]:
    """Which rows, unit length (n, dim): the first, then each that is farthest from all before."""
    found, nearest = [0], rows @ rows[0]
    while len(found) < count:
        found.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, rows @ rows[found[-1]])
    return found


def millionths(cosines: np.ndarray) -> np.ndarray:
    """Cosines of float64 vectors, rounded: what is compared with a limit or sorted depends neither
    on the order in which this machine's BLAS adds, nor on the sign of a zero."""
    return np.round(cosines, 6) + 0.0


def space_of(text_encoder: str) -> str:
    """Begin of the name of every text space of "open_clip:MODEL/TAG", or several of them joined by
    "+"; a hash of its map follows. A model's -quickgelu twin has the same weights."""
    names = []
    for tower in text_encoder.removeprefix("open_clip:").split(JOIN):
        model, _, tag = tower.partition("/")
        names.append(f"{model.removesuffix('-quickgelu')}-{Path(tag).name}")
    return f"clip-{'+'.join(names)}".lower() + "/"
