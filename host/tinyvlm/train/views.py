# SPDX-License-Identifier: MIT
"""More views of few photos for a teacher to judge: crops, and mixtures of two photos.

    python -m tinyvlm.train.views --train-data 'shards/*.tar' --out views --copies 3
    tinyvlm-train cache --train-data 'views/*.tar' --teacher ... --cache ...

A student learns most of its teacher when both see the very same view, however odd it is (Beyer et
al., "Knowledge distillation: a good teacher is patient and consistent", arXiv 2106.05237, section
3). A teacher that is too slow to sit beside the training judges these views once, ahead of it.

The views are shards like any other: a crop keeps the text of its photo, a mixture is unlabelled.
Photos held out of training have no views, and no view is held out.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from tinyvlm import files
from tinyvlm.train import augment, labels, shards
from tinyvlm.train.config import Help
from tinyvlm.train.teacher import SHORTEST

SIDE = 112  # pixels: a view must not be too small for the teacher
AREA = (0.5, 1.0)  # part of a photo that a crop shows
MIXED = 0.5  # share of views that are mixtures ...
PART = (0.25, 0.75)  # ... of which the second photo is so much
QUALITY = 80  # of the WebP files
A_SHARD = 8192  # views, about


def view(image: Image.Image, rng: random.Random, other: Image.Image | None) -> Image.Image:
    """A random square of a photo, (SIDE, SIDE), half transparent over one of another photo."""
    first = square(image, rng)
    return Image.blend(first, square(other, rng), rng.uniform(*PART)) if other else first


def square(image: Image.Image, rng: random.Random) -> Image.Image:
    """A crop of part AREA of the largest square, anywhere in the photo; perhaps mirrored."""
    side = min(image.size) * rng.uniform(*AREA) ** 0.5
    left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    box = (left, top, left + side, top + side)
    out = image.resize((SIDE, SIDE), Image.BICUBIC, box)
    mirrored = rng.random() < augment.FLIP
    return out.transpose(Image.FLIP_LEFT_RIGHT) if mirrored else out


def key(name: str, sample: shards.Sample, copy: int) -> str:
    """The view's key in shard `name`: one that is not held out of training by chance."""
    plain = f"{sample.id.replace('/', '-').replace('.', '-')}-{copy}"
    while labels.held_out_image(f"{name}/{plain}", sample.text):
        plain += "x"
    return plain


def large(blob: bytes, shortest: int) -> bool:
    """Is it a photo of at least `shortest` pixels? Reads the header alone."""
    try:
        return min(Image.open(io.BytesIO(blob)).size) >= shortest
    except Exception:  # what the loader skips, too
        return False


def make(number: int, photos: list[shards.Sample], out: Path, count: int, copies: int, seed: int):
    """Write shard `number` of `count`: `copies` views of its share of the photos. Their number."""
    from webdataset import TarWriter

    name, made = f"views-{number:03}", 0
    part = out / f".{name}.part"
    with part.open("wb") as file, TarWriter(file) as tar:
        for sample in photos[number::count]:
            for copy in range(copies):
                rng = random.Random(shards.draw("views", seed, sample.id, copy))
                other = rng.choice(photos) if rng.random() < MIXED else None
                try:
                    images = [shards.decode(s.blob, SIDE) for s in (sample, other) if s]
                except ValueError:  # a broken photo, of which there are few
                    continue
                blob = io.BytesIO()
                view(images[0], rng, images[1] if other else None).save(
                    blob, "WEBP", quality=QUALITY, method=0
                )
                tar.write(
                    {
                        "__key__": key(name, sample, copy),
                        "webp": blob.getvalue(),
                        "txt": labels.UNLABELLED if other else sample.text,
                    }
                )
                made += 1
    files.replace(part, out / f"{name}.tar")
    return made


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="python -m tinyvlm.train.views",
        formatter_class=Help,
        description="Make shards of crops and mixtures of photos, for a teacher to judge.",
    )
    p.add_argument("--train-data", required=True, help="shards: braces, globs, joined by ::")
    p.add_argument("--out", type=Path, required=True, help="folder of the new shards")
    p.add_argument("--copies", type=int, default=3, help="views of each photo")
    p.add_argument(
        "--shortest", type=int, default=SHORTEST, help="least short side of a photo, in pixels"
    )
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--workers", type=int, default=2, help="processes")
    args = p.parse_args(argv)
    try:
        if min(args.copies, args.workers) < 1:
            raise ValueError("--copies and --workers must be 1 or more")
        photos = [
            sample
            for path in shards.expand(args.train_data)
            for sample in shards.read(path, Counter())
            if not labels.held_out_image(sample.id, sample.text)
            and large(sample.blob, args.shortest)
        ]
        if not photos:
            raise ValueError(f"no photo has a short side of {args.shortest} pixels or more")
        args.out.mkdir(parents=True, exist_ok=True)
        count = -(-len(photos) * args.copies // A_SHARD)
        work = partial(
            make, photos=photos, out=args.out, count=count, copies=args.copies, seed=args.seed
        )
        with ProcessPoolExecutor(args.workers) as pool:
            made = sum(tqdm(pool.map(work, range(count)), total=count, unit=" shards"))
    except (ValueError, OSError) as error:
        print(f"tinyvlm.train.views: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {made} views of {len(photos)} photos in {count} shards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
