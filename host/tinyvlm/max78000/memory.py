# SPDX-License-Identifier: MIT
"""Where values lie in the data memories.

An instance of 32 KB serves four neighbouring processors; a word holds one byte of each, the lowest
processor in bits 7:0. Pixels follow row by row, the passes of a pixel are neighbours.
"""

from __future__ import annotations

import numpy as np

from .layers import Layer, bits_set, spread

INSTANCE_BYTES = 0x8000
_DATA, _QUADRANT_STEP = 0x50400000, 0x400000


def instance_address(processor: int) -> int:
    """Address of the data memory of a processor and its three neighbours."""
    quadrant, rest = divmod(processor, 16)
    return _DATA + _QUADRANT_STEP * quadrant + INSTANCE_BYTES * (rest // 4)


def _add(words: dict[int, list[int]], at: int, lane: int, value: int) -> None:
    word = words.setdefault(at, [0, 0])
    word[0] |= 0xFF << 8 * lane
    word[1] |= (value & 0xFF) << 8 * lane


def input_words(layer: Layer, image: np.ndarray) -> dict[int, list[int]]:
    """{address: [mask of the bits that are data, word]} of an image (H, W, C) for `layer`."""
    words: dict[int, list[int]] = {}
    flat = image.reshape(-1, image.shape[2])
    if layer.chw:
        for channel, processor in enumerate(bits_set(layer.processors)):
            base = instance_address(processor) + layer.in_offset
            for pixel, value in enumerate(flat[:, channel].tolist()):
                _add(words, base + pixel // 4 * 4, pixel % 4, value)
        return words
    _scatter(words, flat, layer.processors, layer.in_offset, 1)
    return words


def output_words(layer: Layer, y: np.ndarray) -> dict[int, list[int]]:
    """The same of a layer's output (h, w, c)."""
    words: dict[int, list[int]] = {}
    flat, step = y.reshape(-1, y.shape[2]), layer.gap + 1
    if not layer.wide:
        _scatter(words, flat, layer.out_processors, layer.out_offset, step)
        return words
    passes, per_pass = spread(layer.out_c)
    processors = bits_set(layer.out_processors)
    for pixel, values in enumerate(flat.tolist()):
        for channel, value in enumerate(values):
            turn, processor = channel // per_pass, processors[channel % per_pass]
            at = instance_address(processor) + layer.out_offset + 4 * (processor % 4)
            words[at + 16 * (pixel * passes + turn) * step] = [0xFFFFFFFF, value & 0xFFFFFFFF]
    return words


def _scatter(
    words: dict[int, list[int]], flat: np.ndarray, mask: int, offset: int, step: int
) -> None:
    passes, per_pass = spread(flat.shape[1])
    processors = bits_set(mask)
    for pixel, values in enumerate(flat.tolist()):
        for channel, value in enumerate(values):
            turn, processor = channel // per_pass, processors[channel % per_pass]
            at = instance_address(processor) + offset + 4 * (pixel * passes + turn) * step
            _add(words, at, processor % 4, value)
