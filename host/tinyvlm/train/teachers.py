# SPDX-License-Identifier: MIT
"""The teacher that a name stands for (teacher.py says which there are)."""

from __future__ import annotations

from pathlib import Path

from tinyvlm.train.teacher import OpenClip, SoftLabels, Teacher
from tinyvlm.train.teacher_lite2 import KIND, SIDE, SMALLEST, Lite2


def create_teacher(
    spec: str,
    device: str = "cpu",
    precision: str = "fp32",
    text_vectors: Path | None = None,
    held_out: Path | None = None,
    image_pairs: Path | None = None,
) -> Teacher:
    """The teacher that `spec` names. ValueError says what is wrong or missing.

    `text_vectors` (CLIP's vectors of names) and `held_out` (a JSON list of class names that get
    no probability) are for classifiers, `image_pairs` (a folder of photos with CLIP's image
    vectors) for efficientnet-lite2.
    """
    kind, _, rest = spec.partition(":")
    if kind == "open_clip" and "/" in rest:
        return OpenClip.create(*rest.split("/", 1), device, precision)
    if kind == "tflite" and rest:
        return SoftLabels.create(Path(rest), text_vectors, held_out)
    if kind == KIND and (not rest or rest.isdecimal() and int(rest) >= SMALLEST):
        side = int(rest or SIDE)
        return Lite2.create(text_vectors, held_out, image_pairs, precision, side)
    raise ValueError(
        f"teacher {spec!r}: must be open_clip:MODEL/TAG, tflite:FILE or {KIND}[:PIXELS],"
        f" {SMALLEST} pixels or more"
    )
