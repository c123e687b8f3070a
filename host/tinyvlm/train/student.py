# SPDX-License-Identifier: MIT
"""The student: a small convolutional image encoder described by a list of blocks.

Everything the integer engine does cheaply and nothing else: 3x3 convolution, 1x1 convolution,
depthwise 3x3, plain ReLU, residual sums of linear bottlenecks, global average pool.  A 96 x 96
image becomes a 6 x 6 map; the 256-number head is a linear 1x1 convolution, so it may stand before
the pool (a dense map, one embedding per cell) or after it (one embedding per image).

Pixels enter as (p - 128) / 128.  Padding is TensorFlow's SAME.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

DIMS = (16, 32, 64, 128, 256)  # Matryoshka prefixes


@dataclass(frozen=True)
class Block:
    """Inverted residual: 1x1 to `expand` channels, depthwise kernel x kernel, linear 1x1 to `out`.

    expand 0 leaves the first 1x1 out.  A residual sum is made when shape in = shape out.
    """

    out: int
    expand: int
    stride: int = 1
    kernel: int = 3


@dataclass(frozen=True)
class StudentConfig:
    """stem: channels of the first 3x3 stride-2 convolution; last: of the final 1x1 with ReLU."""

    stem: int = 16
    blocks: tuple[Block, ...] = (
        Block(24, 0, stride=2),  # 48 x 48 -> 24 x 24
        Block(40, 72, stride=2),  # -> 12 x 12
        Block(40, 120),
        Block(40, 120),
        Block(80, 160, stride=2),  # -> 6 x 6
        Block(80, 240),
        Block(80, 240),
    )
    last: int = 320
    dim: int = 256


class ConvBN(nn.Module):
    """Convolution with SAME padding, batch norm, optional ReLU."""

    def __init__(
        self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
    ):
        super().__init__()
        inner = kernel // 2 if stride == 1 else 0  # SAME is symmetric here, else see pad_same
        self.conv = nn.Conv2d(cin, cout, kernel, stride, inner, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(cout, momentum=0.05)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.stride[0] > 1:
            x = pad_same(x, self.conv.kernel_size[0], self.conv.stride[0])
        x = self.bn(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow SAME: the odd row and column of padding go to the bottom and the right."""
    if kernel == 1:
        return x
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class InvertedResidual(nn.Module):
    def __init__(self, cin: int, block: Block):
        super().__init__()
        mid = block.expand or cin
        self.expand = ConvBN(cin, mid, 1) if block.expand else None
        self.depthwise = ConvBN(mid, mid, block.kernel, block.stride, groups=mid)
        self.project = ConvBN(mid, block.out, 1, relu=False)
        self.residual = block.stride == 1 and block.out == cin

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expand else x
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class Student(nn.Module):
    """Images (n, 3, H, W) in [-1, 1) to embeddings (n, dim), not normalised."""

    def __init__(self, config: StudentConfig = StudentConfig()):
        super().__init__()
        self.config = config
        self.stem = ConvBN(3, config.stem, 3, 2)
        channels, blocks = config.stem, []
        for block in config.blocks:
            blocks.append(InvertedResidual(channels, block))
            channels = block.out
        self.blocks = nn.ModuleList(blocks)
        self.last = ConvBN(channels, config.last, 1)
        self.head = nn.Conv2d(config.last, config.dim, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """(n, last, h, w): what the head sees before the pool."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3), keepdim=True)).flatten(1)


def to_input(images: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float, channels last in memory."""
    return (images.float() - 128.0).div_(128.0).permute(0, 3, 1, 2)


def cost_table(config: StudentConfig, size: int = 96) -> list[tuple[str, str, int, int]]:
    """(layer, output shape, MACs, weights) of every convolution; the head counts once (pooled)."""
    rows: list[tuple[str, str, int, int]] = []

    def add(name: str, side: int, out: int, taps: int) -> None:
        rows.append((name, f"{side}x{side}x{out}", side * side * out * taps, out * taps))

    side, channels = size // 2, config.stem
    add("stem 3x3 s2", side, channels, 27)
    for i, b in enumerate(config.blocks):
        mid = b.expand or channels
        if b.expand:
            add(f"block{i} expand 1x1", side, mid, channels)
        side //= b.stride
        add(f"block{i} depthwise {b.kernel}x{b.kernel} s{b.stride}", side, mid, b.kernel**2)
        add(f"block{i} project 1x1", side, b.out, mid)
        channels = b.out
    add("last 1x1", side, config.last, channels)
    add("head 1x1", 1, config.dim, config.last)
    return rows
