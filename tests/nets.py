# SPDX-License-Identifier: MIT
"""Random but sane quantized networks for the tests; the rest is in tinyvlm.net.samples.

graph = random_graph(seed)            # any mix of kernels, strides, odd sizes, residuals
"""

from __future__ import annotations

import numpy as np

from tinyvlm.net.graph import Graph
from tinyvlm.net.samples import Builder, base_like, max78000_like, mobilenet_like, random_image

__all__ = [
    "Builder",
    "base_like",
    "max78000_like",
    "mobilenet_like",
    "random_graph",
    "random_image",
    "small_graph",
]


def small_graph(channels: int = 4) -> Graph:
    """Every operation, a residual and a dense map in about 2 KB."""
    build = Builder(12, seed=1, relu_points=(-128, 0, 9))
    build.space_to_depth(2)
    build.conv(channels, 3, 2)
    build.residual(channels, 2)
    build.pool(2, 1)
    return build.finish(5, dense=True)


def random_graph(
    seed: int, size: int | None = None, dim: int | None = None, dense: bool | None = None
) -> Graph:
    """A small random net: stem, 1-4 random blocks, odd sizes and channels, pool, embedding.

    Some begin with SpaceToDepth, some go on with every second cell at the end, and some ReLUs have
    another zero point than -128.

    Keyword arguments fix what would otherwise be drawn from `seed`.
    """
    rng = np.random.default_rng(seed)
    size = size or int(rng.integers(5, 34))
    build = Builder(size, seed, relu_points=(-128, -128, 0, -7, 40))
    blocks = [block for block in (2, 3, 4) if size % block == 0]
    if blocks and seed % 3 == 0:
        build.space_to_depth(blocks[seed // 3 % len(blocks)])
    build.conv(
        int(rng.integers(1, 18)),
        int(rng.choice([1, 3, 3, 5, 7])),
        int(rng.integers(1, 3)),
        relu=bool(rng.integers(0, 2)),
    )
    for _ in range(int(rng.integers(1, 5))):
        kernel, stride = int(rng.choice([3, 3, 5, 7])), int(rng.integers(1, 3))
        out_c = int(rng.integers(1, 26))
        side = build.tensors[build.last].shape[0]
        match int(rng.integers(0, 6)):
            case 0:
                build.conv(out_c, kernel, stride, relu=bool(rng.integers(0, 2)))
            case 1:
                build.conv(out_c, 1, stride, relu=bool(rng.integers(0, 2)))
            case 2 if side >= 4:
                build.pool(int(rng.integers(2, 4)), int(rng.integers(1, 3)))
            case 3:  # a residual around one ordinary convolution
                src = build.last
                build.conv(build.tensors[src].shape[-1], kernel, 1, relu=False)
                build.add(src, relu=bool(rng.integers(0, 2)))
            case 4:
                in_c = build.tensors[build.last].shape[-1]
                build.residual(in_c, int(rng.integers(1, 5)), kernel, 1)
            case _:
                build.residual(out_c, int(rng.integers(1, 5)), kernel, stride)
    if seed % 5 == 2:  # an embedding of every second cell
        build.thin()
        for _ in range(1 + seed // 5 % 2):
            build.conv(int(rng.integers(1, 26)), relu=bool(rng.integers(0, 2)))
    return build.finish(
        dim or int(rng.integers(1, 41)), bool(rng.integers(0, 2)) if dense is None else dense
    )
