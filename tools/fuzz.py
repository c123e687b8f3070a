# SPDX-License-Identifier: MIT
"""Hostile files by the million: `make fuzz SECONDS=600`.

    python tools/fuzz.py --seconds 600                 # all targets, an equal time each
    python tools/fuzz.py --seconds 600 model           # one of them

The targets in C (tests/fuzz/fuzz_*.c) are built with clang: libFuzzer, the address and the
undefined-behaviour sanitizer. Those in Python (tests/fuzz/fuzz_python.py) get changed seeds. What
was found lies in build/fuzz, the exit status is 1 then: repair it, and put the file into
tests/corpus/TARGET, which `make test` replays.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FUZZ, CORPUS, OUT = TOP / "tests" / "fuzz", TOP / "tests" / "corpus", TOP / "build" / "fuzz"
sys.path.insert(0, str(FUZZ))

C = ("model", "answers", "frame", "plan")
INCLUDES = ["-I", TOP / "native", "-I", TOP / "native" / "max78000"]
FLAGS = "-g -O2 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all".split()
PYTHON = ("tvp", "words")


def sources_of(target: str) -> list[Path]:
    """The files that a target in C is made of."""
    native = TOP / "native"
    if target == "plan":  # the accelerator's driver, and its simulator
        driver = sorted((native / "max78000").glob("*.c"))
        return [FUZZ / "fuzz_plan.c", native / "tv_crc32.c", *driver]
    return [FUZZ / f"fuzz_{target}.c", *sorted(native.glob("tv_*.c"))]


def build(target: str) -> Path:
    """The program of a target in C."""
    program = OUT / f"fuzz_{target}"
    sources = sources_of(target)
    newest = max(path.stat().st_mtime for path in [*sources, *(TOP / "native").rglob("*.h")])
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["clang", *FLAGS, *sources, *INCLUDES, "-lm", "-o", program], check=True)
    return program


def in_c(target: str, seconds: int) -> tuple[int, str, list[Path]]:
    """(inputs tried, coverage in libFuzzer's words, files with what was found)"""
    program, grown = build(target), OUT / target
    grown.mkdir(exist_ok=True)
    before = set(OUT.glob(f"{target}-*"))
    options = {"max_total_time": seconds, "print_final_stats": 1, "timeout": 20, "max_len": 8192,
               "artifact_prefix": f"{OUT / target}-"}  # fmt: skip
    command = [program, *(f"-{name}={value}" for name, value in options.items())]
    command += [grown, CORPUS / target]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    log = OUT / f"{target}.log"
    log.write_text(done.stderr)
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    seen = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    found = sorted(set(OUT.glob(f"{target}-*")) - before)
    if done.returncode and not found:
        found = [log]
    cover = f"{seen[-1][0]} edges, {seen[-1][1]} features" if seen else "-"
    return int(tried[1]) if tried else 0, cover, found


def in_python(target: str, seconds: int, seed: int) -> tuple[int, str, list[Path]]:
    """The same. Coverage: lines of ours, looked at for one input in ten, as that is slow; an input
    that reaches new ones becomes a seed."""
    from fuzz_python import TARGETS, changed

    lines: set[tuple[str, int]] = set()

    def look(frame, event, _):
        if "tinyvlm" not in frame.f_code.co_filename:
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return look

    seeds = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    rng, tried, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = changed(rng, seeds)
        tried, before = tried + 1, len(lines)
        try:
            sys.settrace(look if tried % 10 == 1 else None)
            TARGETS[target](data)
        except Exception as error:  # noqa: BLE001 whatever it is, it is a finding
            path = OUT / f"{target}-{tried}"
            path.write_bytes(data)
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
            return tried, f"{len(lines)} lines", [path]
        finally:
            sys.settrace(None)
        if len(lines) > before:
            seeds.append(data)
    return tried, f"{len(lines)} lines", []


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(C + PYTHON)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="in all (default: 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of those in Python")
    args = parser.parse_args(argv)
    targets = args.targets or [*C, *PYTHON]
    if strange := set(targets) - {*C, *PYTHON}:
        parser.error(f"no target {sorted(strange)[0]!r}")
    if set(targets) & {*C} and not shutil.which("clang"):
        print("fuzz: clang is not installed (Debian: clang libclang-rt-14-dev)", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    share, total, every = max(1, args.seconds // len(targets)), 0, []
    print(f"{'target':10}{'executions':>14}  {'coverage':32}findings")
    for target in targets:
        if target in C:
            tried, cover, found = in_c(target, share)
        else:
            tried, cover, found = in_python(target, share, args.seed)
        total, every = total + tried, every + found
        print(f"{target:10}{tried:>14,}  {cover:32}{len(found)}", flush=True)
    print(f"{'all':10}{total:>14,}  {'':32}{len(every)}")
    for path in every:
        print(f"found: {path}")
    return 1 if every else 0


if __name__ == "__main__":
    sys.exit(main())
