# SPDX-License-Identifier: MIT
"""Networks for the tests of MAX78000: the 40 golden ones, with what the hardware must be given."""

import functools
import gzip
import json
from pathlib import Path

import numpy as np

from tinyvlm.max78000.layers import Layer, Network
from tinyvlm.max78000.plan import Rescale

VECTORS = Path(__file__).with_name("max78000_vectors.json.gz")


@functools.cache
def golden() -> dict[str, dict]:
    """The golden networks by name: random data, expected registers, weights, outputs, cycles."""
    return {net["name"]: net for net in json.loads(gzip.decompress(VECTORS.read_bytes()))}


def network(net: dict) -> Network:
    """A golden network as ours. res*: layers 1 and 2 read layer 0, layer 3 adds them."""
    layers, channels = [], net["input"]["shape"][0]
    for i, fields in enumerate(net["layers"]):
        weights = None
        if fields["weights"]:
            weights = np.array(fields["weights"]["data"], np.int64)
            weights = weights.reshape(fields["weights"]["shape"])
            if fields["op"] == "linear" and not fields["flatten"]:
                weights = weights[:, :, None, None]
        out_c = channels if weights is None else len(weights)
        layer = Layer(
            f"layer{i}",
            channels,
            out_c,
            tuple(fields["idim"]),
            int(fields["processors"], 16),
            int(fields["output_processors"], 16),
            weights,
            None if fields["bias"] is None else np.array(fields["bias"], np.int64),
            fields["bits"],
            fields["shift"],
            fields["relu"],
            fields["pad"],
            tuple(fields["pool"]),
            fields["ps"],
            fields["avg"],
            fields["nop"],
            pool_first=fields["pool_first"],
            flatten=fields["flatten"],
            wide=fields["wide"],
            gap=fields["gap"],
            sources=((-1,), (0,), (0,), (1, 2))[i] if net["name"].startswith("res") else (),
            in_offset=fields["ioff"],
            out_offset=fields["ooff"],
            chw=i == 0 and net["input"]["format"] == "CHW",
        )
        assert layer.pooled == tuple(fields["pdim"]) and layer.out_size == tuple(fields["odim"])
        layers.append(layer)
        channels = out_c
    return Network(layers, net["avg_pool_rounding"])


def hwc(values: list[int], shape: list[int]) -> np.ndarray:
    """Numbers in (C, H, W) order as an array (H, W, C)."""
    return np.array(values, np.int64).reshape(shape).transpose(1, 2, 0)


def some_rescale(channels: int) -> Rescale:
    """Any requantization of the sums of a last layer."""
    i = np.arange(channels)
    return Rescale(100 * i - 50, (1 << 30) + 1000 * i, 6 + i % 5, 3)
