# SPDX-License-Identifier: MIT
"""Hostile files by the million: `make fuzz SECONDS=600`.

    python tools/fuzz.py --seconds 600 --jobs 2        # all targets, an equal time each
    python tools/fuzz.py --seconds 600 model           # one of them

The targets in C (tests/fuzz/fuzz_*.c) are built with clang: libFuzzer, the address and the
undefined-behaviour sanitizer. Those in Python (tests/fuzz/fuzz_python.py) run under atheris, which
is libFuzzer too, where it is installed (`pip install atheris`), else they get changed seeds. What
was found lies in build/fuzz, the exit status is 1 then: repair it, and put the file into
tests/corpus/TARGET, which `make test` replays.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FUZZ, CORPUS, OUT = TOP / "tests" / "fuzz", TOP / "tests" / "corpus", TOP / "build" / "fuzz"
sys.path.insert(0, str(FUZZ))

C = ("model", "answers", "frame", "plan")
INCLUDES = ["-I", TOP / "native", "-I", TOP / "native" / "max78000"]
FLAGS = "-g -O2 -fsanitize=address,undefined -fno-sanitize-recover=all".split()
# What libFuzzer learns from comparisons is for those that read a file: in the loops of a kernel
# and of the checksum it takes most of the time. The others count edges alone.
EDGES = "-fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp".split()
READERS = ("tv_model.c", "tv_check.c", "tv_check_plan.c", "tv_layer.c", "tv_max78000_plan.c")
# A freed block is kept for as long as any input lasts, and no more: less memory to wander through.
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "quarantine_size_mb=16:malloc_context_size=4"}
PYTHON = ("tvp", "words")


def missing() -> str | None:
    """What keeps targets in C from being built, in a sentence; None if nothing does."""
    if not shutil.which("clang"):
        return "clang is not installed (Debian: clang libclang-rt-14-dev)"
    smallest = "int LLVMFuzzerTestOneInput(void) { return 0; }"
    with tempfile.TemporaryDirectory() as folder:
        command = ["clang", *FLAGS, "-fsanitize=fuzzer", "-x", "c", "-", "-o", f"{folder}/linked"]
        if not subprocess.run(command, input=smallest, text=True, capture_output=True).returncode:
            return None
    version = subprocess.run(["clang", "-dumpversion"], capture_output=True, text=True).stdout
    package = f"libclang-rt-{version.split('.')[0]}-dev"
    return f"clang lacks libFuzzer or its sanitizers (Debian: {package})"


def sources_of(target: str) -> list[Path]:
    """The files that a target in C is made of."""
    native = TOP / "native"
    if target == "plan":  # the accelerator's driver, and its simulator
        driver = sorted((native / "max78000").glob("*.c"))
        return [FUZZ / "fuzz_plan.c", native / "tv_crc32.c", *driver]
    return [FUZZ / f"fuzz_{target}.c", *sorted(native.glob("tv_*.c"))]


def compiled(source: Path) -> Path:
    """The object of a source, for all targets."""
    made, native = OUT / f"{source.stem}.o", TOP / "native"
    newest = max(path.stat().st_mtime for path in [source, Path(__file__), *native.rglob("*.h")])
    if not made.exists() or made.stat().st_mtime < newest:
        coverage = EDGES[: 1 if source.name in READERS else 2]
        command = ["clang", *FLAGS, *coverage, *INCLUDES, "-c", source, "-o", made]
        subprocess.run(command, check=True)
    return made


def build(target: str) -> Path:
    """The program of a target in C."""
    program, objects = OUT / f"fuzz_{target}", [compiled(path) for path in sources_of(target)]
    if not program.exists() or program.stat().st_mtime < max(o.stat().st_mtime for o in objects):
        command = ["clang", *FLAGS, "-fsanitize=fuzzer", *objects, "-lm", "-o", program]
        subprocess.run(command, check=True)
    return program


def libfuzzer(target: str, program: list, seconds: int) -> tuple[int, str, list[Path]]:
    """(inputs tried, coverage in libFuzzer's words, files with what was found)"""
    grown = OUT / target
    grown.mkdir(exist_ok=True)
    before = set(OUT.glob(f"{target}-*"))
    options = {
        "max_total_time": seconds,
        "print_final_stats": 1,
        "timeout": 20,
        "max_len": 8192,
        "entropic_scale_per_exec_time": 1,
        "artifact_prefix": f"{OUT / target}-",
    }
    command = [*program, *(f"-{name}={value}" for name, value in options.items())]
    command += [grown, CORPUS / target]
    log = OUT / f"{target}.log"
    with log.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=file, env=ENVIRONMENT)
    said = log.read_text(errors="replace")
    tried = re.search(r"number_of_executed_units: (\d+)", said)
    seen = re.findall(r"cov: (\d+) ft: (\d+)", said)
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


def attack(target: str, seconds: int, seed: int) -> tuple[int, str, list[Path]]:
    """One target for so long."""
    if target in C:
        return libfuzzer(target, [OUT / f"fuzz_{target}"], seconds)
    if find_spec("atheris"):
        return libfuzzer(target, [sys.executable, FUZZ / "fuzz_atheris.py", target], seconds)
    return in_python(target, seconds, seed)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(C + PYTHON)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="in all (default: 60)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (default: 1)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of those in Python")
    args = parser.parse_args(argv)
    targets = args.targets or [*C, *PYTHON]
    if strange := set(targets) - {*C, *PYTHON}:
        parser.error(f"no target {sorted(strange)[0]!r}")
    if set(targets) & {*C} and (said := missing()):
        print(f"fuzz: {said}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    for target in targets:
        if target in C:
            build(target)
    share = max(1, args.seconds * min(args.jobs, len(targets)) // len(targets))
    total, every = 0, []
    print(f"{'target':10}{'executions':>14}  {'coverage':32}findings")
    with ThreadPoolExecutor(args.jobs) as pool:
        done = pool.map(lambda target: attack(target, share, args.seed), targets)
        for target, (tried, cover, found) in zip(targets, done, strict=True):
            total, every = total + tried, every + found
            print(f"{target:10}{tried:>14,}  {cover:32}{len(found)}", flush=True)
    print(f"{'all':10}{total:>14,}  {'':32}{len(every)}")
    for path in every:
        print(f"found: {path}")
    return 1 if every else 0


if __name__ == "__main__":
    sys.exit(main())
