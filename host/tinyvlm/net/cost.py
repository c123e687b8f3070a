# SPDX-License-Identifier: MIT
"""What a net will cost on a Cortex-M7, before it is trained: cycles by a fitted formula.

    cost.cycles(graph)              # of one frame from the image to the embedding
    cost.layers(graph)              # layer by layer
    cost.arena(graph)               # bytes of RAM

The work of a kernel is a sum of things that it does so and so often: gather a pixel, widen a
weight, finish a tile. `terms` counts them; `tinyvlm-bench --fit` runs nets on the virtual board,
estimates the cycles of their layers (virtual/m7.py) and writes what each one takes to
data/cost.json. Shapes count, weights do not, so a graph with random weights (samples.Builder) will
do. The kernels are those of the DSP extension.
"""

from __future__ import annotations

import functools
import json

import numpy as np

from ..shipped import DATA
from .graph import Add, AvgPool, Conv, Graph, SpaceToDepth, window
from .packing import stored_taps
from .plan import Plan
from .plan import plan as make_plan

TABLE = DATA / "cost.json"
COLUMNS, UNROLLED = 3, 8  # pixels of a tile, steps of the loop (native/tv_conv_dsp.c)
ROWS = 8  # rows that the depthwise kernel takes at a time


def terms(graph: Graph, plan: Plan, index: int, dim: int = 0) -> tuple[str, dict[str, float]]:
    """Kind of layer `index`, and how often its kernel does what.

    dim: as many numbers of an embedding are wanted (0: all).
    """
    layer, shapes = graph.layers[index], graph.shapes()
    height, width, channels = shapes[layer.name]
    if dim and layer.name == graph.embedding:
        channels = min(channels, dim)
    in_height, in_width, in_c = shapes[layer.src]
    seen = window(layer, in_height, in_width)
    first, last = plan.segments[plan.segment_of(index)]
    streamed = last > first or first == 0
    outputs, all_rows = height * width * channels, height if streamed else 1
    if isinstance(layer, AvgPool) and seen.kernel == 1:
        return "spacetodepth", {"runs": height * width, "bytes": outputs, "calls": all_rows}
    if isinstance(layer, AvgPool):
        inputs = outputs * seen.kernel**2
        return "avgpool", {"inputs": inputs, "outputs": outputs, "calls": all_rows}
    if isinstance(layer, SpaceToDepth):
        runs = height * width * layer.block
        return "spacetodepth", {"runs": runs, "bytes": outputs, "calls": all_rows}
    if isinstance(layer, Add):
        return "add", {"elements": outputs, "calls": all_rows}
    free = layer.out.zero_point == -128  # saturation is the ReLU; else it is a pass of its own
    clamped = outputs if layer.relu and not free else 0
    if not isinstance(layer, Conv):
        calls = height if streamed else -(-height // ROWS)
        # Rows of six outputs, or twelve, ..., have a way of their own: channel_1_sixes().
        sixes = seen.kernel == 3 and seen.stride == 1 and free and width % 6 == 0
        rows = 0 if sixes else height * channels
        return f"depthwise{seen.kernel}x{seen.stride}", {
            "sixes": height * channels * (width // 6) if sixes else 0,
            "fours": rows * (width // 4),
            "twos": rows * (width % 4 // 2),
            "ones": rows * (width % 2),
            "rows": rows,
            "channels": calls * channels,
            "calls": calls,
            "linear": 0 if free else outputs,
            "clamped": clamped,
        }
    kernel, taps = seen.kernel, stored_taps(layer)
    pixels, pairs = height * width, -(-channels // 2)
    if pixels == 1:
        return "conv of one pixel", {"weights": channels * taps, "pairs": pairs, "calls": 1}
    ref = plan.refs[layer.name]
    room = (plan.scratch_size - 4 * taps) // (6 * taps)  # tiles
    flat = not streamed and kernel == seen.stride == 1 and not ref.pitch
    lines, line = (1, pixels) if flat else (height, width)
    tiles = -(-line // COLUMNS)
    if streamed or room < tiles:
        calls = lines * -(-tiles // room)
    else:
        calls = -(-lines // (room // tiles))
    # A cut tile at the end of a line, all tiles of a lone channel, and all linear ones for a
    # depthwise layer take a detour.
    cut = lines * (line % COLUMNS > 0) * (channels // 2)
    lone = lines * tiles * (channels % 2)
    if ref.pitch and not free:
        cut, lone = 0, lines * tiles * pairs
    tiles *= lines * pairs
    # Eight inputs a pixel for a depthwise layer have a way of their own: multiply_eights().
    eights = taps == 8 and ref.pitch > 0 and free and line % COLUMNS == 0
    if eights:
        tiles = cut = lone = 0
    steps = taps // 4 - 1
    first_layer = kernel == in_c == 3  # has a way of its own: widen_windows()
    gathered = pixels * kernel if kernel > 1 and not first_layer else 0
    return "conv", {
        "tiles": tiles,
        "linear": 0 if free else tiles,
        "clamped": clamped,
        "steps": tiles * steps,
        "loops": tiles * -(-steps // UNROLLED),
        "entered": tiles if steps % UNROLLED else 0,  # the loop in its middle
        "cut": cut,
        "lone": lone,
        "eights": outputs if eights else 0,
        "lines of eights": lines * channels if eights else 0,
        "pairs": 0 if eights else calls * pairs,
        "weights": 0 if eights else calls * pairs * 2 * taps,
        "points": pixels if kernel == 1 else 0,
        "copied": pixels * in_c if kernel == 1 and in_c % 4 else 0,
        "first windows": pixels if first_layer else 0,
        "windows": gathered,
        "window bytes": gathered * kernel * in_c,
        "columns": 0 if first_layer else pixels * taps,
        "margins": min(height, ref.rows) * channels if ref.pitch else 0,
        "calls": calls,
    }


@functools.cache
def table() -> dict[str, dict[str, float]]:
    """Cycles for each term of each kind of layer, as fitted."""
    return json.loads(TABLE.read_text())


def layers(graph: Graph, plan: Plan | None = None, dim: int = 0) -> list[float]:
    """Cycles of every layer; dim: of terms(). KeyError for a kernel that was never measured."""
    plan, result = plan or make_plan(graph), []
    for index in range(len(graph.layers)):
        kind, counts = terms(graph, plan, index, dim)
        result.append(sum(number * table()[kind][name] for name, number in counts.items()))
    return result


def cycles(graph: Graph, plan: Plan | None = None, dim: int = 0) -> float:
    """Cycles of one frame, intake, dense map and scoring not counted; dim: of terms()."""
    costs = zip(graph.layers, layers(graph, plan, dim), strict=True)
    return sum(count for layer, count in costs if not graph.is_dense(layer.name))


def arena(graph: Graph, plan: Plan | None = None) -> int:
    """Bytes of RAM for one frame."""
    return (plan or make_plan(graph)).arena_size


def fit(measured: list[tuple[Graph, Plan, list[int]]]) -> dict[str, dict[str, float]]:
    """The table that explains measured nets best: least squares of relative errors, no term
    below zero. measured: (graph, plan, cycles of every layer).
    """
    rows: dict[str, list[tuple[dict[str, float], int]]] = {}
    for graph, plan, counts in measured:
        for index, count in enumerate(counts):
            if not graph.is_dense(graph.layers[index].name):
                kind, numbers = terms(graph, plan, index)
                rows.setdefault(kind, []).append((numbers, count))
    result = {}
    for kind, samples in sorted(rows.items()):
        names = list(samples[0][0])
        matrix = np.array([[numbers[n] / count for n in names] for numbers, count in samples])
        result[kind] = {n: float(round(v, 3)) for n, v in zip(names, _solve(matrix), strict=True)}
    return result


def _solve(matrix: np.ndarray) -> np.ndarray:
    """x >= 0 with matrix @ x near 1: least squares, again without what comes out negative."""
    size = np.maximum(np.abs(matrix).max(axis=0), 1e-30)
    scaled, used = matrix / size, np.abs(matrix).max(axis=0) > 0
    while True:
        x = np.zeros(len(used))
        x[used] = np.linalg.lstsq(scaled[:, used], np.ones(len(matrix)), rcond=1e-6)[0]
        if (x >= 0).all():
            return x / size
        used &= x > np.min(x)
