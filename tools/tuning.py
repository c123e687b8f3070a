# SPDX-License-Identifier: MIT
"""What tinyvlm-tune is worth, by how many photos of each label there are.

    python tools/tuning.py --data ../shared/data/train

Random vocabularies of classes with photos that training holds out, packed as tinyvlm-pack packs
them. Some photos of each label and twice as many that show none are tuned on; others are asked:
the rates are theirs, before and after.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from tinyvlm.files import explain
from tinyvlm.measure import held_out, page
from tinyvlm.measure.answers import ask, rates
from tinyvlm.measure.calibrate import unrelated
from tinyvlm.measure.eval_table import markdown
from tinyvlm.measure.sorted_photos import Sorted
from tinyvlm.measure.tune_folds import tune
from tinyvlm.measure.verdict import Maker
from tinyvlm.shipped import DEFAULT_MODEL

ASKED = 10  # photos of each label that are asked for, and ten times as many of none
COUNTS = (2, 5, 10, 20)
SIZES = (3, 10)


def trial(maker: Maker, size: int, count: int, seed: int, how: dict) -> np.ndarray:
    """Rates before, after, in per cent: answers.Rates.cent()."""
    rng, photos = np.random.default_rng((seed, size)), maker.photos
    of = [np.flatnonzero(photos.label == i) for i in range(len(photos.classes))]
    rich = [i for i in range(len(of)) if len(of[i]) >= max(COUNTS) + ASKED]
    ids = unrelated(photos, rng.permutation(rich), size)
    near = photos.ignore[ids].any(axis=0) | photos.ignore[:, ids].any(axis=1)
    others = np.setdiff1d(
        np.flatnonzero(~near[photos.label]), np.concatenate([of[i] for i in ids])
    )
    others = rng.permutation(others)
    ask_for, target, learn, taught = [], [], [], []
    for number, i in enumerate(ids):
        mine = rng.permutation(of[i])
        ask_for += mine[:ASKED].tolist()
        target += [number] * ASKED
        learn += mine[ASKED : ASKED + count].tolist()
        taught += [number] * count
    ask_for += others[: 10 * ASKED].tolist()
    target += [size] * 10 * ASKED
    if not how["no_other"]:
        learn += others[10 * ASKED : 10 * ASKED + 2 * count].tolist()
        taught += [size] * 2 * count
    p = maker.prototypes(ids)
    own = Sorted(p.labels, [Path()] * len(learn), photos.embeddings[learn], np.array(taught))
    *_, outcome = tune(p, own, how["unknown"], how["shots"])
    made = outcome.tuned.prototypes if outcome.better else p
    found = [rates(ask(q, photos.embeddings[ask_for], np.array(target))) for q in (p, made)]
    return np.array([list(rates.cent().values()) for rates in found])


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", required=True, metavar="PATTERN", help="train shards")
    parser.add_argument("--draws", type=int, default=20, help="vocabularies of a size (20)")
    parser.add_argument("--unknown", default="balanced", help="as for tinyvlm-tune")
    parser.add_argument("--shots", type=int, default=65535, help="as for tinyvlm-tune")
    parser.add_argument("--no-other", action="store_true", help="tune without photos of none")
    parser.add_argument("--cache", type=Path, metavar="FILE.npz", help="keep the embeddings")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the table there, too")
    args = parser.parse_args(argv)
    try:
        photos = held_out.gather(
            args.data, DEFAULT_MODEL, 60, os.cpu_count() or 1, args.cache, False
        )
        maker = Maker(photos, DEFAULT_MODEL)
        rows = [["labels", "photos of each", "right", "unknown", "wrong", "none, but named"]]
        for size in SIZES:
            for count in COUNTS:
                found = np.mean(
                    [trial(maker, size, count, s, vars(args)) for s in range(args.draws)], 0
                )
                cells = [f"{a:.0f} -> {b:.0f}" for a, b in zip(*found, strict=True)]
                rows.append([str(size), str(count), *cells])
    except (OSError, ValueError) as error:
        print(f"tuning: {explain(error)}", file=sys.stderr)
        return 2
    text = f"Encoder {photos.model.fingerprint.hex()}.\n\n{markdown(rows)}"
    print(text)
    if args.markdown:
        page.replace(args.markdown, "<!-- begin: tuned -->", "<!-- end: tuned -->", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
