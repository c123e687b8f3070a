# SPDX-License-Identifier: MIT
"""Curves of training runs: loss and accuracy on held-out classes, against images shown.

    python tools/plot.py docs/runs/*.jsonl -o curves.svg

Reads `results.jsonl` files or the folders of runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def read(path: Path) -> list[dict]:
    """The lines of a run's results.jsonl. SystemExit if there are none."""
    file = path / "results.jsonl" if path.is_dir() else path
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    except (OSError, ValueError) as e:
        raise SystemExit(f"{file}: no results of a run: {e}") from None
    if not rows:
        raise SystemExit(f"{file}: no epoch has ended yet")
    return rows


def draw(runs: dict[str, list[dict]], out: Path) -> None:
    """Two panels: mean label loss over the prefixes; per cent right of the unseen classes."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "tinyvlm"
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, rows in runs.items():
        shown = np.cumsum([row["images"] for row in rows]) / 1e6
        loss = [row["loss"] for row in rows]
        loss = [np.mean(x["label"] if isinstance(x, dict) else x) for x in loss]
        left.plot(shown, loss, label=name)
        watched = [
            (x, row["unseen"][2]) for x, row in zip(shown, rows, strict=True) if "unseen" in row
        ]
        right.plot(*zip(*watched, strict=True), label=name)
    left.set(xlabel="million images shown", ylabel="cross entropy, mean over prefixes")
    right.set(xlabel="million images shown", ylabel="unseen classes, % right at 64 dimensions")
    left.legend(frameon=False)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog="python tools/plot.py", description=__doc__)
    p.add_argument("run", nargs="+", type=Path, help="results.jsonl or the folder of a run")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.svg")
    args = p.parse_args(argv)
    runs = {path.name.removesuffix(".jsonl"): read(path) for path in args.run}
    draw(runs, args.output)


if __name__ == "__main__":
    main()
