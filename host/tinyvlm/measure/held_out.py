# SPDX-License-Identifier: MIT
"""Photos that no training has seen, as embeddings: those that tinyvlm-train holds out.

These are all photos of 20 classes, and one in 50 of the others (train/labels.py).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL.Image import Image

from ..files import write_atomic
from ..net import tvlm
from ..picture import rgb
from ..shipped import DATA
from ..train import labels as known
from ..words.lexicon import KINDS, Lexicon
from ..words.space import UnknownPhrase
from . import labelled
from .embedding import embed_all

SIZES = (1, 2, 3, 5, 10, 20, 50, 100)  # labels in a vocabulary of calibrate.py
FEWEST = 40  # classes
SAME = 0.9  # cosine from which two names mean one thing


@dataclass(frozen=True)
class Photos:
    """int8 embeddings (photos, dim) with the index of their class; classes with unit vectors.

    With several looks at each photo: (photos, looks, dim).
    ignore[i, j]: class j is not wrong for a photo of i: a hypernym, a hyponym, another name.
    """

    model: tvlm.Encoder
    embeddings: np.ndarray
    label: np.ndarray
    classes: list[str]
    vectors: np.ndarray
    ignore: np.ndarray
    sets: list[str]

    def describe(self) -> str:
        info = self.model.graph.info
        return (
            f"{len(self.label)} photos of {len(self.classes)} classes, encoder "
            f"{info.get('name', 'unnamed')} ({self.model.fingerprint.hex()})"
        )


@dataclass(frozen=True)
class _Seen(labelled.Sample):
    """A photo as one look sees it."""

    look: Callable[[Image], Image] = rgb

    def image(self) -> Image:
        return self.look(super().image())


def aside(path: Path, sample: labelled.Sample) -> bool:
    """Does training hold this photo of a shard out?"""
    key = sample.where.rpartition(": ")[2]
    return known.held_out_image(f"{labelled.stem(path)}/{key}", sample.name)


def gather(
    patterns: Iterable[str],
    model: Path,
    most: int,
    workers: int,
    cache: Path | None,
    every: bool,
    looks: Sequence[Callable[[Image], Image]] = (),
    trained: bool = False,
) -> Photos:
    """Embed the photos that training holds out (or `every` one), at most `most` of a class.

    Photos whose text is not a name of the lexicon are left out: sentences are no labels. looks:
    what to embed of each photo in its place. trained: those that it does not hold out. ValueError
    if too few classes are left.
    """
    encoder, lexicon = tvlm.load(model), Lexicon.load(DATA / "lexicon.npz")
    if lexicon.space != encoder.graph.info.get("text_space"):
        raise ValueError(f"{model}: not aligned to the lexicon's text space {lexicon.space!r}")
    names, embeddings, sets = _embedded(
        patterns, model, encoder, most, workers, cache, every, looks, trained
    )
    vectors = {}
    for name in sorted(set(names)):
        try:
            found = lexicon.encode(name)
        except UnknownPhrase:
            continue
        if found.how.split()[0] in KINDS:
            vectors[name] = found.vector
    classes, rows = list(vectors), np.array(list(vectors.values()))
    if len(classes) < FEWEST:
        raise ValueError(
            f"{len(classes)} classes with photos that training holds out; at least "
            f"{FEWEST} are needed (photos of another set: --all)"
        )
    keep = [i for i, name in enumerate(names) if name in vectors]
    number = {name: i for i, name in enumerate(classes)}
    return Photos(
        encoder,
        embeddings[keep],
        np.array([number[names[i]] for i in keep]),
        classes,
        rows,
        known.hypernyms(classes)[1] | (rows @ rows.T >= SAME),
        sets,
    )


def _embedded(
    patterns: Iterable[str],
    model: Path,
    encoder: tvlm.Encoder,
    most: int,
    workers: int,
    cache: Path | None,
    every: bool,
    looks: Sequence[Callable[[Image], Image]],
    trained: bool,
) -> tuple[list[str], np.ndarray, list[str]]:
    """(class names, int8 embeddings, names of the sets), from the cache if it is of this model."""
    paths = [path for found in labelled.sets(patterns).values() for path in found]
    sets = sorted({labelled.set_name(path) for path in paths})
    mark = f"{encoder.fingerprint.hex()} {most} {every} {' '.join(p.name for p in paths)}"
    mark += (f" {looks}" if looks else "") + (" trained" if trained else "")
    if cache and cache.exists():
        with np.load(cache) as table:
            if str(table["mark"]) == mark:
                return table["names"].tolist(), table["embeddings"], sets
    names, rows, count = [], [], Counter()

    def samples() -> Iterator[labelled.Sample]:
        for path in paths:
            for sample in labelled.read(path):
                name = known.text_name(sample.name)
                if not sample.name or sample.name == known.UNLABELLED or count[name] >= most:
                    continue
                if sample.captions or sample.things:
                    continue
                if every or aside(path, sample) != trained:
                    count[name] += 1
                    photo = sample.where, sample.name, None, sample.content
                    yield from [_Seen(*photo, look=look) for look in looks] or [sample]

    each = iter(embed_all(samples(), model, {}, workers))
    while some := list(islice(each, len(looks) or 1)):
        if not any(found.problem for found in some):
            names.append(known.text_name(some[0].name))
            rows.append(some[0].embedding if not looks else [found.embedding for found in some])
    if not rows:
        raise ValueError("no photos that training holds out; give training shards, or --all")
    embeddings = np.stack(rows)
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez(content, mark=np.array(mark), names=np.array(names), embeddings=embeddings)
        write_atomic(cache, content.getvalue())
    return names, embeddings, sets
