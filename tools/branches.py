# SPDX-License-Identifier: MIT
"""Which branches and conditions of the readers the corpora reach: `make branches`.

    python tools/branches.py                    # a table
    python tools/branches.py tv_check.c         # and the lines of a file where one never was

gcc and gcov count, without optimization, what tests/corpus does to the targets of `make fuzz`,
what grew in build/fuzz, the files of tests/hostile.py, and what tests/c does to files with damage
that is the same each time. Where there is a clang that knows MC/DC, 18 or later (Debian 12:
clang-19 llvm-19 libclang-rt-19-dev), it counts by the same inputs how many conditions of
decisions have been seen to decide, each alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Compiler:
    """One that counts. folder: where what it makes lies, and the counts."""

    command: tuple[str, ...]
    folder: Path

    def objects(self) -> dict[str, Path]:
        """{source: object} of the engine and the accelerator's driver."""
        self.folder.mkdir(parents=True, exist_ok=True)
        native = TOP / "native"
        made = {}
        for source in sorted([*native.glob("tv_*.c"), *(native / "max78000").glob("*.c")]):
            made[source.name] = self.folder / f"{source.stem}.o"
            command = [*self.command, *INCLUDES, "-c", source, "-o", made[source.name]]
            subprocess.run(command, check=True, cwd=self.folder)
        return made

    def program(self, name: str, main: list[Path], objects: list[Path]) -> Path:
        """A program of `main` and of objects."""
        out = self.folder / name
        command = [*self.command, *INCLUDES, *main, *objects, "-lm", "-o", out]
        subprocess.run(command, check=True, cwd=self.folder)
        return out


GCC = Compiler(("gcc", "-O0", "--coverage", "-fno-inline"), BUILD)


def clang() -> Compiler | None:
    """A clang that counts conditions, with the tools that read its counts."""
    for name in ("clang", *(f"clang-{version}" for version in range(25, 17, -1))):
        if shutil.which(name):
            said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
            version = re.search(r"clang version (\d+)", said)
            if version and int(version[1]) >= 18 and shutil.which(_beside(name, "llvm-cov")):
                flags = "-O0 -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc"
                return Compiler((name, *flags.split()), BUILD / "conditions")
    return None


def _beside(name: str, tool: str) -> str:
    command = [name, f"-print-prog-name={tool}"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def count(compiler: Compiler) -> list[Path]:
    """Builds and runs everything; the counts lie beside the objects. Returns the programs."""
    made, programs = compiler.objects(), []
    environment = os.environ | {"LLVM_PROFILE_FILE": str(compiler.folder / "%m.profraw")}

    def program(name: str, main: list[Path], objects: list[str]) -> Path:
        programs.append(compiler.program(name, main, [made[source] for source in objects]))
        return programs[-1]

    def run(*command: str | Path, check: bool = True) -> None:
        subprocess.run(command, check=check, capture_output=True, env=environment)

    names = {target: [source.name for source in sources_of(target)[1:]] for target in C}
    for target in C:
        main = [sources_of(target)[0], FUZZ / "replay.c"]
        replay = program(f"fuzz_{target}", main, names[target])
        inputs = [*(CORPUS / target).iterdir(), *(OUT / target).glob("*")]
        for i in range(0, len(inputs), 500):
            run(replay, *inputs[i : i + 500])
    engine, driver = names["model"], names["plan"]
    tests = TOP / "tests" / "c"
    model = program("test_model", [tests / "test_model.c"], engine)
    for path in sorted((CORPUS / "model").iterdir()):
        # the few that are no encoder give nothing to change
        run(model, "fuzz", path, "5000", "1", check=False)
    hostile = compiler.folder / "hostile"
    hostile.mkdir(exist_ok=True)
    for number, (data, _) in enumerate(FILES.values()):
        (hostile / f"{number}.tvlm").write_bytes(data)
    run(compiler.folder / "fuzz_model", *hostile.iterdir())
    run(model, "calls", CORPUS / "model" / "tiny-conv.tvlm")
    for name in ("whole.tvlm", "streamed.tvlm"):
        run(model, "damage", CORPUS / "model" / name)
    run(program("test_frame", [tests / "test_frame.c"], engine), "2000")
    plans = program("test_max78000", [tests / "test_max78000.c"], driver)
    run(plans, "150", *sorted((CORPUS / "plan").iterdir()))
    return programs


def conditions(compiler: Compiler, programs: list[Path]) -> dict[str, tuple[int, int, list[int]]]:
    """{source: (conditions, those seen to decide, lines of decisions with one that never did)}"""
    counts, name = compiler.folder / "all.profdata", compiler.command[0]
    raw = sorted(compiler.folder.glob("*.profraw"))
    subprocess.run([_beside(name, "llvm-profdata"), "merge", *raw, "-o", counts], check=True)
    objects = [f"-object={path}" for path in programs]
    command = [_beside(name, "llvm-cov"), "export", *objects, f"-instr-profile={counts}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = {}
    for file in json.loads(done.stdout)["data"][0]["files"]:
        decisions = {tuple(record[:4]): record[-1] for record in file["mcdc_records"]}
        seen = [decides for record in decisions.values() for decides in record]
        missed = sorted(at[0] for at, record in decisions.items() if not all(record))
        found[Path(file["filename"]).name] = len(seen), sum(seen), missed
    return found


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
    for old in [*BUILD.rglob("*.gcda"), *BUILD.rglob("*.profraw")]:
        old.unlink()
    count(GCC)
    other, decided = clang(), {}
    if other:
        decided = conditions(other, count(other))
    print(f"{'file':24}{'branches':>10}{'taken':>8}{'%':>8}{'conditions':>12}{'decided':>9}")
    total = [0, 0, 0, 0]
    for source in READERS:
        branches, taken, missed = counted(source)
        of, seen, unseen = decided.get(source, (0, 0, []))
        total = [a + b for a, b in zip(total, (branches, taken, of, seen), strict=True)]
        show(source, branches, taken, of, seen)
        if source in args.files:
            path = next((TOP / "native").rglob(source))
            lines = path.read_text().splitlines()
            for number in missed:
                print(f"  {number:4} {lines[number - 1].strip()}")
            for number in unseen:
                print(f"  {number:4} conditions of {lines[number - 1].strip()}")
    show("all", *total)
    if not other:
        print("conditions: clang 18 or later counts them (Debian 12: apt-get install clang-19")
        print("llvm-19 libclang-rt-19-dev)")
    return 0


def show(name: str, branches: int, taken: int, of: int, seen: int) -> None:
    more = f"{of:>12}{seen:>9}" if of else ""
    print(f"{name:24}{branches:>10}{taken:>8}{100 * taken / branches:>8.1f}{more}")


if __name__ == "__main__":
    sys.exit(main())
