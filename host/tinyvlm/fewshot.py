# SPDX-License-Identifier: MIT
"""How well vocab.add() learns: accuracy against how often each thing was shown.

    python -m tinyvlm.fewshot --data ../shared/data/train

Photos of the 20 classes that training sets aside. "words": every label by its word. "shown": every
label by photos alone. "mixed": half of the labels by photos, half by words, which is what the gain
on shown prototypes is for; the table has it with gain 1 and with other gains, so that one can be
chosen. Photos that were shown are not asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from . import labelled, pack, tvlm
from .api import load, to_frame
from .files import explain
from .pack import DEFAULT_MODEL
from .text import create_text_encoder
from .vocabulary import Entry

SHOTS = (1, 2, 3, 5, 10)
GAINS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
PHOTOS = 60  # of a class: the first half may be shown, the other half is asked for
REPEATS = 10


def embeddings(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """int8 (n, D), class numbers (n,) and names, of the classes set aside."""
    from .train.labels import HELD_OUT, text_name
    from .train.text import normalise

    chief = {normalise(n): k for k, names in HELD_OUT.items() for n in names}
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


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


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
        by_shown, by_word = ask @ unit(shown).T, ask @ words.T
        shown_right.append((by_shown.argmax(1) == right).mean())
        some = rng.permutation(classes) < classes // 2
        mixed = [np.where(some, gain * by_shown, by_word) for gain in gains]
        mixed_right.append([(scores.argmax(1) == right).mean() for scores in mixed])
    return float(np.mean(shown_right)), np.mean(mixed_right, axis=0).tolist()


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(prog="tinyvlm.fewshot", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="train shards")
    parser.add_argument("--dim", type=int, default=64, help="numbers compared (default: 64)")
    args = parser.parse_args(argv)
    try:
        found, label, names = embeddings(args.data)
        entries = [Entry(name, (name,), 1) for name in names]
        model = tvlm.load(DEFAULT_MODEL)
        words, _ = pack.encode(entries, create_text_encoder("lexicon"), model)
    except (OSError, ValueError) as error:
        print(f"tinyvlm.fewshot: {explain(error)}", file=sys.stderr)
        return 2
    photos = unit(found[:, : args.dim].astype(float))
    words = unit(words[:, : args.dim])
    by_words = ((photos @ words.T).argmax(1) == label).mean()
    print(f"{len(names)} labels, {args.dim} numbers; words: {100 * by_words:.1f} % right")
    print("shots  shown  mixed at gain " + "".join(f"{gain:7.1f}" for gain in GAINS))
    for shots in SHOTS:
        shown, mixed = accuracy(photos, label, words, shots, GAINS, seed=1)
        line = "".join(f"{100 * share:7.1f}" for share in mixed)
        print(f"{shots:5d} {100 * shown:6.1f} {'':14s}{line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
