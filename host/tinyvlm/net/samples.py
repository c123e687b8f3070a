# SPDX-License-Identifier: MIT
"""Quantized networks with random weights: what the bench, the cost model and the tests run.

Weights are random, scales are not: every layer's output scale is set from the accumulators that
a random image makes, so that outputs spread over the int8 range instead of saturating, and every
multiplier is one the engine accepts.

    graph = mobilenet_like(96)            # the net of the bench: 19.4 M MAC
    image = random_image(graph, seed)     # int8 (H, W, 3)

Own ones are put together with `Builder`.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from . import reference
from .graph import (
    INPUT,
    Add,
    AvgPool,
    Conv,
    Depthwise,
    Graph,
    Layer,
    Quant,
    SpaceToDepth,
    once_more,
)

IMAGE_QUANT = Quant(1 / 128, 0)
SHIFT_SCALE = 1 - 2.0**-24  # times a power of two: the multiplier that shifts (docs/format.md)


def random_image(graph: Graph, seed: int = 0) -> np.ndarray:
    """A blocky random image, int8 of the graph's input shape."""
    rng = np.random.default_rng(seed)
    h, w, c = graph.input_shape
    coarse = rng.integers(-128, 128, (-(-h // 4), -(-w // 4), c)).repeat(4, 0).repeat(4, 1)
    noise = rng.integers(-20, 21, (h, w, c))
    return np.clip(coarse[:h, :w] + noise, -128, 127).astype(np.int8)


class Builder:
    """Appends layers to a graph, choosing scales from what a random image produces."""

    def __init__(
        self,
        size: int | tuple[int, int],
        seed: int = 0,
        relu_points: tuple[int, ...] = (-128,),
    ) -> None:
        h, w = (size, size) if isinstance(size, int) else size
        self.relu_points = itertools.cycle(relu_points)  # zero points of ReLUs, in turn
        self.rng = np.random.default_rng(seed)
        self.graph = Graph((h, w, 3), IMAGE_QUANT, [], "")
        self.tensors = {INPUT: random_image(self.graph, seed + 1)}
        self.last = INPUT
        self.whole: tuple[str, int] | None = None  # what `thin` thins, and the layer after it

    def _append(self, layer: Layer) -> str:
        self.graph.layers.append(layer)
        self.tensors[layer.name] = reference.run_layer(self.graph, layer, self.tensors)
        if not getattr(layer, "dense", False):
            self.last = layer.name
        return layer.name

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.graph.layers)}"

    def conv(self, out_c, kernel=1, stride=1, relu=True, src=None, zero_point=None, **more) -> str:
        """A convolution (depthwise=True: per channel) of the last tensor, or of `src`."""
        src = src or self.last
        source, in_c = self.graph.quant(src), self.tensors[src].shape[-1]
        depthwise = more.pop("depthwise", False)
        shape = (in_c, kernel, kernel) if depthwise else (out_c, kernel, kernel, in_c)
        weights = self.rng.integers(-127, 128, shape, np.int16).astype(np.int8)
        channels = shape[0]
        weight_scale = self.rng.uniform(0.002, 0.02, channels).astype(np.float32)
        bias = np.zeros(channels, np.int32)
        # accumulators in real numbers, from float convolution by the same function: a unit
        # multiplier is not int8, so measure them through the tensors' own sums
        real = _accumulators(self.tensors[src], weights, source.zero_point, stride)
        real = real * (np.float64(source.scale) * weight_scale)
        offset = self.rng.normal(0, 0.3, channels) * (real.std() + 1e-6)
        bias = np.round(offset / (source.scale * weight_scale)).astype(np.int32)
        real = real + offset
        if relu:
            zero_point = next(self.relu_points) if zero_point is None else zero_point
            scale = max(np.quantile(real, 0.999), 1e-6) / (127 - zero_point)
        else:
            if zero_point is None:
                zero_point = int(self.rng.integers(-20, 21))
            scale = max(np.quantile(np.abs(real), 0.999), 1e-6) / (127 - abs(zero_point))
        # the engine wants multipliers below 0.5 and a shift of at most 30
        scale = max(scale, 2.001 * source.scale * float(weight_scale.max()))
        cls = Depthwise if depthwise else Conv
        name = more.pop("name", None) or self._name("dw" if depthwise else "conv")
        out = Quant(scale, zero_point)
        return self._append(
            cls(name, src, weights, bias, weight_scale, out, stride=stride, relu=relu, **more)
        )

    def shifted(self, out_c, kernel=1, relu=True, src=None, **more) -> str:
        """A convolution as the MAX78000 computes it: activations of scale 1/128 and zero point 0,
        one power of two for all weights, biases in multiples of 128 (`SHIFT_SCALE`).
        """
        src = src or self.last
        in_c = self.tensors[src].shape[-1]
        shape = out_c, kernel, kernel, in_c
        weights = self.rng.integers(-127, 128, shape, np.int16).astype(np.int8)
        bias = self.rng.integers(-127, 128, out_c).astype(np.int32) * 128
        acc = _accumulators(self.tensors[src], weights, 0, 1) + bias
        down = max(1, round(np.log2(np.quantile(np.abs(acc), 0.999) / 127)))
        weight_scale = np.full(out_c, SHIFT_SCALE * 2.0**-down, np.float32)
        name = more.pop("name", None) or self._name("conv")
        return self._append(
            Conv(name, src, weights, bias, weight_scale, IMAGE_QUANT, relu=relu, **more)
        )

    def depthwise(self, kernel=3, stride=1, relu=True, **more) -> str:
        return self.conv(0, kernel, stride, relu, depthwise=True, **more)

    def add(self, src2: str, relu: bool = False) -> str:
        """last + src2."""
        one, two = self.graph.quant(self.last), self.graph.quant(src2)
        real = (self.tensors[self.last].astype(float) - one.zero_point) * one.scale
        real += (self.tensors[src2].astype(float) - two.zero_point) * two.scale
        zero_point = next(self.relu_points) if relu else int(self.rng.integers(-20, 21))
        high = np.quantile(real if relu else np.abs(real), 0.999)
        scale = max(high, 1e-6) / (127 - (zero_point if relu else abs(zero_point)))
        return self._append(
            Add(self._name("add"), self.last, src2, Quant(scale, zero_point), relu=relu)
        )

    def pool(self, kernel: int = 0, stride: int = 0) -> str:
        return self._append(AvgPool(self._name("pool"), self.last, kernel, stride))

    def space_to_depth(self, block: int) -> str:
        return self._append(SpaceToDepth(self._name("depth"), self.last, block))

    def residual(self, out_c: int, expand: int, kernel=3, stride=1) -> str:
        """An inverted residual block of MobileNetV2: expand, depthwise, project, maybe add."""
        src, in_c = self.last, self.tensors[self.last].shape[-1]
        self.conv(in_c * expand)
        self.depthwise(kernel, stride)
        self.conv(out_c, relu=False)
        if stride == 1 and out_c == in_c:
            self.add(src)
        return self.last

    def thin(self) -> str:
        """Every second cell, from here to the embedding; the map has all of them."""
        self.whole = self.last, len(self.graph.layers) + 1
        return self.pool(1, 2)

    def _all_cells(self) -> str:
        """What the map is made of: the convolutions since `thin`, once more for it alone."""
        src, first = self.whole or (self.last, len(self.graph.layers))
        for layer in once_more(self.graph.layers[first:], src, "dense."):
            src = self._append(layer)
        return src

    def finish(self, dim: int, dense: bool = False, head=None) -> Graph:
        """Pool and embed; with `dense` also the map of embeddings. head: how both are made."""
        features, head = self.last, head or functools.partial(self.conv, zero_point=0)
        if dense:
            src = self._all_cells()
            self.graph.dense = head(dim, relu=False, src=src, name="dense", dense=True)
            self.last = features
        if self.tensors[self.last].shape[:2] != (1, 1):
            self.pool()
        self.graph.embedding = head(dim, relu=False, name="embed")
        self.graph.info = {"name": "random", "text_space": "none"}
        return self.graph


def _accumulators(x: np.ndarray, weights: np.ndarray, zero_point: int, stride: int) -> np.ndarray:
    """Float accumulators of a (depthwise) convolution over (x - zero_point), SAME padding."""
    kernel = weights.shape[1]
    pads = [reference.same_padding(n, kernel, stride)[1:] for n in x.shape[:2]]
    padded = np.pad(x.astype(np.float32) - zero_point, [*pads, (0, 0)])
    view = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(0, 1))
    view = view[::stride, ::stride]
    if weights.ndim == 3:
        return np.einsum("hwcyx,cyx->hwc", view, weights.astype(np.float32))
    flat = view.transpose(0, 1, 3, 4, 2).reshape(*view.shape[:2], -1)
    return flat @ weights.reshape(len(weights), -1).T.astype(np.float32)


