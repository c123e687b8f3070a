# SPDX-License-Identifier: MIT
"""What goes wrong between the driver and the chip: a sentence, in bounded time, and no damage."""

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from _tinyvlm_max78000 import (
    JAM_DONE,
    JAM_FORGET,
    JAM_LATE,
    JAM_POWER,
    JAM_STUCK,
    Device,
    Simulator,
)
from max78000_nets import golden, network, random_graph, some_rescale

from tinyvlm.max78000 import mapper, plan, weights
from tinyvlm.net import reference, samples, tvlm

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def graph():
    graph = samples.max78000_like(48, dim=64)
    graph.layer("dense").weights = graph.layer("embed").weights
    return graph


@pytest.fixture(scope="module")
def plans(graph):
    return mapper.plans(graph, tvlm.fingerprint(graph))


def started(data, sim=None):
    """A device that is ready for images, and its chip."""
    sim = sim or Simulator(5)
    device = Device(data, sim)
    device.on()
    device.load()
    return device, sim


def embed(device, image):
    device.rows(image)
    device.run()
    out = np.zeros(device.out_shape, np.int8)
    device.results(out)
    return out


def fixed(data, at, value):
    """The plan with other bytes at `at` and a checksum that fits."""
    data = bytearray(data)
    data[at : at + len(value)] = value
    head = struct.unpack_from("<I", data, 24)[0]
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:head]))
    return bytes(data)


def test_embedding_and_map(graph, plans):
    """Both plans of an encoder, one after the other; the weights are loaded once."""
    embedding, dense = plans
    assert len(dense) < 8000  # registers and biases only
    device, sim = started(embedding)
    image = samples.random_image(graph, 1)
    want = reference.run(graph, image)
    assert (embed(device, image) == want[graph.embedding]).all()
    device.use(dense)
    device.load()
    assert (embed(device, image) == want[graph.dense]).all()
    device.use(embedding)
    device.load()
    assert (embed(device, image) == want[graph.embedding]).all()
    assert sim.fault is None


def test_rows_in_pieces(graph, plans):
    device, sim = started(plans[0])
    image = samples.random_image(graph, 2)
    for y in (40, 0, 4, 16):
        device.rows(np.ascontiguousarray(image[y : {40: 48, 0: 4, 4: 16, 16: 40}[y]]), y)
    device.run()
    out = np.zeros(device.out_shape, np.int8)
    device.results(out)
    assert (out == reference.run(graph, image)[graph.embedding]).all()
    for y, rows in ((0, 3), (2, 4), (48, 4), (44, 8)):
        with pytest.raises(RuntimeError, match="rows of the image"):
            device.rows(np.zeros((rows, 48, 3), np.int8), y)
    assert sim.fault is None


def test_streamed_weights(graph, plans):
    """A model that is larger than the flash: its weights come in pieces of 256 bytes."""
    data = plans[0]
    head, size = struct.unpack_from("<II", data, 24)
    asked = []

    def read(offset, count):
        asked.append((offset, count))
        return data[head + offset : head + offset + count]

    sim = Simulator(5)
    device = Device(data[:head], sim)
    device.on()
    with pytest.raises(RuntimeError, match="could not be read"):
        device.load()
    device.load(read)
    assert [offset for offset, _ in asked] == list(range(0, size, 256))
    assert sum(count for _, count in asked) == size
    image = samples.random_image(graph, 3)
    assert (embed(device, image) == reference.run(graph, image)[graph.embedding]).all()
    assert sim.fault is None


