# SPDX-License-Identifier: MIT
"""The quantized network as plain data: what training produces and everything else consumes.

A `Graph` is a list of layers in execution order. Tensors are int8, shape (H, W, C); the tensor
that a layer writes has the layer's name; the image is called "input". Arithmetic is the TFLite
int8 scheme with double rounding (docs/format.md, "Arithmetic"); `reference.py` computes it
in numpy, `tvlm.py` stores it, `tflite.py` exports it.

Padding is TensorFlow's SAME for every kernel larger than 1 (`same_padding`); pooling is VALID.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

INPUT = "input"


@dataclass(frozen=True)
class Quant:
    """Affine quantization of a tensor: real = (q - zero_point) * scale.

    The scale is rounded to float32 on the way in, because that is what files hold; all
    multipliers are then derived in double precision from those float32 values.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))
        object.__setattr__(self, "zero_point", int(self.zero_point))
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")
        if not -128 <= self.zero_point <= 127:
            raise ValueError(f"zero point must be an int8, got {self.zero_point}")


@dataclass
class Conv:
    """Convolution with a square kernel (1 or odd), per-channel symmetric weights.

    weights: int8 (out_c, k, k, in_c); bias: int32 (out_c,), in units of in_scale * weight_scale,
    for inputs (q - in_zero_point); weight_scale: float32 (out_c,).
    `relu` clamps at out.zero_point, as TFLite does; at -128 saturation to int8 is the ReLU itself.
    `dense` marks the layer that makes the dense embedding map, and those that only it needs; they
    run only when that is wanted.
    """

    name: str
    src: str
    weights: np.ndarray
    bias: np.ndarray
    weight_scale: np.ndarray
    out: Quant
    stride: int = 1
    relu: bool = False
    dense: bool = False


@dataclass
class Depthwise:
    """Depthwise convolution, multiplier 1. weights: int8 (c, k, k); the rest as in Conv."""

    name: str
    src: str
    weights: np.ndarray
    bias: np.ndarray
    weight_scale: np.ndarray
    out: Quant
    stride: int = 1
    relu: bool = False


@dataclass
class Add:
    """Element-wise sum of two tensors of one shape, rescaled to `out` (TFLite ADD)."""

    name: str
    src: str
    src2: str
    out: Quant
    relu: bool = False


@dataclass
class AvgPool:
    """Average over `kernel` x `kernel` windows (0: the whole map); keeps scale and zero point."""

    name: str
    src: str
    kernel: int = 0
    stride: int = 0


@dataclass
class SpaceToDepth:
    """Every `block` x `block` square of pixels becomes one pixel, TFLite's SPACE_TO_DEPTH.

    Its channels are ordered row of the square, column of the square, channel of the input;
    scale and zero point stay.
    """

    name: str
    src: str
    block: int


