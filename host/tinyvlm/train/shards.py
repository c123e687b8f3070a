# SPDX-License-Identifier: MIT
"""WebDataset shards, streamed into batches.

    for batch in Loader(expand("cc3m/{00000..00331}.tar"), size=64, batch=256, seed=1, epoch=0):
        batch.images   # (256, 64, 64, 3) uint8

A shard is `NAME.tar` or `NAME.tar.gz` with an image `KEY.jpg|jpeg|png|webp` beside a `KEY.txt`, or
a `KEY.json` with a field caption, text or label. A sample's id is "NAME/KEY".

Order: the shards in random order go through a shuffle buffer of MEMORY bytes of encoded images;
data that fit into it are shuffled perfectly, and are kept there for the next epoch. From the
shuffled stream every `world_size * batch` samples are a round, dealt out to the ranks. So each
rank reads all shards (cheap: 0.06-0.09 ms a sample, once if they fit) but decodes only its own,
and all ranks see equally many batches however unequal the shards are. Weights, views and order
come from hashes of (seed, epoch, id): the number of workers changes nothing.

Workers are those of a torch DataLoader; this process reads, they decode. What cannot be read is
skipped, counted in `.skipped`, and said once a shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tinyvlm.measure.labelled import stem
from tinyvlm.train.augment import augment, centre

IMAGES = ("jpg", "jpeg", "png", "webp")
FIELDS = ("caption", "text", "label")  # of a KEY.json, the first that is there
MEMORY = 1 << 30  # bytes of encoded images held: shuffle buffer, and all data if they fit
AHEAD = 3  # batches made ahead when there are no workers

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sample:
    """An image as it lies in a shard; `copy` numbers its repeats within an epoch."""

    id: str
    text: str
    blob: bytes
    copy: int = 0
    teacher: np.ndarray | None = None  # (d,) float16
    teacher_text: np.ndarray | None = None  # (d,) float16


@dataclass
class Index:
    """What a list of shards holds."""

    samples: list[tuple[str, str]] = field(default_factory=list)  # (id, text), in file order
    texts: Counter = field(default_factory=Counter)
    skipped: Counter = field(default_factory=Counter)  # by reason


@dataclass
class Batch:
    """n samples; a row of teacher vectors is zero where the cache has none."""

    images: Tensor  # (n, size, size, 3) uint8
    ids: list[str]
    texts: list[str]
    teacher: Tensor | None = None  # (n, d) float32, image vectors
    teacher_text: Tensor | None = None  # (n, d) float32


# -- files ---------------------------------------------------------------------------------------


def expand(pattern: str) -> list[Path]:
    """Shards that a pattern names: `{00000..00331}`, `{a,b}`, globs, several joined by `::`.

    A number of a brace that has no file is left for the loader to count, as downloads have holes;
    ValueError if nothing is there at all, or a name is not a shard's.
    """
    import braceexpand

    paths: list[Path] = []
    for part in pattern.split("::"):
        try:
            names = list(braceexpand.braceexpand(str(Path(part).expanduser())))
        except braceexpand.UnbalancedBracesError as error:
            raise ValueError(f"{part!r} has a brace that is not closed") from error
        found = [Path(p) for n in names for p in (sorted(glob(n)) if has_magic(n) else [n])]
        if not any(p.exists() for p in found):
            raise ValueError(f"no shard matches {part!r}; name .tar or .tar.gz files")
        paths += found
    paths = list(dict.fromkeys(paths))
    for path in paths:
        if not path.name.endswith((".tar", ".tar.gz")):
            raise ValueError(f"{path} is not a shard: name .tar or .tar.gz files")
    twice = [name for name, n in Counter(stem(p) for p in paths).items() if n > 1]
    if twice:
        raise ValueError(f"two shards are called {twice[0]}; ids need different names")
    return paths


def caption(sample: dict) -> str:
    """The text of a WebDataset sample, "" if it has none."""
    try:
        if "txt" in sample:
            return sample["txt"].decode().strip()
        fields = json.loads(sample.get("json", b"{}"))
        return next((str(fields[k]).strip() for k in FIELDS if fields.get(k) is not None), "")
    except (ValueError, AttributeError, RecursionError):  # no UTF-8, no JSON, no object, too deep
        return ""


def read(path: Path, skipped: Counter) -> Iterator[Sample]:
    """The samples of one shard with image and text; what is amiss is counted and logged."""
    from webdataset.tariterators import tarfile_samples

    amiss: Counter = Counter()
    reason = ""

    def stop(error: Exception) -> bool:
        nonlocal reason
        if not reason:
            amiss["bad shard"] += 1
            text = getattr(error, "strerror", None) or str(error.args[0] if error.args else error)
            reason = text.split(" @ ")[0]  # webdataset adds which stream it was
        return False

    name = stem(path)
    for item in tarfile_samples([{"url": str(path)}], handler=stop):
        blob = next((item[kind] for kind in IMAGES if kind in item), None)
        text = caption(item)
        if blob and text:
            yield Sample(f"{name}/{item['__key__']}", text, blob)
        else:
            amiss["no text" if blob else "no image"] += 1
    if amiss:
        counts = ", ".join(f"{n} {what}" for what, n in amiss.items())
        warn_once(path, f"{path}: skipped: {counts}" + (f" ({reason})" if reason else ""))
        skipped.update(amiss)


_said: set = set()


def warn_once(about: object, message: str) -> None:
    """One line about a thing, however many epochs come past it."""
    if about not in _said:
        log.warning(message)
    _said.add(about)


def index(paths: list[Path]) -> Index:
    """One pass over the shards without decoding an image."""
    out, keep = Index(), fits(paths)
    for path in paths:
        for sample in _samples(path, out.skipped, keep):
            out.samples.append((sample.id, sample.text))
            out.texts[sample.text] += 1
    return out


# Shards of data that fit into MEMORY, read once a process: path -> samples, what was skipped.
_kept: dict[tuple, tuple[list[Sample], Counter]] = {}


def fits(paths: list[Path]) -> bool:
    """Do all these shards fit into memory together? Encoded images do not shrink by gzip."""
    return sum(p.stat().st_size for p in paths if p.exists()) <= MEMORY


def _samples(path: Path, skipped: Counter, keep: bool) -> Iterator[Sample]:
    """As `read`, from memory if the shard was kept there."""
    if not keep or not path.exists():
        yield from read(path, skipped)
        return
    info = path.stat()
    key = (path.resolve(), info.st_mtime_ns, info.st_size)
    if key not in _kept:
        count: Counter = Counter()
        _kept[key] = list(read(path, count)), count
    samples, count = _kept[key]
    skipped.update(count)
    yield from samples


# -- one sample ----------------------------------------------------------------------------------


def draw(*parts: object) -> int:
    """A random 64-bit number that depends on nothing but the parts."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def times(weight: float, seed: int, epoch: int, id: str) -> int:
    """How often a sample of this weight comes in an epoch: `weight` on average."""
    return int(weight + draw("times", seed, epoch, id) / 2**64)


