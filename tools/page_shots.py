# SPDX-License-Identifier: MIT
"""Pictures of the page, and what its journey needs: tools/page_shots.py docs/img

Writes page.webp and page-phone.webp, of build/web/tinyvlm.html (`make web`) in Debian's Chromium;
with --all DIR, every step at 360 and 1600 pixels, light and dark, as PNG. The fake camera is fed
from a video made of the demo's photos.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from tinyvlm import studio
from tinyvlm.shipped import CHECKOUT
from tinyvlm.virtual.photos import photos

PAGE = CHECKOUT / "build" / "web" / "tinyvlm.html"
JOURNEY = CHECKOUT / "web" / "tests" / "journey.ts"
SEEN = ("chelsea", "coffee")  # what the camera sees, one after the other
SIZE = 320, 240
RATE, SECONDS = 5, 3
# folder -> photos: a test of the words cat, coffee, flower and rocket
FOLDERS = {
    "cat": ["chelsea"],
    "coffee": ["coffee"],
    "flower": ["dahlia"],
    "rocket": ["rocket", "astronaut"],
    "other": ["coins", "china"],
}
WIDTH = 1200  # of a picture in the README


def video(path: Path) -> None:
    """A y4m of the photos that the camera sees, which Chromium plays again and again."""
    known = {photo.name: photo for photo in photos()}
    with path.open("wb") as file:
        width, height = SIZE
        file.write(f"YUV4MPEG2 W{width} H{height} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for name in SEEN:
            image = known[name].image()
            side = min(image.width / 4, image.height / 3)
            left, upper = (image.width - 4 * side) / 2, (image.height - 3 * side) / 2
            box = (left, upper, left + 4 * side, upper + 3 * side)
            image = image.resize(SIZE, Image.Resampling.LANCZOS, box).convert("YCbCr")
            luma, *chroma = image.split()
            planes = [np.asarray(luma) * (219 / 255) + 16]  # limited range, as video has it
            for plane in chroma:
                half = np.asarray(plane.resize((width // 2, height // 2), Image.Resampling.BOX))
                planes.append((half - 128.0) * (224 / 255) + 128)
            frame = b"".join(np.rint(plane).astype(np.uint8).tobytes() for plane in planes)
            file.write((b"FRAME\n" + frame) * (RATE * SECONDS))


def folders(path: Path) -> None:
    """A folder a word, with the photos of FOLDERS."""
    known = {photo.name: photo for photo in photos()}
    for folder, names in FOLDERS.items():
        (path / folder).mkdir(parents=True)
        for name in names:
            known[name].image().save(path / folder / f"{name}.png")


def journey(out: Path, *options: str, page: Path = PAGE, port: str | None = None) -> dict:
    """Sends Chromium through the page; what it saw. Files (words.tvp, pictures) lie in `out`."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        video(work / "camera.y4m")
        folders(work / "photos")
        (work / "lexicon.bin").write_bytes(studio.lexicon(page))
        (work / "broken.bin").write_bytes((work / "lexicon.bin").read_bytes()[:-1])
        command = [shutil.which("npx") or "npx", "vite-node", str(JOURNEY), "--"]
        command += [f"--page={page}", f"--work={work}", f"--out={out}", *options]
        command += [f"--port={port}"] if port else []
        with studio.serve(page) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            command.append(f"--studio=http://localhost:{server.server_port}/")
            subprocess.run(command, cwd=JOURNEY.parents[1], check=True, timeout=900)
            server.shutdown()
    return json.loads((out / "journey.json").read_text())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/page_shots.py", description=__doc__.split(":")[0])
    parser.add_argument("out", type=Path, help="folder for page.webp and page-phone.webp")
    parser.add_argument("--all", type=Path, metavar="DIR", help="every step, four times, as PNG")
    parser.add_argument("--port", help="of a virtual board (tinyvlm-board), to go there, too")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        journey(work, "--pictures", *(["--all"] if args.all else []), port=args.port)
        for name in ("page", "page-phone"):
            with Image.open(work / f"{name}.png") as image:
                scale = min(1, WIDTH / image.width)
                size = round(image.width * scale), round(image.height * scale)
                image = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
                image.save(args.out / f"{name}.webp", quality=80, method=6)
        if args.all:
            args.all.mkdir(parents=True, exist_ok=True)
            for path in work.glob("*.png"):
                shutil.copy(path, args.all)
    return 0


if __name__ == "__main__":
    sys.exit(main())