def test_damaged_stream(plans):
    data = plans[0]
    head = struct.unpack_from("<I", data, 24)[0]
    device = Device(data[:head], Simulator(5))
    device.on()
    with pytest.raises(RuntimeError, match="checksum of the weights"):
        device.load(lambda at, n: bytes(n))
    with pytest.raises(RuntimeError, match="not loaded"):
        device.run()
    with pytest.raises(RuntimeError, match="could not be read"):
        device.load(lambda at, n: b"")
    with pytest.raises(ZeroDivisionError):
        device.load(lambda at, n: 1 // 0)


def test_stuck(graph, plans):
    """The done flag never comes: an error after a bounded number of looks, and a way on."""
    device, sim = started(plans[0])
    image = samples.random_image(graph, 4)
    device.rows(image)
    sim.jam = JAM_DONE
    with pytest.raises(TimeoutError, match="did not finish in time"):
        device.run()
    sim.jam = JAM_LATE
    device.run()
    with pytest.raises(TimeoutError):
        device.run(100)
    sim.jam = 0
    assert (embed(device, image) == reference.run(graph, image)[graph.embedding]).all()
    assert sim.fault is None


def test_stuck_at_done(plans):
    """The done flag does not go away: no old numbers are passed off as results."""
    device, sim = started(plans[0])
    device.run()
    sim.jam = JAM_STUCK
    with pytest.raises(RuntimeError, match="stuck"):
        device.run()
    with pytest.raises(RuntimeError, match="stuck"):
        device.selftest()
    sim.jam = 0
    device.selftest()
    assert sim.fault is None


def test_interrupted_wait(plans):
    device, sim = started(plans[0])
    sim.jam = JAM_LATE
    calls = []
    device.run(0, None)
    device.run(0, lambda: calls.append(1))
    assert 900 < len(calls) < 1000
    with pytest.raises(RuntimeError, match="stopped"):
        device.run(0, lambda: True)
    with pytest.raises(ZeroDivisionError):
        device.run(0, lambda: 1 // 0)
    device.run()


def test_the_plan_stays_while_callbacks_run(plans):
    """What runs has pointers into it."""
    head = struct.unpack_from("<I", plans[0], 24)[0]
    device, sim = started(plans[0])
    sim.jam = JAM_LATE
    streamed = Device(plans[0][:head], Simulator(5))
    streamed.on()
    with pytest.raises(RuntimeError, match="the device is running; use another plan later"):
        device.run(0, lambda: device.use(plans[0]))
    with pytest.raises(RuntimeError, match="the device is running; use another plan later"):
        streamed.load(lambda at, n: streamed.use(plans[0]))
    device.use(plans[0])
    streamed.use(plans[0])


def test_a_plan_that_can_be_changed_is_copied(plans):
    """It was checked when it was opened."""
    data = bytearray(plans[0])
    device, _ = started(plans[0])
    device.use(memoryview(data).toreadonly())
    other = Device(data, Simulator(5))
    data[:] = bytes(len(data))
    for one in (device, other):
        one.on()
        one.load()
        one.selftest()


def test_no_power(plans):
    sim = Simulator()
    sim.jam = JAM_POWER
    device = Device(plans[0], sim)
    with pytest.raises(RuntimeError, match="no power or no clock"):
        device.on()
    for step in (device.load, device.run):
        with pytest.raises(RuntimeError, match="is off"):
            step()
    sim.jam = 0
    device.on()
    device.load()
    device.selftest()


def test_power_is_lost_between(plans):
    """Somebody switches the accelerator off behind the driver's back."""
    device, sim = started(plans[0])
    sim.write(0x40005800, 0)
    with pytest.raises(RuntimeError, match="no power or no clock"):
        device.run(50)
    device.on()
    device.load()
    device.selftest()


def test_off(graph, plans):
    device, sim = started(plans[0])
    device.off()
    for step in (device.load, device.run):
        with pytest.raises(RuntimeError, match="is off"):
            step()
    device.on()
    with pytest.raises(RuntimeError, match="not loaded"):
        device.run()
    device.load()
    device.selftest()
    assert sim.fault is None


def test_weights_survive_off(graph, plans):
    """off(keep) leaves the weight memories powered; the next load brings the rest back."""
    embedding, dense = plans
    device, sim = started(embedding)
    device.off(True)
    for step in (device.load, device.run):  # no store goes to what has neither power nor clock
        with pytest.raises(RuntimeError, match="is off"):
            step()
    device.off(True)  # again: they are still there
    device.on()
    device.use(dense)
    device.load()  # has no weights of its own
    device.selftest()
    device.off()
    device.on()
    with pytest.raises(RuntimeError, match="not loaded"):
        device.load()
    assert sim.fault is None


def test_weights_that_did_not_survive(plans):
    """The known-answer test says so, and what failed it does not count as loaded."""
    device, sim = started(plans[0])
    sim.jam = JAM_FORGET
    device.off(True)
    device.on()
    device.load()
    with pytest.raises(RuntimeError, match="results of the test image differ"):
        device.selftest()
    with pytest.raises(RuntimeError, match="not loaded"):
        device.run()
    device.load()
    device.selftest()


def test_plan_of_another_encoder(plans):
    device, _ = started(plans[0])
    other = samples.max78000_like(48, seed=1, dim=64)
    other.layer("dense").weights = other.layer("embed").weights
    embedding, dense = mapper.plans(other, tvlm.fingerprint(other))
    device.use(dense)
    with pytest.raises(RuntimeError, match="not loaded"):
        device.load()
    device.use(embedding)
    with pytest.raises(RuntimeError, match="not loaded"):
        device.run()
    device.load()
    device.selftest()


def test_known_answer_differs(plans):
    device, _ = started(fixed(plans[0], 96, b"abcd"))
    with pytest.raises(RuntimeError, match="test image differ"):
        device.selftest()


def test_file_errors(plans):
    data = plans[0]
    head = struct.unpack_from("<I", data, 24)[0]
    for bad, words in (
        (b"", "truncated"),
        (data[:50], "truncated"),
        (data[:head - 1], "truncated"),
        (data[:-1], "truncated"),
        (b"TVLM" + data[4:], "not a plan"),
        (data[:4] + b"\2\0" + data[6:], "version"),
        (data[:20] + b"?" + data[21:], "checksum"),
        (data[:-1] + b"\xff", "checksum"),
        (fixed(data, 36, b"\x0e"), "header"),  # quadrant 0 is missing
        (fixed(data, 36, b"\x07"), "registers"),
        (fixed(data, 37, b"\x07"), "registers"),
        (fixed(data, 39, b"\x05"), "image"),
        (fixed(data, 60, struct.pack("<I", 0x7FFC)), "image"),
        (fixed(data, 64, struct.pack("<Q", 1)), "image"),
        (fixed(data, 78, b"\2"), "header"),
        (fixed(data, 80, struct.pack("<I", 2)), "results"),
        (fixed(data, 112, struct.pack("<H", 0x8000)), "registers"),
        (fixed(data, 114, b"\x10"), "registers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Device(bad, Simulator())


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_sanitizers(tmp_path):
    """The C code under the address and undefined-behaviour sanitizers, with damaged plans."""
    files = []
    for name in ("net2008", "net2015", "net2021", "res303", "res314"):
        ours = network(golden()[name])
        weights.allocate(ours)
        rescale = some_rescale(ours.layers[-1].out_c) if ours.layers[-1].wide else None
        files.append(tmp_path / f"{name}.tvmx")
        files[-1].write_bytes(plan.to_bytes(ours, rescale=rescale))
    files.append(tmp_path / "graph.tvmx")
    files[-1].write_bytes(mapper.plans(random_graph(1))[0])
    program, native = tmp_path / "test", ROOT / "native"
    command = (
        "gcc -std=c99 -O1 -g -Wall -Wextra -Werror -Wconversion -Wdouble-promotion "
        "-fsanitize=address,undefined -fno-sanitize-recover=all"
    ).split()
    sources = [ROOT / "tests/c/test_max78000.c", *(native / "max78000").glob("*.c")]
    sources.append(native / "tv_crc32.c")
    include = ["-I", native, "-I", native / "max78000"]
    subprocess.run([*command, *include, *sources, "-o", program], check=True)
    done = subprocess.run([program, "60", *files], capture_output=True, text=True)
    print(done.stdout, done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert "49 broken rules refused" in done.stdout


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is missing")
@pytest.mark.parametrize("level", ["-Os", "-O2"])
def test_compiles_for_the_chip(tmp_path, level):
    """For its Cortex-M4, without a warning."""
    native = ROOT / "native"
    flags = (
        "-std=gnu99 -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -Wall -Wextra "
        "-Werror -Wdouble-promotion -Wfloat-conversion -Wpedantic -Wconversion"
    ).split()
    for source in (native / "max78000").glob("*.c"):
        subprocess.run(
            ["arm-none-eabi-gcc", *flags, level, "-I", native, "-I", native / "max78000"]
            + ["-c", source, "-o", tmp_path / "x.o"],
            check=True,
        )
