# SPDX-License-Identifier: MIT
"""The numpy frame intake against exact fractions, Pillow, and its own formats."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tinyvlm.net import intake


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with some noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 12), max(2, width // 12), 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))
    noise = rng.integers(-12, 13, (height, width, 3))
    return np.clip(smooth.astype(int) + noise, 0, 255).astype(np.uint8)


def exact(square: np.ndarray, size: int) -> np.ndarray:
    """The resize in fractions, from the definition: areas, or the two nearest centres."""
    source = len(square)
    weights = np.zeros((size, source), object)
    for i in range(size):
        if source >= size:
            begin, end = Fraction(i * source, size), Fraction((i + 1) * source, size)
            for j in range(source):
                weights[i, j] = max(Fraction(0), min(end, j + 1) - max(begin, j)) / (end - begin)
        else:
            centre = Fraction((2 * i + 1) * source, 2 * size) - Fraction(1, 2)
            left = centre.__floor__()
            for j, w in ((left, 1 - (centre - left)), (left + 1, centre - left)):
                weights[i, min(max(j, 0), source - 1)] += w
    out = np.zeros((size, size, 3), int)
    for c in range(3):
        plane = weights @ square[:, :, c].astype(object) @ weights.T
        out[:, :, c] = np.vectorize(lambda v: (Fraction(v) + Fraction(1, 2)).__floor__())(plane)
    return out


@pytest.mark.parametrize(("source", "size"), [(1, 4), (3, 7), (5, 5), (9, 4), (13, 6), (8, 4)])
def test_resize_is_the_exact_one(source, size):
    square = np.random.default_rng(source).integers(0, 256, (source, source, 3)).astype(np.uint8)
    assert np.array_equal(intake.resize(square, size), exact(square, size))


@pytest.mark.parametrize(
    ("source", "size", "filter", "most"),
    [
        (192, 96, Image.BOX, 1),  # whole ratios: the same average, Pillow rounds twice
        (480, 96, Image.BOX, 1),
        (40, 96, Image.BILINEAR, 1),
        (95, 96, Image.BILINEAR, 1),
        # Pillow's box takes whole pixels, ours splits them at the edges
        (240, 96, Image.BOX, 16),
        (121, 96, Image.BOX, 24),
    ],
)
def test_close_to_pillow(source, size, filter, most):
    square = picture(source, source)
    want = np.asarray(Image.fromarray(square).resize((size, size), filter)).astype(int)
    difference = np.abs(intake.resize(square, size) - want)
    print(f"{source} -> {size}: at most {difference.max()}, mean {difference.mean():.2f}")
    assert difference.max() <= most
    assert difference.mean() < 5


def test_extremes_do_not_overflow():
    for source, size in ((4096, 1), (1000, 3), (2, 9)):
        white = np.full((source, source, 1), 255, np.uint8)
        assert np.array_equal(intake.resize(white, size), np.full((size, size, 1), 255))


def rgb565(rgb: np.ndarray, order: str) -> bytes:
    r, g, b = (rgb[..., i].astype(np.uint16) for i in range(3))
    return (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype(order + "u2").tobytes()


@pytest.mark.parametrize(("width", "height"), [(12, 8), (7, 9), (5, 5), (40, 31), (96, 96)])
def test_formats_agree(width, height):
    # colours that five and six bits can hold exactly
    rgb = np.frombuffer(rgb565(picture(width, height), "<"), np.uint8)
    rgb = intake.decode(rgb, width, height, "RGB565_LE")
    want = intake.frame_to_input(rgb, width, height, "RGB888", size=8)
    for frame, name in (
        (rgb[..., ::-1].tobytes(), "BGR888"),
        (rgb565(rgb, "<"), "RGB565_LE"),
        (rgb565(rgb, ">"), "RGB565_BE"),
        (bytearray(rgb565(rgb, ">")), 2),
        (np.frombuffer(rgb565(rgb, "<"), np.uint16), "RGB565_LE"),
    ):
        assert np.array_equal(intake.frame_to_input(frame, width, height, name, size=8), want)


def test_white_is_white():
    for name, pixel in (("RGB565_LE", b"\xff\xff"), ("GRAY8", b"\xff"), ("YUYV", b"\xff\x80")):
        got = intake.frame_to_input(pixel * 64, 8, 8, name, size=4)
        assert (got == 127).all(), name


def test_grey_in_every_format():
    grey = picture(10, 6)[..., 0]
    want = intake.frame_to_input(grey, 10, 6, "GRAY8", size=5)
    assert np.array_equal(
        intake.frame_to_input(grey[..., None].repeat(3, 2), 10, 6, "RGB888", size=5), want
    )
    yuyv = np.stack([grey, np.full_like(grey, 128)], axis=2)
    assert np.array_equal(intake.frame_to_input(yuyv, 10, 6, "YUYV", size=5), want)


def test_yuyv_against_scalars():
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 256, (6, 8, 2)).astype(np.uint8)
    got = intake.decode(raw, 8, 6, "YUYV")
    clamp = lambda v: max(0, min(255, v))  # noqa: E731
    for y in range(6):
        for x in range(8):
            u, v = int(raw[y, x & ~1, 1]) - 128, int(raw[y, x | 1, 1]) - 128
            luma = int(raw[y, x, 0])
            want = (
                clamp(luma + (359 * v + 128 >> 8)),
                clamp(luma - (88 * u + 183 * v + 128 >> 8)),
                clamp(luma + (454 * u + 128 >> 8)),
            )
            assert tuple(got[y, x]) == want


def test_yuyv_is_jpeg_colour():
    """BT.601 full range is what JPEG uses; Pillow converts it likewise, within rounding."""
    ycc = picture(16, 16)
    ycc[:, 1::2, 1:] = ycc[:, 0::2, 1:]  # pairs share their chroma
    want = np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB")).astype(int)
    raw = np.stack([ycc[..., 0], np.where(np.arange(16) % 2, ycc[..., 2], ycc[..., 1])], axis=2)
    got = intake.decode(raw, 16, 16, "YUYV").astype(int)
    assert np.abs(got - want).max() <= 2


def test_centred_square_and_stride():
    rgb = picture(20, 9)
    want = intake.frame_to_input(rgb[:, 5:14].copy(), 9, 9, size=9)
    assert np.array_equal(want.astype(int) + 128, rgb[:, 5:14])
    assert np.array_equal(intake.frame_to_input(rgb, 20, 9, size=9), want)
    padded = np.zeros((9, 64), np.uint8)
    padded[:, :60] = rgb.reshape(9, 60)
    assert np.array_equal(intake.frame_to_input(padded, 20, 9, stride=64, size=9), want)
    # the last row need not have its padding
    short = padded.tobytes()[:-4]
    assert np.array_equal(intake.frame_to_input(short, 20, 9, stride=64, size=9), want)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((b"\0" * 63, 8, 8, "GRAY8"), "63 bytes"),
        ((b"\0" * 64, 8, 8, "RGBA"), "unknown pixel format"),
        ((b"\0" * 64, 5, 4, "YUYV"), "even width"),
        ((b"\0" * 64, 0, 4, "GRAY8"), "empty"),
        ((b"\0" * 64, 8, 8, "GRAY8", 7), "stride"),
        ((b"\xff\xd8\xff\xe0" + b"\0" * 20, 8, 8, "RGB888"), "JPEG"),
    ],
)
def test_impossible_frames(args, message):
    with pytest.raises(ValueError, match=message):
        intake.frame_to_input(*args, size=4)
