# SPDX-License-Identifier: MIT
"""`--init tvlm:FILE.tvlm`: an encoder in int8 as the start of a student, head included.

For whoever has the file and not the checkpoint that it was made of.  Weights are dequantized;
where the int8 net saturates (a ReLU's output ends at the top of its grid) the student does not.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tinyvlm.net import graph, tvlm
from tinyvlm.train.config import StudentConfig
from tinyvlm.train.pretrained_chain import Layer, student


def load(path: Path) -> tuple[StudentConfig, dict[str, Tensor]]:
    """The student of this file's shape and all of its weights.

    OSError, or ValueError in one sentence: the file is damaged, or no student has its layers.
    """
    net = tvlm.read(path)
    layers = [_layer(net, layer) for layer in net.layers if not net.is_dense(layer.name)]
    scheme = net.info.get("scheme", "tflite")
    if scheme == "tflite":
        _end_at_six(net, layers)
    try:
        config, state = student(layers, net.input_shape[0], scheme)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from None
    return config, state


def _end_at_six(net: graph.Graph, layers: list[Layer]) -> None:
    """Scale every ReLU tensor so that its int8 saturation is at 6: plain ReLUs become ReLU6.

    What is multiplied in one layer is divided out in those that read it; they are linear.
    """
    gain = {graph.INPUT: 1.0}  # of a tensor, over what the file means
    for layer in layers:
        own = gain[layer.src]
        if layer.weight is not None:
            factor = 1.0
            if layer.relu:
                quant = net.quant(layer.name)
                factor = 6 / ((127 - quant.zero_point) * quant.scale)
                layer.relu = "relu6"
            layer.weight, layer.bias = layer.weight * (factor / own), layer.bias * factor
            own = factor
        gain[layer.name] = own


def _layer(net: graph.Graph, layer: graph.Layer) -> Layer:
    """The same layer in float; its integers stand for multiples of scales."""
    if isinstance(layer, graph.Add):
        return Layer(layer.name, "add", layer.src, layer.src2)
    if isinstance(layer, graph.AvgPool):
        if (layer.kernel, layer.stride) == (1, 2):
            return Layer(layer.name, "thin", layer.src)
        height = net.shapes()[layer.src][0]
        side = 0 if layer.kernel in (0, height) else layer.kernel
        return Layer(layer.name, "pool", layer.src, side=side)
    if isinstance(layer, graph.SpaceToDepth):
        return Layer(layer.name, "space_to_depth", layer.src, side=layer.block)
    scale = torch.from_numpy(layer.weight_scale).double()
    weight = torch.from_numpy(layer.weights).double()
    kind = "depthwise" if isinstance(layer, graph.Depthwise) else "conv"
    weight = weight[:, None] if kind == "depthwise" else weight.permute(0, 3, 1, 2)
    weight = weight * scale[:, None, None, None]
    bias = torch.from_numpy(layer.bias).double() * scale * net.quant(layer.src).scale
    relu = "relu" if layer.relu else ""
    args = weight.float().contiguous(), bias.float(), layer.stride, relu
    return Layer(layer.name, kind, layer.src, "", *args)
