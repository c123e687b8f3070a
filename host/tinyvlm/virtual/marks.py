# SPDX-License-Identifier: MIT
"""What the engine is meant to reach on a Cortex-M7, and what it does, by the model of the core.

    $ tinyvlm-bench --marks

Each mark was set before the kernels were written for the core, from what others measured with the
best of theirs (data/mlperf.json) and from what the core can do: one SMLAD a cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .count import FRAMES

Models = dict[str, dict]  # of count.run(), by name
FAST = "dsp"
CAMERA = FRAMES[0][0]


@dataclass(frozen=True)
class Mark:
    """value is to be at most `must`; `aim` is what is hoped for, where there is more to hope."""

    what: str
    must: float
    aim: float | None
    value: Callable[[Models], float]
    digits: int = 1
    unit: str = ""

    def text(self, number: float | None) -> str:
        return "-" if number is None else f"{number:.{self.digits}f}{self.unit}"


def _layers(name: str) -> Callable[[Models], float]:
    return lambda models: models[name]["backends"][FAST]["cycles"] / 1e6


def _output(kind: str, channels: tuple[int, int], size: int) -> Callable[[Models], float]:
    """Cycles an output of the layer of the MobileNetV2-like net that has this shape."""

    def value(models: Models) -> float:
        for row in models["mobilenet_like"]["layers"]:
            shape = row["in"][2], row["out"][2]
            if (row["op"], shape, row["out"][0]) == (kind, channels, size):
                height, width, depth = row["out"]
                return row["cycles"][FAST] / (height * width * depth)
        raise KeyError(f"no {kind} of {channels} channels")

    return value


def _frame(models: Models) -> float:
    return models["base"]["backends"][FAST]["frames"][CAMERA]["cycles"] / 1e6


def _inner(models: Models) -> float:
    return models["base"]["backends"][FAST]["inner"]


def _per_mac(name: str) -> Callable[[Models], float]:
    return lambda models: models[name]["backends"][FAST]["cycles"] / models[name]["macs"]


def _detect(models: Models) -> float:
    entry = models["base"]["backends"][FAST]
    return 100 * (entry["detect"] / entry["frames"][CAMERA]["cycles"] - 1)


MARKS = (
    Mark("inner loop of 1x1, cycles a MAC", 0.50, None, _inner, 2),
    Mark("MLPerf Tiny VWW, M cycles", 6.4, 5.9, _layers("vww")),
    Mark("MLPerf Tiny ResNet-8, M cycles", 11.2, 10.0, _layers("resnet8")),
    Mark("MLPerf Tiny DS-CNN, a stand-in, M cycles", 3.0, 2.7, _layers("dscnn")),
    Mark("MLPerf Tiny autoencoder, a stand-in, M cycles", 0.34, None, _layers("autoencoder"), 2),
    Mark(f"base, {CAMERA} to labels, M cycles", 10.2, 8.4, _frame),
    Mark("8 -> 48 at 48x48, cycles an output", 8.0, 6.5, _output("conv", (8, 48), 48)),
    Mark("stem 3x3x3 -> 16, stride 2, cycles an output", 28, 22, _output("conv", (3, 16), 48), 0),
    Mark("large, cycles a MAC", 0.85, 0.75, _per_mac("large"), 2),
    Mark("detect() beside classify()", 35, 20, _detect, 0, " % more"),
)


def rows(report: dict) -> list[list[str]]:
    """A table: what, now, must, aim, reached."""
    models = {model["name"]: model for model in report["models"]}
    table = [["figure", "now", "must", "aim", "reached"]]
    for mark in MARKS:
        value = mark.value(models)
        seen = float(mark.text(value).removesuffix(mark.unit))  # to the digits that are shown
        reached = "no" if seen > mark.must else "must"
        if mark.aim is not None and seen <= mark.aim:
            reached = "aim"
        table.append([mark.what, *map(mark.text, (value, mark.must, mark.aim)), reached])
    return table


def show(report: dict) -> str:
    """The table as text."""
    return "\n".join(
        f"{what:48}{now:>12}{must:>12}{aim:>12}  {reached}"
        for what, now, must, aim, reached in rows(report)
    )
