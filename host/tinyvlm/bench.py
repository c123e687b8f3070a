# SPDX-License-Identifier: MIT
"""tinyvlm-bench: what a frame costs on the virtual Cortex-M7, layer by layer and in sum.

    $ tinyvlm-bench                       # base, nano and a MobileNetV2-like net
    $ tinyvlm-bench --model mine.tvlm     # an encoder of yours
    $ tinyvlm-bench --nets mlperf         # nets of MLPerf Tiny and MCUNet, beside published times
    $ tinyvlm-bench --marks               # what is to be reached, and what is
    $ tinyvlm-bench --calibrate           # the model of the core beside what others have timed
    $ tinyvlm-bench --json                # everything that was measured
    $ tinyvlm-bench --fit                 # measure many nets, fit the cost model (net/cost.py)

The columns are cycles of a Cortex-M7 for every set of kernels in the firmware, estimated from all
instructions that ran (virtual/cycles.py); without llvm-objdump (Debian: llvm), instructions, which
QEMU counts exactly. `lines` are those that the caches fill from flash, simulated. The kernels'
answers are compared. Bytes of RAM are seen by painting the arena before a frame.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .files import write_atomic
from .net import cost, mlperf, samples, tvlm
from .shipped import DATA, DEFAULT_MODEL
from .train import config, shape
from .virtual import calibration, marks
from .virtual.board import FIRMWARE, VirtualBoardError
from .virtual.count import FRAMES, LIBRARY, MHZ, fit, has_library, run

PUBLISHED = DATA / "mlperf.json"


def _per(count: int | None, macs: int) -> str:
    return f"{count / macs:6.2f}" if count is not None and macs else " " * 6


def _columns(counts: list[int | None], macs: int) -> str:
    return "".join(f"{_number(count):>11}{_per(count, macs)}" for count in counts)


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}".replace(",", " ")


def show(report: dict) -> str:
    """The report as text, at most 100 columns."""
    lines = []
    kind = "instructions" if report["no_cycles"] else "cycles"
    for result in report["models"]:
        backends = list(result["backends"])
        lines += [
            "",
            f"{result['name']}: {result['macs'] / 1e6:.2f} M MAC, file {result['file']} B, {kind}",
        ]
        head = f"{'layer':17}{'op':10}{'output':>10}{'MAC':>10}"
        head += "".join(f"{b:>11}{'/MAC':>6}" for b in backends)
        head += f"{'lines':>7}" if kind == "cycles" else ""
        lines += [head, "-" * len(head)]
        for row in result["layers"]:
            height, width, channels = row["out"]
            name = row["name"][:16] + "*" * row["dense"]
            line = f"{name:17}{row['op'][:9]:10}{f'{height}x{width}x{channels}':>10}"
            counts = [row[kind].get(b) for b in backends]
            line += f"{_number(row['macs']):>10}{_columns(counts, row['macs'])}"
            if kind == "cycles":
                line += f"{_number(row['lines'].get(backends[0])):>7}"
            lines.append(line)
        lines.append("-" * len(head))
        if any(row["dense"] for row in result["layers"]):
            lines.append("* the dense map, which is not in the sums")
        of = "sum" if report["no_cycles"] else "cycles"
        lines.append(_sum("layers", result, [e[of] for e in result["backends"].values()]))
        for title, _, _, _ in FRAMES:
            lines += _frame_lines(title, result)
        entries = dict(result["backends"])
        library = entries.pop(LIBRARY, None)
        used = max(entry["arena_used"] for entry in entries.values())
        lines.append(f"arena: {result['arena']} B in the file, {used} B seen in use")
        if library:
            file, arena, used = (library[key] for key in ("file", "arena", "arena_used"))
            lines.append(f"{LIBRARY}: file {file} B, arena {arena} B, {used} B seen in use")
        if len(backends) > 1:
            lines.append(
                f"{' = '.join(backends)}: {result['differ']} of {result['compared']} differ"
            )
        lines += _kinds(result) if kind == "cycles" else []
    size = report["engine"]
    lines += ["", f"engine: {size['text']} B of code and constants, {size['ram']} B of static RAM"]
    if report["no_cycles"]:
        lines.append(f"no estimate of cycles: {report['no_cycles']}")
    return "\n".join(lines[1:])


def _frame_lines(title: str, result: dict) -> list[str]:
    costs = [entry["frames"][title] for entry in result["backends"].values()]
    whole = f"{title} to labels and scores"
    if not all("cycles" in cost for cost in costs):
        return [_sum(whole, result, [cost["frame"] for cost in costs])]
    lines = [_sum(whole, result, [cost["cycles"] for cost in costs])]
    rates = "".join(f"{cost['fps']:11.1f}{'':6}" for cost in costs)
    lines.append(f"{f'  frames/s at {MHZ} MHz, estimated':47}{rates}".rstrip())
    lines.append(_sum("  instructions, counted", result, [cost["frame"] for cost in costs]))
    more = {
        "where weights lie unaligned": result["unaligned"],
        "for line fills of flash": costs[0]["line_fills"],
        "with ROMFS in QSPI flash": costs[0]["qspi"],
    }
    for why, count in more.items():
        share = f"{100 * count / costs[0]['cycles']:5.1f}%"
        lines.append(f"{f'  more {why}, estimated':47}{_number(count):>11}{share}")
    if all(cost["mca"] for cost in costs):
        lines.append(_sum("  cycles by llvm-mca", result, [cost["mca"] for cost in costs]))
    return lines


def _kinds(result: dict) -> list[str]:
    """Where the cycles of a frame go with the first kernels, by kind and size of the layers.

    The last column is what they take above a multiplication a cycle, two products in each.
    """
    backend, entry = next(iter(result["backends"].items()))
    title = FRAMES[0][0]
    whole, kinds = entry["frames"][title]["cycles"], {}
    for row in result["layers"]:
        if not row["dense"]:
            height, width, _ = row["out"]
            kind = kinds.setdefault(f"{row['op']} {height}x{width}", [0, 0, 0])
            for i, number in enumerate((1, row["macs"], row["cycles"][backend])):
                kind[i] += number
    rest = whole - sum(cycles for _, _, cycles in kinds.values())
    lines = ["", f"{title}: where cycles go{'layers':>14}{'MAC':>12}{'cycles':>12}{'/MAC':>6}"]
    lines[-1] += f"{'share':>8}{'excess':>12}"
    for name, (layers, macs, cycles) in {**kinds, "intake and all else": (0, 0, rest)}.items():
        line = f"{name:39}{layers or '-':>6}{_number(macs):>12}{_columns([cycles], macs):>18}"
        lines.append(f"{line}{100 * cycles / whole:7.1f}%{_number(cycles - macs // 2):>12}")
    return lines


def _sum(title: str, result: dict, counts: list[int]) -> str:
    return f"{title:47}{_columns(counts, result['macs'])}"


def published(report: dict) -> str:
    """The layers' cycles beside what others measured; a line each, the fewest first."""
    table = json.loads(PUBLISHED.read_text())
    lines = ["cycles of one image from input to output, the frame's intake not counted"]
    for result in report["models"]:
        ours = next(iter(result["backends"].values()))["cycles"]
        rows = [
            (
                r["cycles"],
                2,
                f"measured: {r['who']} {r['software']} ({r['version']}), {r['core']}",
            )
            for r in table[result["name"]]
        ]
        digits = 1 if ours > 1e6 else 2  # that interrupts do not change
        rows.append((ours, digits, "estimated: this engine, Cortex-M7"))
        lines += ["", f"{result['name']}: {result['macs'] / 1e6:.2f} M MAC"]
        if note := mlperf.NOTES.get(result["name"]):
            lines.append(note)
        for count, digits, what in sorted(rows):
            lines.append(f"{f'{count / 1e6:.{digits}f}':>6} M  {what}")
    return "\n".join([*lines, "", "Published by", *table["about"]])


