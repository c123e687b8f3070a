# SPDX-License-Identifier: MIT
"""What of a release fits the connected board: firmware, engine, encoder (--from).

Nothing here writes. Where more than one fits, or none, a BoardError says what there is.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from .. import __version__
from ..release import File, Release
from ..words import tvp
from . import native_mpy
from .deployment import Model
from .flashers import daplink_board, dfu_devices
from .ports import BoardError, board_ports, drives
from .target import Facts, Target
from .transports import connect

SUFFIX = "_TINYVLM"  # of our boards that are MicroPython's with the engine
# Cores in the order of what they add: each also loads the code of those before it.
CORTEX_M = native_mpy.ARCHS[native_mpy.ARCHS.index("armv6m") : native_mpy.ARCHS.index("xtensa")]


def firmware(release: Release, board: str | None, port: str) -> File:
    """The image for a board: the one that is named, or the one that is connected.

    A board at MicroPython's prompt says what it is, and so does a DAPLink drive. A chip in DFU
    mode does not: then the release must have a firmware for one STM32 board alone.
    """
    there = release.files("firmware")
    if board is not None:
        found = [file for file in there if _plain(file.target) in _names(board)]
        return _best(found, there, release, f"--board {board}")
    what, found = _connected(there, port)
    return _best(found, there, release, what)


def _names(board: str) -> set[str]:
    return {_plain(board), _plain(board + SUFFIX)}


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _best(found: list[File], there: list[File], release: Release, what: str) -> File:
    boards = sorted({file.target for file in found})
    if len(boards) == 1:  # its .dfu, where there is one, is checked more closely than its .bin
        return min(found, key=lambda file: (not file.name.endswith(".dfu"), file.name))
    if boards:
        raise BoardError(f"{what} may be one of {', '.join(boards)}; say which with --board")
    every = ", ".join(sorted({file.target for file in there})) or "none"
    raise BoardError(
        f"{what}: {release.where} has no firmware for it, but for {every}; say which with --board"
    )


def _connected(there: list[File], port: str) -> tuple[str, list[File]]:
    """What is connected, in words, and the images that may be for it."""
    if port == "auto":
        folders, ports = drives("DETAILS.TXT"), [one.device for one in board_ports()]
    elif Path(port).is_dir():
        folders, ports = [Path(port)], []
    else:
        folders, ports = [], [port]
    for drive in folders:
        if daplink_board(drive) == "max78000":
            return f"the DAPLink at {drive}", _for_chip(there, "max78000")
    if len(ports) > 1:
        raise BoardError(f"{len(ports)} boards on USB ({', '.join(ports)}); use --port")
    if ports:
        try:
            with connect(ports[0]) as link:
                machine = Target(link).facts.machine
        except BoardError as error:
            raise BoardError(f"{error}; or say which board it is with --board") from None
        name = _plain(machine.partition(" with ")[0])
        named = [f for f in there if name in (_plain(f.more["machine"]), _plain(f.target))]
        return f"the board at {ports[0]} ({machine})", named
    if port == "auto" and dfu_devices():
        return "the chip in DFU mode", _for_chip(there, "stm32")
    raise BoardError(
        "no board is connected: no DAPLink drive, no MicroPython on USB, no chip in DFU mode; "
        "say which board it is with --board"
    )


def _for_chip(there: list[File], chip: str) -> list[File]:
    return [file for file in there if _plain(file.more["chip"]).startswith(chip)]


def engine(release: Release, facts: Facts) -> File | None:
    """The engine for a firmware without it; None where it has one, or loads no native code."""
    if facts.name == "circuitpython" or facts.engine == "":
        return None
    core = native_mpy.arch_of(facts)
    fits = [core]
    if core in CORTEX_M:
        fits = list(reversed(CORTEX_M[: CORTEX_M.index(core) + 1]))
    for one in fits:
        if found := release.files("engine", one):
            return found[0]
    return None


def encoder(release: Release, facts: Facts, fingerprints: set[bytes]) -> File | None:
    """The encoder for a board that has none: that of the vocabularies, or one that it can hold.

    None: what tinyvlm-deploy would take without a release.
    """
    if facts.encoders:
        return None
    there = release.files("encoder")
    chip = "max78000" if _plain(facts.machine).startswith("max78000") else None
    if fingerprints:
        fits = [f for f in there if bytes.fromhex(f.more["fingerprint"]) in fingerprints]
    elif chip:
        fits = [file for file in there if file.target == chip]
    elif facts.name == "circuitpython":
        fits = [file for file in there if file.target == "nano"]
    else:  # in flash that is mapped, or all of it in RAM
        fits = [
            file
            for file in there
            if file.target in ("base", "nano")
            and (facts.romfs or file.size + file.more["arena"] <= facts.ram)
        ]
    fits.sort(key=lambda file: (file.more.get("chip") != chip, file.target != "base"))
    return fits[0] if fits else None


def _on_the_drive(release: Release, name: str) -> bytes:
    """The encoder as .tflite that a release's drive for OpenMV has: writing one takes LiteRT."""
    for file in release.files("drive", "OpenMV"):
        with zipfile.ZipFile(release.path(file)) as drive:
            if f"{name}.tflite" in drive.namelist():
                return drive.read(f"{name}.tflite")
    return b""


def our_release(where: str) -> Release:
    """A release of this package's version: engine and package belong together."""
    release = Release(where)
    if release.version != __version__:
        raise BoardError(
            f"{release.where} is tinyvlm {release.version}, this command is {__version__}; "
            "install the wheel of that release"
        )
    return release


def complete(
    release: Release,
    facts: Facts,
    vocabs: list[tuple[Path, tvp.Prototypes]],
    native: bytes | None,
    model: Model | None,
) -> tuple[bytes | None, Model | None]:
    """(engine, encoder): those that were named, else the release's, where the board needs one."""
    said = [f"version {release.version}"]
    if native is None and (file := engine(release, facts)):
        native = native_mpy.read(release.path(file))
        said.append(file.name)
    if model is None:
        wanted = {vocab.fingerprint for _, vocab in vocabs}
        if file := encoder(release, facts, wanted):
            path = release.path(file)  # whole, by its checksum; a MAX78000's holds plans alone
            made = _on_the_drive(release, path.stem) if facts.name == "openmv" else b""
            model = Model(path, file.target, path.read_bytes(), made)
            said.append(file.name)
    print(f"  {'release':11} {release.where}: " + ", ".join(said))
    return native, model
