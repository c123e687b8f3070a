# SPDX-License-Identifier: MIT
"""The space that a run's student maps images to: where it comes from, and its loss.

With --text-vectors it is a whitened PCA of the table's names; without, of the teacher's cached
text vectors (or, if it has none, of its image vectors).
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from tinyvlm.train import labels, shards, text
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.loss import MatryoshkaLoss

SAMPLE = 50_000  # cached vectors that centres and axes are computed from

log = logging.getLogger("tinyvlm")


def folder(config: TrainConfig) -> Path | None:
    """The teacher's cache, if the teacher is not just the labels."""
    return None if config.teacher == "labels" else Path(config.teacher)


def make_loss(
    config: TrainConfig, index: dict, paths: list[Path]
) -> tuple[MatryoshkaLoss, labels.Classes | None]:
    """The loss with its space, and the class names, if the data have any."""
    cached = sample(config, paths)
    classes = None
    if config.text_vectors:
        if not Path(config.text_vectors).exists():
            raise SystemExit(f"--text-vectors {config.text_vectors}: there is no such file")
        table = text.load_table(Path(config.text_vectors))
        classes = find_classes(config, index, table)
    elif cached:
        table = as_table(cached.get("text", cached["image"]))
    else:
        raise SystemExit(
            "--teacher labels needs --text-vectors: an .npz with CLIP's vectors of names"
        )
    space = text.whitened_pca(table, config.student.dim, config.alpha)
    if len(space.matrix) < config.student.dim:
        raise SystemExit(
            f"{len(space.matrix)} axes are too few for {config.student.dim} numbers: the text"
            " vectors, or the teacher's, must be longer and more"
        )
    images = cached["image"].mean(0) if "image" in cached else space.centre
    centres = torch.tensor(space.centre), torch.tensor(images)
    return MatryoshkaLoss(config, torch.tensor(space.matrix), *centres, classes), classes


def find_classes(config: TrainConfig, index: dict, table: text.TextTable) -> labels.Classes | None:
    """The class names among the data's texts: all of them, unless they are captions."""
    texts = index["texts"]
    captions = len(texts) > min(labels.MOST, index["samples"] / 2)
    if captions and config.teacher == "labels":
        raise SystemExit(
            f"{len(texts)} different texts of {index['samples']} images are captions, not class"
            " names: make a teacher's cache with `tinyvlm-train cache`, name it with --teacher"
        )
    return labels.find_classes(texts, table, estimate=not captions)


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
