# SPDX-License-Identifier: MIT
"""An encoder on a simulated MAX78000: the board's driver, the chip's registers and memories.

graph = tvlm.read("max78000.tvlm")
chip = Chip.of(graph)
chip.embed(image)                # int8 (dim,) of an image, int8 (H, W, 3)
chip.map(image)                  # int8 (h, w, dim)
print(table(map_graph(graph)))   # what runs, and how long it takes
"""

from __future__ import annotations

import numpy as np

from ..net.graph import Graph
from ..net.tvlm import fingerprint
from .cycles import CLOCK_HZ, layer_cycles, network_cycles
from .layers import first_bit
from .mapper import Mapped, plans
from .weights import bias_bytes, weight_blocks


class Chip:
    """A chip with an encoder's weights in it. RuntimeError: something was done to it that the
    real one does not like (`Simulator.fault`)."""

    def __init__(self, embedding: bytes, dense: bytes | None = None):
        from _tinyvlm_max78000 import Device, Simulator

        self.plans = embedding, dense
        self.simulator = Simulator()
        self.device = Device(embedding, self.simulator)
        self.loaded: bytes | None = None
        self.device.on()

    @classmethod
    def of(cls, graph: Graph) -> Chip:
        """ValueError: the layer that the accelerator cannot do, and why."""
        return cls(*plans(graph, fingerprint(graph)))

    def embed(self, image: np.ndarray) -> np.ndarray:
        """The embedding, int8 (dim,)."""
        return self._run(self.plans[0], image).reshape(-1)

    def map(self, image: np.ndarray) -> np.ndarray:
        """The dense map, int8 (h, w, dim)."""
        if self.plans[1] is None:
            raise ValueError("this encoder has no dense map")
        return self._run(self.plans[1], image)

    def selftest(self) -> None:
        """The known-answer tests of both plans; RuntimeError if one fails."""
        for data in self.plans:
            if data is not None:
                self._use(data)
                self.device.selftest()

    def _use(self, data: bytes) -> None:
        if self.loaded is not data:
            self.device.use(data)
            self.device.load()
            self.loaded = data

    def _run(self, data: bytes, image: np.ndarray) -> np.ndarray:
        self._use(data)
        if image.shape != self.device.in_shape or image.dtype != np.int8:
            raise ValueError(
                f"the image must be int8 {self.device.in_shape}, got {image.dtype} {image.shape}"
            )
        self.device.rows(np.ascontiguousarray(image))
        self.device.run()
        out = np.zeros(self.device.out_shape, np.int8)
        self.device.results(out)
        if self.simulator.fault:
            raise RuntimeError(f"simulated MAX78000: {self.simulator.fault}")
        return out


def stores(mapped: Mapped) -> dict[str, int]:
    """32-bit accesses of the bus: for loading once, for an image, for the results."""
    network = mapped.network
    first, last = network.layers[0], network.layers[-1]
    weights = sum(1 + -(-len(words) // 4) for _, _, words in weight_blocks(network))
    instances = sum(1 for p in range(0, 64, 4) if first.processors >> p & 0xF)
    pixels = first.size[0] * first.size[1] * first.in_passes
    return {
        "weights": weights,
        "biases": len(bias_bytes(network)),
        "registers": 20 * len(network.layers) * len(network.quadrants),
        "image": pixels * instances,
        "results": last.out_size[0] * last.out_size[1] * last.out_c,
    }


def table(mapped: Mapped) -> str:
    """The layers, their places and their cycles, as lines to print."""
    lines = ["layer             in           out          processors  words     cycles"]
    for layer in mapped.network.layers:
        maps = (
            f"{first_bit(mask)}-{mask.bit_length() - 1}"
            for mask in (layer.processors, layer.out_processors)
        )
        size, out = ("x".join(map(str, shape)) for shape in (
            (*layer.size, layer.in_c), (*layer.out_size, layer.out_c),
        ))  # fmt: skip
        kind = f"{layer.kernel}x{layer.kernel}" if layer.convolves else "copy"
        kind += " add" if layer.operands > 1 else ""
        kind += f" pool {layer.pool[0]}" if layer.pools else ""
        lines.append(
            f"{kind:17} {size:12} {out:12} {' '.join(maps):11} {layer.words_at:5}"
            f" {layer_cycles(layer):10,}"
        )
    total = network_cycles(mapped.network)
    lines.append(
        f"{total:,} cycles: {1e6 * total / CLOCK_HZ:.0f} us at {CLOCK_HZ // 10**6} MHz, "
        f"{CLOCK_HZ // total:,} inferences a second of accelerator time (cycle model)"
    )
    return "\n".join(lines)
