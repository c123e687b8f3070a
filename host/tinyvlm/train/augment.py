# SPDX-License-Identifier: MIT
"""What a small camera does to a picture: crops, flips, turns, blur, colour, backgrounds.

    python tools/sheet.py --sheet sheet.png SHARD...      look at it

Everything is drawn from one `random.Random` a sample, which the loader seeds with seed, epoch and
id, and done with Pillow, whose resizing is area-correct. Which part of a picture is shown is drawn
first, so that a JPEG is decoded no larger than that needs (View.needs).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageFilter

from tinyvlm.net.intake import seen_square


@dataclass(frozen=True)
class Amounts:
    """How much is done to a picture. Parts of 1 are chances; pairs are drawn from evenly."""

    area: tuple[float, float]  # part of the picture a crop shows: objects near and far
    aspect: float  # natural logarithm of the largest stretch of a crop: 0.29 is 3:4 .. 4:3
    thumbnail: float  # crops thrown down to THUMBNAIL_SIDE pixels and up again
    rotate: float  # boards are held and mounted askew, by up to ANGLE
    blur: float  # fixed-focus lenses and hands
    background: float  # the object fills only a part of what the camera sees
    colour: float  # exposure and white balance are seldom right
    grey: float  # monochrome cameras (HM01B0); seldom, since colour tells fruit apart


# A student of 10 M MAC does not learn its photos by heart, it underfits, and then every change
# that its teacher has not judged costs more than it brings (NetAug, arXiv 2110.08890).
AMOUNTS = {
    "mild": Amounts(
        area=(0.6, 1.0),
        aspect=0.15,
        thumbnail=0.1,
        rotate=0.05,
        blur=0.04,
        background=0.02,
        colour=0.4,
        grey=0.02,
    ),
    "strong": Amounts(
        area=(0.35, 1.0),
        aspect=0.29,
        thumbnail=0.25,
        rotate=0.2,
        blur=0.12,
        background=0.08,
        colour=2 / 3,
        grey=0.04,
    ),
}

FLIP = 0.5  # nearly nothing in the data has a handedness
# Sharp photos and 32-64 px thumbnails are mixed, and the net must name both kinds.
THUMBNAIL_SIDE = (24, 48)
# A camera's scaler may be any of these; the engine's own is bilinear.
FILTERS = (Image.BILINEAR, Image.BILINEAR, Image.BICUBIC, Image.BOX)
ANGLE = 12.0  # degrees
BLUR_RADIUS = (0.4, 1.1)  # pixels of a 64-px picture
BACKGROUND_SIDE = (0.5, 0.9)  # side of the photo on a canvas of side 1
GAIN = (0.75, 1.3)  # contrast about a middle grey of 112
CAST = (0.93, 1.07)  # of each channel on top of it
SHIFT = 24.0  # brightness, up or down
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"


@dataclass(frozen=True)
class View:
    """Which part of a picture is shown, how large: drawn before the picture is decoded.

    side: of the photo in the view of `size`; area, aspect: of the part; left, top: of what is
    free, 0 ... 1; few: pixels of a thumbnail, 0: none.
    """

    size: int
    side: int
    angle: float
    area: float
    aspect: float
    left: float
    top: float
    few: int
    filter: int

    @property
    def large(self) -> int:
        """The side that a part is resized to: a square turned by `angle` fits in, so that no
        corner is empty."""
        return math.ceil(self.side * (math.cos(self.angle) + abs(math.sin(self.angle))))

    def box(self, w: int, h: int) -> tuple[float, float, float, float]:
        """The part of a picture, in its pixels."""
        area = w * h * self.area
        cw, ch = min(w, math.sqrt(area * self.aspect)), min(h, math.sqrt(area / self.aspect))
        left, top = (w - cw) * self.left, (h - ch) * self.top
        return left, top, left + cw, top + ch

    def needs(self, w: int, h: int) -> tuple[float, float]:
        """How large a picture of this size must be at least: JPEGs are decoded at 1/2 for less.

        The part has the pixels that it is resized to: what the decoder's averaging changes is less
        than what FILTERS differ by. BOX takes whole pixels, so it gets twice as many. Never less
        than `size` (the picture may be a background, too), nor is more than twice that needed.
        """
        left, top, right, bottom = self.box(w, h)
        target = (self.few or self.large) * (2 if self.filter == Image.BOX else 1)
        least = target / min(right - left, bottom - top) * min(w, h)
        factor = min(max(least, self.size), 2 * self.size) / min(w, h)
        return w * factor, h * factor


def draw(size: int, rng: random.Random, amounts: str = "mild") -> View:
    """The first part of what is drawn of a view; amounts: a name of AMOUNTS."""
    much = AMOUNTS[amounts]
    side = size
    if rng.random() < much.background:
        side = round(size * rng.uniform(*BACKGROUND_SIDE))
    angle = math.radians(rng.uniform(-ANGLE, ANGLE)) if rng.random() < much.rotate else 0.0
    area = rng.uniform(*much.area)
    aspect = math.exp(rng.uniform(-much.aspect, much.aspect))
    left, top = rng.random(), rng.random()
    thumbnail = rng.random() < much.thumbnail
    few = rng.randint(*THUMBNAIL_SIDE) if thumbnail else 0
    filter = Image.BILINEAR if thumbnail else rng.choice(FILTERS)
    return View(size, side, angle, area, aspect, left, top, few, filter)


def augment(
    image: Image.Image,
    view: View,
    rng: random.Random,
    other: Image.Image | None = None,
    amounts: str = "mild",
) -> Image.Image:
    """A training view of an RGB picture, (size, size); `other` may become its background.

    rng: what `draw` made the view of, as it left it.
    """
    much, size = AMOUNTS[amounts], view.size
    shown = crop(image, view)
    if view.angle:
        shown = turn(shown, view.side, view.angle)
    if view.side < size:
        shown = on_background(shown, size, rng, other)
    if rng.random() < much.blur:
        radius = rng.uniform(*BLUR_RADIUS) * size / 64
        shown = shown.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() < FLIP:
        shown = shown.transpose(Image.FLIP_LEFT_RIGHT)
    return colour(shown, rng, much)


def centre(image: Image.Image, size: int) -> Image.Image:
    """The centre square, resized: what evaluation sees."""
    left, top, side = seen_square(*image.size)
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.BILINEAR, box)


def crop(image: Image.Image, view: View) -> Image.Image:
    """The part of the picture that a view shows, as (large, large)."""
    box, full = view.box(*image.size), (view.large, view.large)
    if view.few:
        few = image.resize((view.few, view.few), view.filter, box)
        return few.resize(full, Image.BICUBIC)
    return image.resize(full, view.filter, box)


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


def colour(view: Image.Image, rng: random.Random, much: Amounts) -> Image.Image:
    """Mild changes of brightness, contrast and white balance; now and then no colour at all."""
    gains, shift = (1.0, 1.0, 1.0), 0.0
    grey = rng.random() < much.grey
    if rng.random() < much.colour:
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