# -- the command ------------------------------------------------------------------------------


def models(paths: list[Path]) -> dict[str, bytes]:
    """Encoders to run: the given files, or shipped ones and a sample net."""
    if paths:
        return {path.stem: path.read_bytes() for path in paths}
    shipped = {path.stem: path for path in (DEFAULT_MODEL, DATA / "nano.tvlm")}
    found = {name: path.read_bytes() for name, path in shipped.items() if path.is_file()}
    if "base" not in found:
        found = {"base_like": tvlm.to_bytes(samples.base_like())} | found
    return found | {"mobilenet_like": tvlm.to_bytes(samples.mobilenet_like())}


def marked() -> dict[str, bytes]:
    """Encoders that the marks are about."""
    nets = {"large": shape.build(config.read("large", "")["student"], dense=False)}
    nets["mobilenet_like"] = samples.mobilenet_like(dense=False)
    nets |= {name: mlperf.NETS[name]() for name in ("vww", "resnet8", "dscnn", "autoencoder")}
    base = {"base": DEFAULT_MODEL.read_bytes()}
    return base | {name: tvlm.to_bytes(graph) for name, graph in nets.items()}


def calibrate(firmware: Path) -> str:
    """The table of calibration.py; CMSIS-NN's nets where the firmware has it."""
    table, results = json.loads(PUBLISHED.read_text()), []
    timed = {
        name: row["cycles"]
        for name in mlperf.NETS
        for row in table[name]
        if row["software"] == "CMSIS-NN"
    }
    if has_library(firmware):
        nets = {name: tvlm.to_bytes(mlperf.NETS[name]()) for name in timed}
        results = run(nets, firmware=firmware, brief=True)["models"]
    return calibration.show(results, timed)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tinyvlm-bench", description=__doc__.split("\n")[0])
    parser.add_argument("--model", metavar="FILE", type=Path, action="append", default=[])
    parser.add_argument("--nets", choices=["mlperf"], help="well-known networks, random weights")
    parser.add_argument("--marks", action="store_true", help="what is to be reached, and what is")
    parser.add_argument(
        "--calibrate", action="store_true", help="the model of the core beside measured times"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--no-cycles", action="store_true", help="leave the estimate out")
    parser.add_argument("--firmware", metavar="ELF", type=Path, default=FIRMWARE)
    parser.add_argument(
        "--fit", action="store_true", help=f"fit the cost model: {cost.TABLE.name}"
    )
    args = parser.parse_args(argv)
    kinds = [args.nets, args.model, args.marks, args.calibrate, args.fit]
    if sum(map(bool, kinds)) > 1:
        parser.error("--model, --nets, --marks, --calibrate and --fit are for one run each")
    try:
        if args.fit:
            write_atomic(cost.TABLE, (json.dumps(fit(args.firmware), indent=1) + "\n").encode())
            return 0
        if args.calibrate:
            print(calibrate(args.firmware))
            return 0
        if args.nets:
            nets = {name: tvlm.to_bytes(make()) for name, make in mlperf.NETS.items()}
        else:
            nets = marked() if args.marks else models(args.model)
        brief = bool(args.nets or args.marks)
        report = run(nets, not args.no_cycles, args.firmware, brief)
    except (VirtualBoardError, OSError, ValueError) as error:
        print(f"tinyvlm-bench: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(report, indent=1))
    elif brief and report["no_cycles"]:
        print(f"no estimate of cycles: {report['no_cycles']}")
    else:
        print(published(report) if args.nets else (marks.show if args.marks else show)(report))
    return 1 if any(result["differ"] for result in report["models"]) else 0


if __name__ == "__main__":
    sys.exit(main())
