# SPDX-License-Identifier: MIT
"""Image-text retrieval with sentences: which photo belongs to which caption, both ways.

Caption vectors come from the text encoder, or from a table: an .npz with `captions` (or `names`),
`emb`, L2-normalized vectors of the CLIP text tower that the text space is of, and `source` in a
few words (caption_vectors.py makes such a file). They go through the same linear map as words. The
lexicon only composes: it knows the nouns of a sentence, not what they do.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..net import tvlm
from ..words import tvp
from ..words.space import TextEncoder, UnknownPhrase
from . import labelled, metrics
from .eval_naming import embed, identity, prefixes
from .eval_sets import Labels


@dataclass(frozen=True)
class Captions:
    """Caption -> unit vector (dim,). by: where the vectors are from; missing: how many have none.

    A photo without any caption in `vectors` is left out.
    """

    vectors: dict[str, np.ndarray]
    by: str
    missing: int


def load_table(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Caption -> CLIP text vector, float32, and the source. ValueError if it is something else."""
    try:
        with np.load(path) as table:
            names = table["captions" if "captions" in table.files else "names"]
            emb = table["emb"].astype(np.float32)
            if emb.ndim != 2 or len(names) != len(emb):
                raise ValueError("captions and emb differ in length")
            source = path.name
            if "source" in table.files and not table["source"].ndim:
                source = f"{table['source']} ({path.name})"
            rows = {" ".join(str(n).split()): row for n, row in zip(names, emb, strict=True)}
            return rows, source
    except (KeyError, TypeError, AttributeError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError(
            f"{path}: not a table of caption vectors ({e}); an .npz with captions and emb is meant"
        ) from e


def encode(
    labels: Labels, text: TextEncoder, encoder: tvlm.Encoder, table: Path | None = None
) -> Captions:
    """Vectors of a set's captions: by the table if it has them all, else by the text encoder.

    ValueError if the table's vectors are of another width than the text space's, or if text and
    image encoder share no space.
    """
    space = encoder.graph.info.get("text_space")
    if text.space != space:
        raise ValueError(
            f"the encoder was trained with another CLIP than {text.name} has ({space}, not "
            f"{text.space}); use a matching --model or --text-encoder"
        )
    wanted = {c for path in labels.paths for s in labelled.read(path, False) for c in s.captions}
    if table:
        known, source = load_table(table)
        if lacking := len(wanted - known.keys()):
            print(
                f"tinyvlm-eval: {labels.name}: {table} lacks {lacking} of {len(wanted)} captions; "
                f"all of them are encoded by {text.name}",
                file=sys.stderr,
            )
        else:
            order = sorted(wanted)
            rows = np.stack([known[caption] for caption in order])
            if rows.shape[1] != (width := len(text.text_space.centre)):
                raise ValueError(
                    f"{table}: vectors of {rows.shape[1]} dimensions, the text space takes {width}"
                )
            vectors = dict(zip(order, text.text_space.project(rows), strict=True))
            return Captions(vectors, source, 0)
    vectors = {}
    for caption in wanted:
        try:
            vectors[caption] = text.encode(caption, ()).vector
        except UnknownPhrase:
            pass
    return Captions(vectors, text.name, len(wanted) - len(vectors))


def evaluate(
    file: Path, encoder: tvlm.Encoder, labels: Labels, captions: Captions, workers: int = 1
) -> dict:
    """R@1, R@5 and R@10 of one encoder on one set, at each prefix. captions: not without any."""
    seen, skipped = embed(file, labels, {}, None, workers)
    photos = [f for f in seen if any(c in captions.vectors for c in f.captions)]
    pairs = [
        (i, captions.vectors[c])
        for i, f in enumerate(photos)
        for c in f.captions
        if c in captions.vectors
    ]
    if not pairs:
        raise ValueError(f"{labels.name}: no photo with a caption that has a vector can be read")
    owner, vectors = np.array([i for i, _ in pairs]), np.stack([v for _, v in pairs])
    embeddings = np.stack([f.embedding for f in photos])
    rows = []
    for dim in prefixes(encoder):
        scores = metrics.cosines(embeddings, tvp.quantize(vectors[:, :dim], 8))
        rows.append({"dim": dim, **metrics.recall(scores, owner)})
    chance = {key: rows[0][f"chance_{key}"] for key in ("to_text", "to_image")}
    for row in rows:
        del row["chance_to_text"], row["chance_to_image"]
    return identity(file, encoder, labels) | {
        "photos": len(photos),
        "captions": len(pairs),
        "by": captions.by,
        "skipped": skipped + len(seen) - len(photos),
        "missing": captions.missing,
        "chance": chance,
        "rows": rows,
    }


def left_out(labels: Labels, captions: Captions) -> str:
    """A sentence about captions without a vector, "" if there are none."""
    if not captions.missing:
        return ""
    total = captions.missing + len(captions.vectors)
    return (
        f"{labels.name}: {captions.missing} of {total} captions have no vector by {captions.by}, "
        "left out; --caption-vectors FILE.npz gives them"
    )
