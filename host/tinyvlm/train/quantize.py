# SPDX-License-Identifier: MIT
"""From a trained student to the integer graph: fold, equalize, calibrate, fine-tune, export.

The student becomes a flat list of nodes with batch norm folded in.  `run` executes the list in
float; `run_int8` with exactly the engine's integers, rounded from the nodes' current weights, and
straight-through gradients: what it computes is what the exported graph will compute.

Quantization parameters of scheme tflite: weights symmetric per output channel, [-127, 127]; ReLU
outputs [0, max], zero point -128; linear outputs any zero point; embedding and dense map
symmetric, zero point 0.

Those of scheme max78000, what its accelerator computes: activations in units of 1/128, zero point
0; weights of a layer in units of one power of two, biases in 128 accumulator units, both one byte.
Its head gives raw sums, which the CPU requantizes: per channel with any bias, as in tflite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinyvlm.net import graph
from tinyvlm.train import integer
from tinyvlm.train.student import (
    GAIN,
    ConvBN,
    InvertedResidual,
    SpaceToDepth,
    Student,
    pad_same,
    thinned,
    to_input,
)

INPUT_QUANT = graph.Quant(1 / 128, 0)
LAST, POOL, EMBEDDING, DENSE = "last", "pool", "embedding", "map"
MOVES = ("pool", "thin", "space_to_depth")  # kinds that keep scale and zero point
SHIFTED = 1 - 2.0**-24  # times a power of two: the multiplier that rounds once (docs/format.md)


@dataclass
class Node:
    """One layer: kind is conv, depthwise, add, pool, thin or space_to_depth.

    w: (out, in / groups, k, k); size: side of pooling windows (0: the whole map) or of blocks;
    top: where a ReLU's output ends; bounded: quantized as the accelerator does; shift: weights are
    multiples of 2**(shift - 7) (None: each output channel has its own scale).
    """

    name: str
    kind: str
    src: str
    src2: str = ""
    w: nn.Parameter | None = None
    b: nn.Parameter | None = None
    stride: int = 1
    relu: bool = False
    size: int = 0
    top: float = math.inf
    bounded: bool = False
    shift: int | None = None


def fold(model: Student) -> list[Node]:
    """The student as nodes in execution order, batch norm folded into weights and biases."""
    nodes: list[Node] = []

    def conv(name: str, m: ConvBN, src: str) -> str:
        spread = torch.sqrt(m.bn.running_var + m.bn.eps)
        outer = GAIN if m.bounded else 1.0
        w = m.conv.weight * (outer * m.bn.weight / spread)[:, None, None, None]
        b = outer * (m.bn.bias - m.bn.running_mean * m.bn.weight / spread)
        w, b = nn.Parameter(w.detach().clone()), nn.Parameter(b.detach().clone())
        kind = "depthwise" if m.conv.groups > 1 else "conv"
        more = {"stride": m.conv.stride[0], "relu": m.relu, "top": m.top, "bounded": m.bounded}
        nodes.append(Node(name, kind, src, w=w, b=b, **more))
        return name

    if isinstance(model.stem, SpaceToDepth):
        nodes.append(Node("stem", "space_to_depth", graph.INPUT, size=model.stem.block))
    else:
        conv("stem", model.stem, graph.INPUT)
    x = "stem"
    for i, block in enumerate(model.blocks):
        if isinstance(block, InvertedResidual):
            y = conv(f"block{i}.expand", block.expand, x) if block.expand else x
            y = conv(f"block{i}.depthwise", block.depthwise, y)
            if block.thin:
                nodes.append(Node(f"block{i}.thin", "thin", y))
                y = nodes[-1].name
            y = conv(f"block{i}.project", block.project, y)
            if block.residual:
                nodes.append(Node(f"block{i}.add", "add", y, x))
                y = nodes[-1].name
            x = y
            continue
        if block.pool > 1:
            nodes.append(Node(f"block{i}.pool", "pool", x, size=block.pool))
            x = nodes[-1].name
        x = conv(f"block{i}", block, x)
    x = conv(LAST, model.last, x) if model.last else x
    nodes.append(Node(POOL, "pool", x))
    w, b = (nn.Parameter(p.detach().clone()) for p in (model.head.weight, model.head.bias))
    nodes.append(Node(EMBEDDING, "conv", POOL, w=w, b=b))
    return nodes


def run(
    nodes: list[Node], x: Tensor, see: Callable[[Node, Tensor, Tensor], None] | None = None
) -> Tensor:
    """Embeddings (n, dim) of x (n, 3, H, W), in float; see(node, its input, its output)."""
    tensors = {graph.INPUT: x}
    for node in nodes:
        x = tensors[node.src]
        if node.kind == "add":
            y = x + tensors[node.src2]
        elif node.kind == "pool":
            y = F.avg_pool2d(x, node.size or tuple(x.shape[2:]))
        elif node.kind == "thin":
            y = thinned(x)
        elif node.kind == "space_to_depth":
            y = integer.space_to_depth(x, node.size)
        else:
            y = convolve(node, x, node.w, node.b)
        if see:
            see(node, x, y)
        tensors[node.name] = y
    return tensors[nodes[-1].name].flatten(1)


def convolve(node: Node, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The convolution of `node` in float, with weights w and biases b."""
    groups = len(w) if node.kind == "depthwise" else 1
    y = F.conv2d(pad_same(x, w.shape[2], node.stride), w, b, node.stride, groups=groups)
    return y.clamp(0.0, node.top) if node.relu else y


