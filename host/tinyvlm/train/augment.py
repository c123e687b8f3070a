# SPDX-License-Identifier: MIT
"""What a small camera does to a picture: crops, flips, turns, blur, colour, backgrounds.

    python -m tinyvlm.train.augment --sheet sheet.png SHARD...      look at it

Everything is drawn from one `random.Random` a sample, which the loader seeds with seed, epoch and
id, and done with Pillow, whose resizing is area-correct. Cost: about 0.2 ms a picture of 64 px.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

from PIL import Image, ImageFilter

AREA = (0.35, 1.0)  # part of the picture a crop shows: objects near and far
ASPECT = 0.29  # natural logarithm of the largest stretch of a crop, 3:4 .. 4:3
FLIP = 0.5  # nearly nothing in the data has a handedness

# Sharp photos and 32-64 px thumbnails are mixed, and the net must name both kinds ...
THUMBNAIL = 0.25  # ... so a crop is sometimes thrown down to this many pixels and up again
THUMBNAIL_SIDE = (24, 48)
# ... and a camera's scaler may be any of these; the engine's own is bilinear.
FILTERS = (Image.BILINEAR, Image.BILINEAR, Image.BICUBIC, Image.BOX)

ROTATE = 0.2  # boards are held and mounted askew ...
ANGLE = 12.0  # ... by up to so many degrees

BLUR = 0.12  # fixed-focus lenses and hands
BLUR_RADIUS = (0.4, 1.1)  # pixels of a 64-px picture

BACKGROUND = 0.08  # the object fills only a part of what the camera sees
BACKGROUND_SIDE = (0.5, 0.9)  # side of the photo on a canvas of side 1

COLOUR = 2 / 3  # exposure and white balance are seldom right; a third stays as it is
GAIN = (0.75, 1.3)  # contrast about a middle grey of 112
CAST = (0.93, 1.07)  # of each channel on top of it
SHIFT = 24.0  # brightness, up or down
GREY = 0.04  # monochrome cameras (HM01B0); seldom, since colour tells fruit apart
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"


def augment(
    image: Image.Image, size: int, rng: random.Random, other: Image.Image | None = None
) -> Image.Image:
    """A training view of an RGB picture, (size, size); `other` may become its background."""
    small = rng.random() < BACKGROUND
    side = round(size * rng.uniform(*BACKGROUND_SIDE)) if small else size
    angle = math.radians(rng.uniform(-ANGLE, ANGLE)) if rng.random() < ROTATE else 0.0
    # A square turned by `angle` fits into one that is larger by this factor: no empty corners.
    large = math.ceil(side * (math.cos(angle) + abs(math.sin(angle))))
    view = crop(image, large, rng)
    if angle:
        view = turn(view, side, angle)
    if small:
        view = on_background(view, size, rng, other)
    if rng.random() < BLUR:
        radius = rng.uniform(*BLUR_RADIUS) * size / 64
        view = view.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() < FLIP:
        view = view.transpose(Image.FLIP_LEFT_RIGHT)
    return colour(view, rng)


def centre(image: Image.Image, size: int) -> Image.Image:
    """The centre square, resized: what evaluation sees."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.BILINEAR, box)


def crop(image: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """A random part of the picture as (size, size)."""
    w, h = image.size
    area = w * h * rng.uniform(*AREA)
    aspect = math.exp(rng.uniform(-ASPECT, ASPECT))
    cw, ch = min(w, math.sqrt(area * aspect)), min(h, math.sqrt(area / aspect))
    left, top = rng.uniform(0, w - cw), rng.uniform(0, h - ch)
    box = (left, top, left + cw, top + ch)
    if rng.random() < THUMBNAIL:
        few = rng.randint(*THUMBNAIL_SIDE)
        return image.resize((few, few), Image.BILINEAR, box).resize((size, size), Image.BICUBIC)
    return image.resize((size, size), rng.choice(FILTERS), box)


def turn(view: Image.Image, size: int, angle: float) -> Image.Image:
    """The middle of a square picture, turned by `angle` (radians), as (size, size)."""
    c, s, mid, half = math.cos(angle), math.sin(angle), view.width / 2, size / 2
    to_source = (c, s, mid - half * (c + s), -s, c, mid - half * (c - s))
    return view.transform((size, size), Image.AFFINE, to_source, Image.BILINEAR)


def on_background(
    view: Image.Image, size: int, rng: random.Random, other: Image.Image | None
) -> Image.Image:
    """The view somewhere on a canvas: plain, noise, or another picture."""
    kind = rng.randrange(3)
    if kind == 0:
        canvas = Image.new("RGB", (size, size), tuple(rng.randbytes(3)))
    elif kind == 1 or other is None:
        grain = rng.randint(2, 16)  # squares of noise along a side
        canvas = Image.frombytes("RGB", (grain, grain), rng.randbytes(3 * grain * grain))
        canvas = canvas.resize((size, size), Image.BICUBIC)
    else:
        canvas = other.resize((size, size), Image.BILINEAR)
    free = size - view.width
    canvas.paste(view, (rng.randint(0, free), rng.randint(0, free)))
    return canvas


def colour(view: Image.Image, rng: random.Random) -> Image.Image:
    """Mild changes of brightness, contrast and white balance; now and then no colour at all."""
    gains, shift = (1.0, 1.0, 1.0), 0.0
    grey = rng.random() < GREY
    if rng.random() < COLOUR:
        contrast = rng.uniform(*GAIN)
        gains = [contrast * rng.uniform(*CAST) for _ in range(3)]
        shift = rng.uniform(-SHIFT, SHIFT)
    elif not grey:
        return view
    matrix = []
    for channel, gain in enumerate(gains):
        row = LUMA if grey else [float(channel == k) for k in range(3)]
        matrix += [gain * part for part in row] + [112 * (1 - gain) + shift]
    return view.convert("RGB", matrix)


def sheet(shards: list[str], size: int = 64, rows: int = 16, columns: int = 15) -> Image.Image:
    """A picture a row: its centre square, then training views."""
    from tinyvlm.train import shards as wds

    paths = wds.expand("::".join(shards))
    plain = next(iter(wds.Loader(paths, size=size, batch=rows, seed=0, epoch=0, augment=False)))
    views = [plain.images]
    for epoch in range(columns - 1):
        loader = wds.Loader(
            paths, size=size, batch=rows, seed=0, epoch=epoch, keep=lambda i, _: i in plain.ids
        )
        batch = next(iter(loader))
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
