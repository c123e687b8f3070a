# SPDX-License-Identifier: MIT
"""Plots of what tinyvlm-eval measured, as the paper's figures 4 and 5 have it: SVG, one style.

accuracy-dimension.svg: top-1 against the dimensions used of each embedding, 8-bit prototypes.
accuracy-bytes.svg: top-1 against the bytes of a label's prototype, for float32, int8 and int4.
accuracy-relative.svg: what short prefixes keep, beside CLIP's own vectors cut (plot_relative.py).
accuracy-encoder.svg: top-1 against the encoder's file (plot_encoder.py).
memory.svg: where it all lies in an STM32H743 (plot_memory.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import plot_encoder, plot_memory, plot_relative
from .plot_style import STYLE, Axes, Figure, StrMethodFormatter, halvings, look, matplotlib, save

PRECISIONS = (  # name, key of the row, bytes of one dimension, line, how the marker is filled
    ("float32", "float_top1", 4, ":", "none"),
    ("int8", "int8_top1", 1, "-", "full"),
    ("int4", "int4_top1", 0.5, "--", "bottom"),
)
COLUMNS = 4


def draw(results: dict, folder: Path) -> list[Path]:
    """Write the plots of `results` (see eval.py) into `folder`; returns the files.

    A plot for which the results have nothing is left out.
    """
    reports, encoders = results["reports"], results.get("encoders", [])
    named = names(reports)
    drawn = []
    with matplotlib.rc_context(STYLE):
        if reports:
            drawn.append(_figure(reports, folder / "accuracy-dimension.svg", named, _by_dimension))
            drawn.append(_figure(reports, folder / "accuracy-bytes.svg", named, _by_bytes))
            drawn.append(plot_relative.draw(results, named, folder / "accuracy-relative.svg"))
        if reports and len(encoders) > 1:
            drawn.append(plot_encoder.draw(results, named, folder / "accuracy-encoder.svg"))
        if encoders:
            drawn.append(plot_memory.draw(encoders, folder / "memory.svg"))
    return drawn


def names(reports: list[dict]) -> dict[str, str]:
    """What to call an encoder, by fingerprint: its name, with the fingerprint if two share it."""
    names = {report["fingerprint"]: report["encoder"] for report in reports}
    shared = len(set(names.values())) < len(names)
    return {print_: f"{name} ({print_[:6]})" if shared else name for print_, name in names.items()}


def _figure(
    reports: list[dict],
    path: Path,
    names: dict[str, str],
    panel: Callable[[Axes, dict, str, int], None],
) -> Path:
    sets: dict[str, list[dict]] = {}
    for report in reports:
        sets.setdefault(report["set"], []).append(report)
    rows = -(-len(sets) // COLUMNS)
    columns = -(-len(sets) // rows)
    figure = Figure(layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, reports_of_set in zip(grid.flat, sets.values(), strict=False):
        for report in reports_of_set:
            print_ = report["fingerprint"]
            panel(axes, report, names[print_], list(names).index(print_))
        first = reports_of_set[0]
        axes.axhline(first["chance"], color="#777777", linewidth=1, linestyle=(0, (1, 2)))
        axes.annotate("chance", (1, first["chance"]), xycoords=("axes fraction", "data"),
                      ha="right", va="bottom", color="#777777", fontsize=8)  # fmt: skip
        axes.set_title(f"{first['set']}\n{first['photos']:,} photos, {first['classes']} classes",
                       fontsize=8)  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axes in list(grid.flat)[len(sets) :]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel("top-1 accuracy (%)")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    across = min(columns, len(names))  # an encoder's lines stand under each other
    figure.legend(handles, labels, loc="outside lower center", ncols=across)
    figure.set_size_inches(max(2.6 * columns, 4), 2.6 * rows + 0.2 * -(-len(labels) // across))
    return save(figure, path)


def _by_dimension(axes: Axes, report: dict, name: str, number: int) -> None:
    dims = [row["dim"] for row in report["rows"]]
    axes.plot(dims, [row["int8_top1"] for row in report["rows"]], label=name, **look(number))
    halvings(axes, dims)
    axes.set_xlabel("dimensions used (int8 prototypes)")


def _by_bytes(axes: Axes, report: dict, name: str, number: int) -> None:
    used: set[float] = set()
    for precision, key, size, line, fill in PRECISIONS:
        bytes_ = [row["dim"] * size for row in report["rows"]]
        values = [row[key] for row in report["rows"]]
        style = look(number) | {"linestyle": line, "fillstyle": fill, "markerfacecoloralt": "w"}
        axes.plot(bytes_, values, label=f"{name}, {precision}", **style)
        used.update(bytes_)
    halvings(axes, sorted(used))
    axes.set_xlabel("bytes per label")
