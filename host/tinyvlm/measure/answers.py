# SPDX-License-Identifier: MIT
"""What a board answers to photos with one `.tvp`: confusion matrix, rates, the worst mistakes.

The answers are those of the package that runs on the boards (`device.Vocab`), unknown included;
nothing else measures them (tinyvlm-tune, tinyvlm-eval --vocab, tools/verdict.py, tools/tuning.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..device import Vocab
from ..net import tvlm
from ..shipped import encoder_for
from ..words import tvp
from ..words.background import RATES
from .metrics import calibration_error

MATRIX = 12  # labels; of more a terminal shows the table alone


@dataclass(frozen=True)
class Answers:
    """target, said: index of the label, `len(labels)` for none; score: of what was said.

    best: the likeliest label, whether it was said or not.
    """

    labels: list[str]
    target: np.ndarray
    said: np.ndarray
    best: np.ndarray
    score: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        return self.said != self.target

    @property
    def shows(self) -> np.ndarray:
        """Does a photo show one of the labels?"""
        return self.target < len(self.labels)

    @property
    def sure(self) -> np.ndarray:
        """The score of the best label."""
        return np.where(self.said == len(self.labels), 1 - self.score, self.score)

    def name(self, number: int) -> str:
        """The label, or "unknown"."""
        return self.labels[number] if number < len(self.labels) else "unknown"

    def matrix(self) -> np.ndarray:
        """(labels + 1, labels + 1): photos of a row's label that were called a column's."""
        size = len(self.labels) + 1
        return np.bincount(self.target * size + self.said, minlength=size**2).reshape(size, size)


@dataclass(frozen=True)
class Rates:
    """Photos: `shown` show a label, and were called right, unknown or wrong; `none` show none."""

    shown: int
    right: int
    unknown: int
    wrong: int
    none: int
    named: int

    def __str__(self) -> str:
        parts, cent = [], self.cent()
        if self.shown:
            parts.append(
                f"of {self.shown} photos that show a label {self.right} are named right "
                f"({cent['right']:.0f} %), {self.unknown} unknown, {self.wrong} wrong"
            )
        if self.none:
            parts.append(
                f"of {self.none} that show none {self.named} are named ({cent['named']:.0f} %)"
            )
        return "; ".join(parts)

    def cent(self) -> dict[str, float]:
        """RATES, in per cent of the photos that show a label, and of those that show none."""
        counts = (self.right, self.shown), (self.unknown, self.shown), (self.wrong, self.shown)
        counts += ((self.named, self.none),)
        shares = (100 * (n / of) if of else float("nan") for n, of in counts)
        return dict(zip(RATES, shares, strict=True))


def rates(*parts: Answers, threshold: float | None = None) -> Rates:
    """Counts over all photos of all parts. threshold: instead of the vocabularies' own."""
    counts = np.zeros(6, int)
    for part in parts:
        shows, hit = part.shows, part.best == part.target
        named = part.said < len(part.labels) if threshold is None else part.sure >= threshold
        mine = (shows, shows & named & hit, shows & ~named, shows & named & ~hit)
        counts += [some.sum() for some in (*mine, ~shows, ~shows & named)]
    return Rates(*counts.tolist())


def error(*parts: Answers, every: bool) -> float:
    """Expected calibration error of the best labels' scores, in points, over all parts.

    every: over all photos; else over those that show a label.
    """
    some = [part.shows | every for part in parts]
    sure = [part.sure[kept] for part, kept in zip(parts, some, strict=True)]
    hit = [(part.best == part.target)[kept] for part, kept in zip(parts, some, strict=True)]
    return 100 * calibration_error(np.concatenate(sure), np.concatenate(hit))


def encoder_of(
    p: tvp.Prototypes | Vocab, vocab: str | Path, given: Sequence[Path] = ()
) -> tuple[Path, tvlm.Encoder]:
    """The encoder that a vocabulary was packed for, of those given, else of those that ship.

    ValueError if it is not among them.
    """
    if not given and (ships := encoder_for(p.fingerprint)):
        return ships, tvlm.load(ships)
    others = []
    for path in given:
        encoder = tvlm.load(path)
        if encoder.fingerprint == p.fingerprint:
            return path, encoder
        others.append(f"{path.name} is {encoder.graph.info.get('name', 'unnamed')} "
                      f"({encoder.fingerprint.hex()})")  # fmt: skip
    which = "; ".join(others) if given else "which does not ship"
    raise ValueError(
        f"{vocab}: packed for encoder {p.encoder} ({p.fingerprint.hex()}), {which}; give its file "
        "with --model, or pack the words again"
    )


def opened(prototypes: tvp.Prototypes) -> Vocab:
    """A vocabulary, as a board reads its file."""
    return Vocab(tvp.to_bytes(prototypes))


