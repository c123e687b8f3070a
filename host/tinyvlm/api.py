# SPDX-License-Identifier: MIT
"""The device API on the PC: `device/tinyvlm` unchanged, plus pictures as PCs have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import device
from .device import RGB888, Encoder, Frame, Vocab
from .text import DEFAULT_MODEL

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from PIL.Image import Image

    Picture = str | Path | Image | np.ndarray | Frame | bytes | bytearray | memoryview

__all__ = ["Encoder", "Vocab", "classify", "embed", "load", "to_frame"]


def load(path: str | Path | None = None) -> Encoder:
    """Load the encoder that embed() and classify() use; without a path the one that ships."""
    return device.load(str(path or DEFAULT_MODEL))


def embed(picture: Picture) -> array:
    """The embedding of a picture: array('b') of `dim` numbers; any prefix of it is one too."""
    return _loaded().embed_into(to_frame(picture), _new_embedding())


def classify(picture: Picture, vocab: Vocab, top: int = 3) -> list[tuple[str, float]]:
    """What is in the picture? (label, score), best first, at most `top`.

    picture: path, PIL image, uint8 array (h, w, 3) or (h, w), tinyvlm.Frame, or a buffer of
    exactly the encoder's size. Uses the centred square, as the boards do.
    """
    return _loaded().classify(to_frame(picture), vocab, top)


def to_frame(picture: Picture):
    """A Frame of any picture. ValueError or OSError says what cannot be read."""
    if isinstance(picture, (str, os.PathLike)):
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(picture) as image:
                return to_frame(image)
        except UnidentifiedImageError as error:
            raise ValueError(f"{picture}: not a picture that Pillow can read") from error
    if hasattr(picture, "convert") and hasattr(picture, "tobytes"):  # a PIL image
        from PIL import ImageOps

        image = ImageOps.exif_transpose(picture).convert("RGB")
        return Frame(image.tobytes(), image.width, image.height, RGB888)
    if hasattr(picture, "__array_interface__"):
        return _array_frame(picture)
    return picture  # a Frame or a buffer: the device package knows what to do


def _array_frame(picture: np.ndarray) -> Frame:
    import numpy as np

    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        raise ValueError(f"an array of {pixels.dtype}; give uint8 pixels, 0 ... 255")
    if pixels.ndim == 2:
        return Frame(pixels.tobytes(), pixels.shape[1], pixels.shape[0], device.GRAY8)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return Frame(pixels.tobytes(), pixels.shape[1], pixels.shape[0], RGB888)
    raise ValueError(f"an array of shape {pixels.shape}; give (h, w, 3) RGB or (h, w) gray")


def _loaded() -> Encoder:
    return device.encoder.default() or load()


def _new_embedding() -> array:
    from array import array

    return array("b", bytes(_loaded().dim))
