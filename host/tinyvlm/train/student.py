# SPDX-License-Identifier: MIT
"""The student: a small convolutional image encoder described by a list of blocks.

Everything the integer engines do cheaply and nothing else.  Scheme `tflite`: 3x3 convolution, 1x1
convolution, depthwise 3x3, plain ReLU, residual sums of linear bottlenecks.  Scheme `max78000`:
3x3 and 1x1 convolutions of stride 1, average pools, and activations that never leave
[0, 127/128], the range of that accelerator's int8 data, in float training already.

A 96 x 96 image becomes a 6 x 6 map; the head, of 256 dimensions, is a linear 1x1 convolution, so
it may stand before the global average pool (a dense map, one embedding per cell) or after it (one
embedding per image).  Pixels enter as (p - 128) / 128.  Padding is TensorFlow's SAME.

Neighbouring cells see nearly the same: a `thin` student embeds an image by every second row and
column of them.  Behind the last depthwise convolution all layers are 1x1, so the cells that are
left out cost nothing, and the map can still be made of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tinyvlm.train.config import Bottleneck, Conv, StudentConfig

TOP = 127 / 128  # largest int8 value in units of 1/128
GAIN = 1 / 4  # batch norm leaves values of deviation 1; a quarter keeps 4 deviations below TOP


class ConvBN(nn.Module):
    """Convolution with SAME padding, batch norm, optional ReLU.

    `bounded`: what batch norm gives is scaled by GAIN, and the ReLU's output ends at TOP.
    `relu6`: the ReLU's output ends at 6.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
        bounded: bool = False,
        relu6: bool = False,
    ):
        super().__init__()
        inner = kernel // 2 if stride == 1 else 0  # SAME is symmetric here, else see pad_same
        self.conv = nn.Conv2d(cin, cout, kernel, stride, inner, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(cout, momentum=0.05)
        self.relu, self.bounded = relu, bounded
        self.top = TOP if bounded else 6.0 if relu6 else math.inf

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.stride[0] > 1:
            x = pad_same(x, self.conv.kernel_size[0], self.conv.stride[0])
        x = self.bn(self.conv(x))
        if self.bounded:
            return F.hardtanh(x * GAIN, 0.0, TOP)
        if not self.relu:
            return x
        return F.relu(x, inplace=True) if self.top == math.inf else F.hardtanh(x, 0.0, self.top)


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow SAME: the odd row and column of padding go to the bottom and the right."""
    if kernel == 1:
        return x
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class SpaceToDepth(nn.Module):
    """(n, 3, H, W) -> (n, 3 b b, H/b, W/b): channels in the order row phase, column phase, rgb."""

    def __init__(self, block: int):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        b, (n, c, h, w) = self.block, x.shape
        x = x.reshape(n, c, h // b, b, w // b, b)
        return x.permute(0, 3, 5, 1, 2, 4).reshape(n, b * b * c, h // b, w // b)


class InvertedResidual(nn.Module):
    """A Bottleneck."""

    def __init__(self, cin: int, block: Bottleneck, relu6: bool = False):
        super().__init__()
        mid = block.expand or cin
        self.expand = ConvBN(cin, mid, 1, relu6=relu6) if block.expand else None
        self.depthwise = ConvBN(mid, mid, block.kernel, block.stride, groups=mid, relu6=relu6)
        self.project = ConvBN(mid, block.out, 1, relu=False)
        self.residual = block.stride == 1 and block.out == cin and block.expand > 0
        self.thin = False  # goes on with every second cell,
        self.first = (0, 0)  # from this row and column on

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expand else x
        y = self.depthwise(y)
        if self.thin:
            y = thinned(y, *self.first)
        y = self.project(y)
        return x + y if self.residual else y


def thinned(x: Tensor, row: int = 0, column: int = 0) -> Tensor:
    """Every second row and column of (n, c, h, w), from these on; of a single one that one."""
    return x[:, :, row % x.shape[2] :: 2, column % x.shape[3] :: 2]


class PooledConv(ConvBN):
    """A Conv: average pool, then a convolution."""

    def __init__(self, cin: int, block: Conv, bounded: bool):
        super().__init__(cin, block.out, block.kernel, bounded=bounded)
        self.pool = block.pool

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.avg_pool2d(x, self.pool) if self.pool > 1 else x)


class Student(nn.Module):
    """Images (n, 3, H, W) in [-1, 1) to embeddings (n, dim), not normalised."""

    def __init__(self, config: StudentConfig):
        super().__init__()
        self.config = config
        self.grad_checkpointing = False
        self.frozen: list[nn.Module] = []
        bounded = config.scheme == "max78000"
        if bounded:
            self.stem = SpaceToDepth(config.stem)
            channels = 3 * config.stem**2
        else:
            self.stem = ConvBN(3, config.stem, 3, 2, relu6=config.relu6)
            channels = config.stem
        blocks: list[nn.Module] = []
        for block in config.blocks:
            if isinstance(block, Conv):
                blocks.append(PooledConv(channels, block, bounded))
            elif bounded:
                raise ValueError("scheme max78000 has no depthwise convolution: use Conv blocks")
            else:
                blocks.append(InvertedResidual(channels, block, config.relu6))
            channels = block.out
        self.blocks = nn.ModuleList(blocks)
        if config.thin:
            blocks[-1].thin = True
        last = {"bounded": bounded, "relu6": config.relu6}
        self.last = ConvBN(channels, config.last, 1, **last) if config.last else None
        self.head = nn.Conv2d(config.last or channels, config.dim, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def freeze(self, count: int) -> None:
        """The stem and the first `count` blocks learn no more, nor do their batch norms."""
        self.frozen = [self.stem, *self.blocks[:count]] if count else []
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Student:
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep what lies between blocks, not within: less memory, a forward pass more."""
        self.grad_checkpointing = enable

    @torch.no_grad()
    def settle(self, x: Tensor) -> None:
        """Give the batch norms the statistics of images (n, 3, H, W), and keep the function.

        Weights without batch norm (an int8 file's) come with statistics that are no one's: in
        training, where a batch's own are used, the net would be another.
        """
        seen: dict[nn.BatchNorm2d, Tensor] = {}
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        hooks = [m.register_forward_pre_hook(lambda m, x: seen.update({m: x[0]})) for m in norms]
        training = self.training
        self.eval()(x)
        self.train(training)
        for hook in hooks:
            hook.remove()
        for m, y in seen.items():
            variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
            slope = m.weight / torch.sqrt(m.running_var + m.eps)
            m.bias += slope * (mean - m.running_mean)
            m.weight.copy_(slope * torch.sqrt(variance + m.eps))
            m.running_mean.copy_(mean)
            m.running_var.copy_(variance)

    def features(self, x: Tensor) -> Tensor:
        """(n, channels, h, w): what the head sees before the pool."""
        if self.config.thin:
            # in training each step begins elsewhere, so that all cells of the map become good
            block = self.blocks[-1]
            step = int(block.depthwise.bn.num_batches_tracked) if self.training else 0
            block.first = (step % 2, step // 2 % 2)
        x = self.stem(x)
        for block in self.blocks:
            x = again(block, x) if self.grad_checkpointing and self.training else block(x)
        return self.last(x) if self.last else x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3), keepdim=True)).flatten(1)


