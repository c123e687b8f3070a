# SPDX-License-Identifier: MIT
"""The space that a run's student maps images to: where it comes from, and its loss.

With --text-vectors it is the map of --text-space, or a whitened PCA of the table's names;
without, that of the lexicon which tinyvlm ships, so that the lexicon can be used with the new
student.  A teacher that is not of the lexicon's CLIP brings its own: the PCA of its cached text
vectors, or else of its image vectors.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import torch

from tinyvlm.files import write_atomic
from tinyvlm.train import labels, shards, teacher_cache, text
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.distributed import World
from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.streams import Shard
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import TextMap, UnknownPhrase, load_space

log = logging.getLogger("tinyvlm")

CLASSIFIERS = ("tflite:", "efficientnet-lite2")  # teachers in the space of --text-vectors
WORDS = 4  # words a text, on average, from which texts are captions
SHARED = 5  # images that have a text in common, from which it is a class name among captions
SAMPLE = 50_000  # cached vectors that centres and axes are computed from


def folder(config: TrainConfig) -> Path | None:
    """The teacher's cache (A+B: several), if the teacher is not just the labels."""
    return None if config.teacher == "labels" else Path(config.teacher)


def make_loss(
    config: TrainConfig, index: dict, paths: list[Shard], world: World
) -> tuple[MatryoshkaLoss, labels.Classes | None]:
    """The loss with its space, and the class names, if the data have any."""
    cached = sample(config, paths)
    name = str(teacher_cache.name_in(folder(config))) if cached else ""
    if config.text_vectors:
        table = text.load_table(Path(config.text_vectors))
        fit(cached, table, config)
        space, missing = learned(config), unknown_names(index, config, table)
        if missing:
            add_names(table, missing, space, config.run / "estimates.npz", world)
        space = space or text.whitened_pca(table, config.student.dim, config.alpha)
    elif not cached:
        captions(index, config)
        table, space = from_lexicon(index["texts"])
    else:
        table, own = as_table(cached.get("text", cached["image"])), not of_the_lexicon(name)
        space = (
            text.whitened_pca(table, config.student.dim, config.alpha) if own else lexicon_space()
        )
    if space.projection.shape[1] < config.student.dim:
        axes, dim = space.projection.shape[1], config.student.dim
        raise SystemExit(
            f"{axes} axes are too few for {dim} dimensions: a space is made from at least"
            f" {dim + 1} different text vectors of at least {dim} dimensions; name more data, or"
            " give the space with --text-vectors"
        )
    classes = labels.find_classes(index["texts"], table)
    images = cached["image"].mean(0) if "image" in cached else space.centre
    if name.startswith(CLASSIFIERS):
        images = np.zeros_like(images)  # a classifier's points are centred as the names are
    centres = torch.tensor(space.centre), torch.tensor(images)
    matrix = torch.tensor(np.ascontiguousarray(space.projection.T))
    return MatryoshkaLoss(config, matrix, *centres, classes), classes


def learned(config: TrainConfig) -> TextMap | None:
    """The map of --text-space, if there is one."""
    if not config.text_space:
        return None
    try:
        return load_space(Path(config.text_space))
    except ValueError as e:
        raise SystemExit(f"--text-space: {e}") from None


def check(config: TrainConfig) -> None:
    """Refuse files that are not there, before the images are counted: that takes minutes."""
    for flag in ("text_vectors", "text_space"):
        name = getattr(config, flag)
        if name and not Path(name).exists():
            raise SystemExit(f"--{flag.replace('_', '-')} {name}: there is no such file")
    if config.text_space and not config.text_vectors:
        raise SystemExit("--text-space maps --text-vectors: name them, too")
    try:
        if folder(config):
            teacher_cache.read(folder(config), "")
    except ValueError as e:
        raise SystemExit(f"--teacher: {e}") from None


def of_the_lexicon(name: str) -> bool:
    """Are this teacher's vectors in the space of the CLIP that the lexicon was made with?"""
    return name.startswith(CLASSIFIERS) or name.replace("-quickgelu/", "/") == text.TEXT_ENCODER


def text_encoder(config: TrainConfig) -> str:
    """The text tower whose vectors a run's map takes."""
    cache = None if config.text_vectors else folder(config)
    name = teacher_cache.name_in(cache) if cache else ""
    clip = str(name).startswith("open_clip:") and not of_the_lexicon(name)
    return name if clip else text.TEXT_ENCODER


def lexicon_space(book: Lexicon | None = None) -> TextMap:
    """The map that the shipped lexicon and the shipped encoders have. book: if it is open."""
    return (book or create_text_encoder("lexicon")).text_space


def fit(cached: dict[str, np.ndarray], table: text.TextTable, config: TrainConfig) -> None:
    """Refuse a teacher and text vectors of different CLIPs, as far as their lengths tell."""
    for vectors in cached.values():
        if vectors.shape[1] != len(table.centre):
            raise SystemExit(
                f"--teacher {config.teacher} has vectors of {vectors.shape[1]} dimensions,"
                f" --text-vectors of {len(table.centre)}: both must be of the same CLIP"
            )


