# SPDX-License-Identifier: MIT
"""The engine's schedule: what a segment of layers needs when it runs row by row.

The engine runs the records in order, in *segments* (docs/format.md, "Running it"). Inside a
segment rows are pulled one by one through the chain, so its tensors need only a few rows, a ring;
a tensor that a later segment reads is kept whole. `Schedule` answers, for any run of consecutive
layers: is it allowed, how many rows does each tensor need, what can be added in place, how many
bytes of RAM and of weight traffic does it cost. `plan.py` chooses among them.

In the code tensor 0 is the image and tensor i + 1 is what layer i writes; stage i is layer i.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import cmsis_nn
from .graph import INPUT, Add, Conv, Depthwise, Graph, window
from .packing import stored_taps, weight_bytes

ALIGN = 16  # of every tensor; the arena itself begins at a multiple of 8
SCRATCH = 16 * 1024  # bytes that convolutions get where they can use them
MAX_RECORDS = 16  # of a segment


@dataclass(frozen=True)
class Ref:
    """Where a tensor lies: the tensor reference of docs/format.md and its margin."""

    offset: int
    row_bytes: int
    rows: int
    pitch: int = 0
    margin: int = 0

    @property
    def size(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Segment:
    """What one run of consecutive layers needs. rows: of the tensors written in it.

    alias: tensor -> tensor in whose bytes it lies (an addition done in place).
    """

    rows: dict[int, int]
    alias: dict[int, int]
    bytes: int
    fetched: int


def align(value: int, to: int = ALIGN) -> int:
    return -(-value // to) * to


def operands(graph: Graph) -> list[tuple[int, ...]]:
    """Tensors that each layer reads, the latest first (the order `in`, `in2` of a record)."""
    number = {INPUT: 0} | {layer.name: i + 1 for i, layer in enumerate(graph.layers)}
    return [
        tuple(sorted((number[s] for s in (x.src, getattr(x, "src2", None)) if s), reverse=True))
        for x in graph.layers
    ]


def scratch_bytes(graph: Graph, refs: list[Ref], wish: int = 0) -> int:
    """Working memory of the kernels (docs/format.md, "Scratch"); refs by tensor index.

    wish: as much of it as a convolution can use, which takes all its pixels at a time then.
    """
    shapes = graph.shapes()
    need = 12 * graph.input_shape[1]
    for i, layer in enumerate(graph.layers):
        if isinstance(layer, Conv):
            taps = stored_taps(layer)
            height, width, _ = shapes[layer.name]
            most = 4 * taps + 6 * taps * -(-height * width // 3)
            need = max(need, 10 * taps, min(most, wish))
        elif isinstance(layer, Depthwise):
            need = max(need, 2 * refs[operands(graph)[i][0]].pitch)
    return align(need)


class Schedule:
    """What `graph` needs to run, segment by segment.

    library: CMSIS-NN runs it, which reads and writes whole maps, pixel by pixel.
    """

    def __init__(self, graph: Graph, library: bool = False) -> None:
        shapes = graph.shapes()
        self.library = library
        self.graph, self.layers = graph, graph.layers
        self.names = [INPUT] + [layer.name for layer in graph.layers]
        self.heights = [shapes[name][0] for name in self.names]
        self.widths = [shapes[name][1] for name in self.names]
        self.windows = [window(layer, *shapes[layer.src][:2]) for layer in graph.layers]
        self.reads = operands(graph)
        self.readers = [
            [i for i, reads in enumerate(self.reads) if t in reads] for t in range(len(self.names))
        ]
        self.last_reader = [max(r, default=-1) for r in self.readers]
        self.shape_refs = [self._rows_of(shapes[name], t) for t, name in enumerate(self.names)]

    def _rows_of(self, shape: tuple[int, int, int], tensor: int) -> Ref:
        """The tensor kept whole at offset 0: row layout, planar for a depthwise reader."""
        height, width, channels = shape
        for reader in self.readers[tensor]:
            if isinstance(self.layers[reader], Depthwise) and not self.library:
                seen, margin = self.windows[reader], self.windows[reader].pads[1]
                read = (self.widths[reader + 1] - 1) * seen.stride + seen.kernel
                pitch = align(max(margin + width, read), 2)
                return Ref(0, 2 * channels * pitch, height, pitch, margin)  # int16
        return Ref(0, width * channels, height)

    @cached_property
    def least_scratch(self) -> int:
        if self.library:
            return cmsis_nn.scratch_bytes(self.graph)
        return scratch_bytes(self.graph, self.shape_refs)

    @cached_property
    def scratch(self) -> int:
        if self.library:
            return self.least_scratch
        return scratch_bytes(self.graph, self.shape_refs, SCRATCH)

    # -- the schedule -------------------------------------------------------------------------

    def need(self, stage: int, y: np.ndarray) -> np.ndarray:
        """Rows of its input that must be written before `stage` can make its row y."""
        seen = self.windows[stage]
        last = y * seen.stride - seen.pads[0] + seen.kernel
        return np.minimum(last, self.heights[self.reads[stage][0]])

    def first(self, stage: int, y: np.ndarray) -> np.ndarray:
        """First input row that row y of `stage` looks at."""
        seen = self.windows[stage]
        return np.maximum(y * seen.stride - seen.pads[0], 0)

    def written(self, stage: int, tensor: int) -> np.ndarray:
        """Rows of `tensor` that exist when `stage` makes row 0, 1, ...; both in one segment.

        Rows are pulled, so a stage has never run further than the next one asked for.
        """
        rows = self.need(stage, np.arange(self.heights[stage + 1]))
        for upstream in range(stage - 1, tensor - 1, -1):
            rows = self.need(upstream, rows - 1)
        return rows

    def ring(self, tensor: int) -> int:
        """Rows of a ring from which every reader still finds all it needs."""
        rows = 1
        for stage in self.readers[tensor]:
            y = np.arange(self.heights[stage + 1])
            rows = max(rows, int((self.written(stage, tensor) - self.first(stage, y)).max()))
            rows = max(rows, self.windows[stage].kernel)
        return min(rows, self.heights[tensor])

    def overwrites(self, add: int, tensor: int, first: int) -> bool:
        """Would `add`, writing over `tensor`, destroy rows that stages from `first` on still read?

        When the addition makes row y, a reader that has made n rows reads from first(n) on.
        """
        y = np.arange(self.heights[add + 1])
        for stage in self.readers[tensor]:
            if first <= stage < add:
                made = self.written(add, stage + 1)
                pending = made < self.heights[stage + 1]
                if np.any(pending & (self.first(stage, made) <= y)):
                    return True
        return False

    # -- segments -----------------------------------------------------------------------------

    def segment(self, first: int, last: int) -> Segment | None:
        """Layers first ... last run interleaved; None where the format does not allow it."""
        if last - first >= MAX_RECORDS or (self.library and last > first):
            return None
        for stage in range(first, last + 1):
            if stage > first and self.reads[stage][0] != stage:
                return None  # does not continue the chain
            if last > first and self.graph.is_dense(self.layers[stage].name):
                return None
            if stage < last and self.names[stage + 1] == self.graph.embedding:
                return None  # it is copied out when its segment has run
        written = range(first + 1 if first else 0, last + 2)
        rows = {}
        for tensor in written:
            whole = tensor == last + 1 or self.last_reader[tensor] > last
            rows[tensor] = self.heights[tensor] if whole or self.library else self.ring(tensor)
            if whole and tensor <= last:
                # rows that nobody in this segment pulls would be missing later
                if self.written(last, tensor)[-1] < self.heights[tensor]:
                    return None
        alias = self._in_place(first, last, rows)
        held = [t for t in range(first + 1 if first else 0) if self.last_reader[t] >= first]
        need = sum(align(self.shape_refs[t].size) for t in held)
        for tensor, count in rows.items():
            if tensor not in alias:
                need += align(count * self.shape_refs[tensor].row_bytes)
        return Segment(rows, alias, need, self._fetched(first, last))

    def _in_place(self, first: int, last: int, rows: dict[int, int]) -> dict[int, int]:
        """Additions of a segment that can write over an operand: tensor -> owner of the bytes."""
        alias = {}
        for stage in range(first, last + 1):
            if not isinstance(self.layers[stage], Add):
                continue
            out, dying = stage + 1, [t for t in self.reads[stage] if self.last_reader[t] == stage]
            for operand in dying:
                # over a whole map from an earlier segment: saves a whole map
                whole = operand not in rows and rows[out] == self.heights[out]
                if whole and not self.overwrites(stage, operand, first):
                    alias[out] = operand
                    break
            third = alias.get(stage - 1) == stage  # in the same bytes: a file may not say that
            if out not in alias and stage in dying and stage in rows and not third:
                # Over what the layer before it writes. The chain writes row y of that immediately
                # before row y of the sum, so it can write it straight into the sum's ring.
                rows[stage], alias[stage] = rows[out], out
        return alias

    def _fetched(self, first: int, last: int) -> int:
        """Weight bytes that a frame without the map reads: once a row, but only once by a layer
        that runs alone."""
        if self.graph.is_dense(self.layers[first].name):
            return 0
        alone = first == last and first > 0
        return sum(
            weight_bytes(self.layers[stage]) * (1 if alone else self.heights[stage + 1])
            for stage in range(first, last + 1)
        )

    def segments(self) -> dict[tuple[int, int], Segment]:
        """All segments that are possible, by (first, last)."""
        found = {}
        for first in range(len(self.layers)):
            for last in range(first, min(first + MAX_RECORDS, len(self.layers))):
                segment = self.segment(first, last)
                if segment is not None:
                    found[first, last] = segment
        return found

    def spans(self, path: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """First and last segment in which each tensor is written or read."""
        number = [i for i, (first, last) in enumerate(path) for _ in range(first, last + 1)]
        begin = [0, *number]  # the image is written in the first segment
        return [
            (begin[t], max((number[r] for r in readers), default=begin[t]))
            for t, readers in enumerate(self.readers)
        ]
