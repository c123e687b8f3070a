# SPDX-License-Identifier: MIT
"""How well tinyvlm.detect points: its boxes against known ones, beside two simple rules.

    python -m tinyvlm.localize --composites ../shared/data/train   # what detect() was made with
    python -m tinyvlm.localize --data ../shared/data/eval/tiny-imagenet-unseen-000.tar.gz

Composites are photos of the classes that training sets aside, pasted small, one or two at a time,
on photos of landscapes and streets: their boxes are known. Prototypes are the class names' words.

Columns: the share of boxes in which the point lies, mean overlap (IoU) with the box, and the share
with an overlap of 0.5 or more; for the true label, found or not. "centre": the middle of the frame
and a box of half its side. "crops": the best of 13 crops (the whole, and 9 + 3 of them by halves
and diagonals), each embedded by itself: 13 frames' work. "detect": one frame's; it points with the
middle of its box.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ..api import Vocab, load, to_frame
from ..device import locate
from ..files import explain
from ..net import tvlm
from ..shipped import DEFAULT_MODEL
from ..words import prototypes as pack
from ..words import tvp
from ..words.encoders import create_text_encoder
from ..words.vocabulary import Entry
from . import labelled
from .metrics import per_cent

SIDE = 120  # of a composite, in pixels
LARGEST = 2  # objects in one
BACKGROUNDS = ("scenes-", "unlabelled-bsds-")

Rect = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True)
class Case:
    """A picture and where in it one label is."""

    image: Image.Image
    name: str
    box: Rect


def composites(folder: Path, count: int, seed: int = 1) -> list[Case]:
    """`count` pictures of set-aside classes pasted on landscapes. The same for the same seed."""
    from ..train.labels import HELD_OUT, text_name
    from ..words.lexicon import canonical as normalise

    chief = {normalise(n): k for k, names in HELD_OUT.items() for n in names}
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
    names, cases = sorted(objects), []
    for number in range(count):
        canvas = backs[rng.integers(len(backs))].resize((SIDE, SIDE))
        placed: list[tuple[str, Rect]] = []
        for _ in range(1 + number % LARGEST):
            _paste(canvas, rng, names[rng.integers(len(names))], objects, placed)
        cases += [Case(canvas, name, box) for name, box in placed]
    return cases


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


def boxed(path: Path, count: int) -> Iterator[Case]:
    """The photos of a shard that have boxes."""
    samples = (s for s in labelled.read(path) if s.box and s.name)
    for sample in islice(samples, count):
        x0, y0, x1, y1 = sample.box
        yield Case(sample.image().convert("RGB"), sample.name, (x0, y0, x1 + 1 - x0, y1 + 1 - y0))


def vocabulary(names: list[str], dim: int) -> Vocab:
    """A vocabulary of class names, by the lexicon, without background and threshold."""
    model = tvlm.load(DEFAULT_MODEL)
    entries = [Entry(name, (name,), 1) for name in names]
    vectors, _ = pack.encode(entries, create_text_encoder("lexicon"), model)
    prototypes = tvp.Prototypes(
        names,
        tvp.quantize(vectors[:, :dim]),
        model.fingerprint,
        model.graph.info["name"],
        logit_scale=pack.logit_scale(model.graph.info, dim),
    )
    return Vocab(tvp.to_bytes(prototypes))


def overlap(a: Rect, b: Rect) -> float:
    """Intersection over union of two (x, y, width, height)."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def inside(point: tuple[float, float], box: Rect) -> bool:
    """Does a point lie in a box?"""
    return box[0] <= point[0] < box[0] + box[2] and box[1] <= point[1] < box[1] + box[3]


def middle(box: Rect) -> tuple[float, float]:
    """The middle of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def by_detect(case: Case, vocab: Vocab) -> tuple[tuple[float, float], Rect, bool]:
    """(warmest cell's centre, box, found) of the true label, as detect() makes them."""
    index = vocab.index(case.name)
    frame = to_frame(case.image)
    work = locate._begin(vocab)
    work.run(frame, vocab)
    heat = work.heat_of(vocab, index)[:]
    grid = locate.Heatmap(case.name, locate._square(frame), work.height, work.width, heat)
    work.region(frame)
    box = work.box(frame)
    found = any(label == case.name for label, _, _ in locate.detect(frame, vocab))
    return grid.peak(), box, found


def by_crops(case: Case, vocab: Vocab) -> Rect:
    """The crop with the highest score for the true label."""
    width, height = case.image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    half = side // 2
    crops = [(left, top, side, side)]
    crops += [
        (left + x, top + y, half, half)
        for x in _steps(side - half, 3)
        for y in _steps(side - half, 3)
    ]
    most = 3 * side // 4
    crops += [(left + x, top + x, most, most) for x in _steps(side - most, 3)]
    index, best = vocab.index(case.name), None
    encoder = locate.loaded()
    for x, y, w, h in crops:
        piece = case.image.crop((x, y, x + w, y + h))
        cosine = vocab.cosines(encoder.embed(to_frame(piece)))[index]
        if best is None or cosine > best[0]:
            best = cosine, (x, y, w, h)
    return best[1]


def _steps(room: int, count: int) -> list[int]:
    return [round(room * i / (count - 1)) for i in range(count)]


def measure(cases: list[Case], vocab: Vocab, crops: bool = True) -> dict[str, list[float]]:
    """Rule -> [pointing, mean overlap, overlap >= 0.5], and what detect() found; per cent."""
    rows = defaultdict(list)
    for case in cases:
        w, h = case.image.size
        side = min(w, h) / 2
        centre = ((w - side) / 2, (h - side) / 2, side, side)
        point, box, found = by_detect(case, vocab)
        answers = {"centre": (middle(centre), centre), "detect": (middle(box), box)}
        rows["warmest"].append((inside(point, case.box),))
        if crops:
            crop = by_crops(case, vocab)
            answers["crops"] = (middle(crop), crop)
        for rule, (at, rect) in answers.items():
            iou = overlap(rect, case.box)
            rows[rule].append((inside(at, case.box), iou, iou >= 0.5))
        rows["found"].append((found,))
    return {rule: [per_cent(x) for x in np.mean(r, axis=0)] for rule, r in rows.items()}


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(prog="tinyvlm.localize", description=__doc__.split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--composites", type=Path, metavar="FOLDER", help="of training shards")
    source.add_argument("--data", type=Path, metavar="SHARD", help="with boxes")
    parser.add_argument("--count", type=int, default=500, help="pictures (default: 500)")
    parser.add_argument("--dim", type=int, default=64, help="numbers compared (default: 64)")
    args = parser.parse_args(argv)
    try:
        load()
        if args.composites:
            cases = composites(args.composites, args.count)
        else:
            cases = list(boxed(args.data, args.count))
        if not cases:
            raise ValueError(f"{args.data}: no photos with boxes in it")
        vocab = vocabulary(sorted({case.name for case in cases}), args.dim)
    except (OSError, ValueError) as error:
        print(f"tinyvlm.localize: {explain(error)}", file=sys.stderr)
        return 2
    result = measure(cases, vocab)
    found, warmest = result.pop("found")[0], result.pop("warmest")[0]
    print(
        f"{len(cases)} boxes, {len(vocab)} labels, {args.dim} numbers; found by detect: {found} %"
    )
    print(f"{'':8s} pointing   IoU  IoU>=0.5")
    for rule in ("centre", "crops", "detect"):
        print("{:8s} {:8.1f} {:5.1f} {:9.1f}".format(rule, *result[rule]))
    print(f"heatmap's warmest cell: {warmest:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
