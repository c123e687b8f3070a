# SPDX-License-Identifier: MIT
"""What a board answers to photos with one `.tvp`: confusion matrix, rates, the worst mistakes.

The answers are those of the package that runs on the boards (`device.Vocab`), unknown included.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..device import Vocab
from ..net import tvlm
from ..shipped import DATA
from ..words import tvp

MATRIX = 12  # labels; of more a terminal shows the table alone


@dataclass(frozen=True)
class Answers:
    """target, said: index of the label, `len(labels)` for none; score: of what was said."""

    labels: list[str]
    target: np.ndarray
    said: np.ndarray
    score: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        return self.said != self.target

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
        parts = []
        if self.shown:
            parts.append(
                f"of {self.shown} photos that show a label {self.right} are named right "
                f"({100 * self.right / self.shown:.0f} %), {self.unknown} unknown, "
                f"{self.wrong} wrong"
            )
        if self.none:
            parts.append(
                f"of {self.none} that show none {self.named} are named "
                f"({100 * self.named / self.none:.0f} %)"
            )
        return "; ".join(parts)


def rates(answers: Answers) -> Rates:
    """Counts over all photos."""
    none = len(answers.labels)
    shows, said_none = answers.target < none, answers.said == none
    return Rates(
        int(shows.sum()),
        int((shows & ~answers.wrong).sum()),
        int((shows & said_none).sum()),
        int((shows & ~said_none & answers.wrong).sum()),
        int((~shows).sum()),
        int((~shows & ~said_none).sum()),
    )


def encoder_of(
    p: tvp.Prototypes, vocab: Path, given: Sequence[Path] = ()
) -> tuple[Path, tvlm.Encoder]:
    """The encoder that a vocabulary was packed for, of those given, else of those that ship.

    ValueError if it is not among them.
    """
    paths = given or sorted(DATA.glob("*.tvlm"), key=lambda path: path.stem != p.encoder)
    others = []
    for path in paths:
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


def ask(prototypes: tvp.Prototypes, embeddings: np.ndarray, target: np.ndarray) -> Answers:
    """What the board says to each embedding with this vocabulary."""
    vocab = Vocab(tvp.to_bytes(prototypes))
    none, scores = len(prototypes.labels), array("f", bytes(4 * len(prototypes.labels)))
    said, score = np.empty(len(embeddings), int), np.empty(len(embeddings))
    for i, row in enumerate(embeddings):
        best = vocab.match_into(row, scores)
        said[i] = none if best < 0 else best
        score[i] = scores[best] if best >= 0 else 1 - max(scores)
    return Answers(prototypes.labels, target, said, score)


def ask_without(prototypes: tvp.Prototypes, embeddings: np.ndarray, target: np.ndarray) -> Answers:
    """The same, each photo by the vocabulary without that photo's own label: none is right.

    So photos of other labels stand in for photos that show none. Needs two labels or more.
    """
    none = len(prototypes.labels)
    said, score = np.full(len(target), none), np.zeros(len(target))
    for label in np.unique(target[target < none]):
        mine, kept = target == label, np.delete(np.arange(none), label)
        found = ask(without(prototypes, label), embeddings[mine], target[mine])
        said[mine], score[mine] = np.append(kept, none)[found.said], found.score
    return Answers(prototypes.labels, np.full(len(target), none), said, score)


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
