# SPDX-License-Identifier: MIT
"""What the page carries besides its program: tools/page_data.py build/web/data (`make web`).

Encoder, its card with an estimate of what a frame costs, what was fitted for it, the lexicon in
the page's form, the engine, the device package and detect.py for boards, and the demo's photos,
small. web/embed.ts puts every file of the folder into the page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from io import BytesIO
from pathlib import Path

import web_lexicon
from PIL import Image

from tinyvlm.boards.deployment import package_files
from tinyvlm.net import cost, tvlm
from tinyvlm.shipped import CHECKOUT, DATA, DEFAULT_DIM
from tinyvlm.virtual.photos import photos

SIDE = 300  # shorter side of a photo
QUALITY = 72
FIRST = ("chelsea", "coffee", "dahlia", "motorcycle")  # the easy ones
FRAME = 350_000  # what `make bench` has for a frame of base beyond the layers of the model
SETTING = "VOCAB = None"  # in detect.py
WORDS = 'VOCAB = "words.tvp"'  # the page's file, whatever else is on the board


def card(name: str) -> bytes:
    """What the page needs of an encoder's card, and the cycles of a Cortex-M7, estimated."""
    known = json.loads((DATA / f"{name}.json").read_text())
    kept = {key: known[key] for key in ("name", "text_space", "logit_scale")}
    encoder = tvlm.load(DATA / f"{name}.tvlm")
    kept["cycles"] = round(cost.cycles(encoder.graph, encoder.plan, DEFAULT_DIM) + FRAME)
    return json.dumps(kept).encode()


def small(image: Image.Image) -> bytes:
    """A photo as WebP, no more of it than the page shows."""
    scale = min(1, SIDE / min(image.size))
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
    with BytesIO() as file:
        image.save(file, "WEBP", quality=QUALITY, method=6)
        return file.getvalue()


def program() -> bytes:
    """detect.py, which takes the page's words."""
    text = (CHECKOUT / "device" / "examples" / "detect.py").read_text()
    if text.count(SETTING) != 1:
        raise SystemExit(f"page_data: detect.py has no line {SETTING!r} any more")
    return text.replace(SETTING, WORDS).encode()


def files(name: str = "base") -> dict[str, bytes]:
    """All but lexicon and engine, by the names by which the page asks for them."""
    package = {path.name: path.read_text() for path in package_files()}
    made = {
        f"{name}.tvlm": (DATA / f"{name}.tvlm").read_bytes(),
        "background.json": (DATA / f"{name}.background.json").read_bytes(),
        "card.json": card(name),
        "package.json": json.dumps(package).encode(),
        "detect.py": program(),
    }
    for number, photo in enumerate(sorted(photos(), key=lambda photo: photo.name not in FIRST)):
        made[f"photo-{number}-{photo.name}.webp"] = small(photo.image())
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/page_data.py", description=__doc__.split(":")[0])
    parser.add_argument("out", type=Path, help="the folder, which is replaced")
    parser.add_argument("--engine", type=Path, required=True, help="folder with the .wasm files")
    args = parser.parse_args(argv)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    for path in sorted(args.engine.glob("*.wasm")):
        shutil.copyfile(path, args.out / path.name)
    for name, data in files().items():
        (args.out / name).write_bytes(data)
    if web_lexicon.main([str(args.out / "lexicon.bin")]):
        return 1
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"{args.out}: {len(list(args.out.iterdir()))} files, {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
