# SPDX-License-Identifier: MIT
"""How well tinyvlm.detect points: its boxes against known ones, beside simpler ways.

    python tools/localize.py --composites ../shared/data/train   # what detect() was made with
    python tools/localize.py --data ../shared/data/train/animal-pose-voc-000.tar.gz
    python tools/localize.py --data ../shared/data/eval/coco-mini-boxes-000.tar.gz

Pictures with boxes are those of boxed.py. Prototypes are the words of the set's labels, with the
words that the encoder sees heat against, if there are any.

First table, for a label that is known to be there: the share of labels in which the way points
into a box of it, mean overlap (IoU) with the nearest box, the share with an overlap of 0.5 or
more; as far as boxes are in the centred square, which is what the encoder sees. "centre": the
middle, and a box of half the side; "frame": the middle, and all that is seen; "crops": the crop
with the highest cosine; "detect": the middle of its box.

Second table, not knowing what is there: mean average precision (precision.py) in per cent at an
overlap of 0.5 and of 0.3, of all boxes, seen or not, then of large and of small ones alone (less
than a cell of a 6x6 map, 1/36 of the square). The words are those of the labels in the photo or,
with --words all, in the set. "frame": every label by its share of the whole frame, with all of the
picture as its box; "crops": every label by its share of each crop, without those that overlap a
better one by 0.5. M MAC is what a way costs: multiply-accumulates of all its runs of the encoder.
"""

from __future__ import annotations

import argparse
import sys
from array import array
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .. import options
from ..api import Vocab, load, to_frame
from ..device import locate
from ..files import explain
from ..net import tvlm
from ..words import background, prototypes, tvp
from ..words.encoders import create_text_encoder
from ..words.space import TextEncoder
from ..words.vocabulary import Entry
from .boxed import Rect, Scene, composites, inside, middle, overlap, read
from .metrics import per_cent
from .precision import Detection, mean_average_precision, suppress

# Sliding crops: (share of the square's side, how many of them a side).
GRIDS = {"14 crops": ((1, 1), (3 / 4, 2), (1 / 2, 3))}
GRIDS["39 crops"] = (*GRIDS["14 crops"], (1 / 3, 5))
ALIKE = 0.5  # crops of one label that overlap by that much are one


class Words:
    """Vocabularies of class names for one encoder, each made once."""

    def __init__(self, model: Path, text: TextEncoder, dim: int):
        self.path = model
        self.model = tvlm.load(model)
        self.text = text
        self.dim = dim
        self._made: dict[tuple[str, ...], Vocab] = {}

    def vocab(self, names: Sequence[str]) -> Vocab:
        """As tinyvlm-pack makes it, but for its threshold, which is 0."""
        key = tuple(names)
        if key not in self._made:
            vectors, _ = prototypes.encode(
                [Entry(name, (name,), 1) for name in names], self.text, self.model
            )
            chosen = background.find(self.path, self.model.fingerprint, len(names))
            rows = chosen.rows(self.text, vectors)[1] if chosen else None
            made = prototypes.build(
                list(names), vectors, self.model, dim=self.dim, chosen=chosen, rows=rows
            )
            self._made[key] = Vocab(tvp.to_bytes(made))
            self._made[key].threshold = 0
        return self._made[key]


def crops(scene: Scene, grid: str) -> list[Rect]:
    """The squares of a grid, in the centred square of the picture."""
    left, top, side, _ = scene.square
    found = []
    for share, count in GRIDS[grid]:
        size = round(share * side)
        steps = [round((side - size) * i / max(count - 1, 1)) for i in range(count)]
        found += [(left + x, top + y, size, size) for y in steps for x in steps]
    return found


def embeddings(image: Image.Image, boxes: Sequence[Rect]) -> list[array]:
    """Of each box of the picture by itself."""
    encoder, found = locate.loaded(), []
    for x, y, w, h in boxes:
        piece = to_frame(image.crop((x, y, x + w, y + h)))
        found.append(encoder.embed_into(piece, array("b", bytes(encoder.dim))))
    return found


def by_detect(image: Image.Image, name: str, vocab: Vocab) -> tuple[tuple[float, float], Rect]:
    """(warmest cell's centre, box) of a label, found or not, as detect() makes them."""
    frame = to_frame(image)
    heat = locate.heatmap(frame, name, vocab)
    work = locate._begin(vocab)
    work.region(frame)
    return heat.peak(), work.box(frame)


def pointing(scenes: Sequence[Scene], words: Words, slide: bool) -> dict[str, list[float]]:
    """Way -> [pointing, mean overlap, overlap >= 0.5] of the labels that are there; per cent.

    "warmest": pointing with the heatmap's warmest cell; "found": what detect() says is there.
    """
    rows = defaultdict(list)
    vocab = words.vocab(sorted({name for scene in scenes for name in scene.labels}))
    grid = next(iter(GRIDS))
    for scene in scenes:
        x, y, side, _ = scene.square
        pieces = crops(scene, grid) if slide else []
        cosines = np.array([vocab.cosines(e)[:] for e in embeddings(scene.image, pieces)])
        said = {label for label, _, _ in locate.detect(to_frame(scene.image), vocab)}
        for name in scene.labels:
            boxes = scene.boxes(name)
            if not boxes:
                continue  # not in what is seen
            point, box = by_detect(scene.image, name, vocab)
            answers = {
                "centre": (x + side / 4, y + side / 4, side / 2, side / 2),
                "frame": scene.square,
                "detect": box,
            }
            if slide:
                answers[grid] = pieces[int(cosines[:, vocab.index(name)].argmax())]
            for way, rect in answers.items():
                iou = max(overlap(rect, box) for box in boxes)
                hit = any(inside(middle(rect), box) for box in boxes)
                rows[way].append((hit, iou, iou >= 0.5))
            rows["warmest"].append((any(inside(point, box) for box in boxes),))
            rows["found"].append((name in said,))
    return {way: [per_cent(x) for x in np.mean(r, axis=0)] for way, r in rows.items()}


