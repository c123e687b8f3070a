# SPDX-License-Identifier: MIT
"""Shards streamed into batches.

    for batch in Loader(expand("cc3m/{00000..00331}.tar"), size=64, batch=256, seed=1, epoch=0):
        batch.images   # (256, 64, 64, 3) uint8

Order: data of at most `memory` bytes are kept in memory by every rank after one reading,
shuffled perfectly, and dealt out sample by sample. Of larger data each epoch deals the shards out
anew, in random order, so that every shard is read by one rank; what a rank reads goes through a
shuffle buffer of that many bytes, and a rank whose shards end early begins with them again, since
all ranks must make equally many batches. (Fewer shards than ranks: every rank reads all of them
and takes its samples.) Weights, views and order come from hashes of (seed, epoch, id): the number
of workers changes nothing.

Workers are those of a torch DataLoader; this process reads, they decode.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tinyvlm.train import shards, teacher_cache
from tinyvlm.train.augment import View, augment, centre, draw
from tinyvlm.train.shards import Sample, Shard

FIRST = 16  # a buffer is shuffled from when this part of it is full, so that training begins soon
REPEAT = 1000  # copies of a sample in a second pass of an epoch are counted from here
AHEAD = 3  # batches made ahead when there are no workers


@dataclass
class Batch:
    """n samples; a row of teacher vectors is zero where the cache has none."""

    images: Tensor  # (n, size, size, 3) uint8
    ids: list[str]
    texts: list[str]
    teacher: Tensor | None = None  # (n, d) float32, image vectors
    teacher_text: Tensor | None = None  # (n, d) float32


@dataclass
class Maker(Dataset):
    """Encoded samples -> pixels; the part of the work that is given to workers."""

    size: int
    seed: int
    epoch: int
    augment: str

    def __getitems__(self, batch: list[tuple[str, bytes, int]]) -> tuple:
        """(id, blob, copy) of n samples -> (images (m, size, size, 3) uint8, rows, errors).

        `rows[i]` is the sample shown in image i, `errors` maps samples to what is wrong with them.
        Training fills the place of a bad image with one more view of a good one, so that all
        batches are equally large; evaluation leaves it out.
        """
        images: dict[int, Image.Image] = {}
        drawn: dict[int, tuple[random.Random, View]] = {}
        errors: dict[int, str] = {}
        for i, (_, blob, _) in enumerate(batch):
            try:
                if self.augment:
                    drawn[i] = self._draw(batch[i])
                needs = drawn[i][1].needs if self.augment else None
                images[i] = shards.decode(blob, self.size, needs)
            except ValueError as error:
                errors[i] = str(error)
        good = list(images)
        rows = good
        if self.augment and good:
            rows = [i if i in images else good[i % len(good)] for i in range(len(batch))]
        out = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        for place, i in enumerate(rows):
            if self.augment:
                # what fills a place is another view than the sample's own
                rng, view = drawn[i] if place == i else self._draw(batch[i], place)
                shown = augment(images[i], view, rng, images[rows[place - 1]], self.augment)
            else:
                shown = centre(images[i], self.size)
            out[place] = np.asarray(shown)
        return torch.from_numpy(out), rows, errors

    def _draw(
        self, sample: tuple[str, bytes, int], filler: int | str = ""
    ) -> tuple[random.Random, View]:
        """The view of a sample that comes in this epoch, and what the rest is drawn from."""
        id, _, copy = sample
        rng = random.Random(shards.draw("view", self.seed, self.epoch, id, copy, filler))
        return rng, draw(self.size, rng, self.augment)


def as_is(made: tuple) -> tuple:
    """What `__getitems__` made is a batch already; workers can be given no lambda."""
    return made


class Loader:
    """Batches of one epoch; iterate over it once or again, it gives the same.

    `keep(id, text)` picks samples, `weight(text)` says how often one of that text is expected in
    the epoch, `teacher` is a folder of cached vectors (cache.py) to join by id, `memory` bytes of
    images are held (0: shards.MEMORY).

    `augment`, a name of augment.AMOUNTS, is for training: random views, batches of exactly `batch`
    samples, as many as all ranks can make of data that fit into memory. Of larger data `length`
    batches: then shards may be read again. `augment=""` is for evaluation: centre squares, the
    last batch as short as it comes, bad images left out; the order is as random, mind the ids.
    `.reads` counts how often this rank has read each shard.
    """

    def __init__(
        self,
        paths: list[Shard],
        *,
        size: int,
        batch: int,
        seed: int,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        weight: Callable[[str], float] | None = None,
        keep: Callable[[str, str], bool] | None = None,
        augment: str = "mild",
        teacher: Path | None = None,
        memory: int = 0,
        length: int = 0,
    ):
        self.paths, self.batch = list(paths), batch
        self.seed, self.epoch, self.rank, self.world_size = seed, epoch, rank, world_size
        self.workers, self.weight, self.keep, self.teacher = workers, weight, keep, teacher
        self.maker = Maker(size, seed, epoch, augment)
        self.memory, self.length = memory or shards.MEMORY, length
        self.skipped: Counter = Counter()
        self.reads: Counter = Counter()  # stem of a shard -> times
        self.kept = shards.fits(self.paths, memory)  # in memory, for the next epoch
        self.dealt = not self.kept and len(self.paths) >= world_size

    def __iter__(self) -> Iterator[Batch]:
        self.skipped.clear()
        underway: deque[list[Sample]] = deque()

        def encoded() -> Iterator[list[tuple[str, bytes, int]]]:
            for batch in self._batches():
                underway.append(batch)
                yield [(s.id, s.blob, s.copy) for s in batch]

        for images, rows, errors in self._made(encoded()):
            batch = underway.popleft()
            for i, error in errors.items():
                self._bad_image(batch[i].id, error)
            if rows:
                yield join(images, [batch[i] for i in rows])
            elif self.maker.augment:
                raise ValueError(f"no image of a whole batch can be decoded, as {batch[0].id}")

    def _made(self, encoded: Iterator[list]) -> Iterator[tuple]:
        """What `maker` makes of the batches, in order, some batches ahead."""
        if self.workers:
            yield from DataLoader(
                self.maker, batch_sampler=encoded, num_workers=self.workers, collate_fn=as_is
            )
            return
        with ThreadPoolExecutor(1) as thread:
            pending: deque = deque()
            for batch in encoded:
                pending.append(thread.submit(self.maker.__getitems__, batch))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _batches(self) -> Iterator[list[Sample]]:
        """This rank's share of the shuffled stream."""
        ranks, mine = (1, 0) if self.dealt else (self.world_size, self.rank)
        round: list[Sample] = []
        made = 0
        for sample in self._passes():
            round.append(sample)
            if len(round) == self.batch * ranks:
                yield round[mine::ranks]
                round, made = [], made + 1
                if made == self.length:
                    return
        rest = round[mine::ranks]
        if rest and not self.maker.augment:
            yield rest

    def _passes(self) -> Iterator[Sample]:
        """The shuffled stream; shards that are dealt out come again if `length` asks for it."""
        yield from self._shuffled(0)
        for again in count(1) if self.dealt and self.length else ():
            before = self.reads.total()
            yield from self._shuffled(again)
            if self.reads.total() == before:
                raise ValueError("no shard of this process can be read")

    def _shuffled(self, again: int) -> Iterator[Sample]:
        """The stream through a buffer, which gives a sample for every two until it is full."""
        rng = random.Random(shards.draw("order", self.seed, self.epoch))
        buffer: list[Sample] = []
        held, turn, early = 0, False, self.dealt and self.maker.augment
        for sample in self._stream(rng, again):
            buffer.append(sample)
            held += len(sample.blob)
            turn = not turn
            while held > self.memory or (early and turn and held > self.memory // FIRST):
                at = rng.randrange(len(buffer))
                buffer[at], buffer[-1] = buffer[-1], buffer[at]
                held -= len(buffer[-1].blob)
                turn = False
                yield buffer.pop()
        rng.shuffle(buffer)
        yield from buffer

    def _stream(self, rng: random.Random, again: int) -> Iterator[Sample]:
        """Samples of all shards, the shards in random order, each as often as its weight says."""
        paths = sorted(self.paths, key=shards.stem)
        rng.shuffle(paths)
        for path in paths[self.rank :: self.world_size] if self.dealt else paths:
            name = shards.stem(path)
            rows = self._teacher(name)
            for number, s in enumerate(shards.samples(path, self.skipped, self.kept)):
                self.reads[name] += not number
                n = self._times(s.id, s.text)
                vectors = rows(s.id) if n and rows else (None, None)
                for copy in range(n):
                    yield Sample(s.id, s.text, s.blob, copy + REPEAT * again, *vectors)

    def _times(self, id: str, text: str) -> int:
        if self.keep and not self.keep(id, text):
            return 0
        weight = self.weight(text) if self.weight else 1.0
        return shards.times(weight, self.seed, self.epoch, id)

    def _teacher(self, shard: str) -> Callable[[str], tuple] | None:
        """A function from id to (image vector, text vector) of the teacher's cache."""
        if self.teacher is None:
            return None
        cached = teacher_cache.read(self.teacher, shard)
        index = {id: row for row, id in enumerate(cached.ids)}

        def rows(id: str) -> tuple:
            row = index.get(id)
            if row is None:
                self.skipped["no teacher vector"] += 1
            return cached.row("image", row), cached.row("text", row)

        return rows

    def _bad_image(self, id: str, error: str) -> None:
        self.skipped["bad image"] += 1
        shard = id.split("/")[0]
        shards.warn_once(
            shard, f"{id}: skipped: not an image: {error} (others of this shard: no line)"
        )


def join(images: Tensor, samples: list[Sample]) -> Batch:
    """A batch of pictures and all that is known of them."""
    return Batch(
        images,
        [s.id for s in samples],
        [s.text for s in samples],
        _stack([s.teacher for s in samples]),
        _stack([s.teacher_text for s in samples]),
    )


def _stack(rows: list[np.ndarray | None]) -> Tensor | None:
    """(n, d) float32."""
    if rows[0] is None:
        return None
    return torch.from_numpy(np.stack(rows).astype(np.float32))
