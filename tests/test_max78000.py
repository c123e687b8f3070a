# SPDX-License-Identifier: MIT
"""MAX78000: 40 golden networks, from the layers' description to registers, memories, results and
cycles. The expected values were compared with the vendor's network loader."""

import pytest
from max78000_nets import golden, hwc, network

from tinyvlm.max78000 import cycles, memory, reference, registers, weights


@pytest.fixture(params=list(golden()))
def net(request):
    """A golden network: (its description in the file, ours)."""
    fields = golden()[request.param]
    ours = network(fields)
    weights.allocate(ours)
    return fields, ours


def test_there_are_forty():
    assert len(golden()) == 40


def test_registers(net):
    fields, ours = net
    expected = {int(at, 16): int(value, 16) for at, value in fields["expect"]["registers"].items()}
    got = registers.layer_registers(ours)
    assert {at: value for at, value in got.items() if value} == {
        at: value for at, value in expected.items() if value
    }
    assert set(expected) <= set(got)


def test_weights(net):
    fields, ours = net
    got = {
        f"{processor},{start + i // 9}": words[i : i + 9].hex()
        for processor, start, words in weights.weight_blocks(ours)
        for i in range(0, len(words), 9)
    }
    expected = fields["expect"]["weight_words"]
    assert {k: v for k, v in got.items() if int(v, 16)} == {
        k: v for k, v in expected.items() if int(v, 16)
    }


def test_biases(net):
    fields, ours = net
    got = {f"{q},{i}": value for (q, i), value in weights.bias_bytes(ours).items()}
    assert got == fields["expect"]["bias"]


def test_cycles(net):
    fields, ours = net
    got = [cycles.layer_cycles(layer) for layer in ours.layers]
    assert got == fields["expect"]["cycles_per_layer"]
    assert cycles.network_cycles(ours) == 1 + sum(got)


def test_results(net):
    fields, ours = net
    image = hwc(fields["input"]["data"], fields["input"]["shape"])
    y = reference.run(ours, image)[-1]
    assert (y == hwc(fields["expect"]["output"], fields["expect"]["output_shape"])).all()
    expected = {
        int(at, 16): [int(mask, 16), int(word, 16) & int(mask, 16)]
        for at, (mask, word) in fields["expect"]["output_words"].items()
    }
    assert memory.output_words(ours.layers[-1], y) == expected
