# SPDX-License-Identifier: MIT
"""The space that a run's student maps images to: where it comes from, and its loss.

With --text-vectors it is a whitened PCA of the table's names; without, that of the lexicon which
tinyvlm ships, so that the lexicon can be used with the new student.  A teacher without
--text-vectors brings its own: the PCA of its cached text vectors, or else of its image vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from tinyvlm.text import UnknownPhrase, create_text_encoder
from tinyvlm.train import labels, shards, text
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.loss import MatryoshkaLoss

SAMPLE = 50_000  # cached vectors that centres and axes are computed from


def folder(config: TrainConfig) -> Path | None:
    """The teacher's cache, if the teacher is not just the labels."""
    return None if config.teacher == "labels" else Path(config.teacher)


def make_loss(
    config: TrainConfig, index: dict, paths: list[Path]
) -> tuple[MatryoshkaLoss, labels.Classes | None]:
    """The loss with its space, and the class names, if the data have any."""
    cached, classes = sample(config, paths), None
    if config.text_vectors:
        if not Path(config.text_vectors).exists():
            raise SystemExit(f"--text-vectors {config.text_vectors}: there is no such file")
        table = text.load_table(Path(config.text_vectors))
        classes = labels.find_classes(index["texts"], table, estimate=not captions(index, config))
    elif cached:
        table = as_table(cached.get("text", cached["image"]))
    if config.text_vectors or cached:
        space = text.whitened_pca(table, config.student.dim, config.alpha)
    else:
        captions(index, config)
        table, space = from_lexicon(index["texts"])
        classes = labels.find_classes(index["texts"], table, estimate=False)
    if len(space.matrix) < config.student.dim:
        raise SystemExit(
            f"{len(space.matrix)} axes are too few for {config.student.dim} numbers: the text"
            " vectors, or the teacher's, must be longer and more"
        )
    images = cached["image"].mean(0) if "image" in cached else space.centre
    centres = torch.tensor(space.centre), torch.tensor(images)
    return MatryoshkaLoss(config, torch.tensor(space.matrix), *centres, classes), classes


def captions(index: dict, config: TrainConfig) -> bool:
    """Are the data's texts captions, and not class names? Then labels alone teach nothing."""
    texts = index["texts"]
    found = len(texts) > min(labels.MOST, index["samples"] / 2)
    if found and config.teacher == "labels":
        raise SystemExit(
            f"{len(texts)} different texts of {index['samples']} images are captions, not class"
            " names: make a teacher's cache with `tinyvlm-train cache`, name it with --teacher"
        )
    return found


def from_lexicon(texts: Iterable[str]) -> tuple[text.TextTable, text.TextSpace]:
    """The shipped lexicon's space, and as a table what it says of these texts.

    It has vectors of the student's space: they are mapped back to CLIP's, to the nearest point
    that the map takes to them.
    """
    book = create_text_encoder("lexicon")
    centre, matrix = book.text_space.centre, book.text_space.projection.T
    back = np.linalg.pinv(matrix)
    table = text.TextTable({}, {}, centre)
    plain = {labels.text_name(t) for t in texts if t != labels.UNLABELLED}
    for name in sorted(plain | labels.ABOVE.keys()):
        try:
            vector = book.encode(name).vector
        except UnknownPhrase as e:
            if name in plain:
                raise SystemExit(f"class {name!r}: {e}") from None
            continue
        table.vector[name] = (centre + back @ vector).astype(np.float32)
        table.kind[name] = "estimated"
    return table, text.TextSpace(centre, np.ascontiguousarray(matrix))


def sample(config: TrainConfig, paths: list[Path]) -> dict[str, np.ndarray]:
    """Cached vectors of the first shards: {"image", "text": (n, d) float32}, as far as there."""
    if config.teacher == "labels":
        return {}
    from tinyvlm.train import teacher

    found: dict[str, list[np.ndarray]] = {}
    for path in paths:
        cached = teacher.read(folder(config), shards.stem(path))
        for key in ("image", "text"):
            rows = getattr(cached, key)
            if rows is not None:
                found.setdefault(key, []).append(rows[np.any(rows, axis=1)].astype(np.float32))
        if found and max(sum(map(len, rows)) for rows in found.values()) >= SAMPLE:
            break
    if not found:
        raise SystemExit(f"--teacher {config.teacher}: no vectors of these shards in there")
    return {key: np.concatenate(rows) for key, rows in found.items()}


def as_table(vectors: np.ndarray) -> text.TextTable:
    """Vectors without names, as the PCA wants them."""
    names = [str(i) for i in range(len(vectors))]
    centre = vectors.mean(0).astype(np.float32)
    return text.TextTable(
        dict(zip(names, vectors, strict=True)), dict.fromkeys(names, "clip"), centre
    )
