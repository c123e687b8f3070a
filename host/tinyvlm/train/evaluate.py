# SPDX-License-Identifier: MIT
"""Zero-shot accuracy of a float student or an integer graph on a folder of labelled shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tinyvlm import reference
from tinyvlm.graph import Graph
from tinyvlm.train import data, labels, text
from tinyvlm.train.loss import top1
from tinyvlm.train.student import DIMS, to_input

SETS = ("cifar10-test", "pacs-photo", "tiny-imagenet-unseen", "tiny-imagenet-seen-val")
Embed = Callable[[np.ndarray], np.ndarray]  # (n, H, W, 3) uint8 -> (n, dim)


def float_embedder(model: torch.nn.Module) -> Embed:
    """Embeddings by the float student."""
    model.eval()

    def embed(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(to_input(torch.from_numpy(images))).numpy()

    return embed


def int8_embedder(g: Graph) -> Embed:
    """Embeddings by the numpy reference of the integer engine."""

    def embed(images: np.ndarray) -> np.ndarray:
        return reference.embed(g, (images ^ 128).view(np.int8)).astype(np.float32)

    return embed


def score(
    embed: Embed,
    images: data.ImageSet,
    table: text.TextTable,
    space: text.TextSpace,
    size: int = 96,
    limit: int = 0,
) -> dict[int, float]:
    """Top-1 in per cent at each prefix, among the class names of the set."""
    ids = np.arange(len(images))
    if limit:
        ids = np.random.default_rng(0).permutation(ids)[:limit]
    names = [labels.text_name(n) for n in images.names]
    vectors = space.project(np.stack([table.vector[table.find(n)] for n in names]))
    z = np.concatenate([embed(x) for x, _ in data.eval_batches(images, ids, size, 128)])
    label = torch.from_numpy(images.label[ids].astype(np.int64))
    acc = top1(torch.from_numpy(z), torch.from_numpy(vectors).float(), label, DIMS)
    return {d: round(a, 2) for d, a in zip(DIMS, acc, strict=True)}


def score_all(
    embed: Embed,
    folder: Path,
    cache: Path,
    table: text.TextTable,
    space: text.TextSpace,
    limit: int = 0,
) -> dict[str, dict[int, float]]:
    """`score` on each of the four evaluation sets."""
    report = {}
    for name in SETS:
        images = data.load(
            folder / "eval", cache.with_name(f"{cache.name}-{name}"), f"{name}-*.tar.gz"
        )
        report[name] = score(embed, images, table, space, limit=limit)
    return report
