# SPDX-License-Identifier: MIT
"""Which photos tinyvlm-eval measures on: every set of a folder, told apart by what its labels are.

A set with class names is for naming; one whose KEY.json has `captions` is for image-text
retrieval; one whose KEY.json has `boxes` shows several things at once and is for detect().
`STEM-unseen-classes.json` beside the shards or folders, a list of class names, says which classes
are in no training set: a set that is called STEM or STEM-... is reported a second time with these
alone, unless it has all or none of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..net import tvlm
from ..words import prototypes
from ..words.space import TextEncoder, UnknownPhrase
from ..words.vocabulary import Entry
from . import labelled

SUFFIX = "-unseen-classes.json"
UNSEEN = "not in training"  # added to the name of a set's second report
SHOWN = 5  # names that a message lists


@dataclass(frozen=True)
class Labels:
    """A set of photos before any is decoded: class names, sorted, and how many have which.

    captions, boxes: how many the set has; more than none says that it is not for naming. unseen:
    the classes in no training set, where a file says so.
    """

    name: str
    paths: list[Path]
    photos: Counter[str]
    unnamed: int
    captions: int
    boxes: int
    unseen: frozenset[str]

    @property
    def classes(self) -> list[str]:
        return sorted(self.photos)


@dataclass(frozen=True)
class Words:
    """The classes of a set that the text encoder has vectors for: unit vectors (classes, dim).

    missing: the others, each with the text encoder's sentence about it.
    """

    classes: list[str]
    vectors: np.ndarray
    missing: dict[str, str]


def index(name: str, paths: list[Path]) -> Labels:
    """One quick pass over the labels. ValueError if there are none."""
    names: Counter[str] = Counter()
    captions = boxes = 0
    for path in paths:
        for sample in labelled.read(path, pixels=False):
            names[sample.name] += 1
            captions += len(sample.captions)
            boxes += sample.things
    unnamed = names.pop("", 0)
    if not names and not captions and not boxes:
        raise ValueError(
            f"{paths[0]}: no photos with class names in it; a folder has CLASS/PHOTO.jpg, "
            "a shard KEY.jpg with KEY.txt"
        )
    unseen = frozenset(c for path in paths for c in _unseen(path))
    return Labels(name, paths, names, unnamed, captions, boxes, unseen)


def _unseen(path: Path) -> list[str]:
    """What the STEM-unseen-classes.json for a shard or folder lists; [] without one."""
    mine, found = labelled.set_name(path), []
    for file in sorted(path.resolve().parent.glob(f"*{SUFFIX}")):
        stem = file.name.removesuffix(SUFFIX)
        if mine == stem or mine.startswith(f"{stem}-"):
            names = labelled.parse(file.read_bytes(), file)
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                raise ValueError(f"{file}: must be a list of class names")
            found += names
    return found


def encode(
    labels: Labels,
    text: TextEncoder,
    encoder: tvlm.Encoder,
    prompts: tuple[str, ...] = (),
    words: dict[str, tuple[str, ...]] | None = None,
) -> Words:
    """The vectors of a set's class names; classes that have none are listed, not guessed.

    words: other phrases for class names. ValueError if text and image encoder share no space.
    """
    entries, missing = [], {}
    for line, name in enumerate(labels.classes, 1):
        phrases = (words or {}).get(name, (name,))
        try:
            for phrase in phrases:
                text.encode(phrase, prompts)
        except UnknownPhrase as error:
            missing[name] = str(error)
        else:
            entries.append(Entry(name, phrases, line))
    if not entries:
        return Words([], np.empty((0, 0), np.float32), missing)
    vectors = prototypes.encode(entries, text, encoder, prompts)[0]
    return Words([entry.label for entry in entries], vectors, missing)


def left_out(labels: Labels, words: Words) -> str:
    """A sentence about the classes without a vector, "" if there are none."""
    if not words.missing:
        return ""
    photos = sum(labels.photos[name] for name in words.missing)
    names, first = list(words.missing), next(iter(words.missing.values()))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    what = "are left out" if len(words.classes) > 1 else "leave nothing to choose from"
    return (
        f"{labels.name}: {len(names)} of {len(labels.classes)} classes ({photos} of "
        f"{labels.photos.total()} photos) have no vector and {what}; give words for them with "
        f"--vocab LIST.txt, `name: phrase` a line: {', '.join(names[:SHOWN])}{more}; "
        f"the first: {first}"
    )


def not_for_naming(labels: Labels) -> str:
    """A sentence about a set with several labelled things a photo."""
    return (
        f"{labels.name}: {labels.boxes} boxes with labels of their own, several a photo, are not "
        "for naming: left out; tools/localize.py measures detect()"
    )
