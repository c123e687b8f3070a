# SPDX-License-Identifier: MIT
"""Which class names are among ImageNet-1k's: what pretrained bodies and teachers saw labelled.

    python -m tinyvlm.measure.overlap --data ../shared/data/eval \\
        --imagenet-labels ../shared/data/teacher/imagenet_labels.txt

A label file has one class a line, its synonyms separated by commas. A name is `named` if it is one
of the synonyms (spaces, hyphens, case and plural do not matter), else `within` if it is the last
word or words of one: "dog" of "Eskimo dog". By name, not by meaning: "horse" is within "rocking
horse", and that a sorrel is a horse is not found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..files import explain
from ..words.lexicon import canonical, singulars, squeeze
from . import eval_sets, labelled

NOTHING = ("background",)  # a class of the label file that is no thing


@dataclass(frozen=True)
class Overlap:
    """Class names by how they are related to the label file's."""

    named: list[str]
    within: list[str]
    outside: list[str]


def read(path: Path) -> list[str]:
    """All synonyms of a label file, normalized. ValueError if there are none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [canonical(part) for line in lines for part in line.split(",")]
    names = [name for name in names if name and name not in NOTHING]
    if not names:
        raise ValueError(f"{path}: no class names in it; one class a line is meant")
    return names


def compare(classes: Iterable[str], labels: Iterable[str]) -> Overlap:
    """Sorts `classes` by whether they are among `labels`, from `read`."""
    labels = list(labels)
    whole = {form for name in labels for form in _forms(name)}
    ends = {
        " ".join(words[start:])
        for name in labels
        for words in [name.split()]
        for start in range(1, len(words))
    }
    tails = {form for name in ends for form in _forms(name)}
    found = Overlap([], [], [])
    for name in sorted(classes):
        forms = _forms(canonical(name))
        kind = found.named if forms & whole else found.within if forms & tails else found.outside
        kind.append(name)
    return found


def _forms(name: str) -> set[str]:
    return {squeeze(form) for form in (name, *singulars(name))}


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyvlm.measure.overlap", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="[NAME=]PATTERN")
    parser.add_argument("--imagenet-labels", type=Path, required=True, metavar="FILE")
    args = parser.parse_args(argv)
    try:
        known = read(args.imagenet_labels)
        for name, paths in labelled.sets(args.data).items():
            labels = eval_sets.index(name, paths)
            if labels.captions or labels.boxes:
                continue
            found = compare(labels.classes, known)
            print(
                f"{name}: {len(labels.classes)} classes, {len(found.named)} named in "
                f"{args.imagenet_labels.name}, {len(found.within)} within a longer name, "
                f"{len(found.outside)} not: {', '.join(found.outside) or '-'}"
            )
    except (OSError, ValueError) as error:
        print(f"tinyvlm.overlap: {explain(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
