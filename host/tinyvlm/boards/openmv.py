# SPDX-License-Identifier: MIT
"""OpenMV cameras and ESP-VISION boards: a .tflite runs there, from their drive or from ROMFS.

camera = Camera(find())
camera.stage(file); camera.switch([file])       # as on any drive
"""

from __future__ import annotations

from pathlib import Path

from ..net import tflite, tvlm
from ..shipped import EXAMPLES
from .drive import Drive, is_plain
from .ports import BoardError, drives
from .target import Facts, File

EXAMPLE = EXAMPLES / "openmv_detect.py"
IMAGES = (".romfs", ".img")  # as mpremote and OpenMV's IDE name them
OLD = "main.old.py"  # where a main.py goes that is not the example

# What the firmware writes onto its drive at the first start.
MARKS = {".openmv_disk": "an OpenMV camera", ".esp_vision_disk": "an ESP-VISION board"}


def check(args) -> None:
    """ValueError for options of tinyvlm-deploy that do not go with --openmv."""
    if args.openmv is None:
        return
    others = {"port": args.port != "auto", "backend": args.backend, "engine": args.engine}
    for name, given in (others | {"examples": args.examples}).items():
        if given:
            raise ValueError(f"--openmv needs no --{name}; leave it out")
    if not args.openmv or args.openmv.endswith(".tvp"):
        raise ValueError("vocabularies come first: tinyvlm-deploy pets.tvp --openmv")


def is_image(place: str) -> bool:
    """Is a ROMFS image meant, and not a drive?"""
    return Path(place).suffix in IMAGES


def find() -> Path:
    """The only drive of such a board that is mounted."""
    found = [drive for mark in MARKS for drive in drives(mark)]
    if len(found) != 1:
        names = f" ({', '.join(map(str, found))})" if found else ""
        count = len(found) or "no"
        raise BoardError(
            f"{count} drives of OpenMV cameras are mounted{names}; name one: --openmv FOLDER"
        )
    return found[0]


class Camera(Drive):
    """The drive of an OpenMV camera or of a board with ESP-VISION."""

    locked = "is it mounted read-only?"

    def _identify(self) -> Facts:
        for mark, machine in MARKS.items():
            if is_plain(self.root / mark):
                return Facts("openmv", "", machine, ram=0, cwd="", lib="lib")
        raise BoardError(
            f"{self.root}: neither {' nor '.join(MARKS)}, so this is not the drive of an OpenMV "
            "camera or an ESP-VISION board; put an SD card into the camera once"
        )

    def _look_for_encoders(self, facts: Facts) -> None:
        for path in sorted(filter(is_plain, self.root.glob("*.tflite"))):
            mark = tflite.fingerprint(path.read_bytes())
            if mark is not None:
                facts.encoders.append((path.name, mark, path.stat().st_size))


def encoder_file(model) -> File:
    """An encoder as a .tflite, with the map that detect() wants if it has one."""
    name = f"{model.path.stem}.tflite"
    if model.tflite:
        return File(name, model.tflite)
    graph = tvlm.read(model.path)
    return File(name, tflite.to_bytes(graph, graph.dense is not None))


def programs(main: Path | None, target: Camera | None = None) -> list[File]:
    """main.py: the one that is named, or the example. A main.py of somebody else is kept."""
    example = EXAMPLE.read_bytes()
    files = [File("main.py", main.read_bytes() if main else example)]
    there = target and target.root / "main.py"
    if main is None and there is not None and is_plain(there):
        old = there.read_bytes()
        if old.strip() and old != example and b"OpenMV cameras and ESP-VISION" not in old:
            if (target.root / OLD).exists():
                raise BoardError(
                    f"main.py on the drive is not the example, and {OLD} is there already; "
                    "remove one, or say which program it shall be: --main FILE.py"
                )
            files.insert(0, File(OLD, old))
    return files