def decode(blob: bytes, size: int) -> Image.Image:
    """An RGB image, at least twice `size` if it is larger. ValueError: it cannot be decoded."""
    try:
        image = Image.open(io.BytesIO(blob), formats=("JPEG", "WEBP", "PNG"))
        image.draft("RGB", (2 * size, 2 * size))  # JPEG: decoded at 1/2, 1/4, 1/8 for free
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error, ...
        raise ValueError(str(error)) from error


@dataclass
class Maker(Dataset):
    """Encoded samples -> pixels; the part of the work that is given to workers."""

    size: int
    seed: int
    epoch: int
    augment: bool

    def __getitems__(self, batch: list[tuple[str, bytes, int]]) -> tuple:
        """(id, blob, copy) of n samples -> (images (m, size, size, 3) uint8, rows, errors).

        `rows[i]` is the sample shown in image i, `errors` maps samples to what is wrong with them.
        Training fills the place of a bad image with one more view of a good one, so that all
        batches are equally large; evaluation leaves it out.
        """
        images: dict[int, Image.Image] = {}
        errors: dict[int, str] = {}
        for i, (_, blob, _) in enumerate(batch):
            try:
                images[i] = decode(blob, self.size)
            except ValueError as error:
                errors[i] = str(error)
        good = list(images)
        rows = good
        if self.augment and good:
            rows = [i if i in images else good[i % len(good)] for i in range(len(batch))]
        out = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        for place, i in enumerate(rows):
            if self.augment:
                id, _, copy = batch[i]
                filler = place if place != i else ""  # another view than the sample's own
                rng = random.Random(draw("view", self.seed, self.epoch, id, copy, filler))
                view = augment(images[i], self.size, rng, images[rows[place - 1]])
            else:
                view = centre(images[i], self.size)
            out[place] = np.asarray(view)
        return torch.from_numpy(out), rows, errors


