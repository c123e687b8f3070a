# SPDX-License-Identifier: MIT
"""A maker's own photos: one folder a label, and one named `other` for photos that show none.

    photos/cat/1.jpg ... photos/dog/1.jpg ... photos/other/1.jpg ...

Every photo is embedded once, as the boards embed frames; what is odd is said in one sentence each.
"""

from __future__ import annotations

import difflib
import errno
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..net.intake import MAX_SIDE
from ..picture import rgb
from .embedding import embed_all
from .labelled import Sample

NONE = ("other", "unknown")  # folders of photos that show none of the labels
BESIDE = (".json", ".txt", ".md", ".csv", ".tvp", ".html", ".ini", ".db", ".xmp")  # no pictures
SHOWN = 5  # labels that a message lists


@dataclass(frozen=True)
class Photo(Sample):
    """A photo that is read when it is looked at, not before: a phone's folder is gigabytes."""

    path: Path = Path()

    def image(self) -> Image.Image:
        """The photo, upright, no larger than the engine takes."""
        with Image.open(self.path) as opened:
            image = rgb(opened)
        return image.reduce(-(-min(image.size) // MAX_SIDE))


@dataclass(frozen=True)
class Sorted:
    """Photos with their int8 embeddings (photos, dim).

    target: index of the label; the count of labels stands for none of them.
    """

    labels: list[str]
    paths: list[Path]
    embeddings: np.ndarray
    target: np.ndarray

    def count(self, target: int) -> int:
        """How many photos a label has; none of the labels: target is their count."""
        return int((self.target == target).sum())


def find(folder: Path, labels: Sequence[str], name: str) -> tuple[list[Photo], list[str]]:
    """The photos, each with its label as `name` ("" for none), and remarks about the rest.

    OSError if there is no such folder; ValueError with all folders that are called like no label
    of the vocabulary `name`, or if there is no photo.
    """
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(folder))
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: not a folder; give one with a folder of photos for each label"
        )
    inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    folders = [path for path in inside if path.is_dir()]
    loose = sum(path.suffix.lower() not in BESIDE for path in inside if path.is_file())
    if not folders:
        raise ValueError(
            f"{folder}: no folders in it; it needs one for each label ({_some(labels)}), with "
            f"photos in it, and one named {NONE[0]} for photos that show none"
        )
    photos, remarks, wrong = [], [], []
    if loose:
        remarks.append(
            f"{folder}: what is not in a folder of a label is left out: {loose} "
            f"file{'s' * (loose > 1)}"
        )
    for path in folders:
        label = match(path.name, labels)
        if label is None:
            wrong.append(_no_such_label(path, labels, name))
            continue
        files = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        pictures = [f for f in files if f.is_file() and f.suffix.lower() not in BESIDE]
        if deeper := [file.name for file in files if file.is_dir()]:
            remarks.append(f"{path / deeper[0]}: a folder inside a label's is not looked into")
        if not pictures:
            remarks.append(f"{path}: no photos in it")
        photos += [Photo(str(file), label, None, b"", path=file) for file in pictures]
    if wrong:
        raise ValueError("\n".join(wrong))
    if not photos:
        raise ValueError("\n".join([*remarks, f"{folder}: no photos in any of its folders"]))
    return photos, remarks


def match(folder: str, labels: Sequence[str]) -> str | None:
    """The label that a folder's name means, "" for none of them; None if there is no such label.

    `Guinea_Pig` is "guinea pig", and `tea_coffee` "tea/coffee": capitals, and what stands between
    words, do not matter if one label remains.
    """
    if folder in labels:
        return folder
    near = [label for label in labels if _plain(label) == _plain(folder)]
    if len(near) == 1:
        return near[0]
    return "" if _plain(folder) in NONE else None


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFC", text).casefold()
    return plain.replace("_", " ").replace("/", " ").strip()


def _no_such_label(path: Path, labels: Sequence[str], name: str) -> str:
    near = difflib.get_close_matches(path.name, list(labels)[:1000], 1, 0.6)
    means = f"did you mean {near[0]}? else " if near else f"it has {_some(labels)}; "
    return (
        f"{path}: {name} has no label {path.name!r}; {means}rename the folder, move its photos to "
        f"{NONE[0]}, or pack that label"
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join([*labels[:SHOWN], *["..."] * (len(labels) > SHOWN)])


def embed(
    photos: Sequence[Photo],
    labels: Sequence[str],
    model: Path,
    workers: int,
    bar: Callable = lambda photos: photos,
) -> tuple[Sorted, list[str]]:
    """Every photo's embedding, and remarks: photos that cannot be read, and those there twice.

    The same picture twice would be learnt from in one place and asked for in the other. bar: wraps
    the photos, to show how far this is. ValueError if no photo is left.
    """
    number = {label: i for i, label in enumerate(labels)} | {"": len(labels)}
    kept, rows, target, remarks, seen = [], [], [], [], {}
    for photo, found in zip(photos, embed_all(bar(photos), model, {}, workers), strict=True):
        if found.problem:
            remarks.append(f"{photo.path}: {_why(photo.path, found.problem)}; left out")
        elif (key := found.embedding.tobytes()) in seen:
            remarks.append(f"{photo.path}: the same picture as {seen[key]}; left out")
        else:
            seen[key] = photo.path
            kept.append(photo.path)
            rows.append(found.embedding)
            target.append(number[photo.name])
    if not rows:
        raise ValueError("\n".join([*remarks, "no photo can be read"]))
    return Sorted(list(labels), kept, np.stack(rows), np.array(target)), remarks


def _why(path: Path, problem: str) -> str:
    """Pillow's own words have the path in them once more, or are about its insides."""
    if path.suffix.lower() in (".heic", ".heif"):
        return "a HEIC picture, which Pillow cannot read; save it as JPEG"
    if "cannot identify" in problem:
        return "not a picture that Pillow can read"
    return f"damaged or cut off ({problem.removeprefix(f'{path}: ')})"