def captions(index: dict, config: TrainConfig) -> bool:
    """Are the data's texts captions, and not class names? Then labels alone teach nothing."""
    texts = index["texts"]
    words = sum(len(text.split()) * count for text, (count, _) in texts.items())
    long = words > WORDS * sum(count for count, _ in texts.values())
    found = long or len(texts) > min(labels.MOST, index["samples"] / 2)
    if found and config.teacher == "labels":
        example = max(texts, key=len, default="")
        raise SystemExit(
            f"the {len(texts)} different texts of {index['samples']} images look like captions"
            f" ({example[:60]!r}), not like class names: run `tinyvlm-train cache` first, then"
            " name its folder with --teacher"
        )
    return found


def unknown_names(index: dict, config: TrainConfig, table: text.TextTable) -> list[str]:
    """The class names that the table lacks. Among captions a text of several images is one."""
    least = SHARED if captions(index, config) else 1
    plain = plain_names(t for t, (count, _) in index["texts"].items() if count >= least)
    return sorted(name for name in plain if table.find(name) is None)


def plain_names(texts: Iterable[str]) -> set[str]:
    """What training calls the classes that texts name."""
    return {labels.text_name(t) for t in texts if t != labels.UNLABELLED}


def add_names(
    table: text.TextTable, missing: list[str], space: TextMap | None, file: Path, world: World
) -> None:
    """Give names that the table lacks the lexicon's vectors if it has this space, or estimates."""
    book = create_text_encoder("lexicon") if space else None
    if book and space.name == book.text_space.name:
        table.add(of_lexicon(book, missing))
    else:
        estimate(table, missing, file, world)


def estimate(table: text.TextTable, missing: list[str], file: Path, world: World) -> None:
    """Give names that the table lacks a vector.  It takes a minute: `file` remembers."""
    if world.rank == 0 and set(missing) - read_estimates(file).keys():
        text.add_estimates(table, missing)
        out = io.BytesIO()
        np.savez(out, names=missing, vectors=np.stack([table.vector[n] for n in missing]))
        write_atomic(file, out.getvalue())
    world.barrier()
    table.add(read_estimates(file))


def read_estimates(file: Path) -> dict[str, np.ndarray]:
    """Name -> vector (d,)."""
    if not file.exists():
        return {}
    with np.load(file) as z:
        return dict(zip(map(str, z["names"]), z["vectors"], strict=True))


def from_lexicon(texts: Iterable[str]) -> tuple[text.TextTable, TextMap]:
    """The shipped lexicon's space, and as a table what it says of these texts."""
    book = create_text_encoder("lexicon")
    space = lexicon_space(book)
    table, plain = text.TextTable({}, {}, space.centre), plain_names(texts)
    table.add(of_lexicon(book, plain | labels.HYPERNYMS.keys(), needed=plain))
    return table, space


def of_lexicon(
    book: Lexicon, names: Iterable[str], needed: Container[str] = ()
) -> dict[str, np.ndarray]:
    """What the shipped lexicon says of names, in CLIP's space; without those it does not know,
    of which none may be `needed`.

    It has vectors of the student's space: they are mapped back to CLIP's, to the nearest point
    that the map takes to them.
    """
    space, found = book.text_space, {}
    back = np.linalg.pinv(space.projection.T)
    for name in sorted(names):
        try:
            vector = book.encode(name).vector
        except UnknownPhrase as e:
            if name in needed:
                raise SystemExit(f"class {name!r}: {e}") from None
            continue
        found[name] = (space.centre + back @ vector).astype(np.float32)
    return found


def sample(config: TrainConfig, paths: list[Shard]) -> dict[str, np.ndarray]:
    """Cached vectors of the first shards: {"image", "text": (n, d) float32}, as far as there."""
    if config.teacher == "labels":
        return {}
    found: dict[str, list[np.ndarray]] = {}
    for path in paths:
        try:
            cached = teacher_cache.read(folder(config), shards.stem(path))
        except ValueError as e:
            raise SystemExit(f"--teacher: {e}") from None
        for key in ("image", "text"):
            rows = getattr(cached, key)
            if rows is not None and rows.any():
                found.setdefault(key, []).append(rows[np.any(rows, axis=1)].astype(np.float32))
        if found and max(sum(map(len, rows)) for rows in found.values()) >= SAMPLE:
            break
    if not found:
        raise SystemExit(f"--teacher {config.teacher}: no vectors of these shards in there")
    warn_of_missing(config, paths)
    return {key: np.concatenate(rows) for key, rows in found.items()}


def warn_of_missing(config: TrainConfig, paths: list[Shard]) -> None:
    """Images without a teacher's vector are skipped: a shard forgotten is a set not learned."""
    names = [shards.stem(path) for path in paths]
    missing = [name for name in names if not teacher_cache.has(folder(config), name)]
    if missing:
        log.warning(
            f"--teacher {config.teacher} has no vectors of {len(missing)} of {len(names)} shards"
            f" ({', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}): their images are"
            " skipped; `tinyvlm-train cache` makes them"
        )


def as_table(vectors: np.ndarray) -> text.TextTable:
    """Vectors without names, as the PCA wants them."""
    names = [f"#{i}" for i in range(len(vectors))]  # that no class is called
    centre = vectors.mean(0).astype(np.float32)
    return text.TextTable(
        dict(zip(names, vectors, strict=True)), dict.fromkeys(names, "clip"), centre
    )
