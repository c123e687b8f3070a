# SPDX-License-Identifier: MIT
"""Where everything lies in an STM32H743 with 2 MB of flash: a picture, to scale.

The encoder's bytes are its file's own; the firmware's were measured on a linked one and lie in
data/stm32h743.json with the command that measures them. Encoders for the MAX78000 are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..shipped import DATA
from .plot_style import Axes, Figure, save

SIZES = DATA / "stm32h743.json"
KB = 1024
FREE = "free"
COLOURS = {
    "firmware": "#56B4E9",
    "engine": "#0072B2",
    "encoder": "#D55E00",
    "arena": "#D55E00",
    "files": "#CCCCCC",
    "static": "#56B4E9",
    "heap": "#F0E442",
    "frame": "#009E73",
    "stack": "#999999",
    "file cache": "#CCCCCC",
    FREE: "#FFFFFF",
}
EDGE = "#555555"


@dataclass(frozen=True)
class Region:
    """One memory: its bytes and what lies in it, (name, bytes) from the start."""

    name: str
    size: int
    blocks: list[tuple[str, int]]

    @property
    def used(self) -> int:
        return sum(size for name, size in self.blocks if name != FREE)


def layout(encoder: dict, firmware: dict | None = None) -> list[Region]:
    """Flash and RAM with one encoder (see eval_encoders.py). ValueError if it does not fit."""
    f = firmware or json.loads(SIZES.read_text())
    frame = min(f["frame"], f["heap"])
    rom = f["romfs"] - encoder["bytes"]
    spare = f["firmware_region"] - f["firmware"]
    regions = [
        Region(
            "flash",
            f["flash"],
            [
                ("engine", f["engine"]),
                ("firmware", f["firmware"] - f["engine"]),
                (FREE, spare),
                ("encoder", encoder["bytes"]),
                (FREE, rom),
                ("files", f["files"]),
            ],
        ),
        Region(
            "DTCM", f["dtcm"], [("arena", encoder["arena"]), (FREE, f["dtcm"] - encoder["arena"])]
        ),
        Region(
            "AXI SRAM",
            f["axi"],
            [
                ("static", f["static"]),
                ("frame", frame),
                ("heap", f["heap"] - frame),
                ("stack", f["axi"] - f["static"] - f["heap"]),
            ],
        ),
        Region("D2", f["d2"], [("file cache", f["cache"]), (FREE, f["d2"] - f["cache"])]),
        Region("D3", f["d3"], [(FREE, f["d3"])]),
    ]
    for region in regions:
        if any(size < 0 for _, size in region.blocks):
            raise ValueError(
                f"{encoder['encoder']} does not fit the {region.name} of an STM32H743: "
                f"{region.used:,} of {region.size:,} bytes"
            )
    return regions


def draw(encoders: list[dict], path: Path) -> Path:
    """One bar of flash and one of DTCM an encoder; the other RAM is the same for all."""
    mine = [e for e in encoders if not e["cycles"]] or encoders
    made = []
    for encoder in mine:
        try:
            made.append((encoder["encoder"], layout(encoder)))
        except ValueError:  # it cannot be drawn to scale, and the board would refuse it, too
            made.append((f"{encoder['encoder']}: does not fit", []))
    flash = [(f"flash\n{name}", r[0]) for name, r in made if r]
    ram = [(f"DTCM\n{name}", r[1]) for name, r in made if r]
    ram += [(region.name, region) for region in next((r[2:] for _, r in made if r), [])]
    figure = Figure(layout="constrained")
    heights = [max(len(flash), 1), max(len(ram), 1)]
    top, bottom = figure.subplots(2, 1, height_ratios=heights)
    _bars(top, flash, "flash of an STM32H743 (KB)")
    _bars(bottom, ram, "RAM (KB)")
    missing = [name for name, r in made if not r]
    if missing:
        top.set_title("; ".join(missing), fontsize=9)
    figure.set_size_inches(7.2, 1.6 + 0.62 * sum(heights))
    return save(figure, path)


def _bars(axes: Axes, bars: list[tuple[str, Region]], label: str) -> None:
    most = max((region.size for _, region in bars), default=KB) / KB
    for y, (_, region) in enumerate(bars):
        start = 0.0
        for name, size in region.blocks:
            width = size / KB
            if not size:
                continue
            axes.barh(y, width, 0.56, start, color=COLOURS[name], edgecolor=EDGE, linewidth=0.6)
            _name(axes, name, width, start, y, most)
            start += width
        total = f" {region.used / KB:.0f} of {region.size / KB:.0f}"
        axes.annotate(total, (start, y), va="center", fontsize=8, color=EDGE)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set(xlabel=label, xlim=(0, most * 1.13), ylim=(len(bars) - 0.4, -0.75))
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def _name(axes: Axes, name: str, width: float, start: float, y: float, most: float) -> None:
    text = f"{name} {width:.0f}"
    letter = 0.011 * most  # about as wide in the axis' KB
    if width > letter * max(map(len, text.split())):
        inside = text if width > letter * len(text) else text.replace(" ", "\n")
        axes.annotate(inside, (start + width / 2, y), ha="center", va="center", fontsize=7.5)
    elif name != FREE:
        side = "left" if start < most / 2 else "right"
        axes.annotate(text, (start + width / 2, y - 0.3), ha=side, va="bottom", fontsize=7)
