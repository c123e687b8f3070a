# SPDX-License-Identifier: MIT
"""How well an encoder names photos and points at what it named: one report a set of tinyvlm-eval.

Where a file says which classes are in no training set (eval_sets.py), the same embeddings make a
second report of these alone: their photos, and no other words to choose from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..net import tvlm
from ..shipped import DEFAULT_DIM
from ..words import background, tvp
from . import labelled, metrics, overlap, pointing
from .embedding import Found, embed_all
from .eval_sets import UNSEEN, Labels, Words

DIMS = (16, 32, 64, 128, 256)
PAIRS = 20  # confusions in the JSON; the text shows the first few


@dataclass(frozen=True)
class Row:
    """What one prefix reaches, in per cent; with int8 prototypes where it says nothing else."""

    dim: int
    float_top1: float
    int8_top1: float
    int4_top1: float
    int8_top5: float
    precision1: float
    precision5: float
    precision10: float
    map: float
    pointing: float | None  # None: no boxes, or no dense map


def prefixes(encoder: tvlm.Encoder) -> list[int]:
    """The counts of dimensions that are measured: up to all the encoder has."""
    most = encoder.graph.shapes()[encoder.graph.embedding][2]
    return [d for d in DIMS if d < most] + [most]


def embed(
    file: Path, labels: Labels, pointers: dict, wanted: Iterable[str] | None, workers: int
) -> tuple[list[Found], int]:
    """Every readable photo of a set, and how many were left out; of `wanted` classes, None: all.

    pointers: by class name, the vectors to point with. ValueError if no photo can be read.
    """
    wanted = None if wanted is None else frozenset(wanted)
    samples = (
        s
        for path in labels.paths
        for s in labelled.read(path)
        if (s.captions if wanted is None else s.name in wanted)
    )
    total = labels.photos.total() if wanted is None else sum(labels.photos[n] for n in wanted)
    bar = tqdm(samples, f"{file.stem}, {labels.name}", total, unit="photo", mininterval=1)
    found = list(embed_all(bar, file, pointers, workers))
    problems = [f.problem for f in found if f.problem]
    seen = [f for f in found if not f.problem]
    if not seen:
        raise ValueError(f"{labels.name}: no photo in it can be read; the first: {problems[0]}")
    unnamed = labels.unnamed if wanted is not None else 0
    if left_out := len(problems) + unnamed:
        why = problems[0] if problems else "they have no class name"
        print(f"tinyvlm-eval: {labels.name}: {left_out} photos left out; {why}", file=sys.stderr)
    return seen, left_out


def identity(file: Path, encoder: tvlm.Encoder, labels: Labels) -> dict:
    """Which encoder on which data: the beginning of a report."""
    info = encoder.graph.info
    return {
        "encoder": info.get("name", "unnamed"),
        "file": file.name,
        "fingerprint": encoder.fingerprint.hex(),
        "text_space": info.get("text_space", ""),
        "set": labels.name,
        "data": [path.name for path in labels.paths],
    }


def evaluate(
    file: Path,
    encoder: tvlm.Encoder,
    labels: Labels,
    words: Words,
    *,
    dim: int = DEFAULT_DIM,
    workers: int = 1,
    imagenet: list[str] | None = None,
) -> list[dict]:
    """All that is measured of one encoder on one set, as JSON has it: one or two reports.

    file: the encoder's .tvlm; words: from `eval_sets.encode`; dim: the prefix of the confusions;
    imagenet: class names from `overlap.read` to compare with. Photos that cannot be read are left
    out and counted.
    """
    dims = [d for d in prefixes(encoder) if d <= words.vectors.shape[1]]
    int8 = [tvp.quantize(words.vectors[:, :d], 8) for d in dims]
    pointers = {name: [rows[i] for rows in int8] for i, name in enumerate(words.classes)}
    seen, skipped = embed(file, labels, pointers, words.classes, workers)
    head = identity(file, encoder, labels)
    whole = _report(head, file, encoder, seen, words, dims, dim)
    whole |= {"skipped": skipped, "missing": sorted(words.missing)}
    reports = [whole]
    apart = [i for i, name in enumerate(words.classes) if name in labels.unseen]
    parts = [words]
    if 1 < len(apart) < len(words.classes):
        parts.append(Words([words.classes[i] for i in apart], words.vectors[apart], {}))
        names = frozenset(parts[1].classes)
        head |= {"set": f"{labels.name} ({UNSEEN})"}
        mine = [f for f in seen if f.name in names]
        some = _report(head, file, encoder, mine, parts[1], dims, dim)
        missing = sorted(labels.unseen & frozenset(words.missing))
        reports.append(some | {"skipped": 0, "missing": missing})
    for report, of in zip(reports, parts, strict=True):
        if imagenet:
            found = overlap.compare(of.classes, imagenet)
            counts = {"named": len(found.named), "within": len(found.within)}
            report["imagenet"] = counts | {"outside": found.outside}
    return reports


def _report(
    head: dict,
    file: Path,
    encoder: tvlm.Encoder,
    seen: list[Found],
    words: Words,
    dims: list[int],
    dim: int,
) -> dict:
    chosen = background.find(file, encoder.fingerprint, len(words.classes))
    gains = chosen.gains(words.vectors) if chosen else np.ones(len(words.vectors), np.float32)
    embeddings = np.stack([f.embedding for f in seen])
    index = {name: i for i, name in enumerate(words.classes)}
    label = np.array([index[f.name] for f in seen])
    pointed = _pointing([f for f in seen if f.best], encoder)
    hits = pointed.pop("hits") if pointed else [None] * len(dims)
    rows = [
        _row(embeddings, label, words.vectors[:, :d], gains, hit)
        for d, hit in zip(dims, hits, strict=True)
    ]
    dim = min(dim, dims[-1])
    scores = metrics.cosines(embeddings, tvp.quantize(words.vectors[:, :dim], 8)) * gains
    pairs = [
        {
            "true": words.classes[a],
            "said": words.classes[b],
            "photos": n,
            "of": int((label == a).sum()),
        }
        for a, b, n in metrics.confusions(scores, label)[:PAIRS]
    ]
    return head | {
        "photos": len(label),
        "classes": len(words.classes),
        "chance": metrics.per_cent(1 / len(words.classes)),
        "rows": [asdict(row) for row in rows],
        "pointing": pointed,
        "confusions": {"dim": dim, "pairs": pairs},
    }


def _row(
    embeddings: np.ndarray,
    label: np.ndarray,
    vectors: np.ndarray,
    gains: np.ndarray,
    hit: float | None,
) -> Row:
    exact = metrics.cosines(embeddings, vectors) * gains
    int8 = metrics.cosines(embeddings, tvp.quantize(vectors, 8)) * gains
    int4 = metrics.cosines(embeddings, tvp.quantize(vectors, 4)) * gains
    return Row(
        dim=vectors.shape[1],
        float_top1=metrics.top(exact, label, 1),
        int8_top1=metrics.top(int8, label, 1),
        int4_top1=metrics.top(int4, label, 1),
        int8_top5=metrics.top(int8, label, 5),
        **metrics.retrieval(int8, label),
        pointing=hit,
    )


def _pointing(seen: list[Found], encoder: tvlm.Encoder) -> dict | None:
    if not seen:
        return None
    shape = encoder.graph.shapes()[encoder.graph.dense][:2]
    best = np.array([f.best for f in seen])
    score = pointing.score(best, [f.box for f in seen], shape)
    return {"boxes": len(seen), "cells": list(shape), **score}
