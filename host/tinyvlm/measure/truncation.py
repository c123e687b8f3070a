# SPDX-License-Identifier: MIT
"""What CLIP's own vectors are worth when they are cut: figure 4 of the paper, on real vectors.

Real image vectors with labels, against the text vectors of their class names: plainly cut to the
first d of CLIP's dimensions, and, for comparison, after the linear map of our text space, whose
first axes carry most. The same photos, words and CLIP in both cases.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ..words.lexicon import canonical, singulars, squeeze
from ..words.space import TextMap
from . import metrics

DIMS = (16, 32, 64, 128, 256)
APART = "8vision(knots)"  # rows of the table from many prompts averaged: they lie elsewhere


def measure(images: Path, texts: Path, space: TextMap | None) -> dict:
    """Top-1 by dimension, in per cent, of cut CLIP vectors.

    images: an .npz with `emb` (photos, D), `label` and `classes`; texts: one with `emb` and
    `names`, whose synonyms commas separate, and `source`. space: the map to compare with, None for
    none. ValueError if the files are something else or share fewer than two names.
    """
    photos, names = _load(images, ("emb", "label", "classes")), _load(texts, ("emb", "names"))
    rows = _rows(names)
    classes, vectors = [], []
    for i, name in enumerate(photos["classes"]):
        known = next((rows[form] for form in _forms(str(name)) if form in rows), None)
        if known is not None:
            classes.append(i)
            vectors.append(names["emb"][known])
    if len(classes) < 2:
        raise ValueError(f"{texts}: has vectors of {len(classes)} of the class names of {images}")
    text = np.stack(vectors).astype(np.float32)
    mine = np.isin(photos["label"], classes)
    image, label = (
        photos["emb"][mine].astype(np.float32),
        np.searchsorted(classes, photos["label"][mine]),
    )
    if image.shape[1] != text.shape[1]:
        raise ValueError(f"{images} and {texts}: vectors of {image.shape[1]} and {text.shape[1]}")
    width = image.shape[1]
    found = {
        "data": images.name,
        "photos": len(label),
        "classes": len(classes),
        "classes_without_vector": len(photos["classes"]) - len(classes),
        "chance": metrics.per_cent(1 / len(classes)),
        "dims": [d for d in DIMS if d < width] + [width],
        "cut": _by_dim(image, text, label),
    }
    if space is not None and len(space.centre) == width:
        # Images lie beside the texts (the modality gap): each side is centred on its own mean.
        turned = (image - image.mean(axis=0)) @ space.projection
        found["mapped_dims"] = [d for d in DIMS if d < turned.shape[1]] + [turned.shape[1]]
        found["mapped"] = _by_dim(turned, (text - space.centre) @ space.projection, label)
    return found


def _by_dim(image: np.ndarray, text: np.ndarray, label: np.ndarray) -> list[float]:
    width = text.shape[1]
    dims = [d for d in DIMS if d < width] + [width]
    return [metrics.top(metrics.cosines(image, text[:, :d]), label, 1) for d in dims]


def _load(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as table:
            more = [key for key in ("source",) if key in table.files]
            return {key: table[key] for key in (*keys, *more)}
    except (KeyError, TypeError, AttributeError, ValueError, EOFError, zipfile.BadZipFile) as e:
        what = f"not a table of vectors ({e}); {', '.join(keys)} are meant"
        raise ValueError(f"{path}: {what}") from e


def _rows(names: dict[str, np.ndarray]) -> dict[str, int]:
    """Row by each spelling of a name; first the names themselves, then their synonyms."""
    rows: dict[str, int] = {}
    sources = names.get("source", [""] * len(names["names"]))
    for synonyms in (False, True):
        for i, (name, source) in enumerate(zip(names["names"], sources, strict=True)):
            if str(source) != APART:
                parts = str(name).split(", ") if synonyms else [str(name)]
                for part in parts:
                    rows.setdefault(squeeze(canonical(part)), i)
    return rows


def _forms(name: str) -> list[str]:
    name = canonical(name)
    return [squeeze(form) for form in (name, *singulars(name))]
