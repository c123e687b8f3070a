# SPDX-License-Identifier: MIT
"""Labelled photos: image folders and WebDataset shards, one after the other, with their boxes.

A folder has one folder a class, `CLASS/PHOTO.jpg`. A shard is a .tar or .tar.gz with `KEY.jpg`
(or jpeg, png, webp) and the class name in `KEY.txt`, or in `KEY.json` as label, text or caption.
`PHOTO.json` or `KEY.json` may hold {"box_xyxy": [x0, y0, x1, y1]}, see pointing.py. Two more
fields say that a set is not for naming: {"captions": ["a dog runs", ...]}, sentences about the
photo, and {"boxes": [{"label": "dog", "box_xyxy": [...]}, ...]}, several things in it.
"""

from __future__ import annotations

import errno
import glob
import gzip
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

from PIL import Image

from .pointing import Box

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
SHARDS = (".tar", ".tar.gz", ".tgz")
NAMES = ("label", "text", "caption")  # fields of KEY.json that may hold the class name


@dataclass(frozen=True)
class Sample:
    """A photo: where it is from, its class name ("" if it has none), box, and the file's bytes.

    captions: all sentences about it; things: how many labelled boxes it has, 0 for one class.
    """

    where: str
    name: str
    box: Box | None
    content: bytes
    captions: tuple[str, ...] = ()
    things: int = 0

    def image(self) -> Image.Image:
        """The photo. OSError, ValueError or SyntaxError if Pillow cannot read it."""
        image = Image.open(BytesIO(self.content))
        image.load()
        return image


def sets(arguments: Iterable[str]) -> dict[str, list[Path]]:
    """Set name -> shards or folders, from `[NAME=]PATTERN` arguments. OSError if nothing is there.

    A pattern is a path or a glob; a folder of shards stands for the shards. Without NAME a set is
    called like its folder, or like its shards without number and suffix: pets-000.tar.gz is of
    "pets". What has the same name is one set.
    """
    found: dict[str, list[Path]] = {}
    for argument in arguments:
        name, equals, pattern = argument.partition("=")
        if not equals or os.sep in name or Path(argument).exists():
            name, pattern = "", argument
        for path in _paths(pattern):
            found.setdefault(name or set_name(path), []).append(path)
    return found


def _paths(pattern: str) -> list[Path]:
    path, found = Path(pattern), []
    for match in [path] if path.exists() else map(Path, sorted(glob.glob(pattern))):
        inside = sorted(match.iterdir()) if match.is_dir() else []
        shards = [file for file in inside if file.name.endswith(SHARDS)]
        if shards or match == path or match.is_dir() or match.name.endswith(SHARDS):
            found += shards or [match]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "no such file or directory", pattern)
    return found


def stem(path: Path) -> str:
    """Name of a shard without .tar or .tar.gz; "STEM/KEY" is a sample's id."""
    return path.name.removesuffix(".gz").removesuffix(".tar")


def set_name(path: Path) -> str:
    """The set that a shard or folder belongs to when no name is given."""
    if path.is_dir():
        return path.resolve().name
    stem = path.name.split(".")[0]
    head, _, number = stem.rpartition("-")
    return head if head and number.isdigit() else stem


def read(path: Path, pixels: bool = True) -> Iterator[Sample]:
    """The photos of a shard or a folder; without `pixels` their contents are left empty.

    ValueError names a file that is damaged and says what to do.
    """
    yield from (_folder if path.is_dir() else _shard)(path, pixels)


def _folder(path: Path, pixels: bool) -> Iterator[Sample]:
    for file in sorted(path.glob("*/*")):
        if file.suffix.lower() in PICTURES:
            beside = file.with_suffix(".json")
            more = _json(beside.read_bytes(), str(beside)) if beside.exists() else {}
            content = file.read_bytes() if pixels else b""
            yield _of(str(file), file.parent.name, more, str(beside), content)


def _shard(path: Path, pixels: bool) -> Iterator[Sample]:
    """The files of a sample lie side by side and share their name up to the first dot."""
    try:
        with tarfile.open(path, errors="backslashreplace") as tar:
            files = (member for member in tar if member.isfile())
            for key, members in groupby(files, key=lambda member: _split(member.name)[0]):
                parts = {}
                for member in members:
                    kind = _split(member.name)[1]
                    if kind in (".txt", ".json") or (pixels and kind in PICTURES):
                        parts[kind] = tar.extractfile(member).read()
                    else:
                        parts[kind] = b""
                if any(kind in PICTURES for kind in parts):
                    yield _sample(f"{path}: {key}", parts)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        why = str(error).partition("\n")[0].rstrip(":")
        raise ValueError(f"{path}: not a readable .tar ({why}); copy it again") from error


def _split(name: str) -> tuple[str, str]:
    folder, slash, file = name.rpartition("/")
    stem, dot, kind = file.partition(".")
    return folder + slash + stem, (dot + kind).lower()


def _sample(where: str, parts: dict[str, bytes]) -> Sample:
    content = next(parts[kind] for kind in PICTURES if kind in parts)
    more = _json(parts[".json"], f"{where}.json") if ".json" in parts else {}
    if ".txt" in parts:
        name = parts[".txt"].decode("utf-8", "replace")
    else:
        name = next((more[field] for field in NAMES if isinstance(more.get(field), str)), "")
    return _of(where, " ".join(name.split()), more, f"{where}.json", content)


def _of(where: str, name: str, more: dict, beside: str, content: bytes) -> Sample:
    """more: the fields of the .json, whose name is `beside`."""
    captions, boxes = more.get("captions", []), more.get("boxes", [])
    if not isinstance(captions, list) or not all(isinstance(c, str) for c in captions):
        raise ValueError(f"{beside}: captions must be a list of sentences, it is {captions!r}")
    if not isinstance(boxes, list):
        raise ValueError(f'{beside}: boxes must be a list of {{"label", "box_xyxy"}}')
    sentences = tuple(" ".join(caption.split()) for caption in captions)
    return Sample(where, name, _box(more, beside), content, sentences, len(boxes))


def parse(raw: bytes, where: str | Path) -> object:
    """What a JSON file says. ValueError if it is none, or too deep."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not JSON ({error}); correct or remove it") from None


def _json(raw: bytes, where: str) -> dict:
    fields = parse(raw, where)
    return fields if isinstance(fields, dict) else {}


def _box(fields: dict, where: str) -> Box | None:
    box = fields.get("box_xyxy")
    if box is None:
        return None
    numbers = isinstance(box, list) and len(box) == 4
    if not numbers or not all(isinstance(x, int | float) for x in box):
        raise ValueError(f"{where}: box_xyxy must be [x0, y0, x1, y1] in pixels, it is {box!r}")
    if box[0] > box[2] or box[1] > box[3]:
        raise ValueError(f"{where}: box_xyxy {box} is inside out; x0 <= x1 and y0 <= y1 is meant")
    return tuple(box)
