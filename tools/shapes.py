# SPDX-License-Identifier: MIT
"""What students would cost on a board, before they are trained.

    python tools/shapes.py base nano max78000 my-shape.json

One line each: multiply-accumulates, weights, cycles on a Cortex-M7 (by the fitted model of
tinyvlm.net.cost), frames/s at 480 MHz, bytes of RAM, and cycles of the MAX78000's accelerator
where it can run the net.  Weights are random: shapes decide.  No torch in here.
"""

from __future__ import annotations

import argparse

from tinyvlm.net import cost
from tinyvlm.net.plan import plan
from tinyvlm.train.config import StudentConfig, names, read
from tinyvlm.train.shape import build

# Cycles around the layers (a frame of 160 x 120 RGB565, scoring, MicroPython), as `make bench`
# prints them for `base`. Estimates.
AROUND, CLOCK = 0.87e6, 480e6
HEADER = "| shape | M MAC | K weights | M cycles | frames/s | arena, bytes | MAX78000 cycles |"


def row(name: str, student: StudentConfig) -> str:
    graph = build(student)
    made = plan(graph)
    layers = (layer for layer in graph.layers if not graph.is_dense(layer.name))
    weights = sum(layer.weights.size for layer in layers if hasattr(layer, "weights"))
    cycles = cost.cycles(graph, made)
    rate = CLOCK / (cycles + AROUND)
    accelerator = ""
    if student.scheme == "max78000":
        from tinyvlm.max78000.cycles import network_cycles
        from tinyvlm.max78000.mapper import map_graph

        accelerator = f"{network_cycles(map_graph(graph).network):,}"
    return (
        f"| {name} | {sum(graph.macs().values()) / 1e6:.2f} | {weights / 1e3:.0f} |"
        f" {cycles / 1e6:.2f} | {rate:.0f} | {made.arena_size:,} | {accelerator} |"
    )


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog="python tools/shapes.py", description=__doc__)
    p.add_argument("model", nargs="+", help=f"{', '.join(names())} or FILE.json")
    args = p.parse_args(argv)
    print(HEADER + "\n" + "|---" * HEADER.count("|", 1) + "|")
    for name in args.model:
        raw = read(name, "model")
        if "student" not in raw:
            raise SystemExit(f"{name}: the file has no `student`")
        print(row(name, raw["student"]), flush=True)


if __name__ == "__main__":
    main()
