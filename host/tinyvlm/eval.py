# SPDX-License-Identifier: MIT
"""tinyvlm-eval: zero-shot accuracy of encoders, by the int8 engine, on labelled photos.

    tinyvlm-eval --data ../shared/data/eval --json results.json --plots plots
    tinyvlm-eval --data mine=photos/ pets='pets-*.tar' --model mine.tvlm nano.tvlm --table

Class names become prototypes as `tinyvlm-pack` makes them; every photo goes through the frame
intake and the engine that the boards run. What is measured is defined in metrics.py and
pointing.py, the forms of data in labelled.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import __version__
from .files import check_folder, explain, write_atomic
from .measure import labelled, metrics, pointing
from .measure.embedding import Found, embed_all
from .measure.eval_table import confusion_lines, tables
from .net import tvlm
from .shipped import DEFAULT_MODEL, model_path
from .words import prototypes as pack
from .words import tvp, vocabulary
from .words.encoders import create_text_encoder
from .words.space import TextEncoder, UnknownPhrase
from .words.vocabulary import Entry

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


@dataclass(frozen=True)
class Labels:
    """A set of photos before any is decoded: class names, sorted, and how many have which."""

    name: str
    paths: list[Path]
    photos: Counter[str]
    unnamed: int

    @property
    def classes(self) -> list[str]:
        return sorted(self.photos)


def index(name: str, paths: list[Path]) -> Labels:
    """One quick pass over the names. ValueError if there are none."""
    names = Counter(sample.name for path in paths for sample in labelled.read(path, pixels=False))
    unnamed = names.pop("", 0)
    if not names:
        raise ValueError(
            f"{paths[0]}: no photos with class names in it; a folder has CLASS/PHOTO.jpg, "
            "a shard KEY.jpg with KEY.txt"
        )
    return Labels(name, paths, names, unnamed)


def encode(
    labels: Labels,
    text: TextEncoder,
    encoder: tvlm.Encoder,
    prompts: tuple[str, ...] = (),
    words: dict[str, tuple[str, ...]] | None = None,
) -> np.ndarray:
    """Unit vectors (classes, dim). ValueError lists all class names that have none."""
    phrases = [(words or {}).get(name, (name,)) for name in labels.classes]
    entries = [
        Entry(name, phrase, line)
        for line, (name, phrase) in enumerate(zip(labels.classes, phrases, strict=True), 1)
    ]
    try:
        return pack.encode(entries, text, encoder, prompts)[0]
    except ValueError:
        problems = [line for phrase in phrases for line in _unknown(phrase, text, prompts)]
        if not problems:
            raise
        raise ValueError(
            f"{labels.name}: {len(problems)} class names have no vector; give words for them "
            "with --vocab LIST.txt, or rename them\n" + "\n".join(problems)
        ) from None


def _unknown(
    phrases: tuple[str, ...], text: TextEncoder, prompts: tuple[str, ...]
) -> Iterator[str]:
    for phrase in phrases:
        try:
            text.encode(phrase, prompts)
        except UnknownPhrase as error:
            yield str(error)


def evaluate(
    file: Path,
    encoder: tvlm.Encoder,
    labels: Labels,
    vectors: np.ndarray,
    *,
    dim: int = 64,
    workers: int = 1,
) -> dict:
    """All that is measured of one encoder on one set, as JSON has it.

    file: the encoder's .tvlm; vectors: from `encode`; dim: the prefix of the confusions. Photos
    that cannot be read are left out and counted.
    """
    info, shapes = encoder.graph.info, encoder.graph.shapes()
    most = min(shapes[encoder.graph.embedding][2], vectors.shape[1])
    dims = [d for d in DIMS if d < most] + [most]
    int8 = [tvp.quantize(vectors[:, :d], 8) for d in dims]
    classes = labels.classes
    pointers = {name: [rows[i] for rows in int8] for i, name in enumerate(classes)}
    samples = (s for path in labels.paths for s in labelled.read(path) if s.name)
    title, photos = f"{file.stem}, {labels.name}", labels.photos.total()
    bar = tqdm(samples, title, photos, unit="photo", mininterval=1)
    found = list(embed_all(bar, file, pointers, workers))
    problems = [f.problem for f in found if f.problem]
    seen = [f for f in found if not f.problem]
    if not seen:
        raise ValueError(f"{labels.name}: no photo in it can be read; the first: {problems[0]}")
    if left_out := len(problems) + labels.unnamed:
        why = problems[0] if problems else "they have no class name"
        print(f"tinyvlm-eval: {labels.name}: {left_out} photos left out; {why}", file=sys.stderr)
    embeddings = np.stack([f.embedding for f in seen])
    number = {name: i for i, name in enumerate(classes)}
    label = np.array([number[f.name] for f in seen])
    pointed = _pointing([f for f in seen if f.best], encoder)
    hits = pointed.pop("hits") if pointed else [None] * len(dims)
    rows = [
        _row(embeddings, label, vectors[:, :d], hit) for d, hit in zip(dims, hits, strict=True)
    ]
    dim = min(dim, most)
    scores = metrics.cosines(embeddings, tvp.quantize(vectors[:, :dim], 8))
    pairs = [
        {"true": classes[a], "said": classes[b], "photos": n, "of": int((label == a).sum())}
        for a, b, n in metrics.confusions(scores, label)[:PAIRS]
    ]
    return {
        "encoder": info.get("name", "unnamed"),
        "file": file.name,
        "fingerprint": encoder.fingerprint.hex(),
        "text_space": info.get("text_space", ""),
        "set": labels.name,
        "data": [path.name for path in labels.paths],
        "photos": len(label),
        "skipped": left_out,
        "classes": len(classes),
        "chance": metrics.per_cent(1 / len(classes)),
        "rows": [asdict(row) for row in rows],
        "pointing": pointed,
        "confusions": {"dim": dim, "pairs": pairs},
    }


def _row(embeddings: np.ndarray, label: np.ndarray, vectors: np.ndarray, hit: float | None) -> Row:
    exact = metrics.cosines(embeddings, vectors)
    int8 = metrics.cosines(embeddings, tvp.quantize(vectors, 8))
    int4 = metrics.cosines(embeddings, tvp.quantize(vectors, 4))
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


# -- the command ------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        _check(args)
        results = _run(args)
        text = json.dumps(results, indent=1, ensure_ascii=False)
        if args.json not in (None, "-"):
            write_atomic(args.json, (text + "\n").encode())
        if args.plots:
            from .measure.plots import draw

            draw(results["reports"], args.plots)
    except (OSError, ValueError, ImportError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm-eval: {line}", file=sys.stderr)
        return 2
    if args.json == "-":
        print(text)
    else:
        print(tables(results))
        if not args.table:
            print("\n" + confusion_lines(results["reports"]))
    return 0


def _run(args: argparse.Namespace) -> dict:
    """Every encoder on every set. Names and files are checked before any photo is decoded."""
    text = create_text_encoder(args.text_encoder, args.model[0])
    prompts = tuple(args.prompt or ())
    words = {e.label: e.phrases for e in vocabulary.read(args.vocab)} if args.vocab else {}
    encoders = {file: tvlm.load(file) for file in args.model}
    sets = [index(name, paths) for name, paths in labelled.sets(args.data).items()]
    jobs = [
        (file, encoder, labels, encode(labels, text, encoder, prompts, words))
        for file, encoder in encoders.items()
        for labels in sets
    ]
    reports = [evaluate(*job, dim=args.dim, workers=args.workers) for job in jobs]
    return {
        "software": f"tinyvlm {__version__}",
        "text_encoder": text.name,
        "prompts": list(prompts),
        "reports": reports,
    }


def _check(args: argparse.Namespace) -> None:
    """What would otherwise fail only after minutes of work."""
    for name in ("dim", "workers"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} {getattr(args, name)}: must be 1 or more")
    if len({model.resolve() for model in args.model}) < len(args.model):
        raise ValueError("--model: the same file is given twice")
    if args.plots:
        from .measure import plots  # noqa: F401

        args.plots.mkdir(parents=True, exist_ok=True)
    check_folder(Path(args.json or "-").parent)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-eval",
        description="Zero-shot accuracy, retrieval and pointing of encoders on labelled photos.",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="[NAME=]PATTERN",
        help="shards, a folder of shards, or a folder with one folder a class; what has the same "
        "name (default: of the folder, or of the shards without -NNN) is one set",
    )
    parser.add_argument(
        "--model",
        type=model_path,
        nargs="+",
        default=[DEFAULT_MODEL],
        metavar="MODEL",
        help="encoders to compare: base (default), nano, max78000 or FILE.tvlm",
    )
    parser.add_argument(
        "--vocab",
        type=Path,
        metavar="LIST.txt",
        help="other words for class names, `name: phrase, phrase` a line, as for tinyvlm-pack",
    )
    parser.add_argument(
        "--text-encoder",
        default="lexicon",
        metavar="ENCODER",
        help="lexicon (default, offline) or open_clip:MODEL/TAG",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        metavar="TEMPLATE",
        help='for open_clip, e.g. "a photo of a {}"; repeat to average',
    )
    parser.add_argument(
        "--dim", type=int, default=64, help="numbers used for the confusions (default: 64)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="photos embedded at the same time (default: one a core)",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write all numbers; without FILE they are printed instead of the table",
    )
    parser.add_argument(
        "--table", action="store_true", help="print the Markdown tables alone, no confusions"
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw accuracy against dimension and against bytes per label (needs matplotlib)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
