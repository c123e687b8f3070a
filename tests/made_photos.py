# SPDX-License-Identifier: MIT
"""Embeddings of photos that never were: words of the lexicon, and noise."""

import numpy as np

from tinyvlm.measure import held_out
from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA, DEFAULT_MODEL
from tinyvlm.train import labels
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import normalize


def made_photos(step, count, each, noise, away=0.0):
    """`each` photos of `count` words, every `step`th of the lexicon.

    away: how far all photos of a word are from it, in one direction, as real ones are.
    """
    lexicon, rng = Lexicon.load(DATA / "lexicon.npz"), np.random.default_rng(0)
    names = [name for name in lexicon.index if lexicon.kind(name) == "exact"][::step][:count]
    vectors = np.stack([lexicon.encode(name).vector for name in names])
    middles = vectors
    if away:
        middles = normalize(vectors + away * rng.normal(size=vectors.shape))
    label = np.repeat(np.arange(len(names)), each)
    noisy = normalize(middles[label] + noise * rng.normal(size=(len(label), 256)))
    return held_out.Photos(
        tvlm.load(DEFAULT_MODEL),
        np.rint(400 * noisy).clip(-128, 127).astype(np.int8),
        label,
        names,
        vectors,
        labels.hypernyms(names)[1],
        ["made-up"],
    )
