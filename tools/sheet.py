# SPDX-License-Identifier: MIT
"""A contact sheet of training views: what train/augment.py does to pictures, to look at.

python tools/sheet.py --sheet sheet.png SHARD...
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from tinyvlm.train import loader, shards


def sheet(patterns: list[str], size: int = 64, rows: int = 16, columns: int = 15) -> Image.Image:
    """A picture a row: its centre square, then training views."""
    paths = shards.expand("::".join(patterns))
    plain = next(iter(loader.Loader(paths, size=size, batch=rows, seed=0, epoch=0, augment="")))
    views = [plain.images]
    for epoch in range(columns - 1):
        each = loader.Loader(
            paths, size=size, batch=rows, seed=0, epoch=epoch, keep=lambda i, _: i in plain.ids
        )
        batch = next(iter(each))
        views.append(batch.images[[batch.ids.index(i) for i in plain.ids]])
    page = Image.new("RGB", (columns * (size + 2), rows * (size + 2)), "white")
    for x, view in enumerate(views):
        for y, picture in enumerate(view):
            page.paste(Image.fromarray(picture.numpy()), (x * (size + 2), y * (size + 2)))
    return page


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description="Paint a contact sheet of training views.")
    p.add_argument("shards", nargs="+", metavar="SHARD")
    p.add_argument("--sheet", type=Path, required=True, help="picture to write")
    p.add_argument("--size", type=int, default=64)
    args = p.parse_args(argv)
    try:
        sheet(args.shards, args.size).save(args.sheet)
    except ValueError as error:
        p.exit(2, f"{p.prog}: {error}\n")
    print(args.sheet)


if __name__ == "__main__":
    main()
