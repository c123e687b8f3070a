# SPDX-License-Identifier: MIT
"""Which branches of the readers the corpora reach: `make branches`.

    python tools/branches.py                    # a table
    python tools/branches.py tv_check.c         # and the lines of a file where one never was

gcc and gcov count, without optimization, what tests/corpus does to the targets of `make fuzz`,
what grew in build/fuzz, the files of tests/hostile.py, and what tests/c does to files with damage
that is the same each time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from fuzz import CORPUS, FUZZ, INCLUDES, OUT, TOP, C, sources_of

sys.path.insert(0, str(TOP / "tests"))
from hostile import FILES  # noqa: E402

BUILD = TOP / "build" / "branches"
READERS = (
    "tv_model.c",
    "tv_check.c",
    "tv_check_plan.c",
    "tv_layer.c",
    "tv_frame.c",
    "tv_run.c",
    "tv_max78000_plan.c",
)


def objects() -> dict[str, Path]:
    """{source: object} of the engine and the accelerator's driver, compiled to count."""
    BUILD.mkdir(parents=True, exist_ok=True)
    native = TOP / "native"
    made = {}
    for source in sorted([*native.glob("tv_*.c"), *(native / "max78000").glob("*.c")]):
        made[source.name] = BUILD / f"{source.stem}.o"
        command = ["gcc", "-O0", "--coverage", "-fno-inline", *INCLUDES, "-c", source]
        subprocess.run([*command, "-o", made[source.name]], check=True, cwd=BUILD)
    return made


def program(name: str, main: list[Path], made: dict[str, Path], names: list[str]) -> Path:
    """A program of `main` and of objects."""
    out = BUILD / name
    parts = [*main, *(made[name] for name in names)]
    command = ["gcc", "--coverage", *INCLUDES, *parts, "-lm", "-o", out]
    subprocess.run(command, check=True, cwd=BUILD)
    return out


def count() -> None:
    """Builds and runs everything; the counts lie beside the objects."""
    made = objects()
    names = {target: [source.name for source in sources_of(target)[1:]] for target in C}
    for target in C:
        main = [sources_of(target)[0], FUZZ / "replay.c"]
        replay = program(f"fuzz_{target}", main, made, names[target])
        inputs = [*(CORPUS / target).iterdir(), *(OUT / target).glob("*")]
        for i in range(0, len(inputs), 500):
            subprocess.run([replay, *inputs[i : i + 500]], check=True, capture_output=True)
    engine, driver = names["model"], names["plan"]
    tests = TOP / "tests" / "c"
    model = program("test_model", [tests / "test_model.c"], made, engine)
    for path in sorted((CORPUS / "model").iterdir()):
        # the few that are no encoder give nothing to change
        subprocess.run([model, "fuzz", path, "5000", "1"], capture_output=True)
    hostile = BUILD / "hostile"
    hostile.mkdir(exist_ok=True)
    for number, (data, _) in enumerate(FILES.values()):
        (hostile / f"{number}.tvlm").write_bytes(data)
    replay = BUILD / "fuzz_model"
    subprocess.run([replay, *hostile.iterdir()], check=True, capture_output=True)
    small = CORPUS / "model" / "tiny-conv.tvlm"
    subprocess.run([model, "calls", small], check=True, capture_output=True)
    for name in ("whole.tvlm", "streamed.tvlm"):
        subprocess.run([model, "damage", CORPUS / "model" / name], check=True, capture_output=True)
    frame = program("test_frame", [tests / "test_frame.c"], made, engine)
    subprocess.run([frame, "2000"], check=True, capture_output=True)
    plans = program("test_max78000", [tests / "test_max78000.c"], made, driver)
    files = sorted((CORPUS / "plan").iterdir())
    subprocess.run([plans, "150", *files], check=True, capture_output=True)


def counted(source: str) -> tuple[int, int, list[int]]:
    """(branches, those taken at least once, lines with one that never was)"""
    stem = source.removesuffix(".c")
    command = ["gcov", "--branch-probabilities", "--json-format", "--stdout", f"{stem}.gcda"]
    done = subprocess.run(command, check=True, cwd=BUILD, capture_output=True, text=True)
    branches = taken = 0
    missed = []
    for file in json.loads(done.stdout)["files"]:
        if not file["file"].endswith("/" + source):
            continue
        for line in file["lines"]:
            ways = [branch for branch in line["branches"] if not branch["throw"]]
            branches += len(ways)
            taken += sum(branch["count"] > 0 for branch in ways)
            if any(branch["count"] == 0 for branch in ways):
                missed.append(line["line_number"])
    return branches, taken, missed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help=f"of {', '.join(READERS)}")
    args = parser.parse_args(argv)
    for old in BUILD.glob("*.gcda"):
        old.unlink()
    count()
    print(f"{'file':24}{'branches':>10}{'taken':>8}{'%':>8}")
    total = [0, 0]
    for source in READERS:
        branches, taken, missed = counted(source)
        total = [total[0] + branches, total[1] + taken]
        print(f"{source:24}{branches:>10}{taken:>8}{100 * taken / branches:>8.1f}")
        if source in args.files:
            path = next((TOP / "native").rglob(source))
            lines = path.read_text().splitlines()
            for number in missed:
                print(f"  {number:4} {lines[number - 1].strip()}")
    print(f"{'all':24}{total[0]:>10}{total[1]:>8}{100 * total[1] / total[0]:>8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