Layer = Conv | Depthwise | Add | AvgPool | SpaceToDepth


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """TensorFlow SAME along one axis: (output size, padding before, padding after)."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


@dataclass(frozen=True)
class Window:
    """What one value of a layer's output is made of: kernel x kernel values, `stride` apart.

    pads: values of SAME padding before the first row and before the first column.
    """

    kernel: int
    stride: int
    pads: tuple[int, int] = (0, 0)


def window(layer: Layer, height: int, width: int) -> Window:
    """The window of a layer whose input is height x width. Nobody else derives it.

    That of an addition is a single value; a pool of the whole map takes the map's longer side.
    """
    if isinstance(layer, Add):
        return Window(1, 1)
    if isinstance(layer, AvgPool):
        kernel = layer.kernel or max(height, width)
        return Window(kernel, layer.stride or kernel)
    if isinstance(layer, SpaceToDepth):
        return Window(layer.block, layer.block)
    kernel, stride = layer.weights.shape[1], layer.stride
    top, left = (same_padding(size, kernel, stride)[1] for size in (height, width))
    return Window(kernel, stride, (top, left))


@dataclass
class Graph:
    """A quantized encoder. `embedding` and `dense` name the two output layers.

    An embedding made of fewer cells than the map has is a tail of its own: an AvgPool of kernel 1
    and stride 2 takes every second cell, and layers marked dense share the weights of those that
    come after it.

    The embedding has shape (1, 1, dim) and zero point 0, so that any prefix can be scored by
    integer dot products; the dense map has shape (h, w, dim), zero point 0, and may be absent.
    `info` travels in the file: name, text_space, data, licence, ... (JSON values).
    """

    input_shape: tuple[int, int, int]
    input: Quant
    layers: list[Layer]
    embedding: str
    dense: str | None = None
    info: dict = field(default_factory=dict)

    def layer(self, name: str) -> Layer:
        """The layer called `name`; KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer called {name!r}")

    def is_dense(self, name: str) -> bool:
        """Is tensor `name` there only when the dense map is wanted?"""
        return name != INPUT and getattr(self.layer(name), "dense", False)

    def quant(self, name: str) -> Quant:
        """Quantization of the tensor that layer `name` writes (or of the image)."""
        if name == INPUT:
            return self.input
        layer = self.layer(name)
        moves = isinstance(layer, AvgPool | SpaceToDepth)
        return self.quant(layer.src) if moves else layer.out

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """Shape (H, W, C) of every tensor by name. ValueError names the layer that misfits."""
        shapes = {INPUT: tuple(self.input_shape)}
        for layer in self.layers:
            if layer.name in shapes:
                raise ValueError(f"layer {layer.name!r}: the name is used twice")
            if layer.src not in shapes:
                raise ValueError(f"layer {layer.name!r}: reads {layer.src!r}, which comes later")
            shapes[layer.name] = _output_shape(layer, shapes)
        return shapes

    def macs(self, dense: bool = False) -> dict[str, int]:
        """Multiply-accumulates per layer, counted as out_h * out_w * out_c * k * k * in_c.

        Additions, pooling and SpaceToDepth count 0. Dense layers count only if `dense`.
        """
        shapes, macs = self.shapes(), {}
        for layer in self.layers:
            h, w, c = shapes[layer.name]
            taps = 0
            if isinstance(layer, Conv | Depthwise) and (dense or not getattr(layer, "dense", 0)):
                taps = layer.weights[0].size
            macs[layer.name] = h * w * c * taps
        return macs


def once_more(layers: list[Conv], src: str, prefix: str) -> list[Conv]:
    """These convolutions for the dense map alone, one after another from `src` on."""
    again: list[Conv] = []
    for layer in layers:
        again.append(replace(layer, name=prefix + layer.name, src=src, dense=True))
        src = again[-1].name
    return again


def _output_shape(layer: Layer, shapes: dict[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    h, w, c = shapes[layer.src]
    if isinstance(layer, Add):
        if shapes.get(layer.src2) != (h, w, c):
            raise ValueError(
                f"layer {layer.name!r}: cannot add {(h, w, c)} and {shapes.get(layer.src2)}"
            )
        return h, w, c
    if isinstance(layer, AvgPool):
        if not layer.kernel:
            return 1, 1, c
        k, stride = layer.kernel, window(layer, h, w).stride
        if k > h or k > w:
            raise ValueError(f"layer {layer.name!r}: window {k}x{k} is larger than {h}x{w}")
        return (h - k) // stride + 1, (w - k) // stride + 1, c
    if isinstance(layer, SpaceToDepth):
        block = layer.block
        if block < 1 or h % block or w % block:
            raise ValueError(
                f"layer {layer.name!r}: {h}x{w} cannot be cut into squares of {block}x{block}; "
                "height and width must be multiples of the block"
            )
        return h // block, w // block, c * block * block
    in_c = layer.weights.shape[3] if isinstance(layer, Conv) else layer.weights.shape[0]
    if in_c != c:
        raise ValueError(f"layer {layer.name!r}: weights want {in_c} channels, input has {c}")
    return -(-h // layer.stride), -(-w // layer.stride), layer.weights.shape[0]
