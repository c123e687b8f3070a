# SPDX-License-Identifier: MIT
"""What of a release needs no compiler: drives' contents, encoders for others, stubs, mip's index.

Each function gives name -> content, or what goes into one archive.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from tinyvlm import packit
from tinyvlm.boards import openmv
from tinyvlm.boards.deployment import read_model
from tinyvlm.net import tflite, tvlm
from tinyvlm.shipped import DATA

TOP = Path(__file__).resolve().parents[1]
DEVICE = TOP / "device"
WORDS = DEVICE / "examples" / "things.txt"

OPENMV = """\
tinyvlm {version} for an OpenMV camera with its own firmware: copy all of this onto the camera's
drive, eject it, and open main.py in OpenMV's IDE. It prints what it sees.
"""
CIRCUITPYTHON = """\
tinyvlm {version} for CircuitPython 9 or later on a board with PSRAM and a camera: copy all of this
onto the drive CIRCUITPY, and eject it. code.py prints what it sees, seconds a picture.
"""
SWAP = """
pets.tvp holds the words: {labels}. Put a pets.tvp of yours in its place:
    tinyvlm-pack --model {model} --vocab pets.txt
docs/boards has a page for your board: what you see, and what can go wrong.
"""


def device_package() -> dict[str, bytes]:
    """The Python package for boards, as its package.json lists it."""
    package = json.loads((DEVICE / "package.json").read_text())
    return {name: (DEVICE / source).read_bytes() for name, source in package["urls"]}


def vocabulary(model: str) -> bytes:
    """The words of the examples, for an encoder."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pets.tvp"
        if packit.main(["--vocab", str(WORDS), "--model", model, "-o", str(out), "--quiet"]):
            raise SystemExit(f"release: {WORDS} cannot be packed for {model}")
        return out.read_bytes()


def drive(version: str, model: str, about: str) -> dict[str, bytes]:
    """What a drive needs beside encoder and program: package, words, and how to change them."""
    labels = [line.partition(":")[0].strip() for line in WORDS.read_text("utf-8").splitlines()]
    labels = [label for label in labels if label and not label.startswith("#")]
    text = about.format(version=version) + SWAP.format(labels=", ".join(labels), model=model)
    files = {f"lib/{name}": data for name, data in device_package().items()}
    return files | {"pets.tvp": vocabulary(model), "tinyvlm.txt": text.encode()}


def openmv_files(version: str) -> dict[str, bytes]:
    """The drive of an OpenMV camera, as `tinyvlm-deploy --openmv` fills it."""
    encoder = openmv.encoder_file(read_model(DATA / "base.tvlm"))
    files = [encoder, *openmv.programs(None)]
    return drive(version, "base", OPENMV) | {file.path: file.data for file in files}


def circuitpython_files(version: str) -> dict[str, bytes]:
    """The drive of a CircuitPython board."""
    program, encoder = DEVICE / "examples" / "code.py", DATA / "nano.tvlm"
    files = {path.name: path.read_bytes() for path in (program, encoder)}
    return drive(version, "nano", CIRCUITPYTHON) | files


def example_files() -> dict[str, bytes]:
    """The programs for boards, and their words."""
    return {p.name: p.read_bytes() for p in (DEVICE / "examples").iterdir() if p.is_file()}


def stub_files() -> dict[str, bytes]:
    """typings/: what editors and type checkers want to know of the firmware's own modules."""
    root = TOP / "typings"
    folders = [path for path in root.iterdir() if path.is_dir()]  # one of them is a link
    paths = [*root.glob("*.pyi"), *(path for one in folders for path in one.glob("*.pyi"))]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def tflite_of(model: str) -> bytes:
    return tflite.to_bytes(tvlm.read(DATA / f"{model}.tvlm"))


def max78000_copy() -> bytes:
    """The encoder of a MAX78000, without what only CPUs need."""
    return tvlm.to_bytes(tvlm.read(DATA / "max78000.tvlm"), cpu=False)


def mip_index(version: str, engines: dict[str, bytes]) -> dict[str, bytes]:
    """A folder for any web server, from which mip installs package and engine.

    mip cannot choose a core by itself, so each has a name: tinyvlm-armv7emsp; `tinyvlm` is the
    package alone. NAME.json serves `mip install URL/NAME.json`, package/ serves `--index URL`.
    """
    files, package = {}, device_package()
    sets = {"tinyvlm": package}
    sets |= {f"tinyvlm-{arch}": {**package, "_tinyvlm.mpy": engines[arch]} for arch in engines}
    for name, content in sets.items():
        hashes = []
        for path, data in content.items():
            short = hashlib.sha256(data).hexdigest()[:8]
            files[f"file/{short[:2]}/{short}"] = data
            hashes.append([path, short])
        urls = [[path, f"file/{short[:2]}/{short}"] for path, short in hashes]
        files[f"{name}.json"] = _json({"urls": urls, "deps": [], "version": version})
        index = _json({"v": 1, "hashes": hashes, "deps": [], "version": version})
        for bytecode in ("6", "py"):  # of MicroPython 1.19 and later; --no-mpy
            for tag in ("latest", version):
                files[f"package/{bytecode}/{name}/{tag}.json"] = index
    return files


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
