# SPDX-License-Identifier: MIT
"""The drive that a board shows on USB; here CircuitPython's. The same steps as on a prompt.

    drive = Drive(Path("/media/me/CIRCUITPY"))
    drive.stage(file); drive.switch([file])

A file is written beside the old one, forced out to the board and read back; then one rename puts
it in place. The drive is FAT, and the PC's own driver does the rename: pull the plug only after
the command has ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from .ports import BoardError
from .target import NEW, Facts, File

BOOT_OUT = "boot_out.txt"  # CircuitPython writes it at every start


def is_plain(path: Path) -> bool:
    """A file, and neither a link to one nor a pipe, which would wait for ever."""
    return path.is_file() and not path.is_symlink()


class Drive:
    """A mounted CIRCUITPY drive."""

    locked = "does boot.py keep the drive to the board, or is it mounted read-only?"

    def __init__(self, root: Path):
        self.root = root
        self._lock: int | None = None
        self.facts = self._identify()
        self._look(self.facts)

    def _identify(self) -> Facts:
        """Whose drive it is, by a file that the firmware wrote."""
        try:
            if not is_plain(self.root / BOOT_OUT):
                raise OSError
            text = (self.root / BOOT_OUT).read_text(errors="replace")
        except OSError:
            raise BoardError(
                f"{self.root}: no {BOOT_OUT}, so this is not the drive of a CircuitPython board"
            ) from None
        text = "".join(c for c in text if c.isprintable() or c == "\n")  # it goes to the terminal
        # "Adafruit CircuitPython 9.2.1 on 2024-11-20; Adafruit Feather ESP32-S3 with ESP32S3"
        found = re.match(r"(?:Adafruit )?CircuitPython (\S+) on [^;]*; (.*)", text)
        version, machine = found.groups() if found else ("?", text.split("\n")[0][:60] or "?")
        return Facts("circuitpython", version, machine.strip(), ram=0, cwd="", lib="lib")

    def lock(self) -> None:
        """Nobody else deploys to this drive until unlock(): they would remove each other's files.

        The folder itself is locked, where the system can do that (not Windows).
        """
        try:
            import fcntl

            self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, AttributeError):
            pass
        except BlockingIOError:
            raise BoardError(
                f"another tinyvlm-deploy is busy with {self.root}; wait until it has ended"
            ) from None
        except OSError:  # a file system without locks
            pass

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _look(self, facts: Facts) -> None:
        usage = shutil.disk_usage(self.root)
        facts.flash, facts.free, facts.fs = usage.total, usage.free, "VfsFat"
        facts.block = os.statvfs(self.root).f_frsize if hasattr(os, "statvfs") else 512
        for path, head in self._heads("*.tvp", b"TVPR"):
            facts.vocabs.append((path.name, head[16:], path.stat().st_size))
        self._look_for_encoders(facts)
        for folder in filter(self._inside, (self.root, self.root / "lib" / "tinyvlm")):
            facts.leftovers += [str(p.relative_to(self.root)) for p in folder.glob(f".*{NEW}")]

    def _look_for_encoders(self, facts: Facts) -> None:
        for path, head in self._heads("*.tvlm", b"TVLM"):
            facts.encoders.append((path.name, head[16:], path.stat().st_size))

    def _heads(self, pattern: str, magic: bytes) -> Iterator[tuple[Path, bytes]]:
        for path in sorted(filter(is_plain, self.root.glob(pattern))):
            with path.open("rb") as file:
                head = file.read(24)
            if len(head) == 24 and head[:4] == magic:
                yield path, head

    def _inside(self, folder: Path) -> bool:
        """A drive is FAT and has no links, but a folder that is given as one may."""
        return folder.resolve().is_relative_to(self.root.resolve())

    def compare(self, files: list[File]) -> None:
        for file in files:
            path = self.root / file.path
            if not path.exists() and not path.is_symlink():
                continue
            same = is_plain(path) and path.read_bytes() == file.data
            file.was = "unchanged" if same else "changed"

    def tidy(self) -> list[str]:
        for path in self.facts.leftovers:
            (self.root / path).unlink(missing_ok=True)
        return []

    def make_folders(self, paths: list[str]) -> None:
        with self._explain():
            for path in paths:
                if not self._inside((self.root / path).parent):
                    raise BoardError(f"{path}: a link there leaves {self.root}; remove it")
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)

    def _new(self, file: File) -> Path:
        path = self.root / file.path
        return path.with_name(f".{path.name}{NEW}")  # CircuitPython does not restart for these

    def stage(self, file: File) -> None:
        new = self._new(file)
        new.unlink(missing_ok=True)
        with self._explain(), new.open("xb") as out:  # x: follows no link
            out.write(file.data)
            out.flush()
            os.fsync(out.fileno())
            if hasattr(os, "posix_fadvise"):  # so that reading asks the board, not the PC's cache
                os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if new.read_bytes() != file.data:
            raise BoardError(f"{file.path}: differs when read back; nothing was replaced")

    def unstage(self, files: list[File]) -> None:
        with contextlib.suppress(OSError):
            for new in filter(lambda new: self._inside(new.parent), map(self._new, files)):
                new.unlink(missing_ok=True)

    def switch(self, files: list[File]) -> None:
        with self._explain():
            for file in files:
                os.replace(self._new(file), self.root / file.path)
            if hasattr(os, "O_DIRECTORY"):
                for folder in {(self.root / file.path).parent for file in files}:
                    handle = os.open(folder, os.O_DIRECTORY)
                    os.fsync(handle)
                    os.close(handle)

    @contextlib.contextmanager
    def _explain(self):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise BoardError(f"{self.root} cannot be written; {self.locked}") from None
            if error.errno == errno.ENOSPC:
                raise BoardError(f"{self.root}: no space left; nothing was replaced") from None
            if error.errno in (errno.EIO, errno.ENODEV, errno.ENOENT):
                raise BoardError(f"{self.root} is gone (unplugged?); try again") from None
            raise
