# SPDX-License-Identifier: MIT
"""Pictures as PCs have them, made what a camera would have seen: upright, RGB, 8 bits."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps


def rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, turned as its EXIF says; what is transparent is white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits: convert() would make all above 255 white
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def png(image: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    with BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()
