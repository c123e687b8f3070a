# SPDX-License-Identifier: MIT
"""ROMFS images whose encoder lies at a multiple of eight bytes, where its weights load fastest.

    python -m tinyvlm.boards.romfs encoder.tvlm rom.romfs

`mpremote romfs` aligns nothing, and its images are as correct: the engine reads weights at any
address, only slower. Records of padding are part of the format (MicroPython's extmod/vfs_rom.c).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from .ports import BoardError

ALIGN = 8
Files = Sequence[tuple[str, bytes]]  # path and content


def make_image(path: str, data: bytes, others: Files = ()) -> bytes:
    """A ROMFS image with the encoder `data` in front; paths begin with /rom/."""
    # What is before the data depends on the size of all, which is made even: padding is found by
    # trying.
    for pad, tail in itertools.product((None, *range(ALIGN)), (None, 1)):
        image, at = _build(path, data, others, pad, tail)
        if at % ALIGN == 0:
            return image
    raise AssertionError("padding of every size was tried")


def _build(
    path: str, data: bytes, others: Files, pad: int | None, tail: int | None
) -> tuple[bytes, int]:
    """(image, where the data begin). pad, tail: bytes of a record of padding at the begin and at
    the end; None: no record.
    """
    from mpremote.romfs import VfsRomWriter

    writer = VfsRomWriter()

    def padding(size: int | None) -> None:
        if size is not None:
            writer._extend(writer._pack(writer.ROMFS_RECORD_KIND_PADDING, bytes(size)))

    tree: dict = {}
    for name, content in others:
        *folders, name = name.split("/")[2:]
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = content

    def walk(folder: dict) -> None:
        for name, content in sorted(folder.items()):
            if not name.isascii():
                raise BoardError(f"{name}: ROMFS wants names in ASCII; rename the file")
            if isinstance(content, dict):
                writer.opendir(name)
                walk(content)
                writer.closedir()
            else:
                writer.mkfile(name, content)

    padding(pad)
    walk({path.removeprefix("/rom/"): data})
    end = len(writer._dir_stack[0][1])
    walk(tree)
    padding(tail)
    inner = len(writer._dir_stack[0][1])
    image = writer.finalise()
    return image, len(image) - inner + end - len(data)


def main(argv: list[str]) -> int:
    encoder, out = map(Path, argv)
    try:
        out.write_bytes(make_image(f"/rom/{encoder.name}", encoder.read_bytes()))
    except (BoardError, OSError) as error:
        print(f"romfs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
