# SPDX-License-Identifier: MIT
"""The engine as a native .mpy (`make natmod ARCH=...`), for tinyvlm-deploy --engine.

Machine code of another core breaks `import tinyvlm`, so the board tries the file before it takes
the place of the old one, and says afterwards which one it finds.
"""

from __future__ import annotations

from pathlib import Path

from . import onboard
from .onboard import call
from .ports import BoardError
from .target import NEW, File
from .transports import OnBoard

NEEDS = ("Encoder", "score")  # of what the package takes, what only the engine has
# As MicroPython numbers them, in a .mpy and in sys.implementation._mpy.
ARCHS = ("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
         "xtensa", "xtensawin", "rv32imc", "rv64imc")  # fmt: skip


def read(path: Path) -> bytes:
    """A native .mpy, checked. OSError or ValueError says what is wrong with it."""
    data = path.read_bytes()
    if len(data) < 4 or data[:1] != b"M" or not 0 < data[2] >> 2 & 15 < len(ARCHS):
        raise ValueError(f"{path}: not a native .mpy; make natmod ARCH=... builds the engine")
    return data


def arch(data: bytes) -> str:
    """The core that a native .mpy is for."""
    return ARCHS[data[2] >> 2 & 15]


def arch_of(facts) -> str:
    """The core whose .mpy a board loads."""
    number = facts.mpy >> 10 & 15
    return ARCHS[number] if number < len(ARCHS) else f"core {number}"


def plan(facts, data: bytes) -> File:
    """The place of the file on the board. BoardError if the board would not look there."""
    if facts.name == "circuitpython":
        raise BoardError("CircuitPython loads no native .mpy; leave --engine out")
    if facts.engine == "":
        raise BoardError("the firmware has the engine built in and finds it first; no --engine")
    return File(f"{'lib' if facts.lib is None else facts.lib}/{onboard.ENGINE}.mpy", data)


def describe(file: File, facts) -> str:
    """For the plan: "/lib/_tinyvlm.mpy, for armv7emdp, 28625 bytes: new"."""
    ours, theirs = arch(file.data), arch_of(facts)
    other = "" if ours == theirs else f" (the board: {theirs})"
    return f"{file.path}, for {ours}{other}, {len(file.data)} bytes: {file.was}"


def try_staged(target, file: File) -> None:
    """Import the staged file on the board. BoardError if that fails; nothing is replaced."""
    folder, _, _ = file.path.rpartition("/")
    trial = onboard.ENGINE + "_new"
    try:
        target.link.run(call("engine.try_staged", file.path + NEW, folder, trial, NEEDS))
    except OnBoard as error:
        ours, theirs, advice = arch(file.data), arch_of(target.facts), ""
        if theirs == "none":
            advice = "its firmware loads no native code; "
        elif "incompatible" in str(error):
            advice = f"make natmod ARCH={theirs} with MicroPython {target.facts.version}; "
        raise BoardError(
            f"the engine is for {ours}, this board is {theirs} and says {str(error)!r}; "
            f"{advice}nothing was replaced"
        ) from None
    target.link.soft_reset()  # its code lies in RAM


def found(target) -> str:
    """The path of the engine that the board imports. OnBoard if there is none."""
    return target.link.value(call("engine.path", onboard.ENGINE))
