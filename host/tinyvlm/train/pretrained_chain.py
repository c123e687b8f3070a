# SPDX-License-Identifier: MIT
"""A student from a list of float layers: how a net that somebody else trained becomes ours.

    config, state = student(layers, size=160)

The layers are those of an inverted-residual net (MobileNetV2, MnasNet, MCUNet), or convolutions
and pools of a net for the MAX78000, in the order in which they run, batch norm folded into
weights and biases.  The walk along the list says which layer fits no student.

The state's batch norms have mean 0 and deviation 1: they compute what the folded net computes.
Training them needs the statistics of photos, which `settle` measures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tinyvlm.net.graph import INPUT
from tinyvlm.train.config import DIMS, Bottleneck, Conv, StudentConfig
from tinyvlm.train.student import GAIN, ConvBN, Student

State = dict[str, Tensor]
EPSILON = torch.nn.BatchNorm2d(1).eps


@dataclass
class Layer:
    """kind: conv, depthwise, add, pool, thin (every second cell) or space_to_depth.

    weight: (out, in, k, k), of depthwise layers (c, 1, k, k); bias: (out,)
    relu:   "", "relu" or "relu6"
    side:   of pooling windows (0: the whole map), or of space to depth's squares
    """

    name: str
    kind: str
    src: str
    src2: str = ""
    weight: Tensor | None = None
    bias: Tensor | None = None
    stride: int = 1
    relu: str = ""
    side: int = 0

    @property
    def kernel(self) -> int:
        return self.weight.shape[-1]


def student(layers: list[Layer], size: int, scheme: str = "tflite") -> tuple[StudentConfig, State]:
    """The shape that these layers have, and their weights under the names of a Student's state.

    The layers end with the global average pool, or with the linear head after it.  Without a head
    the state has none.  ValueError names the layer that no student has, and says why.
    """
    return _Walk(layers, scheme).student(size)


class _Walk:
    """Takes layers from the front of the list; each must read what the one before it wrote."""

    def __init__(self, layers: list[Layer], scheme: str):
        self.layers, self.scheme = list(layers), scheme
        self.state: State = {}
        self.tensor, self.channels = INPUT, 3
        self.relus: set[str] = set()
        self.thin = False

    def is_next(self, kind: str, kernel: int = 0, relu: bool | None = None, skip: int = 0) -> bool:
        if len(self.layers) <= skip:
            return False
        layer = self.layers[skip]
        return (
            layer.kind == kind
            and (not kernel or layer.kernel == kernel)
            and (relu is None or bool(layer.relu) == relu)
        )

    def take(self, wanted: str) -> Layer:
        """The next layer; the caller has looked at its kind."""
        layer = self.layers.pop(0)
        if layer.src != self.tensor:
            raise ValueError(f"layer {layer.name}: {wanted} should read {self.tensor}")
        self.tensor = layer.name
        return layer

    def refuse(self, wanted: str) -> ValueError:
        found = f"layer {self.layers[0].name} is no" if self.layers else "the net ends before a"
        return ValueError(f"{found} {wanted}, which a student has here")

    def convolution(self, name: str, wanted: str) -> Layer:
        """Take a convolution; its weights go to the ConvBN `name`."""
        layer = self.take(wanted)
        if layer.relu:
            self.relus.add(layer.relu)
        outer = GAIN if self.scheme == "max78000" else 1.0  # what the student multiplies by
        count = len(layer.weight)
        self.state |= {
            f"{name}.conv.weight": layer.weight,
            f"{name}.bn.weight": torch.full((count,), 1 / outer),
            f"{name}.bn.bias": layer.bias / outer,
            f"{name}.bn.running_mean": torch.zeros(count),
            f"{name}.bn.running_var": torch.full((count,), 1 - EPSILON),
            f"{name}.bn.num_batches_tracked": torch.tensor(0),
        }
        self.channels = count
        return layer

    def student(self, size: int) -> tuple[StudentConfig, State]:
        if self.scheme == "max78000":
            if not self.is_next("space_to_depth"):
                raise self.refuse("space to depth")
            stem = self.take("space to depth").side
            self.channels = 3 * stem**2
        else:
            if not self.is_next("conv", 3, True) or self.layers[0].stride != 2:
                raise self.refuse("3x3 convolution of stride 2 with a ReLU")
            stem = len(self.convolution("stem", "the first convolution").weight)
        blocks: list[Bottleneck | Conv] = []
        while block := self.block(f"blocks.{len(blocks)}"):
            blocks.append(block)
        last = 0
        if self.is_next("conv", 1, True):
            last = len(self.convolution("last", "the last convolution").weight)
        if not self.is_next("pool") or self.layers[0].side:
            raise self.refuse("global average pool")
        self.take("the pool")
        dim = DIMS[-1]
        if self.layers:
            if not self.is_next("conv", 1, False):
                raise self.refuse("linear 1x1 convolution")
            head = self.take("the head")
            self.state |= {"head.weight": head.weight, "head.bias": head.bias}
            dim = len(head.weight)
        if self.layers:
            raise ValueError(f"layer {self.layers[0].name} comes after what a student ends with")
        if len(self.relus) > 1:
            raise ValueError("some layers end with ReLU and some with ReLU6; a student has one")
        relu6 = "relu6" in self.relus
        shape = StudentConfig(size, stem, tuple(blocks), last, dim, self.scheme, relu6, self.thin)
        return shape, self.state

    def block(self, name: str) -> Bottleneck | Conv | None:
        """The next block, or None where the blocks end."""
        if self.scheme == "max78000":
            return self.pooled(name)
        has_expand = self.is_next("conv", 1, True) and self.is_next("depthwise", skip=1)
        if not has_expand and not self.is_next("depthwise"):
            return None
        src, channels, expand = self.tensor, self.channels, 0
        if has_expand:
            expand = len(self.convolution(f"{name}.expand", "an expansion").weight)
        if not self.is_next("depthwise", relu=True):
            raise self.refuse("depthwise convolution with a ReLU")
        depthwise = self.convolution(f"{name}.depthwise", "a depthwise convolution")
        if self.thin:
            raise ValueError(f"layer {depthwise.name}: no cell may be left out before it")
        if self.is_next("thin"):
            self.take("every second cell")
            self.thin = True
        if not self.is_next("conv", 1, False):
            raise self.refuse("linear 1x1 convolution")
        out = len(self.convolution(f"{name}.project", "a projection").weight)
        same = has_expand and depthwise.stride == 1 and out == channels
        if same != self.is_next("add"):
            raise self.refuse("residual sum" if same else "layer without a residual sum")
        if same:
            self.sum(src)
        return Bottleneck(out, expand, depthwise.stride, depthwise.kernel)

    def sum(self, src: str) -> None:
        """Take the residual sum of the block's input `src` and its output."""
        layer = self.layers.pop(0)
        if {layer.src, layer.src2} != {src, self.tensor}:
            raise ValueError(f"layer {layer.name}: a sum of {self.tensor} and {src} belongs here")
        self.tensor = layer.name

    def pooled(self, name: str) -> Conv | None:
        """[A pool, and] a convolution with a ReLU that is not the last one."""
        pools = self.is_next("pool") and self.layers[0].side > 1
        if not self.is_next("conv", relu=True, skip=int(pools)):
            return None
        if not pools and self.is_next("conv", 1) and self.is_next("pool", skip=1):
            if not self.layers[1].side:
                return None
        pool = self.take("a pool").side if pools else 1
        layer = self.convolution(name, "a convolution")
        return Conv(len(layer.weight), layer.kernel, pool)


