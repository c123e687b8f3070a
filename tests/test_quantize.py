# SPDX-License-Identifier: MIT
"""int8: torch computes what the engine computes, and fine-tunes what is then exported."""

import nets
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import _tinyvlm  # noqa: E402

from tinyvlm import reference, samples, tvlm  # noqa: E402
from tinyvlm.graph import Quant  # noqa: E402
from tinyvlm.train import integer  # noqa: E402


def by_the_engine(graph, images):
    """int8 (n, dim) by the C engine; images int8 as pixel - 128."""
    engine = _tinyvlm.Encoder(tvlm.to_bytes(graph))
    height, width, _ = graph.input_shape
    out = np.empty((len(images), engine.dim), np.int8)
    for image, row in zip(images, out, strict=True):
        frame = (image.astype(np.int16) + 128).astype(np.uint8).tobytes()
        engine.embed(frame, width, height, _tinyvlm.RGB888, 0, row)
    return out


# -- the arithmetic ------------------------------------------------------------------------------


def test_random_nets_as_the_reference():
    wrong = total = 0
    for seed in range(40):
        graph = nets.random_graph(seed)
        images = np.stack([samples.random_image(graph, i) for i in range(4)])
        want = reference.run(graph, images)
        got = integer.run(graph, torch.from_numpy(images), everything=True)
        assert want.keys() == got.keys()
        wrong += sum(int((got[name].numpy() != want[name]).sum()) for name in want)
        total += sum(tensor.size for tensor in want.values())
    print(f"torch and numpy: {wrong} of {total} numbers differ")
    assert wrong == 0


@pytest.mark.parametrize(
    "make", [samples.base_like, samples.max78000_like, samples.mobilenet_like]
)
def test_whole_nets_as_the_engine(make):
    graph = make(64, dense=False)
    images = np.stack([samples.random_image(graph, i) for i in range(6)])
    got = integer.run(graph, torch.from_numpy(images)).numpy()
    assert np.array_equal(got, reference.embed(graph, images))
    assert np.array_equal(got, by_the_engine(graph, images))


def test_both_ways_to_requantize_are_the_reference():
    """Small accumulators go through float64, large ones through int64."""
    rng = np.random.default_rng(1)
    edges = [0, 1, -1, 2, -2, 3, -3, (1 << 21) - 1, 1 - (1 << 21), 1 << 12, -(1 << 12)]
    acc = np.concatenate([np.array(edges), rng.integers(-(1 << 21), 1 << 21, 5000)])
    acc = acc[:, None] >> rng.integers(0, 21, (len(acc), 22))
    mult = rng.integers(1 << 30, 1 << 31, 22)
    mult[:3] = 1 << 30, (1 << 31) - 1, (1 << 31) - (1 << 7)
    shift, bias = np.arange(1, 23), rng.integers(-999, 999, 22)
    want = np.clip(reference.scaled(acc + bias, mult, shift), -100, 155)
    x = torch.from_numpy(acc).float()[:, :, None, None]
    for exact in (True, False):
        args = map(torch.from_numpy, (bias.astype(float), mult, shift))
        got = integer.Requantize.apply(x, *args, -100, 155, exact)
        assert np.array_equal(got[:, :, 0, 0].numpy(), want), exact


def test_gradients_go_straight_through():
    """The gradient is that of the real function; saturated numbers have none."""
    q = Quant(0.5, 0)
    x = torch.tensor([10.0, 20.0, 30.0, 90.0]).view(1, 4, 1, 1).requires_grad_()
    w = torch.diag(torch.tensor([3.0, -5.0, 7.0, 127.0])).view(4, 4, 1, 1).requires_grad_()
    bias = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    scale = np.full(4, 0.125, np.float32)
    y = integer.conv(x, w, bias, scale, q, q, relu=True)
    assert y.flatten().tolist() == [4, 0, 27, 127]  # (3 * 10 + 1) / 8, ReLU, ..., saturated
    y.sum().backward()
    assert bias.grad.tolist() == [0.125, 0, 0.125, 0]
    assert x.grad.flatten().tolist() == [0.375, 0, 0.875, 0]
    assert w.grad[2].flatten().tolist() == [1.25, 2.5, 3.75, 11.25]


def test_other_images_are_refused():
    graph = nets.random_graph(3, size=9)
    with pytest.raises(ValueError, match=r"int8 \(n, 9, 9, 3\)"):
        integer.run(graph, torch.zeros((2, 9, 9, 3), dtype=torch.uint8))
