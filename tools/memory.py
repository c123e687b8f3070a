# SPDX-License-Identifier: MIT
"""Every allocation of every call fails, and Ctrl-C comes everywhere: `make memory`.

    python tools/memory.py

tests/memory/points.py runs on MicroPython's unix port, with an allocator that fails at the n-th
time, and on this Python with such a one; for every n of every call, that one alone and, on
MicroPython, all from there on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
from power import HEAP, OPTIONS, TOP, make_unix, on

from tinyvlm.net import tvlm
from tinyvlm.net.samples import Builder
from tinyvlm.words import tvp

HERE = TOP / "tests" / "memory"
BUILD = TOP / "build" / "memory"


def unix() -> Path:
    """MicroPython's unix port with the engine and failing.c in it."""
    modules = BUILD / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    for name, folder in (("native", TOP / "native"), ("failing", HERE)):
        if not (modules / name).exists():
            (modules / name).symlink_to(folder)
    return make_unix(BUILD / "unix", modules, [*OPTIONS, "COPT=-O1"])  # built sooner


def cpython() -> list[str | Path]:
    """This Python, which finds failing_pc.c's module in BUILD."""
    BUILD.mkdir(parents=True, exist_ok=True)
    module = BUILD / f"failing{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}"]
    subprocess.run([*command, HERE / "failing_pc.c", "-o", module], check=True)
    return [sys.executable]


def given() -> dict[str, object]:
    """What points.py works with: a small encoder, and a vocabulary for it."""
    build = Builder(12, seed=1)
    build.conv(5, 3, 2)
    build.residual(4, 2)
    encoder = tvlm.to_bytes(build.finish(16, dense=True))
    vectors = tvp.quantize(np.random.default_rng(2).normal(size=(5, 16)))
    words = tvp.Prototypes(
        labels=["cat", "cow ü", "dog"],
        vectors=vectors,
        fingerprint=encoder[16:24],
        encoder="test",
        prefixes=[(8, 6.0, 0.25)],
        none=[0.5, 0.25],
        background=2,
    )
    data = tvp.to_bytes(words)
    return {"ENCODER": encoder, "OTHER": encoder[:-1], "VOCABULARY": data}


def run(python: list[str | Path], device: str, both: bool = True) -> tuple[dict, dict]:
    """{call: how many of its allocations failed}, and of MicroPython how often Ctrl-C came; raises
    AssertionError if one left something half."""
    values = given() | {"DEVICE": device, "BOTH": both}
    return on(python, HERE / "points.py", values, {"PYTHONPATH": str(BUILD)})


def on_micropython() -> tuple[dict, dict]:
    return run([unix(), *HEAP], str(TOP / "device"))


def on_cpython() -> tuple[dict, dict]:
    return run(cpython(), "", both=False)  # CPython itself does not live without any memory


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.parse_args(argv)
    there, pressed = on_micropython()
    here, _ = on_cpython()
    print(f"{'call':28}{'MicroPython':>12}{'CPython':>10}{'Ctrl-C':>10}")
    for name in sorted(there):
        print(f"{name:28}{there[name]:>12,}{here.get(name, 0):>10,}{pressed.get(name, 0):>10,}")
    total = [sum(counts.values()) for counts in (there, here, pressed)]
    print(f"{'all':28}{total[0]:>12,}{total[1]:>10,}{total[2]:>10,}")
    print("each time the old state and an exception, or as if nothing had been")
    return 0


if __name__ == "__main__":
    sys.exit(main())
