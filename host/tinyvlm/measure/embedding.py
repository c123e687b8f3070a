# SPDX-License-Identifier: MIT
"""Many photos through the frame intake and the int8 engine that the boards run, on all cores.

for found in embed_all(labelled.read(Path("pets-000.tar")), model, {}, workers=2): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from PIL import Image

from ..api import to_frame
from .labelled import Sample
from .pointing import Box, best_cells, in_square

AHEAD = 64  # photos in memory for each worker


@dataclass(frozen=True)
class Found:
    """What is kept of a photo: int8 embedding (dim,), or the `problem` with reading it.

    box: in the seen square, if the photo has one, `best`: its best cell by prefix.
    """

    name: str
    embedding: np.ndarray | None
    box: Box | None = None
    best: list[int] = field(default_factory=list)
    problem: str = ""
    captions: tuple[str, ...] = ()


def embed_all(
    samples: Iterable[Sample],
    model: Path,
    prototypes: Mapping[str, Sequence[np.ndarray]],
    workers: int,
) -> Iterator[Found]:
    """Every photo's embedding, in order. prototypes: by class name, the vectors to point with.

    The engine gives up Python's lock while it computes, so that threads run side by side.
    """
    from _tinyvlm import Encoder

    data, engines = model.read_bytes(), SimpleQueue()
    for _ in range(workers):
        engines.put(Encoder(data))

    def embed(sample: Sample) -> Found:
        engine = engines.get()
        try:
            return _embed(sample, engine, prototypes.get(sample.name, ()))
        finally:
            engines.put(engine)

    samples = iter(samples)
    with ThreadPoolExecutor(workers) as pool:
        while chunk := list(islice(samples, AHEAD * workers)):
            yield from pool.map(embed, chunk)


def _embed(sample: Sample, engine, prototypes: Sequence[np.ndarray]) -> Found:
    try:
        f = to_frame(sample.image())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Found(sample.name, None, problem=f"{sample.where}: {error}")
    frame = (f.buffer, f.width, f.height, f.format, f.stride)
    out = np.empty(engine.dim, np.int8)
    box = sample.box and in_square(sample.box, f.width, f.height)
    if box is None or engine.map is None or not prototypes:
        engine.embed(*frame, out)
        return Found(sample.name, out, captions=sample.captions)
    cells = np.empty((*engine.map, engine.dim), np.int8)
    engine.embed_map(*frame, out, cells)
    return Found(sample.name, out, box, best_cells(cells, prototypes))
