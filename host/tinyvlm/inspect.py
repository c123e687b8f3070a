# SPDX-License-Identifier: MIT
"""tinyvlm-inspect FILE: what is in an encoder (.tvlm) or a prototype file (.tvp).

For an encoder: the header, every layer with its work and weights, the plan of the arena (which
layers run interleaved, rows kept, where each tensor lies), a map of the arena over time, and what
each layer will cost: the predicted twin of tinyvlm.profile() on the board.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from .files import explain
from .net import cost, tvlm
from .net.graph import INPUT, Add, AvgPool, Conv, SpaceToDepth
from .net.packing import weight_bytes
from .net.plan import Plan
from .net.reference import embed, known_image
from .net.schedule import align, operands
from .shipped import ENCODERS, model_path
from .words import tvp
from .words.vocabulary import plural

MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
MAP_ROWS = 24


def mark(index: int) -> str:
    """The character of layer `index` in the map; * is the image, # scratch, . free."""
    return MARKS[index % len(MARKS)]


def facts(encoder: tvlm.Encoder) -> list[tuple[str, str]]:
    """Name and text of what the header says."""
    graph, plan, shapes = encoder.graph, encoder.plan, encoder.graph.shapes()
    height, width, _ = graph.input_shape
    kinds = Counter(type(layer).__name__.lower() for layer in graph.layers)
    dense = "none"
    if graph.dense:
        h, w, c = shapes[graph.dense]
        macs = sum(graph.macs(dense=True).values()) - encoder.macs
        dense = f"{h} x {w} x {c}, {macs / 1e6:.2f} M MAC more, only when wanted"
    ours = encoder.sections.get("WGHT")
    numbers = f"{ours} weights" if ours else f"{encoder.sections['CMNN']} CMSIS-NN's weights"
    rows = [
        ("file", f"{encoder.size} bytes, of these {numbers} and tables"),
        ("fingerprint", encoder.fingerprint.hex()),
        ("image", f"{width} x {height} RGB, scale {graph.input.scale:.7g}"),
        ("embedding", f"{shapes[graph.embedding][2]} dimensions"),
        ("dense map", dense),
        ("layers", f"{len(graph.layers)}: " + ", ".join(f"{n} {k}" for k, n in kinds.items())),
        ("work", f"{encoder.macs / 1e6:.2f} M MAC"),
        ("arena", f"{plan.arena_size} bytes, {plan.scratch_size} of them scratch"),
        ("weight reads", f"{plan.fetched} bytes a frame"),
        ("known answer", _known_answer(encoder)),
    ]
    return rows + [(f"info {key}", str(value)) for key, value in graph.info.items()]


def _known_answer(encoder: tvlm.Encoder) -> str:
    if encoder.test is None:
        return "none"
    seed, want = encoder.test
    image = known_image(encoder.graph.input_shape, seed)
    wrong = int((embed(encoder.graph, image) != want).sum())
    return f"{wrong} of {len(want)} values differ from the numpy reference"


def layer_table(encoder: tvlm.Encoder) -> list[str]:
    """One line a layer: work, weights, and where its output lies."""
    graph, plan, shapes = encoder.graph, encoder.plan, encoder.graph.shapes()
    macs, names = graph.macs(dense=True), [INPUT] + [x.name for x in graph.layers]
    width = max(len(name) for name in names)
    lines = [
        f"    {'layer':{width}} {'op':8} k/s {'output':>13} {'kMAC':>7} {'weights':>7} "
        f"{'seg':>3} {'rows':>7} {'bytes':>6} {'offset':>6}  reads"
    ]
    h, w, c = shapes[INPUT]
    lines.append(
        f"*   {INPUT:{width}} {'intake':8}     {f'{h}x{w}x{c}':>13} {'':7} {'':7} {0:3} "
        + _place(plan, INPUT, h)
    )
    for i, (layer, reads) in enumerate(zip(graph.layers, operands(graph), strict=True)):
        h, w, c = shapes[layer.name]
        segment = plan.segment_of(i)
        bracket = "|" if i < plan.segments[segment][1] else " "  # runs on into the next record
        ops = {Add: "add", AvgPool: "avgpool", Conv: "conv", SpaceToDepth: "todepth"}
        op = ops.get(type(layer), "dw")
        op += " dense" if graph.is_dense(layer.name) else ""
        kernel, stride = tvlm.record_window(layer, shapes)
        lines.append(
            f"{mark(i)} {bracket} {layer.name:{width}} {op:10}{kernel}/{stride} "
            f"{f'{h}x{w}x{c}':>12} {macs[layer.name] / 1e3:7.0f} {weight_bytes(layer):7} "
            f"{segment:3} {_place(plan, layer.name, h)}  {', '.join(names[t] for t in reads)}"
        )
    return lines


def _place(plan: Plan, name: str, height: int) -> str:
    ref = plan.refs[name]
    rows = f"{ref.rows}/{height}"
    return f"{rows:>7} {ref.size:6} {ref.offset:6}"


