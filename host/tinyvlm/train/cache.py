# SPDX-License-Identifier: MIT
"""Run a teacher over shards once, and keep its vectors for training.

    tinyvlm-train cache --train-data 'cc3m/{00000..00331}.tar' --cache clip-cache
    torchrun --nproc-per-node 8 -m tinyvlm.train.cache --train-data ...   deals out the shards

One file a shard (teacher_cache.py says what is in it). An interrupted run goes on where it
stopped: shards that have a file are done. After the first it says what the others will take.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from tinyvlm.train import shards, streams
from tinyvlm.train.config import Help
from tinyvlm.train.distributed import place, ranks
from tinyvlm.train.loader import as_is
from tinyvlm.train.streams import Shard
from tinyvlm.train.teacher import Teacher
from tinyvlm.train.teacher_cache import Cached, file, has, name_in, write
from tinyvlm.train.teachers import create_teacher

LARGEST = 384  # pixels that teachers look at; JPEGs are decoded to no more than they need

log = logging.getLogger(__name__)


def cache(
    paths: list[Shard],
    teacher: Teacher,
    folder: Path,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world: int = 1,
) -> tuple[int, int, Counter]:
    """Write the vectors of this process's part of the shards: (shards written, images done, what
    was skipped)."""

    def missing(some: list[Shard]) -> list[Shard]:
        return [p for p in some if not has(folder, shards.stem(p))]

    mine = missing(paths[rank::world])
    if there := len(paths[rank::world]) - len(mine):
        print(f"{there} of {there + len(mine)} shards are done already", flush=True)
    written, done, skipped = 0, 0, Counter()
    # Only a terminal gets a bar (None), and only from one process.
    with tqdm(unit=" images", mininterval=1, disable=None if rank == 0 else True) as bar:
        for number, path in enumerate(mine, 1):
            bar.set_description(f"shard {number}/{len(mine)}")
            began = time.monotonic()
            cached = one_shard(path, teacher, batch_size, workers, skipped, bar)
            if not cached.ids:  # there is another try when the command is given again
                continue
            write(folder, shards.stem(path), cached, teacher.name)
            written, done = written + 1, done + len(cached.ids)
            if rank == 0 and written == 1 and (rest := missing(paths)):
                took = time.monotonic() - began
                print(forecast(path, rest, done, took, folder, world), flush=True)
    return written, done, skipped


def forecast(
    first: Shard, rest: list[Shard], images: int, seconds: float, folder: Path, world: int
) -> str:
    """What the rest will take, by the first shard, which had `images` and took `seconds`."""
    size, sizes = streams.size(first), [streams.size(path) for path in rest]
    # Streams, and files that are missing now: as large as the first.
    expected = images * sum(n / size if n and size else 1.0 for n in sizes)
    need = expected * file(folder, shards.stem(first)).stat().st_size / images
    left = timedelta(seconds=round(expected * seconds / images / world))
    free = shutil.disk_usage(folder).free
    return (
        f"about {expected:,.0f} images more in {len(rest)} shards will take about {left} and"
        f" {need / 1e6:,.0f} MB in {folder} ({free / 1e6:,.0f} MB are free):"
        f" {images:,} images took {seconds:.0f} s"
    )


def one_shard(
    path: Shard, teacher: Teacher, batch_size: int, workers: int, skipped: Counter, bar: tqdm
) -> Cached:
    """The vectors of one shard; rows of zeros where the teacher does not judge an image."""
    ids: list[str] = []
    images: list[np.ndarray] = []
    texts: list[str] = []
    loader = DataLoader(
        Pictures(teacher.prepare),
        batch_sampler=batches(path, batch_size, skipped),
        num_workers=workers,
        collate_fn=as_is,
    )
    bad: list[str] = []
    for found, captions, rows, pictures, errors in loader:
        bad += errors
        vectors = np.zeros((len(found), teacher.dim), np.float16)
        if rows:
            vectors[rows] = teacher.image(pictures)
        ids, texts, images = ids + found, texts + captions, [*images, vectors]
        bar.update(len(found))
    if bad:
        skipped["bad image"] += len(bad)
        log.warning("%s: skipped: %d bad image, as %s", path, len(bad), bad[0])
    if not ids:
        return Cached([], None, None)
    return Cached(ids, np.concatenate(images), read_texts(texts, teacher, batch_size), texts)


def read_texts(texts: list[str], teacher: Teacher, batch_size: int) -> np.ndarray | None:
    """(n, d) float16; every text is read once, as class names repeat."""
    distinct = list(dict.fromkeys(texts))
    vectors = [
        teacher.text(distinct[i : i + batch_size]) for i in range(0, len(distinct), batch_size)
    ]
    if vectors[0] is None:
        return None
    row = {text: i for i, text in enumerate(distinct)}
    return np.concatenate(vectors).astype(np.float16)[[row[text] for text in texts]]


def batches(path: Shard, size: int, skipped: Counter) -> Iterator[list[shards.Sample]]:
    """The samples of a shard, in file order."""
    batch: list[shards.Sample] = []
    for sample in shards.read(path, skipped):
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass
class Pictures(Dataset):
    """Decoding and resizing: the part of the work that is given to workers."""

    prepare: Callable[[Image.Image], Tensor | None]  # the teacher's

    def __getitems__(self, batch: list[shards.Sample]) -> tuple:
        """(ids, texts, rows that have a picture, pictures (m, ...), a line for each bad image)."""
        ids, texts, rows, pictures, errors = [], [], [], [], []
        for sample in batch:
            try:
                picture = self.prepare(shards.decode(sample.blob, LARGEST))
            except ValueError as error:
                errors.append(f"{sample.id}: {error}")
                continue
            if picture is not None:
                rows.append(len(ids))
                pictures.append(picture)
            ids.append(sample.id)
            texts.append(sample.text)
        return ids, texts, rows, torch.stack(pictures) if pictures else Tensor(), errors


# -- command -------------------------------------------------------------------------------------


def parse(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="tinyvlm-train cache",
        formatter_class=Help,
        description="Run a teacher over shards once, and keep its vectors for training.",
    )
    p.add_argument("--train-data", required=True, help="shards: braces, globs, joined by ::")
    p.add_argument(
        "--teacher",
        default="open_clip:ViT-B-32/openai",
        help="open_clip:MODEL/TAG; tflite:FILE, a classifier with its labels beside it; "
        "efficientnet-lite2[:PIXELS]",
    )
    p.add_argument("--cache", type=Path, required=True, help="folder to write")
    p.add_argument("--batch-size", type=int, default=256)
    p.add_argument("--workers", type=int, default=0, help="processes that decode images")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, mps ...")
    p.add_argument("--precision", choices=("fp32", "amp_bf16"), default="fp32")
    p.add_argument("--text-vectors", type=Path, help="for classifiers: CLIP text vectors (.npz)")
    p.add_argument(
        "--held-out", type=Path, help="for classifiers: JSON list of classes not to use"
    )
    p.add_argument(
        "--image-pairs", type=Path, help="for efficientnet-lite2: photos with CLIP's vectors"
    )
    args = p.parse_args(argv)
    if args.batch_size < 1 or args.workers < 0:
        p.error("--batch-size must be 1 or more, --workers not negative")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    rank, world = ranks()
    try:
        paths = shards.expand(args.train_data)
        args.cache.mkdir(parents=True, exist_ok=True)
        teacher = create_teacher(
            args.teacher,
            str(place(args.device)),
            args.precision,
            args.text_vectors,
            args.held_out,
            args.image_pairs,
        )
        before = name_in(args.cache)
        if before not in (None, teacher.name):
            raise ValueError(
                f"{args.cache} holds vectors of {before}, not of {teacher.name}: name another"
                f" folder; training takes both with --teacher {args.cache}+OTHER"
            )
        written, done, skipped = cache(
            paths, teacher, args.cache, args.batch_size, args.workers, rank, world
        )
    except (ValueError, OSError) as error:
        print(f"tinyvlm-train cache: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    amiss = "".join(f", {n} {what}" for what, n in sorted((+skipped).items()))
    print(f"{teacher.name}: shards cached: {written}, images: {done}{amiss}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
