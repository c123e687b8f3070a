# SPDX-License-Identifier: MIT
"""Labels, boxes and heat, drawn on a picture: for tinyvlm-try and notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SMALLEST, LARGEST = 480, 1600  # long side of what is written: text must be readable
# Okabe and Ito's colours, which colour-blind readers tell apart; without black and yellow
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BACK = (0, 0, 0, 170)

Scores = Sequence[tuple[str, float]]
Boxes = Sequence[tuple[str, float, tuple[int, int, int, int]]]


def annotate(
    image: Image.Image, scores: Scores, boxes: Boxes, labels: Sequence[str], heat=None
) -> Image.Image:
    """A copy with boxes, a list of scores, and the square that the encoder saw; RGB.

    heat: rows of values from tinyvlm.heatmap, laid over that square.
    """
    factor = max(1.0, SMALLEST / max(image.size))
    factor = min(factor, LARGEST / max(image.size))
    size = tuple(round(side * factor) for side in image.size)
    canvas = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    side = min(size)
    left, upper = (size[0] - side) // 2, (size[1] - side) // 2
    if heat is not None:
        _lay_over(canvas, heat, (left, upper, side))
    pen, unit = ImageDraw.Draw(canvas, "RGBA"), max(size) / 40
    font = ImageFont.load_default(size=unit)
    if size[0] != size[1]:
        pen.rectangle(
            (left, upper, left + side - 1, upper + side - 1), outline=(255, 255, 255, 90)
        )
    for label, _, (x, y, width, height) in boxes:
        corners = [factor * v for v in (x, y, x + width, y + height)]
        pen.rectangle(corners, outline=_colour(label, labels), width=max(2, round(unit / 6)))
    taken = []
    for row, (label, score) in enumerate(scores):
        at = (unit / 2, unit / 2 + row * 1.5 * unit)
        taken.append(_tag(pen, at, f"{label} {score:.2f}", font, BACK))
    for label, score, (x, y, _, _) in boxes:
        at = (factor * x, max(0, factor * y - 1.35 * unit))
        colour = _colour(label, labels)
        taken.append(_tag(pen, at, f"{label} {score:.2f}", font, colour, taken))
    return canvas


def _tag(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, font, colour, taken=()
) -> tuple[float, float, float, float]:
    """Writes a text, to the right of those that stand in its place, and returns its rectangle."""
    left, top, right, bottom = _frame(pen, at, text, font)
    for other in sorted(taken):
        if left <= other[2] and other[0] <= right and top <= other[3] and other[1] <= bottom:
            at = at[0] + other[2] + 1 - left, at[1]
            left, top, right, bottom = _frame(pen, at, text, font)
    pen.rectangle((left, top, right, bottom), fill=colour)
    pen.text(at, text, "white", font)
    return left, top, right, bottom


def _frame(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, font) -> tuple:
    left, top, right, bottom = pen.textbbox(at, text, font)
    return left - 3, top - 3, right + 3, bottom + 3


def _colour(label: str, labels: Sequence[str]) -> str:
    return COLOURS[labels.index(label) % len(COLOURS)] if label in labels else "#777777"


def _lay_over(canvas: Image.Image, heat, square: tuple[int, int, int]) -> None:
    """Tint the square: clear where the least warm cell is, orange where the warmest is."""
    rows = [[float(value) for value in row] for row in heat]
    low, high = min(map(min, rows)), max(map(max, rows))
    span = (high - low) or 1.0
    cells = Image.new("L", (len(rows[0]), len(rows)))
    cells.putdata([round(180 * (value - low) / span) for row in rows for value in row])
    left, upper, side = square
    mask = cells.resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(Image.new("RGB", (side, side), "#ff7a00"), (left, upper), mask)
