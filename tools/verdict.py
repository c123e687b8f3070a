# SPDX-License-Identifier: MIT
"""What a maker gets by default: how often a frame is named rightly, wrongly, or is unknown.

    python tools/verdict.py --train ../shared/data/train --eval ../shared/data/eval
    python tools/verdict.py ... --markdown docs/vocabulary.md      # into the page, too
    python tools/verdict.py --train ../shared/data/train --looks   # would more looks help?
    python tools/verdict.py ... --taught                           # other places for words?

Vocabularies of random labels, packed with the defaults and asked by the boards' own code; every
second photo shows none of the labels. "train": the photos that training holds out, on which
everything was chosen; "eval": others. `right`, `unknown` and `wrong` are per cent of the photos
that show a label, `named` of those that show none. Embeddings are kept in --cache: two minutes the
first time, then half a minute.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tinyvlm import options
from tinyvlm.files import explain
from tinyvlm.measure import held_out, looks, page, taught, verdict
from tinyvlm.measure.answers import Answers, error, rates
from tinyvlm.measure.eval_table import markdown
from tinyvlm.words.background import KNOB, RATES
from tinyvlm.words.lint import DIMS

TRIALS = 60
GROWN = (1, 3), (3, 10), (3, 20), (10, 20)  # labels packed, and after add()


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        if args.looks:
            parts = {"looks": _looks(args)}
        elif args.taught:
            parts = {"taught": _taught(args)}
        elif args.eval:
            pools = _pools(args)
            parts = {
                "verdicts": _verdicts(pools, args),
                "thresholds": _thresholds(pools, args),
                "shots": _shots(pools, args),
                "grown": _grown(pools, args),
                "calibration": _calibration(pools, args),
            }
        else:
            raise ValueError("name other photos with --eval, or --looks, or --taught")
    except (OSError, ValueError) as error:
        print(f"verdict: {explain(error)}", file=sys.stderr)
        return 2
    for name, text in parts.items():
        print(f"{name}\n\n{text}\n")
        if args.markdown:
            page.replace(args.markdown, f"<!-- begin: {name} -->", f"<!-- end: {name} -->", text)
    return 0


def _shards(folder: Path) -> list[str]:
    shards = sorted(str(path) for path in folder.glob("*.tar*"))
    if not shards:
        raise ValueError(f"{folder}: no shards in it")
    return shards


def _looks(args: argparse.Namespace) -> str:
    cache = args.cache / f"{args.model.stem}.looks.npz"
    photos = held_out.gather(
        _shards(args.train), args.model, looks.MOST, args.workers, cache, False, looks.LOOKS
    )
    return f"{photos.describe()}\n\n{markdown(looks.table(photos, (64, 128, 256)))}"


def _taught(args: argparse.Namespace) -> str:
    def gather(folder: Path, name: str, most: int, every: bool = False, trained: bool = False):
        cache = args.cache / f"{args.model.stem}.{name}.npz"
        return held_out.gather(
            *(_shards(folder), args.model, most, args.workers, cache, every), trained=trained
        )

    pools = {"train": gather(args.train, "aside", looks.MOST)}
    if args.eval:
        pools["eval"] = gather(args.eval, "others", taught.OTHERS, every=True)
    shown = gather(args.train, "trained", taught.MOST, trained=True)
    rows = []
    for name, pool in pools.items():
        head, *found = taught.table(pool, shown)
        rows += [[name, *row] for row in found]
    said = [
        *(f"{name}: {pool.describe()}" for name, pool in pools.items()),
        f"shown: {shown.describe()}",
    ]
    return "\n\n".join(["; ".join(said) + ".", markdown([["photos", *head], *rows])])


def _pools(args: argparse.Namespace) -> dict[str, held_out.Photos]:
    pools = {}
    for name, folder in (("train", args.train), ("eval", args.eval)):
        cache = args.cache / f"{args.model.stem}.{name}.npz"
        pools[name] = held_out.gather(
            _shards(folder), args.model, verdict.MOST, args.workers, cache, name == "eval"
        )
        print(f"{name}: {pools[name].describe()}")
    print()
    return pools


def _row(found: list[Answers], threshold: float | None = None) -> list[str]:
    return [f"{cent:.0f}" for cent in rates(*found, threshold=threshold).cent().values()]


def _verdicts(pools: dict, args: argparse.Namespace) -> str:
    rows = [["photos", "labels", "--unknown", *RATES]]
    for name, photos in pools.items():
        for size in (3, 10, 20):
            trials = verdict.draw(photos, size, args.trials)
            for unknown in (*KNOB, "off"):
                found = verdict.words(verdict.Maker(photos, args.model, unknown), trials)
                rows.append([name, str(size), unknown, *_row(found)])
    return markdown(rows)


def _thresholds(pools: dict, args: argparse.Namespace) -> str:
    rows = [["threshold", *(f"{pool}: {rate}" for pool in pools for rate in RATES)]]
    found = [
        verdict.words(verdict.Maker(p, args.model), verdict.draw(p, 10, args.trials))
        for p in pools.values()
    ]
    for limit in np.arange(0, 0.95, 0.1):
        cells = [cell for answers in found for cell in _row(answers, limit)]
        rows.append([f"{limit:.1f}", *cells])
    return markdown(rows)


def _shots(pools: dict, args: argparse.Namespace) -> str:
    """Of each label so many photos; all labels with a word, or without."""
    rows = [["photos", "labels", "", *map(str, verdict.SHOTS)]]
    for name, photos in pools.items():
        for size in (3, 10, 20):
            try:
                trials = verdict.draw(photos, size, args.trials // 2, max(verdict.SHOTS))
            except ValueError:  # train has few classes with as many photos
                continue
            maker = verdict.Maker(photos, args.model)
            for words in (True, False):
                found = verdict.shown(maker, trials, words)
                what = "word and photos" if words else "photos alone"
                cells = ["/".join(_row(found[n])) if n or words else "" for n in verdict.SHOTS]
                rows.append([name, str(size), what, *cells])
    return markdown(rows)


def _grown(pools: dict, args: argparse.Namespace) -> str:
    """Few labels packed, and ten photos each of more labels shown."""
    rows = [["photos", "packed", "labels", *RATES, "calibration error"]]
    for name, photos in pools.items():
        for start, size in GROWN:
            try:
                trials = verdict.draw(photos, size, args.trials, 10)
            except ValueError:
                continue
            found = verdict.grown(verdict.Maker(photos, args.model), trials, start)
            rows.append([name, str(start), str(size), *_row(found)])
            rows[-1].append(f"{error(*found, every=True):.1f}")
    return markdown(rows)


def _calibration(pools: dict, args: argparse.Namespace) -> str:
    """Of each size as many photos: few are enough to make an error of chance alone."""
    rows = [["photos", "labels", "--unknown", *map(str, DIMS)]]
    for name, photos in pools.items():
        for size in (3, 10, 20):
            trials = verdict.draw(photos, size, args.trials * 20 // size)
            for unknown in ("balanced", "off"):
                maker = verdict.Maker(photos, args.model, unknown, max(DIMS))
                errors = [
                    error(*verdict.words(maker, trials, dim), every=unknown != "off")
                    for dim in DIMS
                ]
                rows.append([name, str(size), unknown, *(f"{e:.1f}" for e in errors)])
    return markdown(rows)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, metavar="FOLDER", help="shards")
    parser.add_argument("--eval", type=Path, metavar="FOLDER", help="shards")
    parser.add_argument("--looks", action="store_true", help="several looks at a photo, averaged")
    parser.add_argument("--taught", action="store_true", help="words, moved to training photos")
    options.model(parser)
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of each kind ({TRIALS})")
    options.workers(parser)
    parser.add_argument("--cache", type=Path, default=Path("build/verdict"), metavar="FOLDER")
    parser.add_argument(
        "--markdown", type=Path, metavar="PAGE", help="write the tables there, too"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
