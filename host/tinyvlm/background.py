# SPDX-License-Identifier: MIT
"""None of them: background words, threshold and scale that make scores probabilities.

A frame may show nothing of a vocabulary. So `tinyvlm-pack` adds prototypes of words that stand for
everything else; a frame that is nearer to them takes the labels' probability away. Which words,
how many, and from which score on a label counts was chosen on photos, encoder by encoder, and lies
beside the encoder: base.tvlm, base.background.json. This command makes that file:

    python -m tinyvlm.background --data 'train/*.tar.gz' --model mine.tvlm
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import __version__
from .files import explain, write_atomic
from .text import DEFAULT_MODEL, TextEncoder, UnknownPhrase, normalize


@dataclass(frozen=True)
class Background:
    """What was chosen for one encoder and one size of vocabulary.

    words: background words; margin: a word counts for a vocabulary if its cosine with every label
    is below. logit_scale, threshold: by prefix.
    """

    words: tuple[str, ...]
    margin: float
    logit_scale: dict[int, float]
    threshold: dict[int, float]

    def scale_at(self, dim: int) -> float:
        """The factor on cosines for `dim` numbers, between two that were fitted if need be."""
        return interpolate(self.logit_scale, dim)

    def threshold_at(self, dim: int) -> float:
        """The least score with which a label counts as seen."""
        return round(interpolate(self.threshold, dim), 3)

    def rows(
        self, encoder: TextEncoder, vectors: np.ndarray, prompts: tuple[str, ...] = ()
    ) -> tuple[list[str], np.ndarray]:
        """The words that are far enough from all labels, and their vectors (words, dim).

        vectors: the labels', unit length. Words that the text encoder lacks are left out.
        """
        words, rows = [], []
        for word in self.words:
            try:
                row = normalize(encoder.encode(word, prompts).vector[: vectors.shape[1]])
            except UnknownPhrase:
                continue
            if float((vectors @ row).max()) < self.margin:
                words.append(word)
                rows.append(row)
        return words, np.array(rows, np.float32).reshape(len(rows), vectors.shape[1])


def interpolate(table: dict[int, float], at: float) -> float:
    """Between two entries linear in the logarithm, beyond the ends constant."""
    known = sorted(table)
    return float(np.interp(np.log(at), np.log(known), [table[k] for k in known]))


def beside(model: Path) -> Path:
    """Where the choice for an encoder lies."""
    return model.with_suffix(".background.json")


def find(model: Path, fingerprint: bytes, labels: int) -> Background | None:
    """The choice for an encoder and for vocabularies of about `labels` labels; None if none was
    made for just this encoder. ValueError if there is a file that is none.
    """
    path = beside(model)
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text("utf-8"))
        sizes = {int(size): at for size, at in raw["sizes"].items()}
        at = sizes[min(sizes, key=lambda size: abs(np.log(size / labels)))]
        found = Background(
            words=tuple(at["words"]),
            margin=float(at["margin"]),
            logit_scale={int(d): float(row["logit_scale"]) for d, row in at["dims"].items()},
            threshold={int(d): float(row["threshold"]) for d, row in at["dims"].items()},
        )
        found.threshold_at(1)  # there is at least one
        return found if raw["fingerprint"] == fingerprint.hex() else None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: not made by tinyvlm.background ({error!r}); make it again or remove it"
        ) from error


# -- the command ------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        for name in ("per_class", "workers"):
            if getattr(args, name) < 1:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} {getattr(args, name)}: must be 1 or more")
        from . import aside, calibrate

        if args.plot:  # before minutes of work: ImportError says what is missing
            from . import curves
        photos = aside.gather(
            args.data, args.model, args.per_class, args.workers, args.cache, args.all
        )
        print(photos.describe())
        found = calibrate.choose(photos)
        print(calibrate.table(found))
        if args.plot:
            curves.draw(found, args.plot)
        output = args.output or beside(args.model)
        found = {"software": f"tinyvlm {__version__}", **found}
        text = re.sub(
            r"\[[\s\d.,]+\]", lambda m: " ".join(m[0].split()), json.dumps(found, indent=1)
        )
        write_atomic(output, (text + "\n").encode())  # numbers of a list in one line
    except (OSError, ValueError, ImportError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm.background: {line}", file=sys.stderr)
        return 2
    print(f"{output}: background words for encoder {found['encoder']}")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tinyvlm.background",
        description="Choose background words, threshold and scale for an encoder, on photos.",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="training shards; only photos that tinyvlm-train sets aside are looked at",
    )
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_MODEL, metavar="FILE.tvlm", help="default: shipped"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="default: beside the encoder"
    )
    parser.add_argument(
        "--all", action="store_true", help="the photos are of another set: look at all of them"
    )
    parser.add_argument(
        "--per-class", type=int, default=60, metavar="N", help="photos a class, at most (60)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores"
    )
    parser.add_argument("--cache", type=Path, metavar="FILE.npz", help="keep the embeddings")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the curves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