# -- calibration ---------------------------------------------------------------------------------


def _round(x: Tensor, q: graph.Quant) -> Tensor:
    """x as int8 with the parameters q has it."""
    return ((x / q.scale + q.zero_point).round().clamp(-128, 127) - q.zero_point) * q.scale


def _quant(low: float, high: float, symmetric: bool) -> graph.Quant:
    if symmetric:
        return graph.Quant(max(-low, high, 1e-6) / 127, 0)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return graph.Quant(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def best_quant(values: Tensor, symmetric: bool) -> graph.Quant:
    """The parameters of least mean squared error over a few ways to clip the range of `values`."""
    low, high = values.min().item(), values.max().item()
    found = [_quant(low * s, high * s, symmetric) for s in np.linspace(0.3, 1.0, 29)]
    return min(found, key=lambda q: (_round(values, q) - values).square().mean().item())


def best_shift(node: Node, x: Tensor, y: Tensor) -> int:
    """The power of two for the weights of `node` whose outputs come closest to y, given x."""
    peak = max(node.w.abs().max().item(), node.b.abs().max().item(), 2.0**-15)
    least = math.ceil(math.log2(peak))
    errors = {}
    for shift in {min(max(least - less, -15), 6) for less in range(4)}:
        w, b, step = _shifted(node, shift)
        z = convolve(node, x, w.float() * step, b.float() * step)
        errors[shift] = (z - y).square().mean().item()
    return min(errors, key=errors.get)


@torch.no_grad()
def calibrate(nodes: list[Node], batches: list[Tensor]) -> dict[str, graph.Quant]:
    """Quantization parameters of every tensor and the dense map, from images (n, H, W, 3) uint8.

    Nodes whose outputs are bounded get the accelerator's: their `shift` is set by the first
    batch, once and for all.
    """
    seen: dict[str, list[Tensor]] = {}
    generator = torch.Generator().manual_seed(0)

    def note(name: str, y: Tensor) -> None:
        flat = y.flatten()
        pick = torch.randint(len(flat), (20_000,), generator=generator)
        parts = flat[pick.to(y.device)], flat.max()[None], flat.min()[None]
        seen.setdefault(name, []).extend(parts)

    def see(node: Node, x: Tensor, y: Tensor) -> None:
        if node.bounded:
            if node.shift is None:
                node.shift = best_shift(node, x, y)
        elif node.kind not in MOVES:
            note(node.name, y)
        if node.name == nodes[-2].src:  # what is pooled
            note(DENSE, F.conv2d(y, nodes[-1].w, nodes[-1].b))

    for images in batches:
        run(nodes, to_input(images), see)
    quants = {n: best_quant(torch.cat(v), n in (EMBEDDING, DENSE)) for n, v in seen.items()}
    quants[graph.INPUT] = INPUT_QUANT
    for node in nodes:
        if node.bounded:
            quants[node.name] = graph.Quant(1 / 128, 0)
        elif node.kind in MOVES:
            quants[node.name] = quants[node.src]
    return quants


@torch.no_grad()
def equalize(nodes: list[Node], batches: list[Tensor], strength: float = 0.5) -> None:
    """Even out the channel ranges of ReLU tensors; the network's function stays the same.

    A channel that is divided by s before its ReLU is multiplied by s in the layer that reads it,
    be it behind a pool.  Only tensors that one convolution reads are changed (never a residual
    path).  Tensors with an end (`top`) only grow, and no further than that.  A silent channel
    stays as it is: each export of an int8 file that was trained on would make its weights larger.
    """
    peak: dict[str, Tensor] = {}

    def see(node: Node, x: Tensor, y: Tensor) -> None:
        top = y.transpose(0, 1).flatten(1).abs().amax(1)
        peak[node.name] = torch.maximum(peak[node.name], top) if node.name in peak else top

    for images in batches:
        run(nodes, to_input(images), see)
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for source in filter(None, (node.src, node.src2)):
            readers.setdefault(source, []).append(node)
    for node in nodes:
        if not node.relu:
            continue
        after = readers.get(node.name, [])
        while len(after) == 1 and after[0].kind in ("pool", "thin"):
            after = readers.get(after[0].name, [])
        if len(after) != 1 or after[0].w is None:
            continue
        (after,) = after
        top = peak[node.name].clamp(min=1e-3 * peak[node.name].max().item())
        s = (top / (top.mean() if node.top == math.inf else node.top)) ** strength
        s[peak[node.name] < top] = 1  # silent on photos: there is nothing to even out
        node.w.div_(s[:, None, None, None])
        node.b.div_(s)
        if after.kind == "depthwise":
            after.w.mul_(s[:, None, None, None])
        else:
            after.w.mul_(s[None, :, None, None])


# -- integers ------------------------------------------------------------------------------------


def _shifted(node: Node, shift: int) -> tuple[Tensor, Tensor, float]:
    """One-byte weights and biases in units of the step 2**(shift - 7); float64, and that step."""
    step = 2.0 ** (shift - 7)
    w, b = (p.double() / step for p in (node.w, node.b))
    w, b = w.clamp(-127, 127), b.clamp(-127, 127)
    return integer.straight_through(w.round(), w), integer.straight_through(b.round(), b), step


def integers(
    node: Node, source: graph.Quant, out: graph.Quant
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Weights (float32), biases (float64) as whole numbers with gradients, and weight scales."""
    if node.shift is not None:
        w, b, step = _shifted(node, node.shift)
        return w.float(), 128 * b, np.full(len(w), step * SHIFTED, np.float32)
    with torch.no_grad():
        scale = node.w.abs().amax((1, 2, 3)) / 127
        # A channel of tiny weights keeps its bias below 2**29 and its multiplier above 2**-19.
        scale = torch.maximum(scale, node.b.abs() / (source.scale * 2.0**29))
        scale = scale.clamp(min=out.scale / source.scale * 2.0**-19)
    if source.scale * scale.max().item() / out.scale >= 0.5:
        raise ValueError(
            f"layer {node.name}: its weights are too large for the scale of its output; train on, "
            "or calibrate with other images"
        )
    w = node.w.double() / scale.double()[:, None, None, None]
    b = node.b.double() / (source.scale * scale.double())
    w, b = integer.straight_through(w.round(), w), integer.straight_through(b.round(), b)
    return w.float(), b, scale.cpu().numpy()


def run_int8(nodes: list[Node], images: Tensor, quants: dict[str, graph.Quant]) -> Tensor:
    """Embeddings (n, dim) of images (n, H, W, 3) uint8, in the engine's integers."""
    x = images.permute(0, 3, 1, 2).float() - 128.0
    tensors = {graph.INPUT: x.contiguous(memory_format=torch.channels_last)}
    for node in nodes:
        x, source, out = tensors[node.src], quants[node.src], quants[node.name]
        if node.kind == "add":
            y = integer.add(x, tensors[node.src2], source, quants[node.src2], out, node.relu)
        elif node.kind == "pool":
            y = integer.pool(x, source, node.size)
        elif node.kind == "thin":
            y = thinned(x)
        elif node.kind == "space_to_depth":
            y = integer.space_to_depth(x, node.size)
        else:
            constants = integers(node, source, out)
            y = integer.conv(x, *constants, source, out, node.stride, node.relu)
        tensors[node.name] = y
    return tensors[nodes[-1].name].flatten(1) * quants[nodes[-1].name].scale


@torch.no_grad()
def to_graph(
    nodes: list[Node], quants: dict[str, graph.Quant], size: int, info: dict
) -> graph.Graph:
    """The integer graph, with a dense map that shares the weights of the embedding."""
    layers: list[graph.Layer] = []
    for node in nodes:
        source, out = quants[node.src], quants[node.name]
        if node.kind == "add":
            layers.append(graph.Add(node.name, node.src, node.src2, out))
        elif node.kind == "pool":
            layers.append(graph.AvgPool(node.name, node.src, node.size, node.size))
        elif node.kind == "thin":
            layers.append(graph.AvgPool(node.name, node.src, 1, 2))
        elif node.kind == "space_to_depth":
            layers.append(graph.SpaceToDepth(node.name, node.src, node.size))
        else:
            w, b, scale = integers(node, source, out)
            w, b = w.cpu().numpy().astype(np.int8), b.cpu().numpy().astype(np.int32)
            if node.kind == "depthwise":
                args = w[:, 0], b, scale, out, node.stride, node.relu
                layers.append(graph.Depthwise(node.name, node.src, *args))
                continue
            w = np.ascontiguousarray(w.transpose(0, 2, 3, 1))
            args = w, b, scale, out, node.stride, node.relu
            layers.append(graph.Conv(node.name, node.src, *args))
    layers += dense_tail(layers, quants[DENSE])
    return graph.Graph((size, size, 3), INPUT_QUANT, layers, EMBEDDING, DENSE, info)


def dense_tail(layers: list[graph.Layer], out: graph.Quant) -> list[graph.Layer]:
    """The layers of the dense map: the head, of every cell.

    A thin student's map has the cells, too, that its embedding leaves out: the convolutions
    behind that come once more.
    """
    head, src, tail = layers[-1], layers[-2].src, []
    thin = [i for i, x in enumerate(layers) if isinstance(x, graph.AvgPool) and x.kernel == 1]
    if thin:
        tail = graph.once_more(layers[thin[0] + 1 : -2], layers[thin[0]].src, f"{DENSE}.")
        src = tail[-1].name
    return [*tail, replace(head, name=DENSE, src=src, out=out, dense=True)]
