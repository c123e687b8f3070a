# SPDX-License-Identifier: MIT
"""From a quantized graph to layers of the accelerator, with processors and memory assigned.

    mapped = map_graph(graph)      # ValueError: which layer, and what the accelerator cannot do
    mapped.network.layers          # what runs, in order
    mapped.plan()                  # bytes for the driver

Pooling and additions are no layers of their own where the convolution that reads them can do them
on the way in. A map that is added and also read by others is copied, because the two operands of
an addition lie interleaved, word by word.

The last layer is the head. The accelerator gives its sums in 32 bits, the CPU rescales them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..net.graph import INPUT, Add, AvgPool, Conv, Graph, SpaceToDepth, window
from ..net.reference import conv_multipliers
from . import place
from .convert import check_add, check_pool, head, hidden, refuse
from .layers import Layer, Network
from .plan import OtherWeights, Rescale, to_bytes
from .rules import check
from .weights import allocate


@dataclass(frozen=True)
class Operand:
    """What a layer reads: one map or the sum of two, perhaps pooled. maps: names of buffers."""

    maps: tuple[str, ...]
    pool: AvgPool | None = None


@dataclass
class Step:
    """One layer to be. out: the buffer it writes; more: arguments of its `Layer`."""

    name: str
    reads: Operand
    out: str
    more: dict = field(default_factory=dict)


@dataclass
class Mapped:
    """A graph for the accelerator."""

    network: Network
    fold: int
    rescale: Rescale
    fingerprint: bytes = bytes(8)

    def plan(self, weights_of: bytes | None = None) -> bytes:
        """The driver's file. weights_of: another plan, which brings the same weights."""
        return to_bytes(self.network, self.fold, self.rescale, self.fingerprint, weights_of)


def map_graph(graph: Graph, dense: bool = False, fingerprint: bytes = bytes(8)) -> Mapped:
    """The embedding's network, or with `dense` that of the dense map."""
    output = graph.dense if dense else graph.embedding
    if output is None:
        raise ValueError("the graph has no dense map")
    steps = _Steps(graph, output)
    layers = []
    for step in steps.steps:
        height, width, channels = steps.shape(step.reads.maps[0])
        pool, more = step.reads.pool, step.more
        if pool is not None:
            seen = window(pool, height, width)
            more = more | {"pool": (seen.kernel, seen.kernel), "pool_stride": seen.stride}
        layers.append(
            Layer(
                step.name,
                channels,
                len(more["weights"]) if "weights" in more else channels,
                (height, width),
                processors=0,
                out_processors=0,
                average=pool is not None,
                operands=len(step.reads.maps),
                pool_first=pool is None or len(step.reads.maps) == 1,
                sources=tuple(steps.producer[name] for name in step.reads.maps),
                **more,
            )
        )
    place.assign(layers, [step.out for step in steps.steps], steps.pairs)
    network = Network(layers, rounding=True)
    allocate(network)
    check(network)
    conv = graph.layer(output)
    mult, shift = conv_multipliers(
        graph.quant(conv.src).scale, conv.weight_scale, graph.quant(output).scale
    )
    rescale = Rescale(conv.bias.astype(np.int64), mult, shift, conv.out.zero_point)
    return Mapped(network, steps.fold, rescale, fingerprint)


@dataclass
class _Steps:
    """Walks over the graph, once, and collects `steps`."""

    graph: Graph
    output: str
    steps: list[Step] = field(default_factory=list)
    producer: dict[str, int] = field(default_factory=lambda: {INPUT: -1})  # of a buffer
    pairs: dict[str, tuple[str, int]] = field(default_factory=dict)  # buffer: (addition, 0 or 1)
    operands: dict[str, Operand] = field(default_factory=lambda: {INPUT: Operand((INPUT,))})
    fold: int = 1

    def __post_init__(self) -> None:
        self.shapes = self.graph.shapes()
        self.signed = {INPUT}  # maps that can hold negative values: the image, and sums with it
        self.needed = self._needed()
        self.readers: dict[str, int] = {}
        for layer in self.graph.layers:
            if layer.name in self.needed:
                for name in _sources(layer):
                    self.readers[name] = self.readers.get(name, 0) + 1
        for layer in self.graph.layers:
            if layer.name in self.needed:
                self._take(layer)
        if not isinstance(self.graph.layer(self.output), Conv):
            raise ValueError(f"layer {self.output!r}: the output must be a convolution")

    def shape(self, buffer: str) -> tuple[int, int, int]:
        """(H, W, C) of what a buffer holds; a copy is called "what\\nfor which"."""
        name = buffer.split("\n")[0]
        h, w, c = self.shapes[name]
        f = self.fold if name == INPUT else 1
        return h // f, w // f, c * f * f

    def _needed(self) -> set[str]:
        needed = {self.output}
        for layer in reversed(self.graph.layers):
            if layer.name in needed:
                needed.update(_sources(layer))
        return needed

    def _take(self, layer) -> None:
        match layer:
            case SpaceToDepth():
                if layer.src != INPUT or self.readers[INPUT] > 1:
                    refuse(layer, "folds a map; only the image can be folded, on its way in")
                self.fold = layer.block
                self.operands[layer.name] = Operand((INPUT,))
                self.signed.add(layer.name)
            case AvgPool():
                check_pool(layer, self.graph, layer.src in self.signed)
                if self.operands[layer.src].pool is not None:
                    self._store(layer.src)
                self.operands[layer.name] = Operand(self.operands[layer.src].maps, layer)
            case Add():
                signed = not self.signed.isdisjoint(_sources(layer))
                check_add(layer, self.graph, signed)
                if signed:
                    self.signed.add(layer.name)
                maps = tuple(self._half(layer, i, name) for i, name in enumerate(_sources(layer)))
                self.operands[layer.name] = Operand(maps)
            case Conv():
                more = (head if layer.name == self.output else hidden)(layer, self.graph)
                self._append(Step(layer.name, self.operands[layer.src], layer.name, more))
                self.operands[layer.name] = Operand((layer.name,))
            case _:
                refuse(layer, "depthwise; the accelerator's convolutions take all channels")

    def _append(self, step: Step) -> None:
        self.producer[step.out] = len(self.steps)
        self.steps.append(step)

    def _store(self, name: str) -> None:
        """Write down what would otherwise be computed by its reader."""
        self._append(Step(name, self.operands[name], name))
        self.operands[name] = Operand((name,))

    def _half(self, add: Add, index: int, name: str) -> str:
        """The buffer of one operand of an addition: its producer writes there, or a copy."""
        operand, buffer = self.operands[name], name
        if operand != Operand((name,)) or self.readers[name] > 1 or name == INPUT:
            buffer = f"{name}\n{add.name}{index}"
            self._append(Step(f"{add.name} copies {name}", operand, buffer))
        self.pairs[buffer] = add.name, index
        return buffer


def plans(graph: Graph, fingerprint: bytes = bytes(8)) -> tuple[bytes, bytes | None]:
    """The plans of the embedding and of the dense map, which has no weights of its own where the
    two heads have the same."""
    embedding = map_graph(graph, False, fingerprint).plan()
    if graph.dense is None:
        return embedding, None
    dense = map_graph(graph, True, fingerprint)
    try:
        return embedding, dense.plan(embedding)
    except OtherWeights:
        return embedding, dense.plan()


def _sources(layer) -> tuple[str, ...]:
    return (layer.src, layer.src2) if isinstance(layer, Add) else (layer.src,)
