# SPDX-License-Identifier: MIT
"""Any network of layers that the rules allow: driver and simulator equal the plain arithmetic."""

import numpy as np
import pytest
from _tinyvlm_max78000 import Device, Simulator
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from max78000_nets import some_rescale

from tinyvlm.max78000 import cycles, plan, reference, rules, weights
from tinyvlm.max78000.layers import Layer, Network, first_bit, spread


def processors(draw, channels, aligned=False):
    """A map for so many channels, anywhere it fits."""
    width = spread(channels)[1]
    step = 4 if aligned or channels > 64 else 1
    return ((1 << width) - 1) << step * draw(st.integers(0, (64 - width) // step))


def widths():
    return st.one_of(st.integers(1, 20), st.integers(1, 64), st.integers(65, 140))


def random_weights(rng, layer_bits, *shape):
    return rng.integers(-(1 << layer_bits - 1), 1 << layer_bits - 1, shape)


@st.composite
def networks(draw):
    """A chain of 1 to 5 layers, perhaps with two operands combined in its middle."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    channels = draw(st.integers(1, 90))
    size = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    mask = processors(draw, channels, True)
    layers: list[Layer] = []

    def append(kind, out_mask=None, **more):
        nonlocal channels, size, mask
        layer = Layer(f"layer{len(layers)}", channels, channels, size, mask, mask, **more)
        if kind == "conv":
            layer.bits = draw(st.sampled_from([8, 8, 4, 2, 1]))
            k = draw(st.sampled_from([1, 3]))
            layer.out_c = channels if out_mask else draw(widths())
            layer.weights = random_weights(rng, layer.bits, layer.out_c, channels, k, k)
            layer.pad = draw(st.integers(0, k - 1))
        if kind == "flatten":
            layer.bits = draw(st.sampled_from([8, 4, 2, 1]))
            layer.flatten = True
            layer.out_c = draw(widths())
            count = channels * size[0] * size[1]
            layer.weights = random_weights(rng, layer.bits, layer.out_c, count)
        if layer.convolves:
            layer.shift = draw(st.integers(-8, 3))
            layer.activation = draw(st.sampled_from(["none", "relu", "abs"]))
            aligned = layer.bits < 8 or layer.flatten
            layer.out_processors = out_mask or processors(draw, layer.out_c, aligned)
            if draw(st.booleans()):
                layer.bias = rng.integers(-128, 128, layer.out_c)
        layer.in_offset = layers[-1].out_offset if layers else 0
        layer.out_offset = layer.out_offset or (0 if layer.in_offset else 0x4000)
        layers.append(layer)
        channels, size, mask = layer.out_c, layer.out_size, layer.out_processors
        assume(min(size) > 0 and max(size) <= 24)
        return layer

    def pooling():
        if draw(st.integers(0, 2)) or min(size) < 2:
            return {}
        pool = draw(st.integers(1, min(size[0], 6))), draw(st.integers(1, min(size[1], 6)))
        if pool == (1, 1):
            return {}
        average, stride = draw(st.booleans()), draw(st.integers(1, 4))
        return {"pool": pool, "pool_stride": stride, "average": average}

    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "conv", "pass", "combine"]))
        if kind == "combine" and layers and channels <= 64 and mask & -mask & 0x1111111111111111:
            combine(draw, layers, append, pooling)
        else:
            append("pass" if kind == "pass" else "conv", **pooling())
    if draw(st.integers(0, 3)) == 0:
        append("flatten")
    if layers[-1].convolves and first_bit(layers[-1].out_processors) % 4 == 0:
        layers[-1].wide = draw(st.booleans())
    if layers[-1].wide:
        layers[-1].activation = "none"
    return Network(layers, draw(st.booleans()))


def combine(draw, layers, append, pooling):
    """Copy a map, convolve it, combine the two, pool and perhaps convolve the result."""
    first, offset, mask = len(layers) - 1, layers[-1].out_offset, layers[-1].out_processors
    channels, size = layers[-1].out_c, layers[-1].out_size
    to = 0 if offset else 0x4000
    copy = append("pass", gap=1)
    copy.sources, copy.out_offset = (first,), to
    other = append("conv", mask, gap=1, sources=(first,))
    other.in_offset, other.out_offset = offset, to + 4
    assume(other.out_size == size and other.in_c == channels)
    more = {"operands": 2, "function": draw(st.sampled_from(rules.FUNCTIONS))}
    more |= {"pool_first": draw(st.booleans()), "sources": (first + 1, first + 2)} | pooling()
    last = append(draw(st.sampled_from(["conv", "pass"])), **more)
    last.in_offset, last.out_offset = to, offset


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@pytest.mark.parametrize("out_c", [3, 64, 65, 70, 127, 140])
@pytest.mark.parametrize("flatten", [False, True])
def test_a_layer_takes_the_words_it_asked_for(out_c, bits, flatten):
    """Two passes of 36 processors have room for 72 outputs: flattened, only 65 of them count."""
    size, mask = (5, 7), (1 << spread(out_c)[1]) - 1
    shape = (out_c, 17 * 35) if flatten else (out_c, 17, 1, 1)
    layer = Layer("layer", 17, out_c, size, (1 << 17) - 1, mask, bits=bits, flatten=flatten)
    layer.weights = np.ones(shape, int)
    words = {len(words) for words in weights.kernel_words(layer).values()}
    assert len(words) == 1
    assert 0 <= weights.word_count(layer) - words.pop() <= 1  # the rule for 2 and 1 bits rounds up


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.integers(1, 1 << 30))
def test_any_network(network, seed):
    try:
        weights.allocate(network)
        rules.check(network)
    except ValueError:
        assume(False)
    layer, last = network.layers[0], network.layers[-1]
    image = np.random.default_rng(seed).integers(-128, 128, (*layer.size, layer.in_c), np.int8)
    rescale = some_rescale(last.out_c) if last.wide else None
    want = reference.run(network, image)[-1]
    sim = Simulator(seed)
    device = Device(plan.to_bytes(network, rescale=rescale), sim)
    device.on()
    device.load()
    device.rows(image)
    try:
        device.run(100)
    except TimeoutError:
        pytest.fail(sim.fault)
    got = np.zeros(device.out_shape, np.int32)
    device.results32(got)
    assert (got == want).all()
    assert sim.fault is None
    assert sim.layer_cycles == [cycles.layer_cycles(layer) for layer in network.layers]