def mobilenet_like(input: int = 96, seed: int = 0, dim: int = 256, dense: bool = True) -> Graph:
    """MobileNetV2-like net of the bench, expansion 6: 16 -> 8 -> 16 -> 24 -> 40 -> 56 -> 96."""
    build = Builder(input, seed)
    build.conv(16, 3, 2)
    build.depthwise()
    build.conv(8, relu=False)
    for out_c, repeats, stride in ((16, 2, 2), (24, 3, 2), (40, 4, 2), (56, 3, 1), (96, 3, 2)):
        for i in range(repeats):
            build.residual(out_c, 6, 3, stride if i == 0 else 1)
    return build.finish(dim, dense)


def base_like(input: int = 96, seed: int = 0, dim: int = 256, dense: bool = True) -> Graph:
    """About 10 M MAC, expansions 3-4, a 6 x 6 map: the size of net that training aims at."""
    build = Builder(input, seed)
    build.conv(16, 3, 2)
    build.residual(16, 2, 3, 2)
    for out_c, repeats, stride, expand in ((16, 1, 1, 3), (32, 2, 2, 4), (64, 3, 2, 5)):
        for i in range(repeats):
            build.residual(out_c, expand, 3, stride if i == 0 else 1)
    build.conv(192)
    return build.finish(dim, dense)


