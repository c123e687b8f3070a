# SPDX-License-Identifier: MIT
"""tinyvlm-flash: write a firmware into a board, by the way that its chip wants.

tinyvlm-flash firmware.bin             # ESP32 family: esptool; STM32: dfu-util
tinyvlm-flash firmware.hex             # MAX78000: onto its DAPLink drive
tinyvlm-flash --from dist              # of a release, the one for the board that is connected

The image is checked, and so is the chip that answers: an image for another one is never written.
The exit status is 0, 2 after a message on stderr, or 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .boards.ports import BoardError
from .files import explain
from .shipped import CHECKOUT

BOARDS = CHECKOUT / "boards"


def chip_of(board: str) -> str:
    """The chip of a board in boards/, from its board.json."""
    try:
        return json.loads((BOARDS / board / "board.json").read_text())["mcu"]
    except OSError:
        known = ", ".join(sorted(path.parent.name for path in BOARDS.glob("*/board.json")))
        known = known or "which came with the source"
        raise BoardError(f"--board {board}: not in boards/ ({known}); use --chip") from None


def plain(chip: str) -> str:
    return chip.lower().replace("-", "").replace("_", "")


def check_chip(image, wanted: str) -> None:
    """BoardError if the image is not for the chip that the user named."""
    from .boards.firmware import MEMORY, check_vectors

    wanted = plain(wanted)
    there = image.chip or image.family
    if image.family in MEMORY and wanted.startswith(image.family):
        for name in sorted(MEMORY, key=len, reverse=True):
            if wanted.startswith(name):  # "stm32h743" is checked as an "stm32h7"
                check_vectors(image, name)
                return
    if wanted != there:
        raise BoardError(
            f"{image.path.name} is for {there}, not for {wanted}; nothing was written"
        )


def number(text: str) -> int:
    """0x8000000 or 134217728."""
    return int(text, 0)


def way(image) -> str:
    """How this image gets into its chip, in words."""
    return {
        "esp32": "esptool, by the chip's serial bootloader",
        "stm32": "dfu-util, by the chip's USB bootloader",
        "max78000": "a copy onto the board's DAPLink drive",
        "uf2": "a copy onto the drive of its UF2 bootloader",
    }[image.family]


def choose(args: argparse.Namespace) -> tuple[Path, str]:
    """Of a release, the firmware for the board and its chip."""
    from .boards import fitting
    from .release import Release

    release = Release(args.release)
    file = fitting.firmware(release, args.board, args.port)
    print(f"{release.where}, version {release.version}: {file.name} for {file.target}")
    return release.path(file), file.more["chip"]


def flash(args: argparse.Namespace) -> int:
    from .boards import flashers
    from .boards.firmware import read_image

    if (args.firmware is None) == (args.release is None):
        raise BoardError("name one: a firmware file, or a release by --from DIR or URL")
    chip = args.chip
    if args.release is not None:
        args.firmware, found = choose(args)
        chip = chip or found
    elif args.board and not chip:
        chip = chip_of(args.board)
    image = read_image(args.firmware, args.address)
    if chip:
        check_chip(image, chip)
    if image.family == "stm32" and image.kind == "hex":
        raise BoardError("dfu-util takes .dfu or .bin, not .hex; use the other file")
    print(image)
    print(f"way: {way(image)}")
    if args.dry_run:
        print(f"bootloader: {flashers.ENTER[image.family]}")
        print("dry run: nothing was written")
        return 0
    if image.family == "esp32":
        flashers.flash_esp(image, args.port, args.before, args.baud, not args.no_stub)
    elif image.family == "stm32":
        flashers.flash_dfu(image)
    elif image.family == "max78000":
        flashers.flash_daplink(image, args.port)
    else:
        flashers.flash_uf2(image, args.port)
    return 0


def main(argv: list[str] | None = None) -> int:
    args = _arguments().parse_args(argv)
    try:
        return flash(args)
    except (BoardError, OSError, ValueError) as error:
        print(f"tinyvlm-flash: {explain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        raise KeyboardInterrupt("flash it again before you use it") from None


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-flash",
        description="Write a firmware into a board: ESP32 family, STM32, MAX78000, UF2 boards.",
    )
    parser.add_argument(
        "firmware",
        nargs="?",
        type=Path,
        metavar="FIRMWARE",
        help="a .bin, .dfu, .hex or .uf2 file",
    )
    parser.add_argument(
        "--from",
        dest="release",
        metavar="DIR|URL",
        help="a release: its firmware for the board that is connected, or for --board",
    )
    parser.add_argument(
        "--chip", help="what the board has, to check the image: esp32s3, stm32h743"
    )
    parser.add_argument("--board", help="the same by its name in boards/, or in the release")
    parser.add_argument(
        "--port",
        default="auto",
        help="serial port (ESP32) or folder of the drive (MAX78000, UF2); default: the only one",
    )
    parser.add_argument(
        "--address",
        type=number,
        help="where a raw image belongs (default: an ESP32's bootloader, an STM32's 0x8000000)",
    )
    parser.add_argument("--baud", type=int, default=460800, help="for ESP32 (default: 460800)")
    parser.add_argument(
        "--before",
        default="default-reset",
        choices=("default-reset", "usb-reset", "no-reset"),
        help="ESP32: how to enter the bootloader; no-reset if you did it by hand",
    )
    parser.add_argument(
        "--no-stub", action="store_true", help="ESP32: use the ROM's own flasher, slower"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check the image and say how, but write nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
