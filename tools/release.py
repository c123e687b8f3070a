# SPDX-License-Identifier: MIT
"""Fill a folder with all that a release page offers: tools/release.py dist (`make release`).

Wheel and sdist, firmware, the engine as native .mpy with an index for mip, encoders, contents of
drives, stubs, SHA256SUMS and manifest.json, which tinyvlm-flash, -deploy and -board read (--from).
What this machine cannot build is said, and listed in the manifest. Two runs give equal bytes: the
date in everything is SOURCE_DATE_EPOCH's, or that of the last commit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import release_boards as boards
import release_sets as sets
from release_archive import zip_of
from release_boards import TOP, WORK, NotHere

import tinyvlm
from tinyvlm import studio
from tinyvlm.net import tvlm
from tinyvlm.release import FORMAT, MANIFEST
from tinyvlm.shipped import DATA, ENCODERS
from tinyvlm.words import tvlx, tvp

SUMS = "SHA256SUMS"
OURS = "MIT"
ENCODER = "research and hobby use: docs/models.md"  # the data sets that it was trained on
PACKAGE = f"MIT; encoders: {ENCODER}"
PAGE = f"{PACKAGE}; photos: public domain, CC0, CC BY 2.0 (named in the page)"
FIRMWARE = "MIT, MicroPython included"
STM32 = "MIT, MicroPython included; ST's HAL: BSD-3-Clause; CMSIS: Apache-2.0"


@dataclass
class Made:
    """A file of the release, as manifest.json lists it."""

    name: str
    kind: str
    target: str
    data: bytes
    licence: str = OURS
    more: dict = field(default_factory=dict)

    def entry(self, version: str) -> dict:
        return {
            "name": self.name,
            "kind": self.kind,
            "target": self.target,
            "size": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "version": version,
            "licence": self.licence,
            **self.more,
        }


def write(
    out: Path, version: str, micropython: str, made: list[Made], left_out: dict[str, str]
) -> None:
    """The folder: files, manifest.json, SHA256SUMS. What an earlier release left there goes."""
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise SystemExit(f"release: {out} is no release, and not empty; nothing was written")
    shutil.rmtree(out, ignore_errors=True)
    made = sorted(made, key=lambda one: one.name)
    formats = {"tvlm": tvlm.VERSION, "tvp": tvp.VERSION, "manifest": FORMAT}
    mpy = {f"{one.data[1]}.{one.data[2] & 3}" for one in made if one.kind == "engine"}
    manifest = {
        "project": "tinyvlm",
        "format": FORMAT,
        "version": version,
        "micropython": micropython,
        "formats": formats | ({"mpy": max(mpy)} if mpy else {}),
        "files": [one.entry(version) for one in made],
        "left_out": left_out,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    made = [*made, Made(MANIFEST, "", "", text.encode())]
    lines = [f"{hashlib.sha256(one.data).hexdigest()}  {one.name}\n" for one in made]
    made.append(Made(SUMS, "", "", "".join(sorted(lines, key=lambda s: s[66:])).encode()))
    for one in made:
        path = out / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)


def encoders() -> list[Made]:
    """The encoders, for engine and for LiteRT, and the copy that a MAX78000 has room for."""
    made = []
    for name in ENCODERS:
        data = (DATA / f"{name}.tvlm").read_bytes()
        more = {"fingerprint": data[16:24].hex()}
        more["arena"] = tvlm.load(DATA / f"{name}.tvlm").plan.arena_size
        made.append(Made(f"{name}.tvlm", "encoder", name, data, ENCODER, more))
        if name == "max78000":
            board = {**more, "chip": "max78000"}
            copy = sets.max78000_copy()
            made.append(Made("max78000-board.tvlm", "encoder", name, copy, ENCODER, board))
        else:
            made.append(Made(f"{name}.tflite", "tflite", name, sets.tflite_of(name), ENCODER))
    return made


def archives(version: str, epoch: int) -> list[Made]:
    """What is unpacked somewhere: onto a drive, into a project."""
    openmv, circuit = sets.openmv_files(version), sets.circuitpython_files(version)
    return [
        Made("openmv.zip", "drive", "OpenMV", zip_of(openmv, epoch), PACKAGE),
        Made("circuitpython.zip", "drive", "CircuitPython", zip_of(circuit, epoch), PACKAGE),
        Made("examples.zip", "examples", "boards", zip_of(sets.example_files(), epoch)),
        Made("typings.zip", "stubs", "editors", zip_of(sets.stub_files(), epoch)),
    ]


def compiled(
    version: str, epoch: int, args: argparse.Namespace
) -> tuple[str, list[Made], dict[str, str]]:
    """What needs compilers: (MicroPython's version, files, why others are missing)."""
    env = boards.environment(epoch)
    made: list[Made] = []
    left_out: dict[str, str] = {}
    tree, micropython = boards.micropython(env)
    licence = (tree / "LICENSE").read_bytes()
    made.append(Made("LICENSE-MicroPython.txt", "licence", "firmware", licence))

    def image(board: str, suffix: str, kind: str, data: bytes, licence: str) -> None:
        name, more = f"tinyvlm-{version}-{board}{suffix}", boards.about(board)
        made.append(Made(name, kind, board, data, licence, more))

    def attempt(target: str, build) -> None:
        if args.only and target not in args.only:
            left_out[target] = "not asked for"
            return
        print(f"{target} ...", flush=True)
        try:
            build()
        except NotHere as error:
            left_out[target] = str(error).replace(str(tree), "MicroPython's source")
            print(f"  left out: {error}", flush=True)

    def stm32(board: str) -> None:
        for suffix, data in boards.stm32(board, tree, env).items():
            image(board, suffix, "romfs" if suffix == ".romfs" else "firmware", data, STM32)

    def engine(arch: str) -> None:
        data = boards.engine(arch, tree, env)
        made.append(Made(f"tinyvlm-{version}-{arch}.mpy", "engine", arch, data))

    carried = {}  # by wheel and sdist, beside what git knows

    def page() -> None:
        html, words = boards.page(env)
        carried[DATA / studio.NAME] = html
        made.append(Made(studio.NAME, "page", "browsers", html, PAGE))
        made.append(Made(tvlx.FILE, "lexicon", studio.NAME, words, ENCODER))

    def package() -> None:
        python = boards.python(epoch, env, carried, wheel=args.wheels is None)
        for path in args.wheels.glob("*.whl") if args.wheels else ():
            python[path.name] = path.read_bytes()
        for name, data in python.items():
            kind = "wheel" if name.endswith(".whl") else "sdist"
            target = "any Python with a C compiler"
            if kind == "wheel":
                tag, _, platform = name.removesuffix(".whl").split("-")[2:]
                target = f"{tag} {platform}"
            made.append(Made(name, kind, target, data, PACKAGE))

    virt, fthr = "VIRT_CORTEX_M7", "MAX78000FTHR"
    attempt("page", page)
    package()
    attempt(virt, lambda: image(virt, ".elf", "virtual", boards.virtual(env), FIRMWARE))
    attempt(fthr, lambda: image(fthr, ".bin", "firmware", boards.max78000(env), FIRMWARE))
    for board in boards.STM32:
        attempt(board, lambda board=board: stm32(board))
    for arch in boards.ARCHS:
        attempt(arch, lambda arch=arch: engine(arch))
    return micropython, made, left_out


def epoch_of_commit() -> int:
    """SOURCE_DATE_EPOCH, or the date of the last commit."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True)
    return int(done.stdout)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/release.py", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the folder, which is replaced")
    parser.add_argument(
        "--wheels", type=Path, metavar="DIR", help="take these wheels instead of building one"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="TARGET", help="of boards and cores, build these alone"
    )
    parser.add_argument(
        "--keep", action="store_true", help="go on in build/release, instead of from scratch"
    )
    args = parser.parse_args(argv)
    version, epoch = tinyvlm.__version__, epoch_of_commit()
    os.umask(0o022)
    if not args.keep:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    micropython, made, left_out = compiled(version, epoch, args)
    engines = {one.target: one.data for one in made if one.kind == "engine"}
    made += encoders() + archives(version, epoch)
    for name, data in sets.mip_index(version, engines).items():
        made.append(Made(f"mip/{name}", "mip", "any web server", data))
    made.append(Made("LICENSE.txt", "licence", "tinyvlm", (TOP / "LICENSE").read_bytes()))
    write(args.out, version, micropython, made, left_out)
    size = sum(len(one.data) for one in made)
    listed = sum(one.kind != "mip" for one in made)
    print(f"{args.out}: {listed} files and mip/, {size / 1e6:.1f} MB, MicroPython {micropython}")
    if left_out:
        print("left out: " + ", ".join(left_out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
