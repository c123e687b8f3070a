# SPDX-License-Identifier: MIT
"""A MicroPython board behind a link: what tinyvlm-deploy asks it, and has it do.

The code that runs there is in onboard/.

A file is replaced in two steps, so that a pulled cable leaves the old one or the new one:
`stage` writes NAME.new and compares its checksum, read back on the board; `switch` renames. On
LittleFS a rename replaces in one step. On FAT it removes first: power lost in that moment leaves
NAME.new alone, complete, and `tidy` puts it in place the next time (a program stays as it is until
it is copied again: nothing tells whether it is complete).
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from dataclasses import dataclass, field

from . import onboard
from .onboard import call
from .ports import BoardError
from .transports import Link

NEW = ".new"
ENOSPC = 28

_ROMFS_CHUNK = 4096  # bytes that travel in one piece
# The places where the device package looks for an encoder, in its order.
_PLACES = ("/rom", "/rom/lib", "", "/lib", "/flash", "/sd")


@dataclass
class Facts:
    """What a board is and has. Sizes in bytes; None where the board does not tell."""

    name: str
    version: str
    machine: str
    ram: int
    cwd: str
    mpy: int = 0
    lib: str | None = None
    block: int = 0
    flash: int | None = None
    free: int | None = None
    fs: str = ""
    romfs: int | None = None
    engine: str | None = None  # "" when built in, else the path of a native .mpy
    frozen: str | None = None  # version of the device package built into the firmware
    encoders: list[tuple[str, bytes, int]] = field(default_factory=list)  # path, fingerprint, size
    vocabs: list[tuple[str, bytes, int]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # encoders that are incomplete
    leftovers: list[str] = field(default_factory=list)
    rom_files: list[tuple[str, int]] = field(default_factory=list)

    @property
    def atomic(self) -> bool:
        """Does a rename replace a file in one step?"""
        return "Lfs" in self.fs


@dataclass
class File:
    """A file for the board. was: "new" there, "changed", or "unchanged" (nothing to do)."""

    path: str
    data: bytes
    was: str = "new"


class Target:
    """A board behind a link: looks, writes with care, tests."""

    def __init__(self, link: Link):
        self.link = link
        self.facts = self._look()

    def _look(self) -> Facts:
        facts = Facts(**self.link.value(call("facts.facts", onboard.ENGINE)))
        lib = facts.lib or "lib"
        heads, facts.leftovers, facts.rom_files = self.link.value(
            call("listing.listing", _PLACES, lib, onboard.ENGINE)
        )
        for path, head, size in heads:
            if len(head) == 24 and head[:4] == b"TVLM":
                facts.encoders.append((path, head[16:], size))
            elif len(head) == 24 and head[:4] == b"TVPR" and not path.startswith("/rom"):
                facts.vocabs.append((path, head[16:], size))
        # The first one counts, unless its copy was cut off: then it is as good as none.
        while facts.encoders and not self._whole(facts.encoders[0]):
            facts.damaged.append(facts.encoders.pop(0)[0])
        return facts

    def _whole(self, encoder: tuple[str, bytes, int]) -> bool:
        path, _, size = encoder
        return self.link.value(call("whole.whole", path), 30 + size / 10_000)

    def compare(self, files: list[File]) -> None:
        """Find out which of the files the board has already."""
        if not files:
            return
        paths = [file.path for file in files]
        seconds = 30 + sum(len(file.data) for file in files) / 10_000
        sums = self.link.value(call("sums.sums", paths), seconds)
        for file, found in zip(files, sums, strict=True):
            if found is not None:
                file.was = "unchanged" if found == _sum(file.data, found[1]) else "changed"

    def tidy(self) -> list[str]:
        """Clear away what an interrupted copy left; returns the files that were saved by it."""
        if not self.facts.leftovers:
            return []
        return self.link.value(call("whole.tidy", self.facts.leftovers), 60)

    def make_folders(self, paths: list[str]) -> None:
        folders = []
        for path in paths:
            parts = path.split("/")[:-1]
            folders += ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        wanted = [folder for folder in dict.fromkeys(folders) if folder]
        self.link.run(call("files.make_folders", wanted))

    def stage(self, file: File) -> None:
        """Write NAME.new and compare it with what was meant. Nothing changes for the board."""
        new = file.path + NEW
        self.link.put(new, file.data)
        self.link.run(call("files.sync"))
        seconds = 30 + len(file.data) / 10_000
        [found] = self.link.value(call("sums.sums", [new]), seconds)
        if found is None or found != _sum(file.data, found[1]):
            raise BoardError(
                f"{file.path}: its checksum differs on the board; nothing was replaced. "
                "Try again, or another USB cable"
            )

    def unstage(self, files: list[File]) -> None:
        self.link.run(call("files.remove", [file.path + NEW for file in files]))

    def switch(self, files: list[File]) -> None:
        """Put the staged files in place."""
        self.link.run(call("switch.switch", [file.path for file in files]))

    def read(self, path: str) -> bytes:
        lines = self.link.run(call("read.read", path), 600).splitlines()
        return binascii.a2b_base64("".join(lines[:-1]))  # the last one is what it returns

    def write_romfs(self, image: bytes) -> None:
        """Put an image into ROMFS, in place of what is there.

        Its first bytes come last: without them nothing is mounted, so that half an image never is.
        """
        least = max(1, self.link.value(call("romfs.prepare", len(image)), 120))
        image += bytes(-len(image) % least)
        head, step = -(-16 // least) * least, -(-_ROMFS_CHUNK // least) * least
        places = [(at, at + step) for at in range(head, len(image), step)]
        for at, end in [*places, (0, head)]:
            text = binascii.b2a_base64(image[at:end], newline=False)
            self.link.run(call("romfs.write", at, text))
        self.link.run(call("romfs.done"))

    def check_romfs(self, image: bytes) -> bool:
        """Is the image in ROMFS, byte by byte?"""
        seconds = 30 + len(image) / 10_000
        found = self.link.value(call("sums.romfs_sum", len(image)), seconds)
        return found == _sum(image, found[1])

    def selftest(self) -> tuple[str, str, bytes]:
        """Load the encoder and run its known answer: (what it says, its path, fingerprint)."""
        return self.link.value(call("check.selftest"), 300)

    def vocab(self, path: str) -> tuple[str, list[str]]:
        """Open a vocabulary on the board: (what it says, its labels)."""
        return self.link.value(call("check.vocab", path))


def _sum(data: bytes, kind: str) -> tuple[int, str, str]:
    if kind == "sha256":
        return len(data), kind, hashlib.sha256(data).hexdigest()
    return len(data), kind, f"{zlib.crc32(data):08x}"
