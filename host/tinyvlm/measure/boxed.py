# SPDX-License-Identifier: MIT
"""Pictures in which boxes of labels are known: from shards, or pasted together.

In a shard `KEY.json` holds one box of the label in `KEY.txt`, {"box_xyxy": [x0, y0, x1, y1]}, or
several with labels of their own, {"boxes": [{"label": "cup", "box_xyxy": [...]}, ...]}. One box
counts its last column and row (pointing.py); of several, edges lie between pixels.

Composites are photos of the classes that training holds out, pasted small, one or two at a time,
on photos of landscapes and streets.
"""

from __future__ import annotations

import tarfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ..net.intake import seen_square
from . import labelled

SIDE = 120  # of a composite, in pixels
LARGEST = 2  # objects in one
BACKGROUNDS = ("scenes-", "unlabelled-bsds-")
SMALL = 1 / 36  # of the seen square's area: a cell of a 6x6 map

Rect = tuple[float, float, float, float]  # x, y, width, height in pixels


@dataclass(frozen=True)
class Scene:
    """A picture, and where in it things are: (label, box) each."""

    image: Image.Image
    objects: tuple[tuple[str, Rect], ...]

    @property
    def labels(self) -> list[str]:
        """The labels in it, each once, in alphabetical order."""
        return sorted({name for name, _ in self.objects})

    @property
    def square(self) -> Rect:
        """The part that the encoder sees."""
        left, top, side = seen_square(*self.image.size)
        return left, top, side, side

    def small(self, box: Rect) -> bool:
        """Is it less than a cell of the map?"""
        return box[2] * box[3] < SMALL * self.square[2] ** 2

    def boxes(self, name: str) -> list[Rect]:
        """A label's boxes, as far as they are seen."""
        cut = [intersection(box, self.square) for label, box in self.objects if label == name]
        return [box for box in cut if box[2] > 0 and box[3] > 0]


def intersection(a: Rect, b: Rect) -> Rect:
    """What two boxes have in common; width or height is 0 if that is nothing."""
    x, y = max(a[0], b[0]), max(a[1], b[1])
    right, bottom = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    return x, y, max(right - x, 0), max(bottom - y, 0)


def overlap(a: Rect, b: Rect) -> float:
    """Intersection over union (IoU)."""
    _, _, width, height = intersection(a, b)
    common = width * height
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def inside(point: tuple[float, float], box: Rect) -> bool:
    """Does a point lie in a box?"""
    return box[0] <= point[0] < box[0] + box[2] and box[1] <= point[1] < box[1] + box[3]


def middle(box: Rect) -> tuple[float, float]:
    """The middle of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def read(path: Path, count: int) -> list[Scene]:
    """The first `count` photos of a shard that have boxes. ValueError if none has."""
    several = {} if path.is_dir() else _several(path)
    scenes = (_scene(sample, several) for sample in labelled.read(path))
    found = list(islice((scene for scene in scenes if scene.objects), count))
    if not found:
        raise ValueError(f"{path}: no photos with boxes in it")
    return found


def _scene(sample: labelled.Sample, several: dict[str, tuple]) -> Scene:
    objects = several.get(sample.where, ())
    if not objects and sample.box and sample.name:
        x0, y0, x1, y1 = sample.box
        objects = ((sample.name, (x0, y0, x1 + 1 - x0, y1 + 1 - y0)),)
    return Scene(sample.image().convert("RGB"), objects)


def _several(path: Path) -> dict[str, tuple[tuple[str, Rect], ...]]:
    """The photos with several boxes, called as labelled.Sample.where has it."""
    for _ in labelled.read(path, pixels=False):
        pass  # says it if the shard is damaged
    found = {}
    with tarfile.open(path, errors="backslashreplace") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            if not member.isfile() or not name.name.endswith(".json"):
                continue
            where = f"{path}: {member.name.removesuffix('.json')}"
            fields = labelled.parse(tar.extractfile(member).read(), f"{where}.json")
            if isinstance(fields, dict) and "boxes" in fields:
                found[where] = tuple(_object(item, where) for item in fields["boxes"])
    return found


def _object(item: dict, where: str) -> tuple[str, Rect]:
    try:
        x0, y0, x1, y1 = map(float, item["box_xyxy"])
        label = item["label"]
        if x0 < x1 and y0 < y1 and isinstance(label, str):
            return label, (x0, y0, x1 - x0, y1 - y0)
    except (KeyError, TypeError, ValueError):
        pass
    raise ValueError(
        f'{where}.json: in boxes {{"label": "cup", "box_xyxy": [x0, y0, x1, y1]}} is meant, '
        f"x0 < x1 and y0 < y1, it is {item!r}"
    )


def composites(folder: Path, count: int, seed: int = 1) -> list[Scene]:
    """`count` pictures of held-out classes pasted on landscapes. The same for the same seed."""
    from ..train.labels import HELD_OUT, text_name
    from ..words.lexicon import canonical

    chief = {canonical(n): k for k, names in HELD_OUT.items() for n in names}
    objects, backs = defaultdict(list), []
    for path in sorted(folder.glob("*.tar.gz")):
        back = path.name.startswith(BACKGROUNDS)
        if not back and not path.name.startswith(("tiny-imagenet-000", "tiny-imagenet-001")):
            continue
        for sample in labelled.read(path):
            name = chief.get(text_name(sample.name))
            if back and len(backs) < 600:
                backs.append(sample.image().convert("RGB"))
            elif name and len(objects[name]) < 60:
                objects[name].append(sample.image().convert("RGB"))
    if not objects or not backs:
        raise ValueError(f"{folder}: no tiny-imagenet-00[01] and scenes-* shards in it")
    rng = np.random.default_rng(seed)
    names, scenes = sorted(objects), []
    for number in range(count):
        canvas = backs[rng.integers(len(backs))].resize((SIDE, SIDE))
        placed: list[tuple[str, Rect]] = []
        for _ in range(1 + number % LARGEST):
            _paste(canvas, rng, names[rng.integers(len(names))], objects, placed)
        scenes.append(Scene(canvas, tuple(placed)))
    return scenes


def _paste(canvas: Image.Image, rng, name: str, objects: dict, placed: list) -> None:
    photo = objects[name][rng.integers(len(objects[name]))]
    for _ in range(50):
        w = int(rng.integers(40, 81))
        h = int(np.clip(w * rng.uniform(0.8, 1.25), 30, 84))
        x, y = (int(rng.integers(0, SIDE - side + 1)) for side in (w, h))
        apart = (
            x + w <= a or a + c <= x or y + h <= b or b + d <= y for _, (a, b, c, d) in placed
        )
        if all(apart) and name not in [n for n, _ in placed]:
            canvas.paste(photo.resize((w, h), Image.Resampling.BILINEAR), (x, y))
            placed.append((name, (x, y, w, h)))
            return