@contextmanager
def still(module: nn.Module) -> Iterator[None]:
    """Batch norms in training do not count what comes now: a batch that they have seen before."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def again(block: nn.Module, x: Tensor) -> Tensor:
    """block(x), computed anew for its gradients."""

    def contexts():
        return nullcontext(), still(block)

    return checkpoint(block, x, use_reentrant=False, context_fn=contexts)


def to_input(images: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float, channels last in memory."""
    return (images.float() - 128.0).div_(128.0).permute(0, 3, 1, 2)


def cost_table(config: StudentConfig, size: int = 0) -> list[tuple[str, str, int, int]]:
    """(layer, output shape, MACs, weights) of every convolution; the head counts once (pooled)."""
    rows: list[tuple[str, str, int, int]] = []

    def add(name: str, side: int, out: int, taps: int) -> None:
        rows.append((name, f"{side}x{side}x{out}", side * side * out * taps, out * taps))

    side = size or config.size
    if config.scheme == "max78000":
        side, channels = side // config.stem, 3 * config.stem**2
    else:
        side, channels = -(-side // 2), config.stem
        add("stem 3x3 s2", side, channels, 27)
    for i, b in enumerate(config.blocks):
        if isinstance(b, Conv):
            side //= b.pool
            add(f"block{i} {b.kernel}x{b.kernel}", side, b.out, channels * b.kernel**2)
            channels = b.out
            continue
        mid = b.expand or channels
        if b.expand:
            add(f"block{i} expand 1x1", side, mid, channels)
        side = -(-side // b.stride)
        add(f"block{i} depthwise {b.kernel}x{b.kernel} s{b.stride}", side, mid, b.kernel**2)
        if config.thin and i == len(config.blocks) - 1:
            side = -(-side // 2)
        add(f"block{i} project 1x1", side, b.out, mid)
        channels = b.out
    if config.last:
        add("last 1x1", side, config.last, channels)
    add("head 1x1", 1, config.dim, config.last or channels)
    return rows
