# SPDX-License-Identifier: MIT
"""The demo: real photos named on the virtual Cortex-M7 board, through the users' own commands.

Packs device/examples/things.txt, puts encoder and photos into a ROMFS image, boots the board,
runs `mpremote connect PORT run device/examples/detect.py` and draws what it said. One line a step;
what the steps print is in build/demo.log.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ..net.intake import seen_square
from ..shipped import CHECKOUT, DEFAULT_MODEL
from . import steps
from .board import Board, VirtualBoardError
from .photos import Photo, photos, save_ppm

BUILD = Path("build/demo")  # seen from CHECKOUT, where the commands run
PICTURE = Path("build/demo.png")
LOG = Path("build/demo.log")
DETECT = Path("device/examples/detect.py")
WORDS = Path("device/examples/things.txt")

# "chelsea     cat 0.61, dog 0.13, ..."
_LINE = re.compile(r"(\S+)\s+(.+? \d\.\d\d(?:, .+? \d\.\d\d)*)\s+([\d.]+) M instructions\s*$")


def main() -> int:
    """Run the demo; 0 when the board has named every photo (rightly or not)."""
    os.chdir(CHECKOUT)
    try:
        shown = photos()
        image = make_romfs(shown)
        vocab = BUILD / "things.tvp"
        # every photo shows one of the words: three guesses each, never "unknown"
        packing = ["--vocab", str(WORDS), "-o", str(vocab), "--unknown", "off"]
        run([sys.executable, "host/tinyvlm-pack", *packing])
        with Board(romfs=image, icount=True) as board:
            mpremote = [sys.executable, "-m", "mpremote", "connect", board.port]
            run([*mpremote, "cp", str(vocab), ":"])
            lines = named(run([*mpremote, "run", str(DETECT)]), shown)
    except (VirtualBoardError, ImportError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("\n" + "".join(lines), end="")
    answers = parse(lines)
    draw(shown, answers)
    wrong = [p for p in shown if not answers.get(p.name) or answers[p.name][0][0] != p.shows]
    missed = "".join(f"; {photo.name} shows: {photo.shows}" for photo in wrong)
    print(f"\n{len(shown) - len(wrong)} of {len(shown)} photos right{missed}")
    print(f"picture: {PICTURE}; all that the steps printed: {LOG}")
    return 0 if len(answers) == len(shown) else 1


def make_romfs(shown: list[Photo]) -> Path:
    """A ROMFS image with the encoder and the photos, made by `mpremote romfs build`."""
    folder = BUILD / "rom"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photos").mkdir(parents=True)
    shutil.copy(DEFAULT_MODEL, folder)
    for photo in shown:
        save_ppm(photo, folder / "photos" / f"{photo.name}.ppm")
    image = BUILD / "rom.romfs"
    run([sys.executable, "-m", "mpremote", "romfs", "-o", str(image), "build", str(folder)])
    return image


def named(lines: list[str], shown: list[Photo]) -> list[str]:
    """What the board said, with the name of the photo that its camera saw for "camera". It sees
    all of them once, in the order of their names, before Ctrl-C is pressed."""
    names = iter(sorted(photo.name for photo in shown))
    prefix = f"{'camera':<11} "
    return [
        f"{next(names, 'camera'):<11} {line.removeprefix(prefix)}"
        if line.startswith(prefix)
        else line
        for line in lines
    ]


def run(command: list[str]) -> list[str]:
    """One step, shown as a user would type it; returns what it printed."""
    typed = " ".join(command)
    for python in (f"{sys.executable} -m ", f"{sys.executable} "):
        typed = typed.replace(python, "")
    return steps.run(command, LOG, typed)


def parse(lines: list[str]) -> dict[str, list[tuple[str, float]]]:
    """(label, score) pairs, best first, of every photo in the output of detect.py."""
    answers = {}
    for line in lines:
        if match := _LINE.match(line):
            pairs = (pair.rpartition(" ") for pair in match[2].split(", "))
            answers[match[1]] = [(label, float(score)) for label, _, score in pairs]
    return answers


def draw(shown: list[Photo], answers: dict[str, list[tuple[str, float]]]) -> None:
    """A sheet of the photos with their labels, green when right, at build/demo.png."""
    tile, text, columns = 220, 66, 4
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (tile + 12) + 12, rows * (tile + text) + 12), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=17)
    for index, photo in enumerate(shown):
        image = photo.image()
        left, top, side = seen_square(*image.size)
        square = image.crop((left, top, left + side, top + side)).resize((tile, tile))
        x, y = 12 + index % columns * (tile + 12), 12 + index // columns * (tile + text)
        sheet.paste(square, (x, y))
        for row, (label, score) in enumerate(answers.get(photo.name, [])):
            first = "green" if label == photo.shows else "firebrick"
            colour = first if row == 0 else "gray"
            pen.text((x, y + tile + 2 + 19 * row), f"{label} {score:.2f}", colour, font)
    PICTURE.parent.mkdir(exist_ok=True)
    info = PngInfo()  # what a copy of the picture is compared by
    info.add_text("answers", repr(sorted(answers.items())))
    sheet.save(PICTURE, pnginfo=info)


if __name__ == "__main__":
    sys.exit(main())
