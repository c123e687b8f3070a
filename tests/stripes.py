# SPDX-License-Identifier: MIT
"""Data that a student learns in seconds: striped pictures of four classes, and text vectors."""

import numpy as np
from tars import encoded, pair

from tinyvlm.train import labels

CLASSES = ("cat", "rocket", "coin", "umbrella")  # the last is one that is held out of training


def picture(i, rng):
    """Stripes whose colour and width say which class it is."""
    pixels = rng.integers(0, 90, (40 + i % 9, 60, 3)).astype(np.uint8)
    pixels[:: 2 + i % 4, :, i % 3] += 150
    return encoded(pixels)


def samples(n, rng, text=lambda i: CLASSES[i % 4]):
    """The files of n pictures in turn of the classes; text: a function of a picture's number."""
    for i in range(n):
        yield from pair(f"{i:05}", picture(i, rng), text(i))


def text_table(path, rng):
    """A file of random vectors for --text-vectors, with all names that training asks for."""
    names = sorted({*CLASSES, *labels.HYPERNYMS, *labels.PEOPLE, *labels.held_out_names()})
    names += [f"thing {i}" for i in range(600 - len(names))]
    vectors = rng.normal(size=(606, 512)) + 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(
        path,
        emb=vectors.astype(np.float16),
        names=np.array(names + names[:6]),
        source=np.array(["lvis(detic)"] * 600 + ["8vision(knots)"] * 6),
    )
