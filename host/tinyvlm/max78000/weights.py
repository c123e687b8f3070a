# SPDX-License-Identifier: MIT
"""What goes into the weight memories and the bias memories, and where.

A processor's weight memory is 768 words of 72 bits, 9 bytes B0..B8. A 3x3 kernel of 8 bits is one
word, row by row; 1x1 kernels fill a word from B8 down. Narrower weights share kernels, the first
in the lowest bits. A layer takes the same words in all its processors.
"""

from __future__ import annotations

import numpy as np

from .layers import Layer, Network, bits_set, first_bit, spread

WORDS = 768  # a processor's weight memory
BIASES = 512  # a quadrant's
WORD_BYTES = 9


def word_count(layer: Layer) -> int:
    """Words of weight memory that a layer needs in each of its processors, `lead` included."""
    if not layer.convolves:
        return 0
    share, k2 = 8 // layer.bits, layer.kernel**2
    bits = layer.kernels * k2 * layer.bits + layer.kernels % share * k2 * (share - 1)
    lead = layer.lead * k2 * layer.bits
    return -(-(bits + lead) // 72)


def allocate(network: Network) -> None:
    """Give every layer its `words_at` and `bias_at`. ValueError names the layer without room."""
    used = np.zeros((64, WORDS), bool)
    everywhere = [layer for layer in network.layers if layer.processors == (1 << 64) - 1]
    others = [layer for layer in network.layers if layer.processors != (1 << 64) - 1]
    for layer in everywhere + others:
        if layer.convolves:
            layer.words_at = _room(layer, used)
    filled = dict.fromkeys(network.quadrants, 0)
    biased = [layer for layer in network.layers if layer.bias is not None and layer.bias.any()]
    if len(filled) > 1:
        biased.sort(key=bias_length, reverse=True)
    for layer in network.layers:
        layer.bias_at = None
    for layer in sorted(biased, key=lambda layer: not layer.flatten):
        quadrant = min(filled, key=filled.__getitem__)
        layer.bias_at = quadrant, filled[quadrant]
        filled[quadrant] += bias_length(layer)
        if filled[quadrant] > BIASES:
            raise ValueError(
                f"layer {layer.name!r}: no quadrant has room for its {bias_length(layer)} biases "
                f"(each holds {BIASES})"
            )


def _room(layer: Layer, used: np.ndarray) -> int:
    count, rows = word_count(layer), bits_set(layer.processors)
    taken = used[rows].any(axis=0)
    for start in range(0, WORDS - count + 1, 4):
        if not taken[start : start + count].any():
            used[rows, start : start + count] = True
            return start
    raise ValueError(
        f"layer {layer.name!r}: its kernels need {count} words in {len(rows)} weight memories, "
        f"which have {WORDS} words each and not enough of them left"
    )


def bias_length(layer: Layer) -> int:
    """Entries of bias memory of a layer that has a bias."""
    return layer.out_c + first_bit(layer.out_processors) % 4 * layer.out_passes


def bias_bytes(network: Network) -> dict[tuple[int, int], int]:
    """{(quadrant, index): byte} of all layers that have a bias."""
    image = {}
    for layer in network.layers:
        if layer.bias_at:
            quadrant, start = layer.bias_at
            lead = bias_length(layer) - layer.out_c
            for i, value in enumerate([0] * lead + layer.bias.tolist()):
                image[quadrant, start + i] = value & 0xFF
    return image


def kernel_words(layer: Layer) -> dict[int, np.ndarray]:
    """{processor: its words from `words_at` on, uint8 (n, 9), B0 first} of a convolution."""
    passes, per_pass = spread(layer.in_c)
    pixels, k2 = layer.pixels, layer.kernel**2
    # Kernels in (output, input channel, pixel, tap) order; channels that do not exist are 0.
    grid = layer.weights.reshape(layer.out_c, layer.in_c, pixels, k2).astype(np.int64)
    grid = np.pad(grid, [(0, 0), (0, passes * per_pass - layer.in_c), (0, 0), (0, 0)])
    grid = grid.reshape(layer.out_c, passes, per_pass, pixels, k2)
    outputs = _places(layer)
    words = {}
    for rank, processor in enumerate(bits_set(layer.processors)):
        own = np.zeros((len(outputs), pixels, passes, k2), np.int64)
        known = [i for i, output in enumerate(outputs) if output is not None]
        source = [outputs[i] for i in known]
        own[known] = grid[source, :, rank].transpose(0, 2, 1, 3)
        words[processor] = _pack(own.reshape(-1, k2), layer)
    return words


def _places(layer: Layer) -> list[int | None]:
    """The output channel of each place in the list of kernels; None where there is none."""
    passes, per_pass = spread(layer.out_c)
    first, last = first_bit(layer.out_processors), layer.out_processors.bit_length() - 1
    places: list[int | None] = [None] * (first % 4 * passes)
    for turn in range(passes):
        channels = [turn * per_pass + rank for rank in range(last - first + 1)]
        places += [channel if channel < layer.out_c else None for channel in channels]
    while layer.flatten and places[-1] is None:  # its count ends with the last output (sheet 3.5)
        places.pop()
    return places


def _pack(kernels: np.ndarray, layer: Layer) -> np.ndarray:
    share, k2 = 8 // layer.bits, kernels.shape[1]
    kernels = np.pad(kernels & (1 << layer.bits) - 1, [(0, -len(kernels) % share), (0, 0)])
    shifts = np.arange(share)[None, :, None] * layer.bits
    merged = (kernels.reshape(-1, share, k2) << shifts).sum(axis=1).astype(np.uint8)
    if k2 == WORD_BYTES:
        return merged
    flat = merged.reshape(-1)
    flat = np.pad(flat, (0, -len(flat) % WORD_BYTES))
    return flat.reshape(-1, WORD_BYTES)[:, ::-1]


def weight_blocks(network: Network) -> list[tuple[int, int, bytes]]:
    """(processor, first word, packed bytes) in the order of addresses; neighbours are merged."""
    blocks: list[tuple[int, int, bytes]] = []
    pieces = [
        (processor, layer.words_at, words)
        for layer in network.layers
        if layer.convolves
        for processor, words in kernel_words(layer).items()
    ]
    for processor, start, words in sorted(pieces, key=lambda piece: piece[:2]):
        if blocks:
            before, at, data = blocks[-1]
            if before == processor and at + len(data) // WORD_BYTES == start:
                blocks[-1] = processor, at, data + words.tobytes()
                continue
        blocks.append((processor, start, words.tobytes()))
    return blocks
