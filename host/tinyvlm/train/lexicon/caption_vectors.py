# SPDX-License-Identifier: MIT
"""CLIP text vectors of sentences, estimated where the text tower itself is not to be had.

    python -m tinyvlm.train.lexicon.caption_vectors \\
        --captions ../shared/data/eval/flickr8k-test-000.tar.gz \\
        --known ../shared/data/clip/flickr8k-caption-text-embeddings.npz \\
        ../shared/data/text/clip-vit-b-32-openai.npz -o captions.npz
    tinyvlm-eval --data ... --caption-vectors captions.npz

Kernel ridge regression from a sentence encoder (train/estimate.py) onto real vectors of other
sentences and of names. The command prints how near the estimates come to the truth on known
sentences that were left out, all sentences of a photo at a time. They are better than what the
lexicon composes and worse than the tower's own, which `--text-encoder open_clip:...` asks.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np

from tinyvlm.files import check_folder, explain, write_atomic
from tinyvlm.measure import labelled, metrics
from tinyvlm.measure.truncation import APART
from tinyvlm.shipped import DATA
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import UnknownPhrase, normalize

# Chosen among four settings by the left-out captions of --known, whose photos are training's.
WIDTH, RIDGE = 2.0, 0.3
FOLDS = 5
SOURCE = "estimated from a sentence encoder"


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(rows of a, rows of b): how alike unit vectors are, 1 for equal ones."""
    return np.exp(WIDTH * (a @ b.T - 1))


def estimate(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Unit vectors (n, D) for the sentence vectors `query`; known are x (m, d) and y (m, D)."""
    centre = y.mean(axis=0)
    weights = np.linalg.solve(kernel(x, x) + RIDGE * np.eye(len(x), dtype=x.dtype), y - centre)
    return normalize(kernel(query, x) @ weights + centre).astype(np.float32)


def load(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(sentences, vectors, group) of an .npz; sentences of one photo have the same group."""
    with np.load(path) as table:
        sentences = "captions" in table.files
        names = [str(name) for name in table["captions" if sentences else "names"]]
        emb = normalize(table["emb"].astype(np.float32))
        group = table["image"] if "image" in table.files else np.arange(len(names))
        keep = np.full(len(names), True)
        if "source" in table.files and table["source"].ndim:
            keep = table["source"] != APART
    if not sentences:  # as the table's prompt has it, without further synonyms
        names = [f"a {name.split(',')[0].replace('_', ' ')}" for name in names]
    rows = np.flatnonzero(keep)
    return [names[i] for i in rows], emb[rows], np.unique(group[rows], return_inverse=True)[1]


def left_out(x: np.ndarray, y: np.ndarray, group: np.ndarray, more: tuple) -> np.ndarray:
    """Estimates for known sentences (n, D), each photo's made without any of its own."""
    made, fold = np.empty_like(y), group % FOLDS
    for k in range(FOLDS):
        out = fold == k
        known = np.concatenate([x[~out], more[0]]), np.concatenate([y[~out], more[1]])
        made[out] = estimate(*known, x[out])
    return made


def agreement(made: np.ndarray, y: np.ndarray) -> float:
    """Mean cosine of estimates and truth, both centred on the truth's mean."""
    centre = y.mean(axis=0)
    return float((normalize(made - centre) * normalize(y - centre)).sum(axis=1).mean())


def with_images(path: Path, known: Path, sentences: list[str], truth, made) -> list[str]:
    """Lines that say how well real image vectors are found by three kinds of caption vectors.

    path: an .npz with `keys` and `emb`, images of the same CLIP; known: with `image`, the keys of
    the sentences. truth, made: real and estimated vectors (n, D).
    """
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    space = lexicon.text_space
    with np.load(path) as table, np.load(known) as captions:
        row = {str(key): i for i, key in enumerate(table["keys"])}
        images = [str(key) for key in captions["image"]]
        every = table["emb"].astype(np.float32)
    keys = sorted(set(images) & row.keys())
    photos = (every[[row[key] for key in keys]] - every.mean(axis=0)) @ space.projection
    mine = [i for i, key in enumerate(images) if key in row]
    owner = np.array([keys.index(images[i]) for i in mine])
    kinds = {
        "real": space.project(truth[mine]),
        "estimated": space.project(made[mine]),
        "composed by the lexicon": np.stack([_composed(lexicon, sentences[i]) for i in mine]),
    }
    lines = [f"R@1 / R@5 / R@10 of {len(mine)} captions among {len(keys)} real image vectors:"]
    for name, vectors in kinds.items():
        found = metrics.recall(metrics.cosines(photos, vectors), owner)["to_image"]
        lines.append(f"  {name}: {' / '.join(f'{x:.1f}' for x in found.values())} %")
    return lines


def _composed(lexicon: Lexicon, sentence: str) -> np.ndarray:
    """Zeros, which find nothing, for a sentence that the lexicon cannot compose."""
    try:
        return lexicon.encode(sentence).vector
    except UnknownPhrase:
        return np.zeros(lexicon.text_space.projection.shape[1], np.float32)


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(
        prog="tinyvlm.caption_vectors", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--captions", nargs="+", required=True, metavar="PATTERN")
    parser.add_argument(
        "--known",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE.npz",
        help="real vectors: first of sentences (captions, emb, image), then of names (names, emb)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FILE.npz",
        help="real image vectors (keys, emb): print how well the known captions find their photos",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    args = parser.parse_args(argv)
    try:
        check_folder(args.output.parent)
        known = [load(path) for path in args.known]
        paths = [path for found in labelled.sets(args.captions).values() for path in found]
        wanted = sorted({c for p in paths for s in labelled.read(p, False) for c in s.captions})
        if not wanted:
            raise ValueError(f"{paths[0]}: no captions in it; KEY.json with captions is meant")
    except (OSError, ValueError, KeyError) as error:
        print(f"tinyvlm.caption_vectors: {explain(error)}", file=sys.stderr)
        return 2
    from tinyvlm.train.lexicon.estimate import Sentences

    encode = Sentences()
    x = [encode(names) for names, _, _ in known]
    y = [emb for _, emb, _ in known]
    rest = np.concatenate([x[0][:0], *x[1:]]), np.concatenate([y[0][:0], *y[1:]])
    tried = left_out(x[0], y[0], known[0][2], rest)
    made = estimate(np.concatenate(x), np.concatenate(y), encode(wanted))
    file = io.BytesIO()
    np.savez(file, captions=wanted, emb=made.astype(np.float16), source=SOURCE)
    size = write_atomic(args.output, file.getvalue())
    cosine = agreement(tried, y[0])
    print(f"{args.known[0].name}: {len(tried)} left out in turn, cosine {cosine:.3f} (centred)")
    if args.images:
        print("\n".join(with_images(args.images, args.known[0], known[0][0], y[0], tried)))
    print(f"{args.output}: {len(wanted)} captions, {SOURCE}, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