def detections(scene: Scene, vocab: Vocab, slide: bool) -> dict[str, list[Detection]]:
    """Way -> what it says is in the picture, and where."""
    width, height = scene.image.size
    scores = array("f", bytes(4 * len(vocab)))

    def said(embedding: array, box: Rect) -> list[Detection]:
        vocab.match_into(embedding, scores)
        return [Detection(*pair, box) for pair in zip(vocab.labels, scores.tolist(), strict=True)]

    largest = list(GRIDS)[-1]  # it begins with all that is seen, and with the others' crops
    every = embeddings(scene.image, crops(scene, largest) if slide else [scene.square])
    found = {"frame": said(every[0], (0, 0, width, height))}
    for grid in GRIDS if slide else ():
        boxes = crops(scene, grid)
        pieces = zip(every, boxes, strict=False)
        found[grid] = suppress([d for e, box in pieces for d in said(e, box)], ALIKE)
    frame = to_frame(scene.image)
    found["detect"] = [Detection(*item) for item in locate.detect(frame, vocab, 0)]
    return found


def precision(
    scenes: Sequence[Scene], words: Words, slide: bool, every: bool
) -> dict[str, list[float]]:
    """Way -> average precision at 0.5 and 0.3 of all boxes, of large and of small ones; per cent.

    every: the words of all labels of the set for each picture, not only of those in it.
    """
    names = sorted({name for scene in scenes for name in scene.labels})
    found = defaultdict(list)
    for scene in scenes:
        vocab = words.vocab(names if every else scene.labels)
        for way, items in detections(scene, vocab, slide).items():
            found[way].append(items)
    sizes = (
        lambda scene, box: True,
        lambda scene, box: not scene.small(box),
        lambda scene, box: scene.small(box),
    )
    return {
        way: [
            per_cent(mean_average_precision(scenes, items, iou, counts))
            for counts in sizes
            for iou in (0.5, 0.3)
        ]
        for way, items in found.items()
    }


def macs(model: tvlm.Encoder, dim: int) -> dict[str, float]:
    """Way -> multiply-accumulates for one picture, in millions."""
    graph = model.graph
    one = sum(graph.macs().values())
    every = graph.macs(dense=True)
    unused = 1 - dim / graph.shapes()[graph.embedding][-1]  # of the map, `dim` dimensions are made
    cost = {"frame": one, "detect": sum(every.values()) - every[graph.dense] * unused}
    for grid, sizes in GRIDS.items():
        cost[grid] = one * sum(count * count for _, count in sizes)
    return {way: count / 1e6 for way, count in cost.items()}


def table(scenes: Sequence[Scene], words: Words, slide: bool, every: bool) -> list[str]:
    """Both tables, as lines to print. slide: with sliding crops."""
    result, cost = pointing(scenes, words, slide), macs(words.model, words.dim)
    found, warmest = result.pop("found")[0], result.pop("warmest")[0]
    boxes = [(scene, box) for scene in scenes for _, box in scene.objects]
    small = sum(scene.small(box) for scene, box in boxes)
    lines = [
        f"{len(scenes)} pictures, {len({n for s in scenes for n in s.labels})} labels, "
        f"{len(boxes)} boxes, {small} of them small; encoder {words.model.graph.info['name']}, "
        f"{words.dim} dimensions",
        "",
        f"{'':8s} {'M MAC':>6s} pointing   IoU  IoU>=0.5",
    ]
    for way, (hit, iou, half) in result.items():
        work = f"{cost[way]:6.1f}" if way in cost else f"{'0':>6s}"
        lines.append(f"{way:8s} {work} {hit:8.1f} {iou:5.1f} {half:9.1f}")
    lines += [
        f"the warmest cell points into {warmest:.1f} %; detect() finds {found:.1f} %",
        "",
        f"{'':8s} {'M MAC':>6s}  AP0.5 AP0.3  large 0.5   0.3  small 0.5   0.3",
    ]
    for way, row in precision(scenes, words, slide, every).items():
        half, third, *rest = row
        lines.append(
            f"{way:8s} {cost[way]:6.1f} {half:6.1f} {third:5.1f} "
            + "".join(f"{a:10.1f} {b:5.1f}" for a, b in (rest[:2], rest[2:]))
        )
    return lines


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        load(args.model)
        words = Words(args.model, create_text_encoder(args.text_encoder, args.model), args.dim)
        if args.composites:
            scenes = composites(args.composites, args.count)
        else:
            scenes = read(args.data, args.count)
        lines = table(scenes, words, args.crops, args.words == "all")
    except (OSError, ValueError) as error:
        print(f"tools/localize.py: {explain(error)}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/localize.py", description=__doc__.split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--composites", type=Path, metavar="FOLDER", help="of training shards")
    source.add_argument("--data", type=Path, metavar="SHARD", help="with boxes")
    parser.add_argument("--count", type=int, default=500, help="pictures (default: 500)")
    options.dim(parser, "dimensions compared")
    parser.add_argument(
        "--words",
        choices=("photo", "all"),
        default="photo",
        help="what average precision looks for: the labels in the photo (default) or in the set",
    )
    parser.add_argument(
        "--crops",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="slide crops, too, which is most of the work (default)",
    )
    options.model(parser)
    options.text_encoder(parser, "lexicon")
    return parser


if __name__ == "__main__":
    sys.exit(main())