@torch.no_grad()
def settle(model: Student, batches: Iterable[Tensor]) -> None:
    """Give the batch norms the statistics of images, without changing what the student computes.

    batches: (n, 3, H, W) in [-1, 1), about 1,000 images in all.  A norm gets the mean and the
    variance of its inputs, and a scale and a shift that undo what this changes.  From then on it
    may be trained like any other; until then it is only good frozen.
    """
    was_training = model.training
    model.eval()
    sums: dict[ConvBN, list[Tensor]] = {}

    def see(module: ConvBN, args: tuple[Tensor], y: Tensor) -> None:
        numbers = y.transpose(0, 1).flatten(1).double()
        moments = torch.stack([numbers.mean(1), numbers.square().mean(1)])
        sums.setdefault(module, []).append(moments)

    norms = [m for m in model.modules() if isinstance(m, ConvBN)]
    hooks = [m.conv.register_forward_hook(lambda _, x, y, m=m: see(m, x, y)) for m in norms]
    for images in batches:
        model(images)
    for hook in hooks:
        hook.remove()
    for m, seen in sums.items():
        mean, square = torch.stack(seen).mean(0)
        variance = (square - mean.square()).clamp(min=1e-8)
        scale = m.bn.weight / torch.sqrt(m.bn.running_var + m.bn.eps)
        shift = m.bn.bias - m.bn.running_mean * scale
        m.bn.weight.copy_(scale * torch.sqrt(variance + m.bn.eps))
        m.bn.bias.copy_(shift + mean * scale)
        m.bn.running_mean.copy_(mean)
        m.bn.running_var.copy_(variance)
    model.train(was_training)
