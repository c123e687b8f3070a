# SPDX-License-Identifier: MIT
"""Images: WebDataset shards, decoded once into a flat uint8 cache, then cut into batches.

A shard is `NAME-NNN.tar.gz` with `KEY.webp` (RGB) and `KEY.txt` (class name, plain English).
The cache is two files: `pixels.u8` (all images one after another, HWC) and `index.npz`
(offset in bytes, height, width, label number, set number for each image; the names of both).

Training crops are made with PIL (area-correct resizing).  Sharp photos and 32-64 px thumbnails are
mixed, so a crop is sometimes thrown down to a low resolution first: the net must name both kinds.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

UNLABELLED = "a photo"  # the text that unlabelled images carry


@dataclass
class ImageSet:
    """Decoded images in one flat buffer; `label[i]` indexes `names`, `part[i]` indexes `parts`."""

    pixels: np.ndarray  # (bytes,) uint8, memory-mapped
    offset: np.ndarray  # (n,) int64
    height: np.ndarray  # (n,) int32
    width: np.ndarray  # (n,) int32
    label: np.ndarray  # (n,) int32
    part: np.ndarray  # (n,) int32
    names: list[str]
    parts: list[str]

    def __len__(self) -> int:
        return len(self.offset)

    def image(self, i: int) -> np.ndarray:
        """Image i as (H, W, 3) uint8."""
        h, w, at = int(self.height[i]), int(self.width[i]), int(self.offset[i])
        return self.pixels[at : at + h * w * 3].reshape(h, w, 3)

    def where(self, keep: np.ndarray) -> np.ndarray:
        """Image numbers whose class is marked in `keep` ((len(names),) bool)."""
        return np.flatnonzero(keep[self.label])


def _decode_shard(shard: Path) -> list[tuple[str, np.ndarray]]:
    """All (class name, image) pairs of one shard, in file order."""
    images: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            if not member.isfile():
                continue
            key, _, kind = member.name.rpartition(".")
            blob = tar.extractfile(member).read()
            if kind == "webp":
                images[key] = np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"))
            elif kind == "txt":
                texts[key] = blob.decode().strip()
    return [(texts[k], im) for k, im in images.items() if k in texts]


def build_cache(shards: list[Path], cache: Path, workers: int = 2) -> None:
    """Decode `shards` into the folder `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    offset, height, width, label, part = [], [], [], [], []
    names: dict[str, int] = {}
    parts: dict[str, int] = {}
    at = 0
    with open(cache / "pixels.u8", "wb") as out, ProcessPoolExecutor(workers) as pool:
        for shard, pairs in zip(shards, pool.map(_decode_shard, shards), strict=True):
            set_name = shard.name.split(".")[0].rsplit("-", 1)[0]
            for name, im in pairs:
                out.write(im.tobytes())
                offset.append(at)
                height.append(im.shape[0])
                width.append(im.shape[1])
                label.append(names.setdefault(name, len(names)))
                part.append(parts.setdefault(set_name, len(parts)))
                at += im.size
    np.savez(
        cache / "index.npz",
        offset=np.array(offset, np.int64),
        height=np.array(height, np.int32),
        width=np.array(width, np.int32),
        label=np.array(label, np.int32),
        part=np.array(part, np.int32),
        names=np.array(list(names)),
        parts=np.array(list(parts)),
    )


def load(shard_dir: Path, cache: Path, pattern: str = "*.tar.gz") -> ImageSet:
    """The images of every shard in `shard_dir` that matches; decoded on first use."""
    if not (cache / "index.npz").exists():
        shards = sorted(shard_dir.glob(pattern))
        if not shards:
            raise SystemExit(f"no {pattern} in {shard_dir}: name the data folder with --data")
        build_cache(shards, cache)
    z = np.load(cache / "index.npz")
    pixels = np.memmap(cache / "pixels.u8", np.uint8, "r")
    arrays = {k: z[k] for k in ("offset", "height", "width", "label", "part")}
    return ImageSet(
        pixels, names=[str(n) for n in z["names"]], parts=[str(p) for p in z["parts"]], **arrays
    )


# -- crops ---------------------------------------------------------------------------------------

FILTERS = (Image.BILINEAR, Image.BILINEAR, Image.BICUBIC, Image.BOX)


def train_crop(im: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random crop (35-100 % of the area), perhaps mirrored; (size, size, 3) uint8."""
    h, w = im.shape[:2]
    area = h * w * rng.uniform(0.35, 1.0)
    aspect = np.exp(rng.uniform(-0.29, 0.29))  # 3:4 .. 4:3
    ch, cw = min(h, np.sqrt(area / aspect)), min(w, np.sqrt(area * aspect))
    top, left = rng.uniform(0, h - ch), rng.uniform(0, w - cw)
    box = (left, top, left + cw, top + ch)
    img = Image.fromarray(im)
    low = rng.uniform()
    if low < 0.15:  # a thumbnail: 24-48 px, then up again
        small = int(rng.integers(24, 49))
        img = img.resize((small, small), Image.BILINEAR, box).resize((size, size), Image.BICUBIC)
    else:
        img = img.resize((size, size), FILTERS[int(rng.integers(len(FILTERS)))], box)
    out = np.asarray(img)
    return out[:, ::-1] if rng.uniform() < 0.5 else out


def jitter(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mild brightness, contrast, colour cast, (n, H, W, 3) uint8; every third stays as it is."""
    n = len(batch)
    gain = rng.uniform(0.75, 1.3, (n, 1, 1, 1)) * rng.uniform(0.93, 1.07, (n, 1, 1, 3))
    shift = rng.uniform(-24, 24, (n, 1, 1, 1))
    gain[::3], shift[::3] = 1, 0
    base = (112 * (1 - gain) + shift).astype(np.float32)
    out = batch * gain.astype(np.float32)
    out += base
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def eval_crop(im: np.ndarray, size: int) -> np.ndarray:
    """The centre square, resized; (size, size, 3) uint8."""
    h, w = im.shape[:2]
    s = min(h, w)
    top, left = (h - s) // 2, (w - s) // 2
    box = (left, top, left + s, top + s)
    return np.asarray(Image.fromarray(im).resize((size, size), Image.BILINEAR, box))


def train_batches(
    images: ImageSet, order: np.ndarray, size: int, batch: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(batch, size, size, 3) uint8 and image numbers; made one batch ahead in a thread."""
    chunks = [order[i : i + batch] for i in range(0, len(order) - batch + 1, batch)]

    def make(number: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((seed, number))
        ids = chunks[number]
        return jitter(np.stack([train_crop(images.image(i), size, rng) for i in ids]), rng), ids

    with ThreadPoolExecutor(1) as pool:
        pending = [pool.submit(make, n) for n in range(min(3, len(chunks)))]
        for n in range(len(chunks)):
            ready = pending.pop(0).result()
            if n + 3 < len(chunks):
                pending.append(pool.submit(make, n + 3))
            yield ready


def eval_batches(
    images: ImageSet, ids: np.ndarray, size: int, batch: int = 256
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Centre crops of the images `ids`, and their numbers."""
    for i in range(0, len(ids), batch):
        part = ids[i : i + batch]
        yield np.stack([eval_crop(images.image(k), size) for k in part]), part


def epoch_order(
    images: ImageSet, ids: np.ndarray, length: int, power: float, seed: int
) -> np.ndarray:
    """`length` image numbers for one epoch.

    A class with n images is drawn in proportion to n**power (1: as it comes, 0: all equal); within
    a class all images come equally often, up to one.  Rare images are repeated at most 8 times.
    """
    rng = np.random.default_rng(seed)
    label = images.label[ids]
    count = np.bincount(label, minlength=len(images.names)).astype(np.float64)
    want = np.where(count > 0, count**power, 0)
    want *= length / want.sum()
    want = np.minimum(want, 8 * count)
    want *= length / want.sum()
    per_image = (want / np.maximum(count, 1))[label]
    times = np.floor(per_image + rng.uniform(size=len(ids))).astype(np.int64)
    order = np.repeat(ids, times)
    rng.shuffle(order)
    return order
