# SPDX-License-Identifier: MIT
"""Networks for the tests of MAX78000: 40 golden ones, with what the hardware must be given, and
random graphs."""

import functools
import gzip
import json
from pathlib import Path

import numpy as np

from tinyvlm.max78000.layers import Layer, Network
from tinyvlm.max78000.plan import Rescale
from tinyvlm.net.graph import Add, Graph
from tinyvlm.net.samples import IMAGE_QUANT, Builder

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


def random_graph(seed: int) -> Graph:
    """A small graph in the accelerator's arithmetic: folded or not, pools, sums, any widths."""
    rng = np.random.default_rng(seed)
    block = int(rng.choice([1, 2, 4]))
    build = Builder(block * int(rng.integers(5, 15)), seed)
    if block > 1:
        build.space_to_depth(block)

    def width() -> int:
        return int(rng.choice([rng.integers(1, 64), 4 * rng.integers(1, 17), 64]))

    def add(src2: str) -> None:
        name = f"sum{len(build.graph.layers)}"
        build._append(Add(name, build.last, src2, IMAGE_QUANT, relu=bool(rng.integers(2))))

    def kernel() -> int:
        return int(rng.choice([1, 3]))

    build.shifted(width(), kernel())
    for _ in range(int(rng.integers(0, 5))):
        side, _, channels = build.tensors[build.last].shape
        match int(rng.integers(0, 6)):
            case 0 if side >= 4:
                build.pool(int(rng.integers(2, 4)), int(rng.integers(1, 4)))
            case 1 if channels <= 64:  # a residual
                src = build.last
                build.shifted(channels, kernel())
                add(src)
            case 2:  # two branches, and perhaps a pool of their sum
                src, channels = build.last, width()
                one = build.shifted(channels, kernel(), src=src)
                build.shifted(channels, kernel(), src=src)
                add(one)
                if side >= 4 and rng.integers(2):
                    build.pool(2)
            case 3:
                build.shifted(int(rng.integers(65, 150)), kernel())
            case _:
                build.shifted(width(), kernel())
    graph = build.finish(int(rng.integers(1, 257)), True, build.shifted)
    if rng.integers(2):  # one head for both, as training makes it
        graph.layer("dense").weights = graph.layer("embed").weights
    return graph
