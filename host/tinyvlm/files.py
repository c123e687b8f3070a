# SPDX-License-Identifier: MIT
"""Files: written so that a power cut leaves the old or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def check_folder(folder: Path) -> None:
    """FileNotFoundError if there is no such folder to write into."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder; make it first", str(folder))


def replace(new: Path, path: Path) -> None:
    """Put a complete file in the place of `path`, on the disk and not only in its cache.

    Without the first fsync a power cut after the rename can leave an empty file.
    """
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(new, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomic(path: str | Path, data: bytes) -> int:
    """Write `data` to a temporary file beside `path`, then rename it. Returns the bytes.

    The file keeps its mode; a new one has the user's. What a link names is replaced, not the link;
    what is no file is written into: renamed over as root, /dev/null would be gone for everybody.
    OSError names `path`, or the folder that is missing, never the temporary file.
    """
    given, path = path, Path(os.path.realpath(path))
    check_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.exists() and not path.is_file():
            return path.write_bytes(data)
        try:
            with temporary.open("xb") as file:
                file.write(data)
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(given)) from None
    return len(data)


def explain(error: Exception) -> str:
    """An error as a sentence for the command line: `pets.txt: no such file or directory`."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)
