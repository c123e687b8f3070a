# SPDX-License-Identifier: MIT
"""Power cuts at every program and erase of a change: `make power CUTS=100000`.

    python tools/power.py --cuts 100000

tests/power/cuts.py runs on MicroPython's unix port (build/unix), with the device package, and
LittleFS and ROMFS on a flash in RAM that stops at the n-th operation, for every n, whole, torn and
out of order: save(), what tinyvlm-deploy does, `mpremote cp`, an encoder into ROMFS.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from mpremote.transport import Transport

from tinyvlm.boards.romfs import make_image
from tinyvlm.boards.target import Target
from tinyvlm.net import tvlm
from tinyvlm.net.samples import Builder
from tinyvlm.words import tvp

TOP = Path(__file__).resolve().parents[1]
# of the build in build/unix, which tests/test_natmod.py makes, too
OPTIONS = (
    "VARIANT=standard FROZEN_MANIFEST= MICROPY_PY_FFI=0 MICROPY_PY_SSL=0 MICROPY_PY_BTREE=0 "
    "MICROPY_PY_SOCKET=0 MICROPY_PY_THREAD=0"
).split()
HEAP = ("-X", "heapsize=8M")


def make_unix(build: Path, modules: Path, options: list[str]) -> Path:
    """MicroPython's unix port in the folder `build`, with the C modules in `modules`."""
    subprocess.run(["make", "-s", "build/micropython.path"], check=True, cwd=TOP)
    folder = Path((TOP / "build" / "micropython.path").read_text().strip())
    make = ["make", "-s", "-C", folder / "ports" / "unix", f"BUILD={build}"]
    subprocess.run([*make, f"USER_C_MODULES={modules}", *options], check=True)
    return build / "micropython"


def unix() -> Path:
    """MicroPython's unix port with the engine in it."""
    return make_unix(TOP / "build" / "unix", TOP, OPTIONS)


def on(
    python: list[str | Path], script: Path, given: dict[str, object], env: dict | None = None
) -> Any:
    """The value that a script prints last, on that Python; it finds `given` as a module."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(shutil.copy(script, folder))
        lines = [f"{name} = {value!r}\n" for name, value in given.items()]
        there.with_name("given.py").write_text("".join(lines))
        done = subprocess.run(
            [*python, there], cwd=folder, env=env, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return ast.literal_eval(done.stdout.splitlines()[-1])


def vocabulary(labels: int, seed: int) -> bytes:
    """A `.tvp` of random directions."""
    vectors = tvp.quantize(np.random.default_rng(seed).normal(size=(labels, 32)))
    names = [f"label {i}" for i in range(labels)]
    return tvp.to_bytes(tvp.Prototypes(names, vectors, b"12345678", "test"))


class Told:
    """What a command says to a board, line by line. `least`: what ROMFS wants at once."""

    def __init__(self, least: int = 0):
        self.lines: list[str] = []
        self.least = least

    def run(self, code: str, timeout: float = 0) -> str:
        self.lines.append(code)
        return ""

    def value(self, code: str, timeout: float = 0) -> int:
        self.lines.append(code)
        return self.least

    exec = run


def cp(data: bytes) -> list[str]:
    """What `mpremote cp v.tvp :` says."""
    told = Told()
    Transport.fs_writefile(told, "/f/v.tvp", data)
    return told.lines


def romfs(image: bytes, least: int) -> list[str]:
    """What tinyvlm-deploy says when an encoder goes into ROMFS."""
    told = Told(least)
    Target.write_romfs(SimpleNamespace(link=told), image)
    return told.lines


def encoder(seed: int) -> bytes:
    """A `.tvlm` of a few kilobytes."""
    build = Builder(12, seed)
    build.conv(5, 3, 2)
    build.conv(24, 3, 2)
    return tvlm.to_bytes(build.finish(32))


def run(program: Path, cuts: int, seed: int) -> dict[str, int]:
    """{change: its cuts}; AssertionError if one of them lost something."""
    encoders = [encoder(seed), encoder(seed + 1)]
    images = [make_image([("/rom/e.tvlm", data)]) for data in encoders]
    new = vocabulary(17, seed + 1)
    given = {
        "DEVICE": str(TOP / "device"),
        "ONBOARD": (TOP / "host/tinyvlm/boards/onboard/switch.py").read_text(),
        "OLD": vocabulary(12, seed),
        "NEW": new,
        "CP": cp(new),
        "ENCODERS": encoders,
        "IMAGES": images,
        "ROMFS": [{least: romfs(image, least) for least in (16, 32)} for image in images],
        "MOST": cuts,
        "SEED": 1 + seed,
    }
    return on([program, *HEAP], TOP / "tests" / "power" / "cuts.py", given)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cuts", type=int, default=100_000, help="at least (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="other vocabularies and other logs")
    args = parser.parse_args(argv)
    found = run(unix(), args.cuts, args.seed)
    for name, count in found.items():
        print(f"{name}: {count:,} cuts, the old one or the new one after each")
    print(f"all: {sum(found.values()):,} cuts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
