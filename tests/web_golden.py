# SPDX-License-Identifier: MIT
"""What the PC's tinyvlm answers, for the page's engine to give the same: web/engine/*.test.ts.

    .venv/bin/python tests/web_golden.py build/web/golden

Writes frames as a canvas has them (R, G, B and any opacity) and golden.json.
"""

import base64
import json
import sys
import tempfile
import zlib
from array import array
from pathlib import Path

import numpy as np
from PIL import Image

import tinyvlm
from tinyvlm.shipped import DATA, ENCODERS, model_path
from tinyvlm.virtual.photos import photos
from tinyvlm.words.lexicon import Lexicon

CORPUS = Path(__file__).parent / "corpus"

# (width, height): enlarged, as they are, shrunk by both ways of the intake, odd in every sense
SIZES = (
    (1, 1), (2, 3), (17, 31), (48, 48), (95, 97), (96, 96), (97, 131), (160, 120), (255, 301),
    (257, 257), (258, 300), (301, 259), (511, 384), (641, 480),
)  # fmt: skip

# name -> words, and how they are packed
WORDS = {
    "pets": (["cat", "dog: dog, puppy", "Meerschwein: guinea pig"], {}),
    "things": (["cat", "person", "coffee", "temple", "rocket", "flower"], {"dim": 256}),
    "nibbles": (["cat", "person", "coffee", "temple"], {"dim": 63, "bits": 4}),
    "named": (["cat", "coffee"], {"unknown": "off"}),
    "one": (["cat"], {"unknown": "eager"}),
    "room": (["cat", "person"], {"background": ["wall", "floor", "temple"]}),
}
FLIPS = (0x01, 0x80, 0xFF)  # bits of a byte that are changed
DIMS = (16, 40)  # prefixes that are tried besides all dimensions


def packed(data):
    return base64.b64encode(bytes(data)).decode()


def pictures() -> dict[str, np.ndarray]:
    """The demo's photos and frames of SIZES, RGB."""
    rng = np.random.default_rng(19)
    found = {photo.name: np.asarray(photo.image()) for photo in photos()}
    for width, height in SIZES:
        # a slope and noise, so that neither all cells nor all pixels are equal
        slope = np.linspace(0, 200, width * height * 3).reshape(height, width, 3)
        pixels = slope + rng.integers(0, 56, (height, width, 3))
        found[f"made-{width}x{height}"] = pixels.astype(np.uint8)
    return found


def write_rgba(folder: Path, seen: dict[str, np.ndarray]) -> None:
    """Files of a canvas' pixels."""
    rng = np.random.default_rng(20)
    for name, pixels in seen.items():
        opacity = rng.integers(0, 256, (*pixels.shape[:2], 1), np.uint8)
        (folder / f"{name}.rgba").write_bytes(np.dstack([pixels, opacity]).tobytes())


def embed_map(frame):
    encoder = tinyvlm.device.encoder.loaded()
    rows, cols = encoder._engine.map
    embedding, cells = array("b", bytes(encoder.dim)), bytearray(rows * cols * encoder.dim)
    where = frame.buffer, frame.width, frame.height, frame.format, frame.stride
    encoder._engine.embed_map(*where, embedding, cells)
    return embedding, cells


def answers(vocab, looked):
    """What a vocabulary says about frames and embeddings, in the words of web/engine/vocab.ts."""
    found = {}
    for name, (frame, embedding) in looked.items():
        labels = list(vocab.labels)
        match = vocab.match(embedding, len(labels))
        scores = array("f", bytes(4 * len(labels)))
        best = vocab.match_into(embedding, scores)
        found[name] = {
            "match": [[labels.index(label), score] for label, score in match]
            if match[0][0] in labels
            else [[-1, match[0][1]]],
            "scores": list(scores),
            "best": best,
        }
        if frame is not None:
            found[name] |= {
                kind: [
                    [labels.index(label), score, x, y, x + width, y + height]
                    for label, score, (x, y, width, height) in tinyvlm.detect(frame, vocab, least)
                ]
                for kind, least in (("detect", None), ("detectAll", 0), ("detectSure", 0.5))
            }
            last = len(labels) - 1
            found[name]["heat"] = packed(tinyvlm.heatmap(frame, last, vocab).values)
    return found


def saved(vocab):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.tvp"
        vocab.save(path)
        return path.read_bytes()


