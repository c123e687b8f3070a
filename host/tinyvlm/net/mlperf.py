# SPDX-License-Identifier: MIT
"""Two networks of MLPerf Tiny as this engine runs them, with random weights.

    python -m tinyvlm.bench --nets mlperf

github.com/mlcommons/tiny, benchmark/training: `vww` (visual wake words) is MobileNetV1 0.25 for
96x96, `resnet8` the image classifier for 32x32. Their last dense layer is the embedding here, of
2 and 10 dimensions. The other two of MLPerf Tiny, keyword spotting and anomaly detection, do not
take images.
"""

from __future__ import annotations

from .graph import Graph
from .samples import Builder


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


NETS = {"vww": vww, "resnet8": resnet8}
