# SPDX-License-Identifier: MIT
"""A plan: all that the accelerator must be given to run a network, as bytes for the driver.

native/max78000/tv_max78000_plan.h has the layout and the names; tv_max78000_plan.c reads it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..net.reference import TEST_SEED, known_image, requantize, space_to_depth
from . import reference
from .cycles import network_cycles
from .layers import Network
from .registers import QUADRANT, QUADRANT_STEP, layer_registers
from .rules import check
from .weights import bias_bytes, weight_blocks

MAGIC, VERSION = b"TVMX", 1
HEADER = struct.Struct("<4sHHII8sIIIBBBBI4HHHHHIQHHHBbIQII12s")
REGISTER = struct.Struct("<HBBI")
RUN = struct.Struct("<BBHH")
BLOCK = struct.Struct("<BBHH")
CRC_START = 16
ROUND, SHARED = 1, 2


class OtherWeights(ValueError):
    """A plan cannot use the weights of the plan that it was given."""


@dataclass(frozen=True)
class Rescale:
    """How the sums of a wide last layer become int8: the engine's requantization, per channel."""

    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    zero_point: int = 0

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        return requantize(
            sums.astype(np.int64) + self.bias, self.mult, self.shift, self.zero_point
        )


def to_bytes(
    network: Network,
    fold: int = 1,
    rescale: Rescale | None = None,
    fingerprint: bytes = bytes(8),
    weights_of: bytes | None = None,
) -> bytes:
    """The plan of a network whose memories are allocated. ValueError names the layer that breaks
    a rule. `weights_of`: another plan, whose weights this one uses instead of its own.
    """
    check(network)
    first, last = network.layers[0], network.layers[-1]
    h, w, c = *first.size, first.in_c
    shape = h * fold, w * fold, c // fold**2
    if c % fold**2 or last.wide != (rescale is not None):
        raise ValueError("fold or rescale do not fit the network")
    if first.chw:
        raise ValueError(f"layer {first.name!r}: the driver loads no image channel by channel")

    registers, runs, biases = _registers(network), *_biases(network)
    blocks, weights = _weights(network)
    weights_crc = zlib.crc32(weights)
    if weights_of is not None:
        if struct.unpack_from("<I", weights_of, 32)[0] != weights_crc:
            raise OtherWeights("the other plan has other weights")
        blocks, weights = [], b""
    table = b""
    if rescale is not None:
        table = rescale.bias.astype("<i4").tobytes() + rescale.mult.astype("<i4").tobytes()
        table += rescale.shift.astype(np.uint8).tobytes()
    tables = b"".join([*registers, *runs, biases, *blocks, table])
    head_size = HEADER.size + len(tables)
    flags = ROUND * network.rounding | SHARED * (weights_of is not None)
    header = HEADER.pack(
        MAGIC, VERSION, HEADER.size, head_size + len(weights), 0, fingerprint,
        head_size, len(weights), weights_crc,
        sum(1 << q for q in network.quadrants), len(network.layers), flags, fold,
        network_cycles(network), len(registers), len(runs), len(blocks), len(biases),
        *shape, 0, first.in_offset, first.processors,
        *last.out_size, last.out_c, 4 if last.wide else 1, rescale.zero_point if rescale else 0,
        last.out_offset, last.out_processors,
        TEST_SEED, zlib.crc32(expected(network, known_image(shape), fold, rescale).tobytes()),
        bytes(12),
    )  # fmt: skip
    data = bytearray(header + tables + weights)
    struct.pack_into("<I", data, 12, zlib.crc32(data[CRC_START:head_size]))
    return bytes(data)


def expected(
    network: Network, image: np.ndarray, fold: int = 1, rescale: Rescale | None = None
) -> np.ndarray:
    """The int8 results (h, w, c) that the driver must give for an image, int8 (H, W, C)."""
    y = reference.run(network, space_to_depth(image, fold))[-1]
    return y if rescale is None else rescale(y)


def _registers(network: Network) -> list[bytes]:
    """Records; registers that say the same in several quadrants share one."""
    masks: dict[tuple[int, int], int] = {}
    for address, value in layer_registers(network).items():
        quadrant, offset = divmod(address - QUADRANT, QUADRANT_STEP)
        masks[offset, value] = masks.get((offset, value), 0) | 1 << quadrant
    return [REGISTER.pack(offset, mask, 0, value) for (offset, value), mask in masks.items()]


def _biases(network: Network) -> tuple[list[bytes], bytes]:
    """Runs of neighbouring entries, and the bytes of all of them."""
    image = bias_bytes(network)
    runs: list[list[int]] = []
    for quadrant, index in sorted(image):
        if runs and runs[-1][0] == quadrant and sum(runs[-1][1:]) == index:
            runs[-1][2] += 1
        else:
            runs.append([quadrant, index, 1])
    data = bytes(image[key] for key in sorted(image))
    return [RUN.pack(quadrant, 0, start, count) for quadrant, start, count in runs], data


def _weights(network: Network) -> tuple[list[bytes], bytes]:
    """Block records and the stream, each block filled to a multiple of 4 bytes."""
    records, stream = [], b""
    for processor, start, words in weight_blocks(network):
        records.append(BLOCK.pack(processor, 0, start, len(words) // 9))
        stream += words + bytes(-len(words) % 4)
    return records, stream
