# SPDX-License-Identifier: MIT
"""The parts of a release that are compiled: firmware images, the engine as .mpy, wheel and sdist.

Each is built from scratch by the makefiles and back ends that everybody uses. NotHere says, in a
line, why one cannot be built on this machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from release_archive import same_tar

TOP = Path(__file__).resolve().parents[1]
WORK = TOP / "build" / "release"  # removed before each release, so that nothing old is in it
ARCHS = ("armv6m", "armv7emsp", "armv7emdp", "rv32imc", "xtensawin", "x64")
STM32 = sorted(
    path.parent.name
    for path in (TOP / "boards").glob("*/mpconfigboard.mk")
    if "stm32/board.mk" in path.read_text()
)


# What says why a build failed, the best first.
_MARKS = (
    r"make firmware: (.*)",
    r"(region `\w+' overflowed by \d+ bytes)",
    r"\*\*\* (No \S+gcc.*|.*has not what links.*)",
    r"\*\*\* (.*)",
)


class NotHere(Exception):
    """Why something cannot be built on this machine, in one line."""


def run(command: list, env: Mapping[str, str], cwd: Path = TOP) -> str:
    """Run a command and log it; NotHere with its last words if it fails."""
    line = " ".join(map(str, command))
    print(f"  $ {line}", flush=True)
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    with (WORK / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"$ {line}\n{done.stdout}\n")
    if done.returncode:
        raise NotHere(_reason(done.stdout) or f"{command[0]} failed; see {WORK / 'log.txt'}")
    return done.stdout


def _reason(said: str) -> str:
    """The line of make's, the linker's or our scripts' that says why; without our folder."""
    for mark in _MARKS:
        if found := re.search(mark, said):
            return found[1].rstrip(". ").replace(f"{TOP}/", "")
    return said.strip().splitlines()[-1] if said.strip() else ""


def environment(epoch: int) -> dict[str, str]:
    """What compilers see: the release's date, and nothing of a make that started this."""
    kept = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return kept | {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C", "TZ": "UTC"}


def micropython(env: Mapping[str, str]) -> tuple[Path, str]:
    """MicroPython's source tree, and its version."""
    run(["make", "build/micropython.path", _mpy(env)], env)
    tree = Path((TOP / "build" / "micropython.path").read_text().strip())
    text = (tree / "py" / "mpconfig.h").read_text()
    parts = ("MAJOR", "MINOR", "MICRO")
    return tree, ".".join(re.search(rf"VERSION_{part} (\d+)", text)[1] for part in parts)


def virtual(env: Mapping[str, str]) -> bytes:
    """The firmware of the virtual board, without names of functions and paths."""
    build = WORK / "VIRT_CORTEX_M7"
    run(["make", "board", f"BOARD_BUILD={build.relative_to(TOP)}", _mpy(env)], env)
    bare = build / "bare.elf"
    run(["arm-none-eabi-strip", "-o", bare, build / "firmware.elf"], env)
    return bare.read_bytes()


def max78000(env: Mapping[str, str]) -> bytes:
    build = WORK / "MAX78000FTHR"
    run(["make", "max78000", f"MAX78000_BUILD={build.relative_to(TOP)}", _mpy(env)], env)
    return (build / "firmware.bin").read_bytes()


def stm32(board: str, tree: Path, env: Mapping[str, str]) -> dict[str, bytes]:
    """suffix -> image: .dfu and .bin, with the encoder where the chip's own flash holds it."""
    build = WORK / board
    encoder = TOP / "host" / "tinyvlm" / "data" / "base.tvlm"
    env = {**env, "MPY_DIR": str(tree), "PYTHON": sys.executable, "JOBS": str(os.cpu_count())}
    run([TOP / "boards" / "firmware.sh", board, build, encoder], env)
    both = (build / "all.dfu").exists()
    stem = "all" if both else "firmware"
    images = {f".{kind}": (build / f"{stem}.{kind}").read_bytes() for kind in ("bin", "dfu")}
    return images if both else {**images, ".romfs": (build / "rom.romfs").read_bytes()}


def engine(arch: str, tree: Path, env: Mapping[str, str]) -> bytes:
    """The engine as a native .mpy."""
    run(["make", "-C", tree / "mpy-cross", f"PYTHON={sys.executable}"], env)
    command = ["make", "-C", "native/natmod", f"ARCH={arch}", f"MPY_DIR={tree}"]
    run([*command, f"PYTHON={sys.executable}"], env)
    return (TOP / "build" / "natmod" / arch / "_tinyvlm.mpy").read_bytes()


def python(
    epoch: int, env: Mapping[str, str], more: Mapping[Path, bytes], wheel: bool = True
) -> dict[str, bytes]:
    """name -> content of the sdist, and of the wheel that is built from it. more: what was built
    for them, by the place in this tree where it belongs."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True
    )
    source, out = WORK / "source", WORK / "python"
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if os.path.lexists(TOP / name):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, source / name, follow_symlinks=False)
    for path, data in more.items():
        (source / path.relative_to(TOP)).write_bytes(data)
    out.mkdir(parents=True)
    backend = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"
    said = run([sys.executable, "-c", backend.format("sdist", str(out))], env, source)
    sdist = out / said.split()[-1]
    data = same_tar(sdist.read_bytes(), epoch)
    if not wheel:
        return {sdist.name: data}
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    unpacked = out / sdist.name.removesuffix(".tar.gz")
    env = {**env, "CFLAGS": f"{env.get('CFLAGS', '')} -g0 -ffile-prefix-map={unpacked}=."}
    said = run([sys.executable, "-c", backend.format("wheel", str(out))], env, unpacked)
    made = out / said.split()[-1]
    return {sdist.name: data, made.name: made.read_bytes()}


def page(env: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The page, one file, and all words, which it fetches from beside it."""
    run(["make", "web"], env)
    html, words = (TOP / "build" / "web" / name for name in ("tinyvlm.html", "lexicon.bin"))
    return html.read_bytes(), words.read_bytes()


def about(board: str) -> dict[str, str]:
    """What the manifest says of a board: its chip, and its name at MicroPython's prompt."""
    folder = TOP / "boards" / board
    facts = {"chip": json.loads((folder / "board.json").read_text())["mcu"]}
    named = re.search(
        r'HW_BOARD_NAME "(.*) with tinyvlm"', (folder / "mpconfigboard.h").read_text()
    )
    facts["machine"] = named[1] if named else board
    return facts


def _mpy(env: Mapping[str, str]) -> str:
    return f"MPY_DIR={env.get('MPY_DIR', '')}"
