# SPDX-License-Identifier: MIT
"""WebDataset shards: what a pattern names, what is in them, and chances drawn from names.

A shard is `NAME.tar` or `NAME.tar.gz`, a file or a stream (streams.py). In it lies an image
`KEY.jpg|jpeg|png|webp` beside a `KEY.txt`, or a `KEY.json` with a field caption, text or label. A
sample's id is "NAME/KEY".

What cannot be read is skipped, counted, and said once a shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

import numpy as np
from PIL import Image

from tinyvlm.train import streams
from tinyvlm.train.streams import Shard, stem

SUFFIXES = (".tar", ".tar.gz")
IMAGES = ("jpg", "jpeg", "png", "webp")
FIELDS = ("caption", "text", "label")  # of a KEY.json, the first that is there
MEMORY = 1 << 30  # bytes of encoded images held, if nothing else is said
REASONS = ("bad shard", "bad image", "no image", "no text", "no teacher vector")  # to skip

Names = list[tuple[str, str]]  # (id, text) of samples
Known = Callable[[str], Names | None]  # those of a shard by its stem; None: not known
Needs = Callable[[int, int], tuple[float, float]]  # the least of a picture's sides, by its sides

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

    samples: Names = field(default_factory=list)  # in file order
    texts: Counter = field(default_factory=Counter)
    skipped: Counter = field(default_factory=Counter)  # by reason


# -- files ---------------------------------------------------------------------------------------


def expand(pattern: str) -> list[Shard]:
    """Shards that a pattern names: `{00000..00331}`, `{a,b}`, globs, several joined by `::`.

    URLs and `pipe:` commands may have braces, no globs. A number of a brace that has no file is
    left for the loader to count, as downloads have holes; ValueError if nothing is there at all,
    or a name is not a shard's.
    """
    import braceexpand

    found: list[Shard] = []
    for part in pattern.split("::"):
        whole = part if streams.is_stream(part) else str(Path(part).expanduser())
        try:
            names = list(braceexpand.braceexpand(whole))
        except braceexpand.UnbalancedBracesError as error:
            raise ValueError(f"{part!r} has a brace that is not closed") from error
        found += names if streams.is_stream(part) else files_of(names, part)
    found = list(dict.fromkeys(found))
    for shard in found:
        if not stem(shard) or (isinstance(shard, Path) and not shard.name.endswith(SUFFIXES)):
            if isinstance(shard, Path) and shard.is_dir() and not any(shard.glob("*.tar*")):
                raise ValueError(
                    f"{shard} is a folder: docs/training.md says how to make it a shard"
                )
            raise ValueError(f"{shard} is not a shard: name .tar or .tar.gz files")
    twice = [name for name, n in Counter(map(stem, found)).items() if n > 1]
    if twice:
        raise ValueError(f"two shards are called {twice[0]}; ids need different names")
    return found


def files_of(names: list[str], part: str) -> list[Path]:
    """The files that names and globs stand for. ValueError: none of them is there."""
    files = [Path(p) for n in names for p in (sorted(glob(n)) if has_magic(n) else [n])]
    if not any(file.exists() for file in files):
        raise ValueError(f"no shard matches {part!r}; name .tar or .tar.gz files")
    return files


def caption(sample: dict) -> str:
    """The text of a WebDataset sample, "" if it has none."""
    try:
        if "txt" in sample:
            return sample["txt"].decode().strip()
        fields = json.loads(sample.get("json", b"{}"))
        text = next((str(fields[k]).strip() for k in FIELDS if fields.get(k) is not None), "")
        return text.encode().decode()  # "\\ud800" is JSON and no text
    except (ValueError, AttributeError, RecursionError):  # no UTF-8, no JSON, no object, too deep
        return ""


def read(shard: Shard, skipped: Counter) -> Iterator[Sample]:
    """The samples of one shard with image and text; what is amiss is counted and logged."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    amiss: Counter = Counter()
    reason = ""

    def stop(error: Exception) -> bool:
        nonlocal reason
        if not reason:
            amiss["bad shard"] += 1
            text = getattr(error, "strerror", None) or str(error.args[0] if error.args else error)
            reason = text.split(" @ ")[0]  # webdataset adds which stream it was
        return False

    def items() -> Iterator[dict]:
        nonlocal reason
        try:
            with streams.opened(shard) as stream:
                files = tar_file_expander([{"url": str(shard), "stream": stream}], handler=stop)
                yield from group_by_keys(files, handler=stop)
        except OSError as error:  # it says more than who reads what a failed command wrote
            reason = ""
            amiss.pop("bad shard", None)
            stop(error)

    name = stem(shard)
    for item in items():
        blob = next((item[kind] for kind in IMAGES if kind in item), None)
        text = caption(item)
        if blob and text:
            # a name that is not UTF-8 comes with surrogates, which nobody can write or hash
            id = f"{name}/{item['__key__']}".encode("utf-8", "surrogateescape")
            yield Sample(id.decode("utf-8", "backslashreplace"), text, blob)
        else:
            amiss["no text" if blob else "no image"] += 1
    if amiss:
        counts = ", ".join(f"{n} {what}" for what, n in amiss.items())
        warn_once(shard, f"{shard}: skipped: {counts}" + (f" ({reason})" if reason else ""))
        skipped.update(amiss)


_said: set = set()


def warn_once(about: object, message: str) -> None:
    """One line about a thing, however many epochs come past it."""
    if about not in _said:
        log.warning(message)
    _said.add(about)


def index(paths: list[Shard], memory: int = 0, known: Known = lambda name: None) -> Index:
    """One pass over the shards without decoding an image; they are kept if they fit (fits()).

    Others are not opened if their names are known.
    """
    out, keep = Index(), fits(paths, memory)
    for path in paths:
        names = None if keep else known(stem(path))
        if names is None:
            names = [(sample.id, sample.text) for sample in samples(path, out.skipped, keep)]
        out.samples += names
        out.texts.update(text for _, text in names)
    return out


# Shards of data that fit into memory, read once a process: path -> samples, what was skipped.
_kept: dict[tuple, tuple[list[Sample], Counter]] = {}


def fits(paths: list[Shard], memory: int = 0) -> bool:
    """Do all these shards fit into `memory` bytes (0: MEMORY)? Images do not shrink by gzip.

    Nobody knows how large a stream is: as if it did not.
    """
    if any(map(streams.is_stream, paths)):
        return False
    return sum(streams.size(p) or 0 for p in paths) <= (memory or MEMORY)


def samples(path: Shard, skipped: Counter, keep: bool) -> Iterator[Sample]:
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


def decode(blob: bytes, size: int, needs: Needs | None = None) -> Image.Image:
    """An RGB image, at least twice `size` if it is larger. ValueError: it cannot be decoded.

    needs: how large a picture must be at least, by its size, instead of twice `size`.
    """
    try:
        image = Image.open(io.BytesIO(blob), formats=("JPEG", "WEBP", "PNG"))
        least = needs(*image.size) if needs else (2 * size, 2 * size)
        image.draft("RGB", tuple(map(math.ceil, least)))  # JPEG: 1/2, 1/4, 1/8 for less
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error, ...
        raise ValueError(str(error)) from error
