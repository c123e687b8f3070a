# SPDX-License-Identifier: MIT
"""Graphs on the MAX78000: what driver and simulator answer is what the engine's reference says."""

import re

import numpy as np
import pytest
from _tinyvlm_max78000 import Device, Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from max78000_nets import random_graph

from tinyvlm.max78000 import cycles, mapper
from tinyvlm.net import reference, samples, tvlm
from tinyvlm.net.graph import Add, AvgPool, Quant
from tinyvlm.net.samples import IMAGE_QUANT, Builder


def differences(graph, image):
    """(values that differ from the reference, values) of embedding and dense map."""
    want, sim, device = reference.run(graph, image), Simulator(3), None
    bad = n = 0
    for data, name in zip(mapper.plans(graph), (graph.embedding, graph.dense), strict=True):
        if device is None:
            device = Device(data, sim)
            device.on()
        device.use(data)
        device.load()
        device.selftest()
        device.rows(image)
        device.run()
        got = np.zeros(device.out_shape, np.int8)
        device.results(got)
        assert sim.fault is None and sim.cycles == device.cycles
        bad, n = bad + int((got != want[name]).sum()), n + got.size
    return bad, n


def test_encoder():
    """The shape of net that is meant for it: 1,000 a second at 50 MHz."""
    graph = samples.max78000_like()
    bad, n = differences(graph, samples.random_image(graph, 1))
    print(f"\n{bad} of {n} differ")
    assert bad == 0
    mapped = mapper.map_graph(graph)
    assert cycles.network_cycles(mapped.network) == 47783
    assert len(mapped.plan()) < 200_000


def test_random_graphs():
    """Folds, pools, sums that are copied, written in place or pooled, widths up to 149."""
    bad = n = copies = pooled = 0
    for seed in range(30):
        graph = random_graph(seed)
        try:
            layers = mapper.map_graph(graph).network.layers
        except ValueError as error:  # one rule that a random graph may break
            assert "pools more than 64 channels without weights" in str(error)
            continue
        copies += sum(not layer.convolves for layer in layers)
        pooled += sum(layer.operands > 1 and layer.pools for layer in layers)
        more = differences(graph, samples.random_image(graph, seed))
        bad, n = bad + more[0], n + more[1]
    print(f"\n{bad} of {n} differ")
    assert bad == 0 and copies > 10 and pooled > 2


@settings(max_examples=10, deadline=None)
@given(st.integers(1000, 1 << 30))
def test_any_graph(seed):
    graph = random_graph(seed)
    try:
        mapper.map_graph(graph)
    except ValueError as error:
        assert "pools more than 64 channels without weights" in str(error)
        return
    assert differences(graph, samples.random_image(graph, seed))[0] == 0


def builder(channels=16, size=12):
    build = Builder(size, seed=1)
    build.shifted(channels, 3)
    return build


def refused(graph, words, dense=False):
    with pytest.raises(ValueError, match=words):
        mapper.map_graph(graph, dense)


def finish(build):
    return build.finish(8, False, build.shifted)


