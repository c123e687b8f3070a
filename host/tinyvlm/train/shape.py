# SPDX-License-Identifier: MIT
"""A student's shape as a quantized net with random weights: what it costs, before it is trained.

No torch in here.
"""

from __future__ import annotations

from ..net.graph import Graph
from ..net.samples import Builder
from .config import Bottleneck, StudentConfig


def build(student: StudentConfig, dense: bool = True) -> Graph:
    """A net of this shape with random weights. dense: with the map of embeddings."""
    net = Builder(student.size)
    accelerator = student.scheme == "max78000"
    if accelerator:
        net.space_to_depth(student.stem)
    else:
        net.conv(student.stem, 3, 2)
    for i, block in enumerate(student.blocks, 1):
        if isinstance(block, Bottleneck):
            bottleneck(net, block, student.thin and i == len(student.blocks))
            continue
        if block.pool > 1:
            net.pool(block.pool)
        (net.shifted if accelerator else net.conv)(block.out, block.kernel)
    if student.last:
        (net.shifted if accelerator else net.conv)(student.last)
    graph = net.finish(student.dim, dense=dense, **({"head": net.shifted} if accelerator else {}))
    graph.info["scheme"] = student.scheme
    return graph


def bottleneck(net: Builder, block: Bottleneck, thin: bool = False) -> None:
    """Expand, depthwise, project; a residual sum where shapes allow it."""
    src, channels = net.last, net.tensors[net.last].shape[-1]
    if block.expand:
        net.conv(block.expand)
    net.depthwise(block.kernel, block.stride)
    if thin:
        net.thin()
    net.conv(block.out, relu=False)
    if block.stride == 1 and block.out == channels and block.expand:
        net.add(src)