def max78000_like(input: int = 96, seed: int = 0, dim: int = 256, dense: bool = True) -> Graph:
    """A net in the arithmetic of the MAX78000's accelerator: 17 M MAC, no residuals, `shifted`."""
    build = Builder(input, seed)
    build.space_to_depth(4)
    build.shifted(32, 3)
    build.pool(2)
    build.shifted(48, 3)
    build.shifted(48, 3)
    build.pool(2)
    for _ in range(3):
        build.shifted(64, 3)
    build.shifted(128)
    graph = build.finish(dim, dense, build.shifted)
    graph.info["scheme"] = "max78000"
    return graph


def varied(
    seed: int, input: int = 96, dim: int = 256, dense: bool = False, kernels: tuple = (3,)
) -> Graph:
    """A net like those above with random widths, depths and expansions: to fit and test costs.

    kernels: of the depthwise layers in residual blocks, in turn. Every fourth net begins with
    SpaceToDepth, pools on its way and has its ReLUs at zero point 0.
    """
    rng, kernels = np.random.default_rng(seed), itertools.cycle(kernels)
    shuffled = seed % 4 == 3
    build = Builder(input, seed, (0,) if shuffled else (-128,))
    if shuffled:
        build.space_to_depth(2 << seed // 4 % 2)
        build.conv(int(rng.integers(6, 21)), 3)
        if build.tensors[build.last].shape[0] >= 48:
            build.pool(2)
    else:
        build.conv(int(rng.integers(6, 21)), 3, 2)
    if rng.integers(0, 2):
        build.depthwise()
        build.conv(int(rng.integers(6, 17)), relu=False)
    width = int(rng.integers(8, 25))
    for stride in (2, 2, 1, 2):
        for i in range(int(rng.integers(1, 4))):
            expand = int(rng.integers(2, 7))
            build.residual(width, expand, next(kernels), stride if i == 0 else 1)
        width = int(width * rng.uniform(1.2, 1.8))
    if rng.integers(0, 2):
        build.conv(int(rng.integers(100, 300)))
    return build.finish(dim, dense)
