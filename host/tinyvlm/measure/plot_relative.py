# SPDX-License-Identifier: MIT
"""What short prefixes keep, beside CLIP's own vectors cut: figure 4 of the paper.

Left: each encoder's top-1 by dimension in per cent of what it has with all (thin: each set, thick:
their mean), and real CLIP vectors in per cent of 256: plainly cut, and by the map of our text
space (truncation.py). Right: the accuracy of these CLIP vectors itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .plot_style import Axes, Figure, halvings, look, save

FULL = 256  # dimensions that CLIP's vectors are compared with: what ours have
GREY, DARK = "#777777", "#000000"
LINES = (  # of CLIP: key, key of its dimensions, name, colour, line, marker
    ("cut", "dims", "CLIP ViT-B/32, cut", DARK, "--", "x"),
    ("mapped", "mapped_dims", "CLIP ViT-B/32, by the map of our text space", GREY, "-", "*"),
)


def draw(results: dict, names: dict[str, str], path: Path) -> Path:
    """names: what to call an encoder, by fingerprint. The right half needs results["clip"]."""
    clip = results.get("clip")
    figure = Figure(figsize=(7.2 if clip else 4.2, 3.9), layout="constrained")
    panels = figure.subplots(1, 2 if clip else 1, squeeze=False)[0]
    _relative(panels[0], results["reports"], names, clip)
    if clip:
        _absolute(panels[1], clip)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 if clip else 1, fontsize=8)
    return save(figure, path)


def _relative(axes: Axes, reports: list[dict], names: dict[str, str], clip: dict | None) -> None:
    ticks: set[int] = set()
    for number, (print_, name) in enumerate(names.items()):
        mine = [r["rows"] for r in reports if r["fingerprint"] == print_]
        dims = [row["dim"] for row in mine[0]]
        shares = np.array([_shares([row["int8_top1"] for row in rows]) for rows in mine])
        for line in shares:
            axes.plot(dims, line, color=look(number)["color"], linewidth=0.6, alpha=0.35)
        axes.plot(dims, shares.mean(axis=0), label=name, **look(number))
        ticks.update(dims)
    for key, of, name, colour, line, marker in LINES:
        if clip and key in clip and FULL in clip[of]:
            dims = [d for d in clip[of] if d <= FULL]
            shares = _shares(clip[key][: len(dims)])
            axes.plot(dims, shares, label=name, color=colour, linestyle=line, marker=marker)
            ticks.update(dims)
    halvings(axes, sorted(ticks))
    axes.set(ylim=(0, None), xlabel="dimensions used")
    axes.set_ylabel("top-1 accuracy, % of that with all")
    axes.set_title("what prefixes keep\nthin: each set, thick: their mean", fontsize=9)


def _absolute(axes: Axes, clip: dict) -> None:
    for key, of, _, colour, line, marker in LINES:
        if key in clip:
            axes.plot(clip[of], clip[key], color=colour, linestyle=line, marker=marker)
    axes.axhline(clip["chance"], color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate("chance", (1, clip["chance"]), xycoords=("axes fraction", "data"),
                  ha="right", va="bottom", color=GREY, fontsize=8)  # fmt: skip
    halvings(axes, clip["dims"])
    axes.set(ylim=(0, 100), xlabel="dimensions used", ylabel="top-1 accuracy (%)")
    what = f"{clip['photos']:,} photos, {clip['classes']} classes"
    axes.set_title(f"CLIP ViT-B/32's own image vectors\n{what}", fontsize=9)


def _shares(values: list[float]) -> np.ndarray:
    """Per cent of the last one."""
    return 100 * np.array(values) / max(values[-1], 1e-9)
