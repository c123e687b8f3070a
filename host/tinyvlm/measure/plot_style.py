# SPDX-License-Identifier: MIT
"""What all plots share: matplotlib, colours, markers and axes."""

from __future__ import annotations

from pathlib import Path

from ..shipped import extra

try:
    import matplotlib  # noqa: F401
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
except ImportError as error:
    raise ImportError(f"the plots need matplotlib ({error}); {extra('plots')}") from error

# Okabe and Ito's colours: told apart by colour-blind readers, and by their greys in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")
MARKERS = "osD^vP"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tinyvlm",  # the same numbers make the same file
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure so that the same numbers make the same file."""
    figure.savefig(path, metadata={"Date": None})
    return path


def look(number: int) -> dict:
    """Colour and marker of the encoder with this number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def halvings(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each value, every second one where they are many."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(values[:: 2 if len(values) > 6 else 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