def learnt(file, embeddings):
    """Shots one after the other, and the file after each; then it is read and shown them again."""
    steps, vocab = [], tinyvlm.Vocab(file)
    first, *_, last = vocab.labels
    for again in range(2):
        for i, label in enumerate(("my mug", last, "my mug", "Tür 2", first, "my mug")):
            embedding = embeddings[(i + 3 * again) % len(embeddings)]
            shots = vocab.learn(label, embedding)
            steps.append({"label": label, "embedding": packed(embedding), "shots": shots})
            steps[-1] |= {"file": packed(saved(vocab)), "reopened": i == 5}
        vocab = tinyvlm.Vocab(saved(vocab))
    vocab.remove(first)
    return {"steps": steps, "removed": first, "file": packed(saved(vocab))}


def hostile(kind, path):
    data, error = path.read_bytes(), None
    try:
        if kind == "model":
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "m.tvlm"
                file.write_bytes(data)
                tinyvlm.device.Encoder(str(file))
        else:
            tinyvlm.Vocab(data)
    except ValueError as problem:
        error = str(problem).partition(": ")[2]
    return {"name": path.name, "data": packed(data), "error": error}


def changed(file, embedding):
    """Every byte of a file changed, checksum put right: what is wrong, or its answer."""
    verdicts = []
    for at in range(len(file)):
        for flip in FLIPS:
            data = bytearray(file)
            data[at] ^= flip
            data[12:16] = zlib.crc32(data[16:]).to_bytes(4, "little")
            try:
                vocab = tinyvlm.Vocab(bytes(data))
                scores = array("f", bytes(4 * len(vocab)))
                best = vocab.match_into(embedding, scores)
                verdicts.append([best, scores[0]])
            except ValueError as problem:
                verdicts.append(str(problem))
    return {"file": packed(file), "embedding": packed(embedding), "verdicts": verdicts}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = pictures()
    write_rgba(folder, made)
    seen = {name: tinyvlm.to_frame(Image.fromarray(pixels)) for name, pixels in made.items()}
    encoders, vocabularies = {}, []
    many = [n for n in Lexicon.load(DATA / "lexicon.npz").index if n.isalpha()][:3000:10]
    words = WORDS | {"many": (many, {"dim": 32})}
    for model in ENCODERS:
        encoder = tinyvlm.load(model)
        dense = {name: embed_map(frame) for name, frame in seen.items()}
        encoders[model] = {
            "file": str(model_path(model)),
            "fingerprint": bytes(encoder.fingerprint).hex(),
            **{key: getattr(encoder, key) for key in ("name", "size", "dim", "macs", "arena")},
            "frames": {
                n: {"embedding": packed(e), "map": packed(m)} for n, (e, m) in dense.items()
            },
        }
        for name, (lines, options) in words.items():
            if model != "base" and name not in ("pets", "nibbles"):
                continue
            vocab = tinyvlm.pack(lines, model=model, **options)
            file = saved(vocab)
            some = list(seen)[:: 1 if name in ("pets", "nibbles") else 5]
            looked = {n: (seen[n] if len(lines) < 20 else None, dense[n][0]) for n in some}
            made = {"name": name, "encoder": model, "file": packed(file), "dims": {}}
            for dim in (*DIMS, vocab.dim):
                vocab = tinyvlm.Vocab(file)
                vocab.dim = min(dim, vocab.dim)
                how = dict(zip(("scale", "threshold", "none"), vocab.level(), strict=True))
                made["dims"][vocab.dim] = {"level": how, "frames": answers(vocab, looked)}
            if len(lines) in range(2, 20):
                made["learnt"] = learnt(file, [e for e, _ in dense.values()])
                vocab = tinyvlm.Vocab(base64.b64decode(made["learnt"]["steps"][8]["file"]))
                made["after"] = answers(vocab, looked)
            vocabularies.append(made)
    whole = next(v["learnt"]["file"] for v in vocabularies if v["name"] == "room")
    readers = {kind: sorted((CORPUS / kind).iterdir()) for kind in ("model", "tvp")}
    golden = {
        "frames": {n: {"width": f.width, "height": f.height} for n, f in seen.items()},
        "encoders": encoders,
        "vocabularies": vocabularies,
        "changed": changed(base64.b64decode(whole), dense["coffee"][0]),
        "hostile": {k: [hostile(k, path) for path in paths] for k, paths in readers.items()},
    }
    (folder / "golden.json").write_text(json.dumps(golden))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
