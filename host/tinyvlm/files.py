# SPDX-License-Identifier: MIT
"""Files: written so that a power cut leaves the old or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def check_folder(folder: Path) -> None:
    """FileNotFoundError if there is no such folder to write into."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder; make it first", str(folder))


def write_atomic(path: str | Path, data: bytes) -> int:
    """Write `data` to a temporary file beside `path`, then rename it. Returns the bytes.

    OSError names `path`, or the folder that is missing, never the temporary file.
    """
    path = Path(path)
    check_folder(path.parent)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)  # mkstemp makes it private
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    return len(data)


def explain(error: Exception) -> str:
    """An error as a sentence for the command line: `pets.txt: no such file or directory`."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)
