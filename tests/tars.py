# SPDX-License-Identifier: MIT
"""Shards for the tests."""

import io
import tarfile
from pathlib import Path


def write(path, files):
    """A shard of (name, bytes); compressed if its name says so. Returns its path."""
    with tarfile.open(path, "w:gz" if Path(path).suffix == ".gz" else "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
