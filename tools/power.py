# SPDX-License-Identifier: MIT
"""Power cuts at every program and erase of a change: `make power CUTS=100000`.

    python tools/power.py --cuts 100000

tests/power/cuts.py runs on MicroPython's unix port (build/unix), with the device package and a
LittleFS on a flash in RAM that stops at the n-th operation, for every n, whole and torn.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tinyvlm.words import tvp

TOP = Path(__file__).resolve().parents[1]
# of the build in build/unix, which tests/test_natmod.py makes, too
OPTIONS = (
    "VARIANT=standard FROZEN_MANIFEST= MICROPY_PY_FFI=0 MICROPY_PY_SSL=0 MICROPY_PY_BTREE=0 "
    "MICROPY_PY_SOCKET=0 MICROPY_PY_THREAD=0"
).split()


def unix() -> Path:
    """MicroPython's unix port with the engine in it, built if it is not there yet."""
    program = TOP / "build" / "unix" / "micropython"
    if not program.exists():
        subprocess.run(["make", "-s", "build/micropython.path"], check=True, cwd=TOP)
        folder = Path((TOP / "build" / "micropython.path").read_text().strip())
        make = ["make", "-s", "-C", folder / "ports" / "unix", f"BUILD={program.parent}"]
        subprocess.run([*make, f"USER_C_MODULES={TOP}", *OPTIONS], check=True)
    return program


def vocabulary(labels: int, seed: int) -> bytes:
    """A `.tvp` of random directions."""
    vectors = tvp.quantize(np.random.default_rng(seed).normal(size=(labels, 32)))
    names = [f"label {i}" for i in range(labels)]
    return tvp.to_bytes(tvp.Prototypes(names, vectors, b"12345678", "test"))


def run(program: Path, cuts: int, seed: int) -> dict[str, int]:
    """{change: its cuts}; AssertionError if one of them lost something."""
    given = {
        "DEVICE": str(TOP / "device"),
        "ONBOARD": (TOP / "host/tinyvlm/boards/onboard/switch.py").read_text(),
        "OLD": vocabulary(12, seed),
        "NEW": vocabulary(17, seed + 1),
        "MOST": cuts,
        "SEED": 1 + seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "cuts.py"
        script.write_bytes((TOP / "tests" / "power" / "cuts.py").read_bytes())
        lines = [f"{name} = {value!r}\n" for name, value in given.items()]
        script.with_name("given.py").write_text("".join(lines))
        done = subprocess.run(
            [program, "-X", "heapsize=8M", script], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return ast.literal_eval(done.stdout.splitlines()[-1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cuts", type=int, default=100_000, help="at least (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="other vocabularies and other logs")
    args = parser.parse_args(argv)
    found = run(unix(), args.cuts, args.seed)
    for name, count in found.items():
        print(f"{name}: {count:,} cuts, the old file or the new one after each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
