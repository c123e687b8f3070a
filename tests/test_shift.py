# SPDX-License-Identifier: MIT
"""The multiplier that only shifts (docs/format.md, "A shift, rounded once").

What the engine computes with it is what the accelerator of a MAX78000 does: it adds half and
shifts, once. The rest of that arithmetic, whole nets, is in test_engine.py and test_tflite.py.
"""

import _tinyvlm
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinyvlm.net import reference, tvlm
from tinyvlm.net.graph import Conv, Graph
from tinyvlm.net.samples import IMAGE_QUANT, SHIFT_SCALE

EXACT = (1 << 23) - 1  # up to here for every shift


def accelerator(acc: np.ndarray, down: int) -> np.ndarray:
    """Half up, once, then saturation, then ReLU."""
    return np.maximum(np.clip((acc + (1 << down - 1)) >> down, -128, 127), 0)


def net(acc: np.ndarray, down: int) -> Graph:
    """One convolution with ReLU whose accumulators are `acc` whatever the image."""
    weights = np.zeros((len(acc), 1, 1, 3), np.int8)
    scale = np.full(len(acc), SHIFT_SCALE * 2.0**-down, np.float32)
    layer = Conv("embed", "input", weights, acc.astype(np.int32), scale, IMAGE_QUANT, relu=True)
    return Graph((1, 1, 3), IMAGE_QUANT, [layer], "embed")


def engine(acc: np.ndarray, down: int) -> np.ndarray:
    """Written to a file, read and run by the C engine; numpy must agree."""
    graph = net(acc, down)
    encoder = _tinyvlm.Encoder(tvlm.to_bytes(graph))
    out = np.zeros(len(acc), np.int8)
    encoder.embed(bytes(3), 1, 1, _tinyvlm.RGB888, 0, out)
    assert np.array_equal(out, reference.embed(graph, np.full((1, 1, 3), -128, np.int8)))
    return out


def near_ties(down: int, most: int) -> np.ndarray:
    """Accumulators at and beside the halves between two results of the int8 range."""
    halves = ((2 * np.arange(-130, 131) + 1) << down) >> 1
    acc = np.unique(np.concatenate([halves - 1, halves, halves + 1]))
    return acc[np.abs(acc) <= most]


def test_every_shift_at_its_ties():
    wrong = total = 0
    for down in range(1, 23):
        acc = np.concatenate([near_ties(down, EXACT), [EXACT, -EXACT]])
        wrong += int((engine(acc, down) != accelerator(acc, down)).sum())
        total += len(acc)
    print(f"\n{wrong} of {total} differ")
    assert wrong == 0


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 22), st.lists(st.integers(-EXACT, EXACT), min_size=1, max_size=64))
def test_one_rounding(down, acc):
    acc = np.array(acc)
    assert np.array_equal(engine(acc, down), accelerator(acc, down))


LARGEST = (1 << 30) - (1 << 14) * 4 - 1  # an accumulator that a file may have, here


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 16), st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=64))
@example(16, [EXACT, EXACT + 1, EXACT + 2, -EXACT - 1, LARGEST, -LARGEST])
def test_up_to_16_any_accumulator(down, acc):
    acc = np.array(acc)
    assert np.array_equal(engine(acc, down), accelerator(acc, down))


def test_the_file_keeps_the_scale():
    for down in range(1, 23):
        layer = tvlm.read(tvlm.to_bytes(net(np.array([1]), down))).layers[0]
        assert layer.weight_scale[0] == np.float32(SHIFT_SCALE * 2.0**-down) and layer.relu
        mult, shift = reference.conv_multipliers(1 / 128, layer.weight_scale, 1 / 128)
        assert (mult[0], shift[0]) == ((1 << 31) - (1 << 7), down)
