# SPDX-License-Identifier: MIT
"""Networks that others have published times of, as this engine runs them, with random weights.

    python -m tinyvlm.bench --nets mlperf

Of MLPerf Tiny (github.com/mlcommons/tiny, benchmark/training): `vww`, visual wake words, is
MobileNetV1 0.25 for 96x96, `resnet8` the image classifier for 32x32. `dscnn`, keyword spotting,
and `autoencoder`, anomaly detection, take no images, and the engine takes nothing else: they are
stand-ins that begin with squares of pixels and go on with the layers that were published. What is
different stands in NOTES.

Of MCUNet (github.com/mit-han-lab/tinyml, mcunet/assets/configs): `mcunet-in0` and `mcunet-in1`
name ImageNet's classes, `mcunet-vww1` (configuration mcunet-5fps_vww) finds persons. Their ReLU6
costs what a ReLU does.

The last dense layer is the embedding here, of as many dimensions as there are classes.
"""

from __future__ import annotations

from .graph import Graph
from .samples import Builder

NOTES = {
    "dscnn": "a stand-in: 11x11 pixels of 48 inputs for the 25x5 of 40 that a kernel of 10x4 sees",
    "autoencoder": "a stand-in: 675 inputs for 640; all other layers as published",
}
# MCUNet's bodies: channels of the first convolution, then blocks. (expansion, channels, stride,
# kernel of the depthwise layer)
IN0 = (
    24,
    (
        (1, 16, 1, 3),
        (4, 16, 2, 5),
        (3, 16, 1, 3),
        (4, 16, 1, 3),
        (5, 24, 2, 7),
        (4, 24, 1, 5),
        (5, 24, 1, 5),
        (5, 48, 2, 7),
        (4, 48, 1, 5),
        (5, 56, 1, 3),
        (4, 56, 1, 5),
        (5, 56, 1, 3),
        (6, 112, 2, 3),
        (4, 112, 1, 5),
        (6, 192, 1, 3),
    ),
)
IN1 = (
    16,
    (
        (1, 8, 1, 3),
        (4, 16, 2, 3),
        (3, 16, 1, 3),
        (3, 24, 2, 7),
        (5, 24, 1, 3),
        (5, 40, 2, 3),
        (4, 40, 1, 7),
        (4, 48, 1, 5),
        (3, 48, 1, 3),
        (4, 48, 1, 3),
        (5, 96, 2, 7),
        (4, 96, 1, 5),
        (4, 96, 1, 5),
        (6, 160, 1, 3),
    ),
)
VWW1 = (
    16,
    (
        (1, 8, 1, 3),
        (6, 16, 2, 3),
        (3, 16, 1, 3),
        (3, 16, 1, 3),
        (3, 24, 2, 7),
        (6, 24, 1, 3),
        (5, 24, 1, 5),
        (6, 40, 2, 7),
        (6, 40, 1, 7),
        (6, 48, 1, 3),
        (4, 48, 1, 3),
        (5, 96, 2, 5),
        (5, 96, 1, 3),
        (4, 96, 1, 3),
        (3, 160, 1, 7),
    ),
)


def vww() -> Graph:
    """A convolution, then 13 pairs of a depthwise and a pointwise one: 7.5 M MAC."""
    net = Builder(96)
    net.conv(8, 3, 2)
    for out_c, stride in (
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        *[(128, 1)] * 5,
        (256, 2),
        (256, 1),
    ):
        net.depthwise(3, stride)
        net.conv(out_c)
    return net.finish(2)


def resnet8() -> Graph:
    """Three residual blocks of two 3x3 convolutions: 12.5 M MAC."""
    net = Builder(32)
    net.conv(16, 3)
    for out_c, stride in ((16, 1), (32, 2), (64, 2)):
        src = net.last
        net.conv(out_c, 3, stride)
        block = net.conv(out_c, 3, relu=False)
        if stride > 1:
            src = net.conv(out_c, 1, stride, relu=False, src=src)
            net.last = block
        net.add(src, relu=True)
    return net.finish(10)


def dscnn() -> Graph:
    """Four pairs of a depthwise and a pointwise convolution of 64 channels: 2.6 M MAC."""
    net = Builder(44)
    net.space_to_depth(4)
    net.conv(64)
    for _ in range(4):
        net.depthwise()
        net.conv(64)
    return net.finish(12)


def autoencoder() -> Graph:
    """Ten dense layers, a pixel each: 0.27 M MAC."""
    net = Builder(15)
    net.space_to_depth(15)
    for out_c in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        net.conv(out_c)
    return net.finish(640)


def mcunet(size: int, body: tuple, classes: int) -> Graph:
    """MCUNet: a convolution, then inverted residual blocks."""
    stem, blocks = body
    net = Builder(size)
    net.conv(stem, 3, 2)
    for expand, out_c, stride, kernel in blocks:
        if expand > 1:
            net.residual(out_c, expand, kernel, stride)
        else:
            net.depthwise(kernel, stride)
            net.conv(out_c, relu=False)
    return net.finish(classes)


NETS = {
    "vww": vww,
    "resnet8": resnet8,
    "dscnn": dscnn,
    "autoencoder": autoencoder,
    "mcunet-in0": lambda: mcunet(48, IN0, 1000),
    "mcunet-in1": lambda: mcunet(96, IN1, 1000),
    "mcunet-vww1": lambda: mcunet(80, VWW1, 2),
}
