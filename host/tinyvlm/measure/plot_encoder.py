# SPDX-License-Identifier: MIT
"""Accuracy against what an encoder takes of the flash: one line a set, one column an encoder."""

from __future__ import annotations

from pathlib import Path

from ..shipped import DEFAULT_DIM
from .plot_style import Figure, FixedLocator, NullLocator, look, save

NEAR = 1.3  # times as large: the labels would touch, so the next one stands lower


def draw(results: dict, names: dict[str, str], path: Path) -> Path:
    """names: what to call an encoder, by fingerprint."""
    encoders = sorted(results["encoders"], key=lambda e: e["bytes"])
    size = {e["fingerprint"]: e["bytes"] / 1024 for e in encoders}
    sets: dict[str, list[tuple[float, float]]] = {}
    for report in results["reports"]:
        at = {row["dim"]: row["int8_top1"] for row in report["rows"]}
        value = at.get(DEFAULT_DIM, report["rows"][-1]["int8_top1"])
        sets.setdefault(report["set"], []).append((size[report["fingerprint"]], value))
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, points) in enumerate(sets.items()):
        line = "-" if number < 6 else ":"  # there are six colours
        axes.plot(*zip(*sorted(points), strict=True), label=name, linestyle=line, **look(number))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(size.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(_labels({names.get(p, p[:6]): kb for p, kb in size.items()}))
    axes.set(
        ylim=(0, 100),
        xlabel="encoder file",
        ylabel=f"top-1 accuracy (%), {DEFAULT_DIM} dimensions",
    )
    figure.legend(loc="outside right center", fontsize=8)
    return save(figure, path)


def _labels(sizes: dict[str, float]) -> list[str]:
    """Name and KB of encoders, smallest first."""
    labels, before, lower = [], 0.0, False
    for name, kb in sizes.items():
        lower = kb < NEAR * before and not lower
        labels.append("\n\n" * lower + f"{name}\n{kb:.0f} KB")
        before = kb
    return labels
