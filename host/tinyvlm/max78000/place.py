# SPDX-License-Identifier: MIT
"""Processors and data memory for the maps between layers.

Layers that only move data read and write the same processors, and so do the two operands of an
addition; such maps form a group. A group begins at a whole word, where the weight memories are
least filled. Maps that are needed at the same time get different bytes of the data memories.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .layers import PROCESSORS, Layer, bits_set, spread
from .memory import INSTANCE_BYTES
from .weights import word_count

IMAGE = -1  # index of the layer that writes the image


@dataclass
class _Map:
    """What one layer writes. pair: the addition it is an operand of, and which."""

    channels: int
    words: int  # in an instance
    pair: tuple[str, int] | None = None
    born: int = 0
    dies: int = 0
    mask: int = 0
    offset: int = 0
    readers: list[Layer] = field(default_factory=list)


def assign(layers: list[Layer], outs: list[str], pairs: dict[str, tuple[str, int]]) -> None:
    """Fill in maps of processors, offsets and gaps. outs: names of what the layers write."""
    maps = {IMAGE: _Map(layers[0].in_c, _words(layers[0].size, layers[0].in_c))}
    maps[IMAGE].born = IMAGE
    for index, (layer, out) in enumerate(zip(layers, outs, strict=True)):
        words = _words(layer.out_size, layer.out_c) * (4 if layer.wide else 1)
        maps[index] = _Map(layer.out_c, words, pairs.get(out), index, index)
        for source in layer.sources:
            maps[source].dies = index
            maps[source].readers.append(layer)
    groups = _groups(layers, maps)
    _processors(groups)
    _offsets(maps, layers)
    for index, layer in enumerate(layers):
        source, own = maps[layer.sources[0]], maps[index]
        layer.processors, layer.out_processors = source.mask, own.mask
        layer.in_offset, layer.out_offset = source.offset, own.offset
        layer.gap = 1 if own.pair else 0


def _words(size: tuple[int, int], channels: int) -> int:
    return size[0] * size[1] * spread(channels)[0]


def _groups(layers: list[Layer], maps: dict[int, _Map]) -> list[list[_Map]]:
    """Maps that must have the same processors, in the order in which they appear."""
    group_of = {index: {index} for index in maps}

    def join(one: int, two: int) -> None:
        merged = group_of[one] | group_of[two]
        for index in merged:
            group_of[index] = merged

    for index, layer in enumerate(layers):
        for source in layer.sources:
            join(layer.sources[0], source)
        if not layer.convolves:
            join(layer.sources[0], index)
    unique = {min(group): group for group in group_of.values()}
    return [[maps[index] for index in sorted(unique[first])] for first in sorted(unique)]


def _processors(groups: list[list[_Map]]) -> None:
    filled = np.zeros(PROCESSORS, np.int64)
    for group in groups:
        width = spread(group[0].channels)[1]
        last = not any(member.readers for member in group)
        starts = [0] if last else range(0, PROCESSORS - width + 1, 4)
        start = min(starts, key=lambda start: int(filled[start : start + width].max()))
        for member in group:
            member.mask = (1 << width) - 1 << start
        readers = {id(layer): layer for member in group for layer in member.readers}
        for layer in readers.values():
            layer.processors = group[0].mask
            layer.out_processors = (1 << spread(layer.out_c)[1]) - 1  # any, for the count
            filled[bits_set(group[0].mask)] += (word_count(layer) + 3) // 4 * 4


def _offsets(maps: dict[int, _Map], layers: list[Layer]) -> None:
    """First fit; the two operands of an addition share a place, word by word."""
    taken: list[tuple[_Map, int, int]] = []  # map, first byte, end
    pairs: dict[str, list[_Map]] = {}
    for own in maps.values():
        if own.pair:
            pairs.setdefault(own.pair[0], []).append(own)
    for index, own in maps.items():
        mates = pairs[own.pair[0]] if own.pair else [own]
        born, dies = min(m.born for m in mates), max(m.dies for m in mates)
        size = 4 * own.words * len(mates)
        done = [m for m in mates if any(m is other for other, _, _ in taken)]
        if done:
            own.offset = done[0].offset + 4 * (own.pair[1] - done[0].pair[1])
            taken.append((own, *next((a, b) for m, a, b in taken if m is done[0])))
            continue
        at = 0
        for other, first, end in sorted(taken, key=lambda entry: entry[1]):
            mates_of = pairs[other.pair[0]] if other.pair else [other]
            lives = range(min(m.born for m in mates_of), max(m.dies for m in mates_of) + 1)
            if lives.start <= dies and born < lives.stop and first < at + size and at < end:
                at = end
        if at + size > INSTANCE_BYTES:
            name = layers[max(index, 0)].name
            raise ValueError(
                f"layer {name!r}: no room for a map of {size} bytes in the data memories, "
                f"which have {INSTANCE_BYTES} each"
            )
        own.offset = at + 4 * own.pair[1] if own.pair else at
        taken.append((own, at, at + size))