def memory_map(encoder: tvlm.Encoder) -> list[str]:
    """The arena (top: high addresses) over the segments (left to right), two characters each."""
    graph, plan = encoder.graph, encoder.plan
    step = align(-(-plan.arena_size // MAP_ROWS))
    count = len(plan.segments)
    cells = [["."] * count for _ in range(-(-plan.arena_size // step))]

    def fill(offset: int, size: int, first: int, last: int, char: str) -> None:
        # a bin belongs to what lies at its middle: begin and end are rounded alike
        for row in cells[(offset + step // 2) // step : (offset + size + step // 2) // step]:
            row[first : last + 1] = char * (last + 1 - first)

    fill(plan.scratch_offset, plan.scratch_size, 0, count - 1, "#")
    for number, name in enumerate([INPUT] + [layer.name for layer in graph.layers]):
        ref, (first, last) = plan.refs[name], plan.lifetimes[name]
        fill(ref.offset, ref.size, first, last, mark(number - 1) if number else "*")
    lines = ["".join(f"{s:>3}" if s % 2 == 0 else "   " for s in range(count))]
    lines[0] = " " * 7 + lines[0]
    for i in reversed(range(len(cells))):
        lines.append(f"{i * step:7}" + "".join(f"  {c}" for c in cells[i]))
    return lines


def profile(encoder: tvlm.Encoder) -> list[str]:
    """Cycles of every layer as the cost model predicts them, as the board prints them.

    `-`: a kernel that the model does not know. Intake and scoring are not in it; `more`: the dense
    map, which only detect() and heatmap() run, is not in the sum.
    """
    graph, shapes, macs = encoder.graph, encoder.graph.shapes(), encoder.graph.macs(dense=True)
    counts = [_predicted(encoder, index) for index in range(len(graph.layers))]
    dense = [graph.is_dense(layer.name) for layer in graph.layers]
    total = sum(count or 0 for count, more in zip(counts, dense, strict=True) if not more)
    rows = [("layer", "output", "k cycles", "%", "per MAC")]
    for layer, count, more in zip(graph.layers, counts, dense, strict=True):
        h, w, c = shapes[layer.name]
        cells = ("-", "-", "-")
        if count is not None:
            share = "more" if more else f"{100 * count / (total or 1):.1f}"
            work = macs[layer.name]
            cells = f"{count / 1e3:.1f}", share, f"{count / work:.2f}" if work else ""
        rows.append((layer.name[:24], f"{h}x{w}x{c}", *cells))
    rows.append(("total", "", f"{total / 1e3:.1f}", "100.0", f"{total / encoder.macs:.2f}"))
    return [f"{a:24} {b:12} {c:>9} {d:>6} {e:>8}".rstrip() for a, b, c, d, e in rows]


def _predicted(encoder: tvlm.Encoder, index: int) -> float | None:
    kind, counts = cost.terms(encoder.graph, encoder.plan, index)
    try:
        return sum(number * cost.table()[kind][name] for name, number in counts.items())
    except KeyError:
        return None


def encoder_report(path: Path) -> str:
    encoder = tvlm.load(path)
    lines = [f"{key:14} {text}" for key, text in facts(encoder)]
    lines += ["", "Layers ('|': runs interleaved with the next; rows kept / rows in all)"]
    lines += layer_table(encoder)
    lines += ["", "Arena over segments (letters: layers above, *: image, #: scratch, .: free)"]
    lines += memory_map(encoder)
    if "WGHT" not in encoder.sections:
        return "\n".join(lines)
    lines += ["", "Predicted on a Cortex-M7 (cycles, estimated by tinyvlm.net.cost)"]
    lines += profile(encoder)
    return "\n".join(lines)


def prototypes_report(path: Path) -> str:
    p = tvp.read(path)
    rows = [
        ("file", f"{path.stat().st_size} bytes"),
        ("encoder", f"{p.encoder}, fingerprint {p.fingerprint.hex()}"),
        ("text encoder", p.text_encoder),
        ("prompt", p.prompt or "the text encoder's own"),
        ("prototypes", f"{plural(len(p.labels), 'label')} + {p.background} background"),
        ("none", ", ".join(f"{cosine:.3g}" for cosine in p.none) or "no part of the scores"),
        ("dimensions", f"{p.dim}, {p.bits} bits each"),
        ("logit scale", f"{p.logit_scale:g}{_smaller(p, 1)}"),
        ("threshold", f"{p.threshold:g}{_smaller(p, 2)}" if p.threshold else "none chosen"),
        ("labels", ", ".join(p.labels)),
    ]
    return "\n".join(f"{key:14} {text}" for key, text in rows)


def _smaller(p: tvp.Prototypes, column: int) -> str:
    """What holds for shorter prefixes: "; at 16: 5.99, at 32: 7.54"."""
    return "".join(
        f"{', ' if i else '; '}at {prefix[0]}: {prefix[column]:g}"
        for i, prefix in enumerate(p.prefixes)
    )


def report(path: str | Path) -> str:
    """The whole text for one file. ValueError or OSError if it cannot be read."""
    path = Path(path)
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in (tvp.MAGIC, tvlm.MAGIC):
        raise ValueError(f"{path}: neither an encoder (.tvlm) nor a packed vocabulary (.tvp)")
    return prototypes_report(path) if magic == tvp.MAGIC else encoder_report(path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tinyvlm-inspect", description=__doc__.split("\n")[0])
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=f"a .tvlm or .tvp file, or {', '.join(ENCODERS)}"
    )
    args = parser.parse_args(argv)
    for i, name in enumerate(args.files):
        try:
            print(("\n" if i else "") + f"{name}\n{report(model_path(name))}")
        except (ValueError, OSError) as error:
            print(f"tinyvlm-inspect: {explain(error)}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
