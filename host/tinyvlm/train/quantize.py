# SPDX-License-Identifier: MIT
"""From a trained student to the integer graph: fold, equalize, calibrate, fine-tune, export.

The student becomes a flat list of nodes with batch norm folded in.  One executor runs the list:
in float, or with every weight and activation rounded to the int8 grid that the engine will use
(fake quantization, straight-through gradients), which serves for calibration and for fine-tuning.

Grids: weights symmetric per output channel, [-127, 127]; ReLU outputs [0, max], zero point -128;
linear outputs any zero point; embedding and dense map symmetric, zero point 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinyvlm import graph
from tinyvlm.train.student import ConvBN, Student, pad_same

INPUT_QUANT = graph.Quant(1 / 128, 0)
LAST, POOL, EMBEDDING, DENSE = "last", "pool", "embedding", "map"


@dataclass
class Node:
    """One layer: kind is conv, depthwise, add or pool; w is (out, in / groups, k, k)."""

    name: str
    kind: str
    src: str
    src2: str = ""
    w: nn.Parameter | None = None
    b: nn.Parameter | None = None
    stride: int = 1
    relu: bool = False


def fold(model: Student) -> list[Node]:
    """The student as nodes in execution order, batch norm folded into weights and biases."""
    nodes: list[Node] = []

    def conv(name: str, m: ConvBN, src: str) -> str:
        gain = m.bn.weight / torch.sqrt(m.bn.running_var + m.bn.eps)
        w = (m.conv.weight * gain[:, None, None, None]).detach().clone()
        b = (m.bn.bias - m.bn.running_mean * gain).detach().clone()
        kind = "depthwise" if m.conv.groups > 1 else "conv"
        w, b = nn.Parameter(w), nn.Parameter(b)
        nodes.append(Node(name, kind, src, "", w, b, m.conv.stride[0], m.relu))
        return name

    x = conv("stem", model.stem, graph.INPUT)
    for i, block in enumerate(model.blocks):
        y = conv(f"block{i}.expand", block.expand, x) if block.expand else x
        y = conv(f"block{i}.depthwise", block.depthwise, y)
        y = conv(f"block{i}.project", block.project, y)
        if block.residual:
            nodes.append(Node(f"block{i}.add", "add", y, x))
            y = nodes[-1].name
        x = y
    conv(LAST, model.last, x)
    nodes.append(Node(POOL, "pool", LAST))
    w, b = (nn.Parameter(p.detach().clone()) for p in (model.head.weight, model.head.bias))
    nodes.append(Node(EMBEDDING, "conv", POOL, "", w, b))
    return nodes


# -- grids ---------------------------------------------------------------------------------------


def fake_quant(x: Tensor, q: graph.Quant) -> Tensor:
    """x on the int8 grid q; the gradient passes where x is inside the range."""
    y = (x / q.scale + q.zero_point).clamp(-128, 127)
    y = y + (y.round() - y).detach()
    return (y - q.zero_point) * q.scale


def weight_scale(w: Tensor) -> Tensor:
    """(out,) step of symmetric per-channel int8 weights."""
    return w.detach().abs().amax((1, 2, 3)).clamp(min=1e-7) / 127


def fake_quant_weight(w: Tensor) -> Tensor:
    s = weight_scale(w)[:, None, None, None]
    return w + ((w / s).round().clamp(-127, 127) * s - w).detach()


def run(
    nodes: list[Node],
    x: Tensor,
    quants: dict[str, graph.Quant] | None = None,
    see: Callable[[str, Tensor], None] | None = None,
) -> Tensor:
    """Embeddings (n, dim) of x (n, 3, H, W); on int8 grids if `quants` is given."""
    tensors = {graph.INPUT: x}
    for node in nodes:
        x = tensors[node.src]
        if node.kind == "add":
            y = x + tensors[node.src2]
        elif node.kind == "pool":
            y = x.mean((2, 3), keepdim=True)
        else:
            w = fake_quant_weight(node.w) if quants else node.w
            groups = len(w) if node.kind == "depthwise" else 1
            x = pad_same(x, w.shape[2], node.stride)
            y = F.conv2d(x, w, node.b, node.stride, groups=groups)
            y = F.relu(y) if node.relu else y
        if see:
            see(node.name, y)
        tensors[node.name] = fake_quant(y, quants[node.name]) if quants else y
    return tensors[nodes[-1].name].flatten(1)


# -- calibration ---------------------------------------------------------------------------------


def _grid(low: float, high: float, symmetric: bool) -> graph.Quant:
    if symmetric:
        return graph.Quant(max(-low, high, 1e-6) / 127, 0)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return graph.Quant(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def best_grid(values: Tensor, symmetric: bool) -> graph.Quant:
    """The grid of least mean squared error over a few ways to clip the range of `values`."""
    low, high = values.min().item(), values.max().item()
    best, best_error = None, float("inf")
    for shrink in np.linspace(0.3, 1.0, 29):
        q = _grid(low * shrink, high * shrink, symmetric)
        error = (fake_quant(values, q) - values).square().mean().item()
        if error < best_error:
            best, best_error = q, error
    return best


@torch.no_grad()
def calibrate(nodes: list[Node], batches: list[Tensor]) -> dict[str, graph.Quant]:
    """A grid for every tensor and for the dense map, from images (n, 3, H, W)."""
    seen: dict[str, list[Tensor]] = {}
    generator = torch.Generator().manual_seed(0)

    def see(name: str, y: Tensor) -> None:
        flat = y.flatten()
        pick = torch.randint(len(flat), (20_000,), generator=generator)
        seen.setdefault(name, []).extend((flat[pick], flat.max()[None], flat.min()[None]))
        if name == LAST:
            head = nodes[-1]
            see(DENSE, F.conv2d(y, head.w, head.b))

    for x in batches:
        run(nodes, x, see=see)
    quants = {n: best_grid(torch.cat(v), n in (EMBEDDING, DENSE)) for n, v in seen.items()}
    quants[POOL] = quants[LAST]  # pooling keeps scale and zero point
    return quants


@torch.no_grad()
def equalize(nodes: list[Node], batches: list[Tensor], strength: float = 0.5) -> None:
    """Even out the channel ranges of ReLU tensors; the network's function stays the same.

    A channel that is divided by s before its ReLU is multiplied by s in the layer that reads it.
    Only tensors that one convolution reads are changed (never a residual path).
    """
    peak: dict[str, Tensor] = {}

    def see(name: str, y: Tensor) -> None:
        top = y.transpose(0, 1).flatten(1).abs().amax(1)
        peak[name] = torch.maximum(peak[name], top) if name in peak else top

    for x in batches:
        run(nodes, x, see=see)
    reader = {node.src: node for node in nodes}
    for node in nodes:
        if not node.relu:
            continue
        after = reader[reader[node.name].name] if node.name == LAST else reader[node.name]
        top = peak[node.name].clamp(min=1e-3 * peak[node.name].max().item())
        s = (top / top.mean()) ** strength
        node.w.div_(s[:, None, None, None])
        node.b.div_(s)
        if after.kind == "depthwise":
            after.w.mul_(s[:, None, None, None])
        else:
            after.w.mul_(s[None, :, None, None])


# -- export --------------------------------------------------------------------------------------


def to_graph(
    nodes: list[Node], quants: dict[str, graph.Quant], size: int, info: dict
) -> graph.Graph:
    """The integer graph, with a dense map layer that shares the head's weights."""
    layers: list[graph.Layer] = []
    dense = None
    for node in nodes:
        out = quants[node.name]
        if node.kind == "add":
            layers.append(graph.Add(node.name, node.src, node.src2, out))
            continue
        if node.kind == "pool":
            layers.append(graph.AvgPool(node.name, node.src))
            continue
        source = INPUT_QUANT if node.src == graph.INPUT else quants[node.src]
        w, b = node.w.detach().double().numpy(), node.b.detach().double().numpy()
        scale = weight_scale(node.w).double().numpy()
        # A channel of tiny weights and a large bias must keep its bias below 2**30.
        scale = np.maximum(scale, np.abs(b) / (source.scale * 2.0**30))
        scale = scale.astype(np.float32)
        if (source.scale * scale.astype(np.float64) / out.scale).max() >= 0.5:
            raise ValueError(f"layer {node.name}: multiplier of 0.5 or more")
        step = scale.astype(np.float64)
        q = np.clip(np.round(w / step[:, None, None, None]), -127, 127).astype(np.int8)
        bias = np.round(b / (source.scale * step)).astype(np.int32)
        if node.kind == "depthwise":
            args = (q[:, 0], bias, scale, out, node.stride, node.relu)
            layers.append(graph.Depthwise(node.name, node.src, *args))
            continue
        q = np.ascontiguousarray(q.transpose(0, 2, 3, 1))
        layers.append(graph.Conv(node.name, node.src, q, bias, scale, out, node.stride, node.relu))
        if node.name == EMBEDDING:
            dense = graph.Conv(DENSE, LAST, q, bias, scale, quants[DENSE], dense=True)
    layers.append(dense)
    return graph.Graph((size, size, 3), INPUT_QUANT, layers, EMBEDDING, DENSE, info)
