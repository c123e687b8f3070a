# SPDX-License-Identifier: MIT
"""What the vendor's own loader would give the chip differently is refused, by rule."""

import numpy as np
import pytest
from _tinyvlm_max78000 import Device, Simulator

from tinyvlm.max78000 import plan, weights
from tinyvlm.max78000.layers import Layer, Network


def conv(size=(8, 8), in_c=4, out_c=4, k=3, at=0, **more):
    """A convolution whose results begin at processor `at`."""
    out = (1 << out_c) - 1 << at
    layer = Layer("it", in_c, out_c, size, (1 << in_c) - 1, out, **more)
    layer.weights = np.ones((out_c, in_c * layer.pixels) if layer.flatten else (out_c, in_c, k, k))
    layer.weights = -layer.weights.astype(int)
    layer.pad = more.get("pad", k // 2) if not layer.flatten else 0
    layer.out_offset = 0x4000
    return layer


def check(layer, rescale=None):
    network = Network([layer])
    weights.allocate(network)
    return plan.to_bytes(network, rescale=rescale)


def rescale(channels):
    ones = np.ones(channels, np.int64)
    return plan.Rescale(0 * ones, ones << 30, ones)


INSIDE = "results begin inside a word, at processor {}: only 8-bit convolutions may"
CASES = {
    "unaligned 4 bits": (conv(at=1, bits=4), INSIDE.format(1)),
    "unaligned 1 bit": (conv(at=18, bits=1), INSIDE.format(18)),
    "unaligned 32-bit sums": (conv(at=3, wide=True), INSIDE.format(3)),
    "unaligned flattened": (conv((2, 2), at=2, flatten=True), INSIDE.format(2)),
    "three operands, combined, then pooled": (
        conv((4, 4), operands=3, pool=(2, 2), pool_stride=2, pool_first=False),
        "combines 3 maps before it pools; 2 are the most",
    ),
    "a stride alone": (conv(k=1, pool_stride=2), "a stride of 2 without pooling"),
    "1024 rows": (conv((1024, 1), k=1), "a map of 1024x1; 1023 rows and columns are the most"),
    "1024 rows with the padding": (
        conv((1022, 3)),
        "a map of 1024x5 with its padding; 1023 rows and columns are the most",
    ),
    "1024 columns with the padding": (conv((3, 1020), pad=2), "a map of 7x1024 with its padding"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case):
    layer, words = CASES[case]
    with pytest.raises(ValueError) as error:
        check(layer, rescale(layer.out_c) if layer.wide else None)
    assert str(error.value).startswith(f"layer 'it': {words}")


@pytest.mark.parametrize(
    "layer",
    [
        conv(at=1),  # 8 bits, not flattened, narrow
        conv(at=4, bits=4),
        conv(at=4, wide=True),
        conv((2, 2), at=4, flatten=True),
        conv((4, 4), operands=2, pool=(2, 2), pool_stride=2, pool_first=False),
        conv((4, 4), operands=3, pool=(2, 2), pool_stride=2),
        conv((4, 4), operands=3),
        conv((1023, 1), k=1),
        conv((1021, 3)),
    ],
)
def test_what_is_next_to_it_runs(layer):
    device = Device(check(layer, rescale(layer.out_c) if layer.wide else None), Simulator(1))
    device.on()
    device.load()
    if layer.operands == 1:  # the driver loads an image into one map only
        device.selftest()
