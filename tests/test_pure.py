# SPDX-License-Identifier: MIT
"""The plain Python engine against the numpy reference and the C engine: equal to the last bit."""

import struct
import zlib
from array import array

import _tinyvlm
import numpy as np
import pytest
from nets import Builder, max78000_like, random_graph, random_image

from tinyvlm.device import pure
from tinyvlm.device.lanes import BIAS, Lanes
from tinyvlm.device.pure_intake import Intake
from tinyvlm.net import intake, reference, tvlm
from tinyvlm.shipped import DATA


def differences(graph, seed=0):
    """(numbers that differ from the reference, numbers compared) for a random image."""
    engine = pure.Encoder(tvlm.to_bytes(graph))
    assert engine.selftest()
    image = random_image(graph, seed)
    want = reference.run(graph, image)
    frame = (image.astype(np.int16) + 128).astype(np.uint8).tobytes()
    out, size = np.zeros(engine.dim, np.int8), engine.size
    if engine.map is None:
        engine.embed(frame, size, size, _tinyvlm.RGB888, 0, out)
        return int((out != want[graph.embedding].ravel()).sum()), out.size
    dense = np.zeros(engine.map[0] * engine.map[1] * engine.dim, np.int8)
    engine.embed_map(frame, size, size, _tinyvlm.RGB888, 0, out, dense)
    bad = (out != want[graph.embedding].ravel()).sum() + (dense != want[graph.dense].ravel()).sum()
    return int(bad), out.size + dense.size


def test_random_nets():
    bad = n = 0
    for seed in range(16):
        more = differences(random_graph(seed), seed)
        bad, n = bad + more[0], n + more[1]
    print(f"plain Python, 16 random nets: {bad} of {n} differ")
    assert bad == 0


@pytest.mark.parametrize("depthwise", [False, True], ids=["conv", "depthwise"])
def test_every_kernel_and_shape(depthwise):
    bad = n = 0
    for kernel in (1, 3, 5, 7):
        for stride in (1, 2):
            for size, channels in ((1, 3), (2, 1), (7, 4), (17, 2)):
                build = Builder(size, seed=size * kernel)
                build.conv(channels, relu=kernel % 4 == 1)
                build.conv(channels + 1, kernel, stride, depthwise=depthwise, relu=size % 2 == 0)
                more = differences(build.finish(6, dense=True))
                bad, n = bad + more[0], n + more[1]
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_a_net_for_the_max78000():
    assert differences(max78000_like(32))[0] == 0


def test_the_encoder_that_ships():
    data = (DATA / "base.tvlm").read_bytes()
    engine, fast = pure.Encoder(data), _tinyvlm.Encoder(data)
    for name in ("size", "dim", "map", "macs", "fingerprint", "info", "layers"):
        assert getattr(engine, name) == getattr(fast, name), name
    assert [engine.layer(i) for i in range(engine.layers)] == [
        fast.layer(i) for i in range(fast.layers)
    ]
    frame = np.random.default_rng(1).integers(0, 256, 2 * 160 * 120, np.uint8).tobytes()
    arguments = frame, 160, 120, _tinyvlm.RGB565_BE, 0
    cells = engine.map[0] * engine.map[1]
    one, two = bytearray(engine.dim), bytearray(engine.dim)
    map1, map2 = bytearray(cells * engine.dim), bytearray(cells * engine.dim)
    engine.embed_map(*arguments, one, map1)
    fast.embed_map(*arguments, two, map2)
    bad = sum(a != b for a, b in zip(one + map1, two + map2, strict=True))
    print(f"plain Python = C on base.tvlm: {bad} of {len(one + map1)} differ")
    assert bad == 0
    few, cells48 = bytearray(48), bytearray(cells * 48)
    engine.embed_map(*arguments, few, cells48)
    assert few == two[:48]
    assert cells48 == b"".join(map2[i : i + 48] for i in range(0, len(map2), engine.dim))


@pytest.mark.parametrize("format", list(intake.FORMATS))
def test_intake(format):
    number = list(intake.FORMATS).index(format)
    rng = np.random.default_rng(number)
    bad = n = 0
    for size in (1, 7, 24):
        sides = [(size + size % 2, size), (80, 60), (size * 2, size * 3), (2, 2)]
        sides += [tuple(int(v) for v in rng.integers(1, 90, 2)) for _ in range(6)]
        for width, height in sides:
            width += width % 2 if format == "YUYV" else 0
            row = width * intake.FORMATS[format]
            stride = int(rng.choice([0, row, row + 1, row + 7]))
            frame = rng.integers(0, 256, height * (stride or row), np.uint8).tobytes()
            want = intake.frame_to_input(frame, width, height, format, stride, size)
            planes = Intake(frame, width, height, number, stride, size).planes()
            got = np.stack([np.frombuffer(p, np.uint8).reshape(size, size) for p in planes], 2)
            bad, n = bad + int((got != want.astype(np.int16) + 128).sum()), n + want.size
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_lanes_at_the_limits():
    """Ties, zeros and the largest accumulators of docs/format.md, any shift."""
    rng = np.random.default_rng(0)
    most = (1 << 30) - 1
    for trial in range(400):
        n, shift = int(rng.integers(1, 70)), int(rng.integers(0, 31))
        mult = 1 << 30 if trial % 3 == 0 else int(rng.integers(1 << 30, 1 << 31))
        zero_point = int(rng.integers(-128, 128))
        low = zero_point if trial % 2 else -128
        acc = rng.integers(-most, most + 1, n) >> int(rng.integers(0, 30))
        if trial % 3 == 0:  # halves
            acc = np.clip((rng.integers(-300, 300, n) << shift) + (1 << shift >> 1), -most, most)
        acc[-1], acc[0] = most, -most
        lanes = Lanes(n)
        scaled, bias = lanes.scale(lanes.pack([int(a) + BIAS for a in acc]), mult, shift)
        want = reference.scaled(acc, np.int64(mult), np.int64(shift))
        assert [x - bias for x in lanes.unpack(scaled)] == want.tolist()
        out = lanes.clamp(scaled, bias, zero_point, low)
        want = reference.requantize(acc, np.int64(mult), np.int64(shift), zero_point)
        assert [b - 128 for b in out] == np.maximum(want, low).tolist()


