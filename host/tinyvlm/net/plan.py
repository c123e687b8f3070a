# SPDX-License-Identifier: MIT
"""The arena planner: which layers run interleaved and where in RAM the bytes lie.

Long segments save memory where maps are large; short ones read weights once instead of once a
row, which is what the small late layers want (`schedule.py`). All segmentations are searched
by dynamic programming, which gives the whole trade of RAM against weight traffic; a plan is the
point of it that `plan(graph, budget, slack)` asks for. Offsets are then assigned by best fit over
the lifetimes. Everything is deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import Graph
from .schedule import MAX_RECORDS, Ref, Schedule, Segment, align

BUDGET = 96 * 1024  # bytes; an STM32H7's tightly coupled RAM is 128 KB and has other guests
SLACK = 0.05  # more weight bytes fetched than needed that a smaller arena may cost


@dataclass(frozen=True)
class Plan:
    """segments: (first, last) layer of each. refs: by tensor name. Sizes in bytes.

    lifetimes: first and last segment that need the tensor's bytes. fetched: weight bytes read
    for one frame, counting every pass over a layer's weights.
    """

    segments: list[tuple[int, int]]
    refs: dict[str, Ref]
    lifetimes: dict[str, tuple[int, int]]
    scratch_offset: int
    scratch_size: int
    arena_size: int
    fetched: int

    def segment_of(self, layer: int) -> int:
        """Index of the segment in which layer `layer` runs."""
        return next(i for i, (_, last) in enumerate(self.segments) if layer <= last)


def _cheapest(
    count: int, options: dict[tuple[int, int], Segment], limit: float
) -> tuple[int, int, list[tuple[int, int]]] | None:
    """(fetched, peak, segments) of the segmentation of `count` layers that fetches the fewest
    weight bytes with at most `limit` live bytes in any segment; None if there is none.
    """
    best: list[tuple | None] = [(0, 0, [])] + [None] * count
    for last in range(count):
        for first in range(max(0, last + 1 - MAX_RECORDS), last + 1):
            option, before = options.get((first, last)), best[first]
            if option is None or before is None or option.bytes > limit:
                continue
            fetched, peak = before[0] + option.fetched, max(before[1], option.bytes)
            if best[last + 1] is None or (fetched, peak) < best[last + 1][:2]:
                best[last + 1] = fetched, peak, [*before[2], (first, last)]
    return best[count]


def _pack(sizes: list[int], spans: list[tuple[int, int]], order: list[int]) -> list[int]:
    """Offsets: in the given order, each into the tightest gap between those it lives with."""
    offsets = [-1] * len(sizes)
    for item in order:
        first, last = spans[item]
        busy = sorted(
            (offsets[j], offsets[j] + sizes[j])
            for j in range(len(sizes))
            if offsets[j] >= 0 and spans[j][0] <= last and first <= spans[j][1]
        )
        best, at, end = None, 0, 0
        for start, stop in [*busy, (1 << 62, 0)]:
            gap = start - end
            if gap >= sizes[item] and (best is None or gap < best):
                best, at = gap, end
            end = max(end, stop)
        offsets[item] = at
    return offsets


def _assign(sizes: list[int], spans: list[tuple[int, int]]) -> tuple[list[int], int]:
    """Offsets of all buffers and the bytes they span; the best of several orders."""
    items = range(len(sizes))
    keys = (
        lambda i: (-sizes[i], spans[i]),
        lambda i: (-sizes[i] * (spans[i][1] - spans[i][0] + 1), spans[i]),
        lambda i: (spans[i][0] - spans[i][1], -sizes[i]),
        lambda i: (spans[i], -sizes[i]),
    )
    total, best, best_order = None, [], []
    rng = np.random.default_rng(0)  # deterministic: the same graph gives the same plan
    floor = max(
        sum(sizes[i] for i in items if spans[i][0] <= s <= spans[i][1])
        for s in range(max(span[1] for span in spans) + 1)
    )
    orders = [sorted(items, key=key) for key in keys]
    for attempt in range(300):
        if attempt < len(orders):
            order = orders[attempt]
        else:  # swap two in the best order so far
            order = best_order.copy()
            i, j = rng.integers(0, len(order), 2)
            order[i], order[j] = order[j], order[i]
        offsets = _pack(sizes, spans, order)
        end = max(o + n for o, n in zip(offsets, sizes, strict=True))
        if total is None or end <= total:
            total, best, best_order = end, offsets, order
        if total == floor:
            break
    return best, total


def _lay_out(
    schedule: Schedule, path: list[tuple[int, int]], options: dict[tuple[int, int], Segment]
) -> Plan:
    """Offsets for a chosen segmentation."""
    count, spans = len(schedule.names), schedule.spans(path)
    rows, owner = {}, list(range(count))
    for pair in path:
        rows.update(options[pair].rows)
        for tensor, other in options[pair].alias.items():
            owner[tensor] = other
    scratch = schedule.scratch

    def root(tensor: int) -> int:
        return tensor if owner[tensor] == tensor else root(owner[tensor])

    life: dict[int, tuple[int, int]] = {}
    for tensor in range(count):
        first, last = life.get(root(tensor), spans[tensor])
        life[root(tensor)] = min(first, spans[tensor][0]), max(last, spans[tensor][1])
    roots = list(life)
    sizes = [align(rows[t] * schedule.shape_refs[t].row_bytes) for t in roots] + [scratch]
    offsets, end = _assign(sizes, [life[t] for t in roots] + [(0, len(path) - 1)])
    at = dict(zip(roots, offsets, strict=False))
    refs = {}
    for tensor, name in enumerate(schedule.names):
        shape = schedule.shape_refs[tensor]
        refs[name] = Ref(
            at[root(tensor)], shape.row_bytes, rows[tensor], shape.pitch, shape.margin
        )
    return Plan(
        segments=path,
        refs=refs,
        lifetimes=dict(zip(schedule.names, spans, strict=True)),
        scratch_offset=offsets[-1],
        scratch_size=scratch,
        arena_size=end,
        fetched=sum(options[pair].fetched for pair in path),
    )


def plan(graph: Graph, budget: int = BUDGET, slack: float = SLACK) -> Plan:
    """Segments, rings and offsets for the arena of `graph`.

    Of the plans that need at most `budget` bytes and at most 1 + slack times the least weight
    traffic possible in that budget, the smallest; so slack 0 asks for speed and a large one for
    the least RAM. If nothing fits the budget, the smallest plan. ValueError if the graph cannot
    be run at all.
    """
    schedule = Schedule(graph)
    options, count = schedule.segments(), len(graph.layers)
    # The trade of traffic against RAM, from fast and large to slow and small
    trade, limit = [], float("inf")
    while (point := _cheapest(count, options, limit)) is not None:
        trade.append(point)
        limit = point[1] - 1
    if not trade:
        raise ValueError("the graph cannot be cut into segments")
    # The sum of live bytes bounds an arena from below only: offsets may need a little more, so
    # the choice by that sum is tried first and smaller ones after it.
    fits = [p for p in trade if p[1] + schedule.scratch <= budget] or trade[-1:]
    chosen = max(i for i, p in enumerate(fits) if p[0] <= fits[0][0] * (1 + slack))
    best = None
    for _, _, segments in fits[chosen:]:
        found = _lay_out(schedule, segments, options)
        if best is None or found.arena_size < best.arena_size:
            best = found
        if best.arena_size <= budget:
            break
    return best


def plan_whole(graph: Graph) -> Plan:
    """The plan for CMSIS-NN: layer by layer, every tensor whole; offsets by lifetime."""
    schedule = Schedule(graph, library=True)
    path = [(i, i) for i in range(len(graph.layers))]
    options = {pair: schedule.segment(*pair) for pair in path}
    if None in options.values():
        raise ValueError("a later layer reads rows of the image that the first one skips")
    return _lay_out(schedule, path, options)


def restore(
    graph: Graph,
    segments: list[tuple[int, int]],
    refs: dict[str, Ref],
    scratch_offset: int,
    scratch_size: int,
    arena_size: int,
    library: bool = False,
) -> Plan:
    """The plan that a file holds. ValueError where the engine could not run it."""
    schedule, options = Schedule(graph, library), {}
    for pair in segments:
        options[pair] = schedule.segment(*pair)
        if options[pair] is None:
            raise ValueError(f"layers {pair[0]} ... {pair[1]} cannot run interleaved")
        for tensor, rows in options[pair].rows.items():
            name, shape = schedule.names[tensor], schedule.shape_refs[tensor]
            ref = refs[name]
            if not rows <= ref.rows <= shape.rows or ref.row_bytes < shape.row_bytes:
                raise ValueError(f"{name!r} keeps {ref.rows} rows of {rows} needed")
            if library and ref.row_bytes != shape.row_bytes:
                raise ValueError(f"{name!r} does not lie pixel after pixel")
            if ref.pitch < shape.pitch or bool(ref.pitch) != bool(shape.pitch):
                raise ValueError(f"{name!r} has the wrong pitch {ref.pitch}")
            if ref.margin != shape.margin:
                raise ValueError(f"{name!r} has the wrong margin {ref.margin}")
            if ref.offset + ref.size > arena_size:
                raise ValueError(f"{name!r} lies outside the arena")
    if schedule.least_scratch > scratch_size or scratch_offset + scratch_size > arena_size:
        raise ValueError(f"scratch of {scratch_size} bytes, {schedule.least_scratch} are needed")
    return Plan(
        segments=segments,
        refs=refs,
        lifetimes=dict(zip(schedule.names, schedule.spans(segments), strict=True)),
        scratch_offset=scratch_offset,
        scratch_size=scratch_size,
        arena_size=arena_size,
        fetched=sum(option.fetched for option in options.values()),
    )