def ask(vocab: Vocab | tvp.Prototypes, embeddings: np.ndarray, target: np.ndarray) -> Answers:
    """What the board says to each embedding with this vocabulary."""
    vocab = opened(vocab) if isinstance(vocab, tvp.Prototypes) else vocab
    labels = list(vocab.labels)
    none, scores = len(labels), array("f", bytes(4 * len(labels)))
    said, best = np.empty((2, len(embeddings)), int)
    score = np.empty(len(embeddings))
    for i, row in enumerate(embeddings):
        number = vocab.match_into(row, scores)
        best[i] = np.argmax(scores) if number < 0 else number
        said[i] = none if number < 0 else number
        score[i] = 1 - scores[best[i]] if number < 0 else scores[number]
    return Answers(labels, target, said, best, score)


def ask_without(prototypes: tvp.Prototypes, embeddings: np.ndarray, target: np.ndarray) -> Answers:
    """The same, each photo by the vocabulary without that photo's own label: none is right.

    So photos of other labels stand in for photos that show none. Needs two labels or more.
    """
    none = len(prototypes.labels)
    answers = blank(prototypes.labels, np.full(len(target), none))
    for label in np.unique(target[target < none]):
        mine, kept = np.flatnonzero(target == label), np.delete(np.arange(none), label)
        found = ask(without(prototypes, label), embeddings[mine], target[mine])
        kept = np.append(kept, none)
        put(answers, mine, replace(found, said=kept[found.said], best=kept[found.best]))
    return answers


def blank(labels: list[str], target: np.ndarray) -> Answers:
    """No answer yet: unknown."""
    none = np.full(len(target), len(labels))
    return Answers(labels, target, none, none.copy(), np.zeros(len(target)))


def put(answers: Answers, mine: np.ndarray, found: Answers) -> None:
    """Answers to some of the photos take their places."""
    for name in ("said", "best", "score"):
        getattr(answers, name)[mine] = getattr(found, name)


def without(prototypes: tvp.Prototypes, label: int) -> tvp.Prototypes:
    """The vocabulary less one label."""
    p = prototypes
    return replace(
        p,
        labels=p.labels[:label] + p.labels[label + 1 :],
        vectors=np.delete(p.vectors, label, axis=0),
        learnt={i - (i > label): was for i, was in p.learnt.items() if i != label},
    )


# -- as text ----------------------------------------------------------------------------------


def matrix_lines(answers: Answers) -> list[str]:
    """The confusion matrix: a row what a photo shows, a column what it was called."""
    size = len(answers.labels) + 1
    if size > MATRIX + 1:
        return [f"({size - 1} labels: the matrix is in the page that --report writes)"]
    names, counts = [answers.name(i) for i in range(size)], answers.matrix()
    rows = [[("shows none" if i == size - 1 else names[i]), *map(str, counts[i])]
            for i in range(size) if counts[i].any()]  # fmt: skip
    return columns(
        [["shows \\ called", *names], *[[c if c != "0" else "." for c in r] for r in rows]]
    )


def label_lines(before: Answers, after: Answers | None = None) -> list[str]:
    """A line a label: photos, per cent right, unknown and wrong; and the same after tuning."""
    head = ["label", "photos", "right", "unknown", "wrong"]
    if after is not None:
        head += ["tuned: right", "unknown", "wrong"]
    lines = [[*head, "most often called instead"]]
    for number in range(len(before.labels) + 1):
        mine = before.target == number
        if not mine.any():
            continue
        name = "shows none" if number == len(before.labels) else before.labels[number]
        line = [name, str(mine.sum())]
        for answers in (before, after):
            if answers is not None:
                line += _shares(answers, number, mine)
        lines.append([*line, taken_for(after or before, number)])
    return columns(lines, left=(0, len(lines[0]) - 1))


def _shares(answers: Answers, number: int, mine: np.ndarray) -> list[str]:
    none = len(answers.labels)
    right = 100 * (answers.said[mine] == number).mean()
    unknown = 100 * (answers.said[mine] == none).mean()
    if number == none:
        return [f"{right:.0f} %", "", f"{100 - right:.0f} %"]
    return [f"{right:.0f} %", f"{unknown:.0f} %", f"{100 - right - unknown:.0f} %"]


def taken_for(answers: Answers, number: int) -> str:
    """The label that a label's photos are most often called in its place: "dog, 3 times"."""
    none = len(answers.labels)
    said = answers.said[(answers.target == number) & answers.wrong & (answers.said < none)]
    if not len(said):
        return ""
    counts = np.bincount(said)
    times = int(counts.max())
    return f"{answers.labels[counts.argmax()]}, {'once' if times == 1 else f'{times} times'}"


def worst(answers: Answers) -> list[int]:
    """Photos with a wrong answer: the named ones first, surest first; then unknown ones."""
    none = len(answers.labels)
    wrong = np.flatnonzero(answers.wrong)
    order = np.lexsort((-answers.score[wrong], answers.said[wrong] == none))
    return wrong[order].tolist()


def columns(lines: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines with their cells under each other, to the right but for the columns `left`."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
