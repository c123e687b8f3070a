# SPDX-License-Identifier: MIT
"""tinyvlm-eval: zero-shot accuracy of an encoder, by the int8 engine, on labelled photos.

    tinyvlm-eval --data ../shared/data/eval/cifar10-test-000.tar.gz
    tinyvlm-eval --data photos/ --model mine.tvlm --json

Data is a WebDataset shard (KEY.jpg|webp|png with KEY.txt, the class name) or a folder with one
folder a class. Class names become prototypes as `tinyvlm-pack` makes them; every photo goes
through the frame intake and the engine that the boards run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import pack, tvlm, tvp
from .api import load, to_frame
from .files import explain
from .text import create_text_encoder
from .vocabulary import Entry

DIMS = (16, 32, 64, 128, 256)
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Row:
    """Accuracy in per cent at one prefix, for float, 8-bit and 4-bit prototypes."""

    dim: int
    float_top1: float
    int8_top1: float
    int4_top1: float
    int8_top5: float


def photos(path: Path) -> Iterator[tuple[str, Image.Image]]:
    """(class name, photo) of a shard or an image folder."""
    if path.is_dir():
        for file in sorted(path.glob("*/*")):
            if file.suffix.lower() in PICTURES:
                with Image.open(file) as image:
                    yield file.parent.name, image
        return
    pending: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, kind = member.name.rpartition(".")
            if not member.isfile() or f".{kind}" not in (*PICTURES, ".txt"):
                continue
            sample = pending.setdefault(key, {})
            sample["text" if kind == "txt" else "image"] = tar.extractfile(member).read()
            if len(sample) == 2:
                sample = pending.pop(key)
                with Image.open(BytesIO(sample["image"])) as image:
                    yield sample["text"].decode().strip(), image


def embed_all(paths: list[Path], model: Path) -> tuple[np.ndarray, list[str]]:
    """Embeddings int8 (n, dim) by the engine, and the class name of each photo."""
    encoder = load(model)
    embeddings, names = [], []
    for path in paths:
        for name, image in tqdm(photos(path), desc=path.name, unit="photo", mininterval=1):
            out = bytearray(encoder.dim)
            encoder.embed_into(to_frame(image), out)
            embeddings.append(np.frombuffer(out, np.int8))
            names.append(name)
    if not names:
        raise ValueError(f"{paths[0]}: no photos with class names in it")
    return np.stack(embeddings), names


def evaluate(
    paths: list[Path], model: Path, text_encoder: str, prompts: tuple[str, ...] = ()
) -> dict:
    """Accuracies at every prefix, with the number of photos and classes, and chance."""
    encoder, header = create_text_encoder(text_encoder), tvlm.load(model)
    embeddings, names = embed_all(paths, model)
    classes = sorted(set(names))
    entries = [Entry(name, (name,), line) for line, name in enumerate(classes, 1)]
    vectors, _ = pack.encode(entries, encoder, header, prompts)
    label = np.array([classes.index(name) for name in names])
    rows = []
    for dim in (d for d in DIMS if d <= vectors.shape[1]):
        prefix = vectors[:, :dim]
        exact, _ = accuracy(embeddings, prefix, label)
        int8, int8_top5 = accuracy(embeddings, tvp.quantize(prefix, 8), label)
        int4, _ = accuracy(embeddings, tvp.quantize(prefix, 4), label)
        rows.append(Row(dim, exact, int8, int4, int8_top5))
    return {
        "data": [path.name for path in paths],
        "encoder": header.graph.info.get("name", "unnamed"),
        "fingerprint": header.fingerprint.hex(),
        "photos": len(names),
        "classes": len(classes),
        "chance": round(100 / len(classes), 1),
        "rows": [asdict(row) for row in rows],
    }


def accuracy(
    embeddings: np.ndarray, prototypes: np.ndarray, label: np.ndarray
) -> tuple[float, float]:
    """Top-1 and top-5 in per cent; the prototypes' width is the prefix that counts."""
    z = embeddings[:, : prototypes.shape[1]].astype(np.float32)
    p = prototypes.astype(np.float32)
    scores = z @ (p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-9)).T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    hits = best == label[:, None]
    return (round(100 * float(hits[:, 0].mean()), 2), round(100 * float(hits.any(1).mean()), 2))


def table(report: dict) -> str:
    """The report as text."""
    lines = [
        f"{', '.join(report['data'])}: {report['photos']} photos, {report['classes']} classes, "
        f"chance {report['chance']} %, encoder {report['encoder']} ({report['fingerprint']})",
        "dim    float top-1   int8 top-1   int4 top-1   int8 top-5",
    ]
    for row in report["rows"]:
        lines.append(
            f"{row['dim']:3}    {row['float_top1']:11.1f}  {row['int8_top1']:11.1f}"
            f"  {row['int4_top1']:11.1f}  {row['int8_top5']:11.1f}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(prog="tinyvlm-eval", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="shards or a folder")
    parser.add_argument("--model", type=Path, default=pack.DEFAULT_MODEL, metavar="FILE.tvlm")
    parser.add_argument("--text-encoder", default="lexicon", metavar="ENCODER")
    parser.add_argument("--prompt", action="append", metavar="TEMPLATE", help="for open_clip")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    args = parser.parse_args(argv)
    try:
        report = evaluate(args.data, args.model, args.text_encoder, tuple(args.prompt or ()))
    except (OSError, ValueError, tarfile.TarError) as error:
        print(f"tinyvlm-eval: {explain(error)}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1) if args.json else table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
