# SPDX-License-Identifier: MIT
"""Shards for the tests."""

import io
import tarfile
from pathlib import Path

from PIL import Image


def write(path, files):
    """A shard of (name, bytes); compressed if its name says so. Returns its path."""
    with tarfile.open(path, "w:gz" if Path(path).suffix == ".gz" else "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pair(key, picture, text):
    """The two files of a sample."""
    return [(f"{key}.webp", picture), (f"{key}.txt", text.encode())]


def encoded(pixels, kind="WEBP"):
    """The bytes of a picture (height, width, 3) uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