def _as_is(made: tuple) -> tuple:
    return made


# -- the loader ----------------------------------------------------------------------------------


class Loader:
    """Batches of one epoch; iterate over it once or again, it gives the same.

    `keep(id, text)` picks samples, `weight(text)` says how often one of that text is expected in
    the epoch, `teacher` is a folder of cached vectors (cache.py) to join by id, `memory` bytes are
    the shuffle buffer (0: MEMORY).

    `augment=True` is for training: random views, complete rounds only, so all ranks make equally
    many batches of exactly `batch` samples. `augment=False` is for evaluation: centre squares, the
    last batch as short as it comes, bad images left out; the order is as random, mind the ids.
    """

    def __init__(
        self,
        paths: list[Path],
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
        augment: bool = True,
        teacher: Path | None = None,
        memory: int = 0,
    ):
        self.paths, self.batch = list(paths), batch
        self.seed, self.epoch, self.rank, self.world_size = seed, epoch, rank, world_size
        self.workers, self.weight, self.keep, self.teacher = workers, weight, keep, teacher
        self.maker = Maker(size, seed, epoch, augment)
        self.memory = memory or MEMORY
        self.skipped: Counter = Counter()

    def steps(self, samples: list[tuple[str, str]]) -> int:
        """Batches of this epoch, from `Index.samples`, without reading anything."""
        n = sum(self._times(id, text) for id, text in samples)
        if self.maker.augment:
            return n // (self.batch * self.world_size)
        return -(-len(range(self.rank, n, self.world_size)) // self.batch)

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
                self.maker, batch_sampler=encoded, num_workers=self.workers, collate_fn=_as_is
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
        round: list[Sample] = []
        for sample in self._shuffled():
            round.append(sample)
            if len(round) == self.batch * self.world_size:
                yield round[self.rank :: self.world_size]
                round = []
        rest = round[self.rank :: self.world_size]
        if rest and not self.maker.augment:
            yield rest

    def _shuffled(self) -> Iterator[Sample]:
        """The stream through a buffer."""
        rng = random.Random(draw("order", self.seed, self.epoch))
        buffer: list[Sample] = []
        held = 0
        for sample in self._stream(rng):
            buffer.append(sample)
            held += len(sample.blob)
            while held > self.memory:
                at = rng.randrange(len(buffer))
                buffer[at], buffer[-1] = buffer[-1], buffer[at]
                held -= len(buffer[-1].blob)
                yield buffer.pop()
        rng.shuffle(buffer)
        yield from buffer

    def _stream(self, rng: random.Random) -> Iterator[Sample]:
        """Samples of all shards, the shards in random order, each as often as its weight says."""
        paths = sorted(self.paths, key=stem)
        rng.shuffle(paths)
        keep = fits(paths)
        for path in paths:
            rows = self._teacher(path)
            for s in _samples(path, self.skipped, keep):
                n = self._times(s.id, s.text)
                vectors = rows(s.id) if n and rows else (None, None)
                for copy in range(n):
                    yield Sample(s.id, s.text, s.blob, copy, *vectors)

    def _times(self, id: str, text: str) -> int:
        if self.keep and not self.keep(id, text):
            return 0
        weight = self.weight(text) if self.weight else 1.0
        return times(weight, self.seed, self.epoch, id)

    def _teacher(self, path: Path) -> Callable[[str], tuple] | None:
        """A function from id to (image vector, text vector) of the teacher's cache."""
        if self.teacher is None:
            return None
        from tinyvlm.train import teacher

        cached = teacher.read(self.teacher, stem(path))
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
        warn_once(shard, f"{id}: skipped: not an image: {error} (others of this shard: no line)")


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
