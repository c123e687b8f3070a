# SPDX-License-Identifier: MIT
"""Made-up embeddings and photos for the tests of tinyvlm-tune: words that are a bit off."""

import numpy as np
from PIL import Image

from tinyvlm.measure.sorted_photos import Sorted
from tinyvlm.words import tvp
from tinyvlm.words.space import normalize

DIM = 32
PRINT = b"encoder!"


def directions(count, seed=0, dim=DIM):
    return normalize(np.random.default_rng((seed, 1)).normal(size=(count, dim)))


def world(labels=3, each=10, none=20, seed=0, bits=8, threshold=0.95, noise=0.7, rivals=0):
    """(vocabulary, photos): words near their photos, a threshold that refuses nearly all, and a
    background word on the first label's photos that does not compete unless `rivals` is set."""
    rng = np.random.default_rng((seed, 2))
    centres = directions(labels + 6, seed)
    counts = [each] * labels if isinstance(each, int) else each
    target = np.repeat(np.arange(labels), counts)
    rows = [centres[k] for k in target]
    rows += [centres[labels + int(rng.integers(6))] for _ in range(none)]
    target = np.append(target, np.full(none, labels)).astype(int)
    noisy = normalize(np.array(rows) + noise * directions(len(rows), seed + 50))
    words = normalize(centres[:labels] + 0.8 * directions(labels, seed + 99))
    cousin = normalize(centres[:1] + 0.2 * directions(1, seed + 7))
    p = tvp.Prototypes(
        labels=[f"label {i}" for i in range(labels)],
        vectors=tvp.quantize(np.concatenate([words, cousin]), bits),
        fingerprint=PRINT,
        encoder="made up",
        bits=bits,
        logit_scale=10.0,
        threshold=threshold,
        background=1,
        prefixes=[(8, 6.0, threshold), (16, 8.0, threshold)],
        none=[0.6, 0.5, 0.4],
        rivals=rivals,
    )
    embeddings = np.rint(noisy / np.abs(noisy).max(axis=1, keepdims=True) * 127).astype(np.int8)
    return p, Sorted(p.labels, [None] * len(target), embeddings, target)


def save_folders(folder, photos):
    """One blurred, coloured picture for each (folder, name, colour)."""
    for where, name, colour in photos:
        (folder / where).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name) + sum(map(ord, name + where))).integers(
            0, 90, (40, 56, 3)
        )
        pixels = (pixels + np.array(colour)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / where / name)
