# SPDX-License-Identifier: MIT
"""The learned map: short prefixes tell names apart, and other words keep their neighbours."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from tinyvlm.train import learn_map  # noqa: E402
from tinyvlm.train.learn_map import Photos, accuracy, learn  # noqa: E402

NAMES, CLIP, DIM = 24, 64, 32


def world(seed: int = 0):
    """Names that differ in small directions only, beneath large ones that photos do not share."""
    rng = np.random.default_rng(seed)
    loud = rng.normal(size=(8, CLIP))
    names = rng.normal(size=(NAMES, CLIP)) + 6 * rng.normal(size=(NAMES, 8)) @ loud
    label = rng.integers(NAMES, size=1500)
    vectors = names[label] + 20 * rng.normal(size=(1500, 4)) @ loud[:4]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    photos = Photos(
        *(torch.tensor(x) for x in (unit.astype(np.float32), np.ones(1500, np.float32))),
        torch.tensor(label),
    )
    return photos, torch.tensor(names.astype(np.float32))


def test_prefixes_name_better_than_those_of_a_pca(monkeypatch):
    monkeypatch.setattr(learn_map, "DIMS", (4, 8, 16, 32))
    photos, names = world()
    words = torch.randn(40, CLIP, generator=torch.Generator().manual_seed(0))
    _, _, axes = torch.linalg.svd(names - names.mean(0), full_matrices=False)
    pca = axes[:DIM].clone()
    pca = torch.cat([pca, torch.zeros(DIM - len(pca), CLIP)]) if len(pca) < DIM else pca
    train, held = photos[torch.arange(1000)], photos[torch.arange(1000, 1500)]
    matrix = learn(train, names, words, torch.zeros(NAMES, NAMES, dtype=torch.bool), pca, 150)
    assert matrix.shape == (DIM, CLIP) and matrix.isfinite().all()
    choice = torch.arange(NAMES)
    before, after = (accuracy(m, held, names, choice) for m in (pca, matrix))
    assert after[1] > before[1] + 10  # 8 dimensions
    assert sum(after) > sum(before)


def test_same_result_again(monkeypatch):
    monkeypatch.setattr(learn_map, "DIMS", (4, 8))
    photos, names = world(1)
    start = torch.eye(8, CLIP)
    ignore = torch.zeros(NAMES, NAMES, dtype=torch.bool)
    first, second = (learn(photos, names, names[:4], ignore, start, 5) for _ in range(2))
    assert torch.equal(first, second)
