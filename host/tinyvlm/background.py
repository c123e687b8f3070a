# SPDX-License-Identifier: MIT
"""The command that fits scale, "none of them" and thresholds for an encoder, on photos.

    python -m tinyvlm.background --data 'train/*.tar.gz' --model mine.tvlm

It writes mine.background.json beside the encoder: see words/background.py.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from . import __version__, options
from .files import explain, write_atomic
from .words import gains
from .words.background import beside

EACH = 6  # photos of a class of training, for the cohort


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        options.check_counts(args, per_class=1, workers=1)
        from .measure import calibrate, held_out

        if args.plot:  # before minutes of work: ImportError says what is missing
            from .measure import curves
        photos = held_out.gather(
            args.data, args.model, args.per_class, args.workers, args.cache, args.all
        )
        print(photos.describe())
        shown = photos
        if not args.all:
            cache = args.cache and args.cache.with_suffix(".trained.npz")
            shown = held_out.gather(
                args.data, args.model, EACH, args.workers, cache, False, trained=True
            )
        found = calibrate.choose(photos, gains.make(shown.embeddings, shown.vectors))
        print(calibrate.table(found))
        if args.plot:
            curves.draw(found, args.plot)
        output = args.output or beside(args.model)
        found = {"software": f"tinyvlm {__version__}", **found}
        text = re.sub(
            r"\[[\s\d.,]+\]", lambda m: " ".join(m[0].split()), json.dumps(found, indent=1)
        )
        write_atomic(output, (text + "\n").encode())  # a list in one line
    except (OSError, ValueError, ImportError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm.background: {line}", file=sys.stderr)
        return 2
    print(f"{output}: what makes a frame unknown to encoder {found['encoder']}")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tinyvlm.background",
        description='Fit scale, "none of them" and thresholds for an encoder, on photos.',
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="training shards; only photos that tinyvlm-train holds out are used",
    )
    options.model(parser)
    options.output(parser, "FILE.json", "beside the encoder")
    parser.add_argument(
        "--all", action="store_true", help="the photos are of another set: use all of them"
    )
    parser.add_argument(
        "--per-class", type=int, default=60, metavar="N", help="photos a class, at most (60)"
    )
    options.workers(parser)
    parser.add_argument("--cache", type=Path, metavar="FILE.npz", help="keep the embeddings")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the curves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
