# SPDX-License-Identifier: MIT
"""One layer of the graph in the accelerator's terms, or a refusal.

The accelerator adds, shifts right with half up and clips; the graph multiplies by M and rounds
twice. Both give the same values where M = 2**-d * (1 - 2**-24), the sum stays below 2**23 (or
saturates) and a ReLU removes the negative halves, which the two round to different sides.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from ..net.graph import INPUT, Add, AvgPool, Conv, Graph, Layer, Quant
from ..net.reference import conv_multipliers
from .rules import MOST_CHANNELS

UNIT = Quant(1 / 128, 0)  # all maps of the accelerator
ONE_SHIFT = (1 << 31) - 128  # the multiplier of 1 - 2**-24


def refuse(layer: Layer, why: str) -> NoReturn:
    """ValueError with the layer's name."""
    raise ValueError(f"layer {layer.name!r}: {why}")


def _check_quant(layer: Layer, graph: Graph, *names: str) -> None:
    for name in names:
        quant = graph.quant(name)
        if quant != UNIT:
            what = "the image" if name == INPUT else f"map {name!r}"
            refuse(
                layer,
                f"{what} has scale {quant.scale:g} and zero point {quant.zero_point}; the "
                "accelerator's maps have 1/128 and 0",
            )


def _convolution(layer: Conv, graph: Graph) -> dict:
    out_c, kernel, _, in_c = layer.weights.shape
    if max(in_c, out_c) > MOST_CHANNELS:
        refuse(layer, f"{in_c} channels in, {out_c} out; {MOST_CHANNELS} are the most")
    if kernel not in (1, 3):
        refuse(layer, f"a kernel of {kernel}x{kernel}; only 1x1 and 3x3 convolve")
    if layer.stride != 1:
        refuse(layer, f"stride {layer.stride}; the accelerator's is 1, pool instead")
    _check_quant(layer, graph, layer.src)
    return {"weights": layer.weights.astype(np.int64).transpose(0, 3, 1, 2), "pad": kernel // 2}


def hidden(layer: Conv, graph: Graph) -> dict:
    """Arguments of a `Layer` for a convolution whose output is int8."""
    arguments = _convolution(layer, graph)
    _check_quant(layer, graph, layer.name)
    if not layer.relu:
        refuse(
            layer, "has no ReLU; the accelerator and the graph round negative halves differently"
        )
    mult, shift = conv_multipliers(
        graph.quant(layer.src).scale, layer.weight_scale, graph.quant(layer.name).scale
    )
    if (mult != ONE_SHIFT).any() or shift.min() != shift.max():
        refuse(
            layer, "its weights do not share one power of two as their scale (1 - 2**-24 of it)"
        )
    right = int(shift[0])
    if not 1 <= right <= 22:
        refuse(layer, f"a shift of {right} bits right; 1 to 22 are possible")
    bias = layer.bias.astype(np.int64)
    if (bias % 128).any() or bias.min() < -128 * 128 or bias.max() > 127 * 128:
        refuse(layer, "a bias is not 128 times an int8")
    most = 128 * int(np.abs(arguments["weights"]).sum(axis=(1, 2, 3)).max()) + 128 * 128
    if right > 16 and most >= 1 << 23:
        refuse(layer, f"sums of up to {most} with a shift of {right}: rounding could differ")
    bias = bias // 128 if bias.any() else None
    return arguments | {"bias": bias, "shift": 7 - right, "activation": "relu"}


def head(layer: Conv, graph: Graph) -> dict:
    """The same for the last layer: sums of 32 bits, which the CPU rescales."""
    if layer.relu:
        refuse(layer, "the last layer has a ReLU; its sums are rescaled without one")
    return _convolution(layer, graph) | {"wide": True}


def check_pool(layer: AvgPool, graph: Graph, signed: bool) -> None:
    """Averages of negative values are not verified. signed: there can be some."""
    if signed:
        refuse(layer, "pools the image, or a sum with it; negative values cannot be averaged")
    _check_quant(layer, graph, layer.src)


def check_add(layer: Add, graph: Graph, signed: bool) -> None:
    """The accelerator adds and clips; it does not rescale, and a ReLU must have nothing to do."""
    _check_quant(layer, graph, layer.src, layer.src2, layer.name)
    if layer.relu and signed:
        refuse(layer, "an addition has no ReLU, and the image can be negative")
