# SPDX-License-Identifier: MIT
"""How well vocab.add() learns: accuracy against how often each thing was shown.

    python tools/fewshot.py --data ../shared/data/train

Photos of the 20 classes that training holds out. "words": every label by its word. "shown": every
label by photos alone. "mixed": half of the labels by photos, half by words, which is what the gain
on shown prototypes is for; the table has it with gain 1 and with other gains, so that one can be
chosen. Photos that were shown are not asked for.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from ..api import load, to_frame
from ..words.lexicon import canonical
from ..words.space import normalize
from . import labelled

SHOTS = (1, 2, 3, 5, 10)
GAINS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
PHOTOS = 60  # of a class: the first half may be shown, the other half is asked for
REPEATS = 10


def embeddings(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """int8 (n, D), class indices (n,) and names, of the held-out classes."""
    from ..train.labels import HELD_OUT, text_name

    chief = {canonical(n): k for k, names in HELD_OUT.items() for n in names}
    encoder, found = load(), defaultdict(list)
    for path in sorted(folder.glob("tiny-imagenet-00[01].tar.gz")):
        for sample in labelled.read(path):
            name = chief.get(text_name(sample.name))
            if name and len(found[name]) < PHOTOS:
                embedding = encoder.embed(to_frame(sample.image()))
                found[name].append(np.frombuffer(embedding, np.int8).copy())
    if not found:
        raise ValueError(f"{folder}: no tiny-imagenet-00[01].tar.gz in it")
    names = sorted(found)
    label = np.concatenate([np.full(len(found[n]), i) for i, n in enumerate(names)])
    return np.concatenate([found[n] for n in names]), label, names


def accuracy(
    photos: np.ndarray, label: np.ndarray, words: np.ndarray, shots: int, gains: tuple, seed: int
) -> tuple[float, list[float]]:
    """(all labels shown, mixed at each gain), shares of right answers, means of `REPEATS`.

    photos, words: unit rows of one prefix. The prototypes are those of Vocab.learn in floats.
    """
    rng, classes = np.random.default_rng(seed), len(words)
    first = np.concatenate([np.arange((label == c).sum()) < PHOTOS // 2 for c in range(classes)])
    ask, right = photos[~first], label[~first]
    shown_right, mixed_right = [], []
    for _ in range(REPEATS):
        shown = np.stack(
            [
                photos[rng.choice(np.flatnonzero(first & (label == c)), shots, False)].mean(0)
                for c in range(classes)
            ]
        )
        by_shown, by_word = ask @ normalize(shown).T, ask @ words.T
        shown_right.append((by_shown.argmax(1) == right).mean())
        some = rng.permutation(classes) < classes // 2
        mixed = [np.where(some, gain * by_shown, by_word) for gain in gains]
        mixed_right.append([(scores.argmax(1) == right).mean() for scores in mixed])
    return float(np.mean(shown_right)), np.mean(mixed_right, axis=0).tolist()