def repaired(data, changes):
    """The file with other bytes at some offsets and a checksum that matches."""
    data = bytearray(data)
    for at, value in changes.items():
        data[at] = value
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def message(engine, data):
    """What opening a file says, or None."""
    try:
        engine(data)
    except ValueError as error:
        return str(error)
    return None


def test_bad_files_are_refused_in_the_words_of_the_c_engine():
    graph = random_graph(3, size=8, dim=6, dense=True)
    data = tvlm.to_bytes(graph)
    (records,) = struct.unpack_from("<I", data, 72 + 4)
    second = records + 72  # the record of the second layer
    changes = [{28: 4}, {72: 0}, {36: 1}]
    changes += [{second + at: value} for at, value in ((0, 9), (14, 99), (62, 99), (2, 2), (6, 5))]
    files = [b"", b"GIF89a", data[:40], data[:-1], data[:4] + b"\2" + data[5:]]
    files += [data[:6] + b"\0" + data[7:], data[:-1] + bytes([data[-1] ^ 1])]
    for bad in files + [repaired(data, change) for change in changes]:
        assert message(pure.Encoder, bad) == message(_tinyvlm.Encoder, bad) is not None


def test_damage_anywhere_is_an_error_or_harmless():
    """One byte of the header or of a record changed, the checksum made right again."""
    data = tvlm.to_bytes(random_graph(5, size=6, dim=4))
    (records, size) = struct.unpack_from("<II", data, 72 + 4)
    refused = 0
    for at in [*range(24, 72), *range(records, records + size)]:
        bad = repaired(data, {at: data[at] ^ 0x81})
        said = message(pure.Encoder, bad)
        refused += said is not None
        if said is None:
            engine = pure.Encoder(bad)
            if engine.size < 64 and engine.macs < 1e6:
                engine.embed(bytes(36), 6, 6, 0, 0, bytearray(engine.dim))
    assert refused > size // 4


@pytest.mark.parametrize(
    "arguments",
    [
        (bytes(63), 8, 8, 0, 0),
        (bytes(64), 8, 8, 6, 0),
        (bytes(64), 0, 8, 0, 0),
        (bytes(64), 8, 8, 0, 7),
        (bytes(64), 3, 2, 5, 0),
        (bytes(64), 5000, 5000, 0, 0),
        (b"\xff\xd8\xff\xe0" + bytes(20), 8, 8, 1, 0),
    ],
)
def test_bad_frames_are_refused_in_the_words_of_the_c_engine(arguments):
    data = tvlm.to_bytes(random_graph(3, size=8, dim=6))
    said = []
    for engine in (pure.Encoder(data), _tinyvlm.Encoder(data)):
        with pytest.raises(ValueError) as error:
            engine.embed(*arguments, bytearray(6))
        said.append(str(error.value))
    assert said[0] == said[1]


def test_pixels_of_two_bytes_are_refused():
    """Where plain Python computes, a buffer is read byte by byte."""
    with pytest.raises(ValueError, match="the frame must have items of 1 byte, these have 2"):
        Intake(array("H", [0] * 64), 8, 8, 1, 0, 8)


@pytest.mark.parametrize("out", [array("f", [0] * 6), array("h", [0] * 6), bytearray()])
def test_an_embedding_that_does_not_fit_is_refused_in_the_words_of_the_c_engine(out):
    data = tvlm.to_bytes(random_graph(3, size=8, dim=6))
    said = []
    for engine in (pure.Encoder(data), _tinyvlm.Encoder(data)):
        with pytest.raises(ValueError) as error:
            engine.embed(bytes(64), 8, 8, 0, 0, out)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_selftest_says_what_differs():
    data = tvlm.to_bytes(random_graph(3, size=8, dim=6))
    at = data.index(struct.pack("<I", reference.TEST_SEED)) + 4
    bad = repaired(data, {at + 2: data[at + 2] ^ 1})
    said = "1 of 6 dimensions, the first is dimension 2, -?[0-9]+ instead"
    with pytest.raises(RuntimeError, match=said):
        pure.Encoder(bad).selftest()