def test_refusals():
    """Each with the layer's name and the rule."""
    build = builder()
    name = build.depthwise()
    refused(finish(build), f"layer '{name}': depthwise")

    build = builder()
    name = build.conv(8, 3)
    refused(finish(build), f"layer '{name}': map '{name}' has scale .* 1/128 and 0")

    build = builder()
    name = build.shifted(8, 5)
    refused(finish(build), f"layer '{name}': a kernel of 5x5; only 1x1 and 3x3")

    build = builder()
    name = build.shifted(8, 3)
    graph = finish(build)
    graph.layer(name).stride = 2
    refused(graph, f"layer '{name}': stride 2")

    build = builder()
    name = build.shifted(8, 3, relu=False)
    refused(finish(build), f"layer '{name}': has no ReLU")

    build = builder()
    name = build.shifted(8, 3)
    graph = finish(build)
    graph.layer(name).bias[3] += 1
    refused(graph, f"layer '{name}': a bias is not 128 times an int8")
    graph.layer(name).bias[3] += 127
    graph.layer(name).bias[0] = 128 * 128
    refused(graph, f"layer '{name}': a bias is not 128 times an int8")

    build = builder()
    name = build.shifted(8, 3)
    graph = finish(build)
    graph.layer(name).weight_scale[2] *= 2
    refused(graph, f"layer '{name}': its weights do not share one power of two")
    graph.layer(name).weight_scale[:] = 2.0**-8
    refused(graph, f"layer '{name}': its weights do not share one power of two")

    build = builder(8, 4)
    name = build.shifted(1025)
    refused(finish(build), f"layer '{name}': 8 channels in, 1025 out; 1024 are the most")

    build = builder(64)
    names = [build.shifted(128, 3) for _ in range(6)]
    refused(finish(build), f"layer '{names[3]}': its kernels need 256 words")

    build = builder(16, 92)
    refused(finish(build), "layer 'conv0': no room for a map of 33856 bytes in the data mem")

    build = builder()
    graph = finish(build)
    graph.layer("embed").relu = True
    refused(graph, "layer 'embed': the last layer has a ReLU")
    refused(graph, "no dense map", dense=True)

    build = builder()
    name = build.pool(2)
    graph = finish(build)
    graph.layers[0].src, graph.layers[1].src = name, "input"
    graph.layers[:2] = graph.layers[1], graph.layers[0]
    graph.layers[2].src = "conv0"
    refused(graph, f"layer '{name}': pools the image")

    build = builder(8, 20)
    build.pool(17, 1)
    build.shifted(8)
    refused(finish(build), "layer 'conv2': pools 17x17 with stride 1; 16 is the most")

    build = builder()
    src = build.last
    build.shifted(16)
    build._append(Add("sum", build.last, src, Quant(1 / 64, 0), relu=True))
    refused(finish(build), "layer 'sum': map 'sum' has scale")

    build = builder(80)
    src = build.last
    build.shifted(80)
    build._append(Add("sum", build.last, src, IMAGE_QUANT, relu=True))
    build.shifted(8)
    refused(finish(build), "adds maps of more than 64 channels")

    build = Builder(12, seed=1)
    build.shifted(4)
    build.space_to_depth(2)
    build.shifted(4)
    refused(finish(build), "layer 'depth.*': folds a map; only the image")

    build = builder(4, 6)
    for _ in range(32):
        build.shifted(4)
    refused(finish(build), "34 layers; 32 at most run")

    graph = finish(builder())
    graph.layers.insert(1, AvgPool("pool", "conv0", 2))
    graph.embedding = "pool"
    refused(graph, "layer 'pool': the output must be a convolution")


def sums(relu, pool, twice=False):
    """A sum with the folded image, perhaps added to another map, perhaps pooled."""
    build = Builder(16, seed=3)
    build.space_to_depth(2)
    src = build.last
    build.shifted(12, 3)
    build._append(Add("sum", build.last, src, IMAGE_QUANT, relu=relu and not twice))
    if twice:
        more = build.shifted(12, 3)
        build._append(Add("more", "sum", more, IMAGE_QUANT, relu=relu))
    if pool:
        build.pool(2)
    build.shifted(16, 3)
    return build.finish(16, True, build.shifted)


def test_negative_numbers():
    """The image has some, folded or not, and so have sums with it."""
    for twice in (False, True):
        graph = sums(False, False, twice)
        assert differences(graph, samples.random_image(graph, 1))[0] == 0
        name = "more" if twice else "sum"
        refused(sums(True, False, twice), f"layer '{name}': an addition has no ReLU")
        refused(sums(False, True, twice), "layer 'pool.*': pools the image, or a sum with it")


def test_fingerprint_travels():
    graph = samples.max78000_like(48, dim=16)
    data = mapper.map_graph(graph, False, tvlm.fingerprint(graph)).plan()
    assert Device(data, Simulator()).fingerprint == tvlm.fingerprint(graph)
    assert re.match(b"TVMX", data)
