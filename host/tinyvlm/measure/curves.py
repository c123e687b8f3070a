# SPDX-License-Identifier: MIT
"""Named though not there against right, by threshold, as SVG: what calibrate.py measured."""

from __future__ import annotations

from pathlib import Path

from ..words.background import KNOB
from .plot_style import COLOURS, STYLE, Figure, matplotlib

SHOWN = ("16", "64", "256")


def draw(found: dict, path: Path) -> None:
    """One panel a prefix, one curve a vocabulary size; dots are cautious, balanced, eager."""
    with matplotlib.rc_context(STYLE):
        sizes = found["sizes"]
        known = list(next(iter(sizes.values()))["dims"])
        dims = [dim for dim in known if dim in SHOWN] or known
        figure = Figure(figsize=(2.6 * len(dims), 3.3), layout="constrained")
        panels = figure.subplots(1, len(dims), squeeze=False)[0]
        for axes, dim in zip(panels, dims, strict=True):
            for colour, (size, at) in zip(COLOURS, sizes.items(), strict=False):
                row = at["dims"][dim]
                right, _, _, named = zip(*row["curve"], strict=True)
                axes.plot(named, right, color=colour, label=f"{size} labels")
                for name in KNOB:
                    axes.plot(row[name]["named"], row[name]["right"], "o", color=colour)
            axes.set(title=f"{dim} dimensions", xlim=(0, 100), ylim=(0, 100), aspect="equal")
        panels[0].set_ylabel("right, of photos that show one (%)")
        panels[len(dims) // 2].set_xlabel("named, of photos that show none (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.savefig(path, metadata={"Date": None})
