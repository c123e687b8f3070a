# SPDX-License-Identifier: MIT
"""What a maker gets by default: vocabularies of random labels, asked about photos, by the engine.

A trial is a vocabulary of a few random classes, packed as tinyvlm-pack packs it and read as a
board reads it; every second of its photos shows none of the labels. Every photo is embedded once;
answers.py asks, and photos are shown by `Vocab.learn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..device.vocab import Vocab
from ..shipped import DEFAULT_DIM
from ..words import background, tvp
from ..words import prototypes as pack
from ..words.encoders import create_text_encoder
from ..words.space import normalize
from .answers import Answers, ask, opened
from .calibrate import unrelated
from .held_out import Photos

SHOTS = (0, 1, 2, 3, 5, 10, 20)
ASKED = 4  # photos of each label, and as many that show none of the labels
MOST = 60  # photos of a class that are kept


# -- vocabularies -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Classes of a vocabulary; per class photos to show; photos to ask about, and their class
    among these, their count for none of them."""

    classes: np.ndarray
    show: list[np.ndarray]
    ask: np.ndarray
    right: np.ndarray


class Maker:
    """Packs classes of a pool as tinyvlm-pack does, and opens them as a board does."""

    def __init__(
        self, photos: Photos, model: Path, unknown: str = "balanced", dim: int = DEFAULT_DIM
    ):
        self.photos, self.model, self.unknown, self.dim = photos, model, unknown, dim
        self.text = create_text_encoder("lexicon")

    def prototypes(self, classes: Sequence[int]) -> tvp.Prototypes:
        """A vocabulary of these classes, as the file holds it."""
        p, names = self.photos, [self.photos.classes[i] for i in classes]
        vectors = normalize(p.vectors[list(classes)])
        chosen = background.find(self.model, p.model.fingerprint, len(names), self.unknown)
        if chosen is None:
            raise ValueError(f"{self.model}: python -m tinyvlm.background was not run for it")
        rows = chosen.rows(self.text, vectors)[1]
        return pack.build(names, vectors, p.model, dim=self.dim, chosen=chosen, rows=rows)

    def vocab(self, classes: Sequence[int]) -> Vocab:
        """The same, as a board reads it."""
        return opened(self.prototypes(classes))

    def ask(self, vocab: Vocab, trial: Trial) -> Answers:
        """What it says about a trial's photos."""
        return ask(vocab, self.photos.embeddings[trial.ask], trial.right)


def draw(photos: Photos, size: int, trials: int, most: int = 0, seed: int = 1) -> list[Trial]:
    """Random vocabularies. `most`: so many photos of each label are there to be shown."""
    rng, counts = np.random.default_rng((seed, size)), np.bincount(photos.label)
    pool = np.flatnonzero(counts >= (most + ASKED if most else 1))
    of = [np.flatnonzero(photos.label == i) for i in range(len(photos.classes))]
    found = []
    for _ in range(trials):
        classes = unrelated(photos, rng.permutation(pool), size)
        others = np.setdiff1d(np.arange(len(of)), classes)
        others = others[~photos.ignore[np.ix_(others, classes)].any(axis=1)]
        mixed = [rng.permutation(of[i]) for i in classes]
        ask = [own[most : most + ASKED] for own in mixed]
        right = np.repeat(np.arange(size), [len(own) for own in ask])
        none = [rng.choice(of[i]) for i in rng.choice(others, len(right))]
        found.append(
            Trial(
                classes,
                [own[:most] for own in mixed],
                np.concatenate([*ask, none]),
                np.append(right, np.full(len(none), size)),
            )
        )
    return found


def words(maker: Maker, trials: Sequence[Trial], dim: int | None = None) -> list[Answers]:
    """The answers of vocabularies made of words alone; dim: a shorter prefix of them."""
    parts = []
    for trial in trials:
        vocab = maker.vocab(trial.classes)
        vocab.dim = dim or vocab.dim
        parts.append(maker.ask(vocab, trial))
    return parts


def shown(maker: Maker, trials: Sequence[Trial], words: bool = True) -> dict[int, list[Answers]]:
    """By number of photos shown of each label: answers. words: had the labels words before?"""
    found: dict[int, list[Answers]] = {}
    for trial in trials:
        vocab = maker.vocab(trial.classes)
        names = list(vocab.labels)
        for n in range(max(map(len, trial.show)) + 1):
            if n:
                for name, photos in zip(names, trial.show, strict=True):
                    embedding = maker.photos.embeddings[photos[n - 1]].tobytes()
                    vocab.learn(name if words else f"shown {name}", embedding)
            if n == 1 and not words:
                for name in names:
                    vocab.remove(name)
            if n in SHOTS:
                found.setdefault(n, []).append(maker.ask(vocab, trial))
    return found


def grown(maker: Maker, trials: Sequence[Trial], start: int) -> list[Answers]:
    """The answers of vocabularies of `start` words to which all photos of the rest were shown."""
    parts = []
    for trial in trials:
        vocab = maker.vocab(trial.classes[:start])
        for number, photos in list(zip(trial.classes, trial.show, strict=True))[start:]:
            for photo in photos:
                vocab.learn(maker.photos.classes[number], maker.photos.embeddings[photo].tobytes())
        parts.append(maker.ask(vocab, trial))
    return parts
