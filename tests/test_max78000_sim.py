# SPDX-License-Identifier: MIT
"""The simulator and the driver of MAX78000 on the 40 golden networks: output memory and cycles."""

import numpy as np
import pytest
from _tinyvlm_max78000 import Device, Simulator
from max78000_nets import golden, hwc, network, some_rescale

from tinyvlm.max78000 import memory, plan, registers, weights

CTRL, SRAM, LCNT_MAX, TEST, BIAS, WEIGHTS = 0x0, 0x4, 0x8, 0xC, 0x8000, 0x80000
REG0, REG1, REG2, REG3, PCLKDIS0, AOD_CTRL = 0x40005800, *range(0x40005804, 0x40005810, 4), 0x40000024, 0x50001000  # noqa: E501  # fmt: skip
DONE, CLOCK, PACKED, FOLLOW = 1 << 12, 1 << 3, 1 << 20, 1 << 11


def quadrant(q):
    return 0x50100000 + 0x400000 * q


def power_on(sim, quadrants):
    """What the chip wants before anything else, store by store."""
    mask = sum(1 << q for q in quadrants)
    for address, value in (
        (REG3, 0xF), (REG1, mask), (REG0, mask), (REG2, ~mask & 0xF), (REG3, 0),
        (PCLKDIS0, 0), (AOD_CTRL, 0),
    ):  # fmt: skip
        sim.write(address, value)
    for q in quadrants:
        sim.write(quadrant(q) + CTRL, CLOCK)
        sim.write(quadrant(q) + SRAM, 0x40E)


def write_word(sim, processor, word, data):
    """A weight word the long way: four stores, the last one commits."""
    at = quadrant(processor // 16) + WEIGHTS + 0x4000 * (processor % 16) + 16 * word
    sim.write(at, data[0])
    sim.write(at + 4, int.from_bytes(data[1:5], "big"))
    sim.write(at + 8, int.from_bytes(data[5:], "big"))
    sim.write(at + 12, 0)


@pytest.fixture(params=list(golden()))
def fields(request):
    return golden()[request.param]


def test_simulator(fields):
    """From the expected registers, weights and biases in the file: no code of ours but the
    simulator's stands between them and the output memory."""
    expect, ours, sim = fields["expect"], network(fields), Simulator(7)
    power_on(sim, ours.quadrants)
    for q in ours.quadrants:
        sim.write(quadrant(q) + LCNT_MAX, len(ours.layers) - 1)
        # everything is 0 that the file does not name
        sim.write(quadrant(q) + TEST, 1 << 1 | 1 << 3 | 1 << 7)
        assert sim.read(quadrant(q) + TEST) >> 28 & 1
        sim.write(quadrant(q) + TEST, 0)
        for register in [*range(19), 20]:
            for layer in range(len(ours.layers)):
                sim.write(registers.address(q, register, layer), 0)
    for at, value in expect["registers"].items():
        sim.write(int(at, 16), int(value, 16))
    for key, word in expect["weight_words"].items():
        write_word(sim, *map(int, key.split(",")), bytes.fromhex(word))
    for key, value in expect["bias"].items():
        q, index = map(int, key.split(","))
        sim.write(quadrant(q) + BIAS + 4 * index, value)
    image = hwc(fields["input"]["data"], fields["input"]["shape"])
    for at, (_, word) in memory.input_words(ours.layers[0], image).items():
        sim.write(at, word)
    ctrl = CLOCK | ours.rounding << 13
    for q in ours.quadrants[1:]:
        sim.write(quadrant(q), ctrl | FOLLOW | 1)
    sim.write(quadrant(0), ctrl | 1)
    assert any(sim.read(quadrant(0)) & DONE for _ in range(10))
    assert sim.fault is None
    for at, (mask, word) in expect["output_words"].items():
        assert (sim.read(int(at, 16)) ^ int(word, 16)) & int(mask, 16) == 0
    assert sim.layer_cycles == expect["cycles_per_layer"]
    assert sim.cycles == 1 + sum(expect["cycles_per_layer"])


def test_driver(fields):
    """From our description through a plan, with packed weights, on memories full of noise."""
    ours = network(fields)
    weights.allocate(ours)
    last = ours.layers[-1]
    rescale = some_rescale(last.out_c) if last.wide else None
    if ours.layers[0].chw:
        with pytest.raises(ValueError, match="no image channel by channel"):
            plan.to_bytes(ours, rescale=rescale)
        return
    sim = Simulator(9)
    device = Device(plan.to_bytes(ours, rescale=rescale), sim)
    device.on()
    device.load()
    image = hwc(fields["input"]["data"], fields["input"]["shape"]).astype(np.int8, order="C")
    want = hwc(fields["expect"]["output"], fields["expect"]["output_shape"])
    got32, got = np.zeros(device.out_shape, np.int32), np.zeros(device.out_shape, np.int8)
    for _ in range(2):  # a second inference needs the image only
        device.rows(image)
        device.run()
        device.results32(got32)
        assert (got32 == want).all()
        device.results(got)
        assert (got == (rescale(want) if rescale else want)).all()
    assert sim.cycles == device.cycles == 1 + sum(fields["expect"]["cycles_per_layer"])
    device.selftest()
    assert sim.fault is None and sim.runs == 3
