# SPDX-License-Identifier: MIT
"""The frame intake in numpy: crop to the centred square, resize, quantize, in exact integers.

It is what `native/tv_frame.c` must equal (docs/format.md, "Frame intake"). One axis is resized by
a matrix of integer weights whose rows sum to D, so the whole is two matrix products, a rounding
division by D * D, and minus 128.
"""

from __future__ import annotations

import numpy as np

# bytes per pixel, by the name of the format, in the order of the engine's constants
FORMATS = {"GRAY8": 1, "RGB565_LE": 2, "RGB565_BE": 2, "RGB888": 3, "BGR888": 3, "YUYV": 2}
MAX_SIDE = 4096  # of the square: D * D * 255 must fit 32 bits


def seen_square(width: int, height: int) -> tuple[int, int, int]:
    """(left, top, side) of the part of a picture that an encoder sees."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def frame_to_input(
    frame: bytes | bytearray | memoryview | np.ndarray,
    width: int,
    height: int,
    format: str | int = "RGB888",
    stride: int = 0,
    size: int = 96,
) -> np.ndarray:
    """The tensor that the engine makes of a camera frame: int8 (size, size, 3), pixel - 128.

    frame: the buffer, or an array that holds it (C order). stride: bytes from row to row, 0 for
    packed rows. format: a name, or its value on the boards. ValueError says what is wrong with
    the frame and what to ask the camera for.
    """
    rgb = decode(frame, width, height, format, stride)
    x, y, side = seen_square(width, height)
    if side > MAX_SIDE:
        raise ValueError(f"the frame's shorter side is {side} pixels; at most {MAX_SIDE} work")
    return (resize(rgb[y : y + side, x : x + side], size).astype(np.int16) - 128).astype(np.int8)


def decode(
    frame: bytes | bytearray | memoryview | np.ndarray,
    width: int,
    height: int,
    format: str | int = "RGB888",
    stride: int = 0,
) -> np.ndarray:
    """A frame's pixels as uint8 (height, width, 3)."""
    if isinstance(format, int) and 0 <= format < len(FORMATS):
        format = list(FORMATS)[format]
    if format not in FORMATS:
        raise ValueError(f"unknown pixel format {format!r}; use one of {', '.join(FORMATS)}")
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width}x{height} pixels is empty")
    if format == "YUYV" and width % 2:
        raise ValueError(f"a YUYV frame must have an even width, got {width}")
    if isinstance(frame, np.ndarray):
        frame = np.ascontiguousarray(frame)
    raw = np.frombuffer(memoryview(frame).cast("B"), np.uint8)
    row = width * FORMATS[format]
    stride = stride or row
    if stride < row:
        raise ValueError(f"stride is {stride} bytes, a row of {width} pixels has {row}")
    need = (height - 1) * stride + row
    if len(raw) < need:
        if raw[:3].tobytes() == b"\xff\xd8\xff":
            raise ValueError("this is a JPEG; ask the camera for RGB565 or GRAYSCALE")
        raise ValueError(f"the buffer has {len(raw)} bytes, {width}x{height} {format} has {need}")
    rows = np.lib.stride_tricks.as_strided(raw, (height, row), (stride, 1))
    return _DECODERS[format](rows.reshape(height, width, -1))


def _gray(p: np.ndarray) -> np.ndarray:
    return p.repeat(3, axis=2)


def _rgb565(p: np.ndarray, high: int) -> np.ndarray:
    """Five and six bits become eight by repeating the top bits below."""
    v = p[..., high].astype(np.uint16) << 8 | p[..., 1 - high]
    r, g, b = v >> 11, v >> 5 & 63, v & 31
    return np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=2).astype(np.uint8)


def _yuyv(p: np.ndarray) -> np.ndarray:
    """BT.601, full range; two neighbours share U and V."""
    luma = p[..., 0].astype(np.int32)
    u = p[:, 0::2, 1].astype(np.int32).repeat(2, axis=1) - 128
    v = p[:, 1::2, 1].astype(np.int32).repeat(2, axis=1) - 128
    r = luma + (359 * v + 128 >> 8)
    g = luma - (88 * u + 183 * v + 128 >> 8)
    b = luma + (454 * u + 128 >> 8)
    return np.clip(np.stack([r, g, b], axis=2), 0, 255).astype(np.uint8)


_DECODERS = {
    "GRAY8": _gray,
    "RGB565_LE": lambda p: _rgb565(p, 1),
    "RGB565_BE": lambda p: _rgb565(p, 0),
    "RGB888": lambda p: p,
    "BGR888": lambda p: p[..., ::-1],
    "YUYV": _yuyv,
}


def axis_weights(source: int, size: int) -> tuple[np.ndarray, int]:
    """(weights int64 (size, source), D): row i says how output i mixes the source pixels.

    Area average if the source is not smaller (D = source), else bilinear (D = 2 * size).
    """
    weights = np.zeros((size, source), np.int64)
    if source >= size:
        i, j = np.arange(size)[:, None], np.arange(source)[None, :]
        low, high = np.maximum(j * size, i * source), np.minimum((j + 1) * size, (i + 1) * source)
        return np.maximum(high - low, 0), source
    for i in range(size):
        n = (2 * i + 1) * source - size  # the centre of output i, in 1 / (2 * size) pixels
        j, r = n // (2 * size), n % (2 * size)
        weights[i, min(max(j, 0), source - 1)] += 2 * size - r
        weights[i, min(max(j + 1, 0), source - 1)] += r
    return weights, 2 * size


def resize(square: np.ndarray, size: int) -> np.ndarray:
    """uint8 (s, s, c) to uint8 (size, size, c). Sums stay below 2**53: float64 is exact."""
    weights, total = axis_weights(len(square), size)
    w = weights.astype(np.float64)
    rows = np.tensordot(w, square.astype(np.float64), axes=(1, 0))  # (size, s, c)
    sums = np.tensordot(w, rows, axes=(1, 1)).transpose(1, 0, 2).astype(np.int64)
    return ((sums + total * total // 2) // (total * total)).astype(np.uint8)
