# SPDX-License-Identifier: MIT
"""The C engine, as the CPython extension, against the numpy reference: equal to the last bit."""

import platform
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from array import array
from pathlib import Path

import _tinyvlm
import numpy as np
import pytest
from nets import Builder, base_like, max78000_like, random_graph, random_image

from tinyvlm.net import intake, reference, tvlm
from tinyvlm.net.graph import AvgPool, Conv, Graph, Quant
from tinyvlm.net.plan import plan

FORMATS = ["GRAY8", "RGB565_LE", "RGB565_BE", "RGB888", "BGR888", "YUYV"]
BUDGETS = {"whole": 1 << 30, "default": 96 * 1024, "streamed": 1}


def encoder(graph, budget=1 << 30, offset=0):
    """The graph as a file at a byte address of any alignment, opened."""
    data = tvlm.to_bytes(graph, plan(graph, budget))
    return _tinyvlm.Encoder(memoryview(bytes(offset) + data)[offset:])


def embed(engine, frame, width, height, format=_tinyvlm.RGB888, stride=0):
    """(embedding, map or None) as int8 arrays."""
    out = np.zeros(engine.dim, np.int8)
    if engine.map is None:
        engine.embed(frame, width, height, format, stride, out)
        return out, None
    dense = np.zeros((*engine.map, engine.dim), np.int8)
    engine.embed_map(frame, width, height, format, stride, out, dense)
    return out, dense


def differences(graph, engine, seed=0):
    """(values that differ from the reference, values compared) for a random image."""
    image = random_image(graph, seed)
    size = engine.size
    expected = reference.run(graph, image)
    frame = (image.astype(np.int16) + 128).astype(np.uint8).tobytes()
    out, dense = embed(engine, frame, size, size)
    bad, n = int((out != expected[graph.embedding].ravel()).sum()), out.size
    if dense is not None:
        bad, n = bad + int((dense != expected[graph.dense]).sum()), n + dense.size
    return bad, n


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("sums", range(1, 6))
@pytest.mark.parametrize("after", ["pool", "conv"])
def test_sums_that_follow_each_other(sums, after, budget):
    """Each may lie where its operand does, but a file allows no third in the same ring."""
    build = Builder(16, seed=sums)
    build.conv(8, 3, 2)
    build.conv(8)
    other = build.last
    build.conv(8)
    for _ in range(sums):
        build.add(other)
    if after == "conv":
        build.conv(8, 3)
    graph = build.finish(16)
    assert differences(graph, encoder(graph, BUDGETS[budget])) == (0, 16)


def test_random_nets():
    bad = n = 0
    for seed in range(60):
        graph = random_graph(seed)
        for i, budget in enumerate(BUDGETS.values()):
            engine = encoder(graph, budget, offset=(seed + i) % 4)
            more = differences(graph, engine, seed)
            bad, n = bad + more[0], n + more[1]
            assert engine.selftest()
    print(f"\n{bad} of {n} differ")
    assert bad == 0


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("depthwise", [False, True], ids=["conv", "depthwise"])
def test_every_kernel_and_shape(depthwise, budget):
    bad = n = 0
    for kernel in (1, 3, 5, 7):
        for stride in (1, 2):
            for size, channels in ((1, 3), (2, 1), (6, 5), (7, 4), (17, 2), (20, 7)):
                build = Builder(size, seed=size * kernel)
                build.conv(channels, relu=kernel % 4 == 1)
                build.conv(channels + 1, kernel, stride, depthwise=depthwise, relu=size % 2 == 0)
                graph = build.finish(6, dense=True)
                more = differences(graph, encoder(graph, BUDGETS[budget], offset=kernel % 4))
                bad, n = bad + more[0], n + more[1]
    print(f"\n{bad} of {n} differ")
    assert bad == 0


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("make", [base_like, max78000_like])
def test_an_encoder_of_real_size(make, budget):
    graph = make()
    assert differences(graph, encoder(graph, BUDGETS[budget]))[0] == 0


def see_through(size):
    """A net whose dense map is the image that the intake made."""
    unit = Quant(1 / 128, 0)
    eye = (64 * np.eye(3)).astype(np.int8).reshape(3, 1, 1, 3)
    zero, scale = np.zeros(3, np.int32), np.full(3, 1 / 64, np.float32)
    layers = [
        Conv("copy", "input", eye, zero, scale, unit),
        AvgPool("pool", "copy"),
        Conv("embed", "pool", eye, zero, scale, unit),
        Conv("dense", "copy", eye, zero, scale, unit, dense=True),
    ]
    return Graph((size, size, 3), unit, layers, "embed", "dense")


@pytest.mark.parametrize("format", FORMATS)
def test_intake(format):
    rng = np.random.default_rng(FORMATS.index(format))
    bad = n = 0
    for size in (1, 7, 24, 32, 96):
        engine = encoder(see_through(size))
        sides = [(size + size % 2, size), (320, 240), (size * 2, size * 3), (2, 2)]
        sides += [tuple(int(v) for v in rng.integers(1, 130, 2)) for _ in range(12)]
        for width, height in sides:
            width += width % 2 if format == "YUYV" else 0
            row = width * intake.FORMATS[format]
            stride = int(rng.choice([0, row, row + 1, row + 7]))
            frame = rng.integers(0, 256, height * (stride or row), np.uint8)
            want = intake.frame_to_input(frame, width, height, format, stride, size)
            _, got = embed(engine, frame, width, height, FORMATS.index(format), stride)
            bad, n = bad + int((got != want).sum()), n + want.size
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_intake_of_the_largest_square():
    engine = encoder(see_through(5))
    frame = np.full(4096 * 4096, 255, np.uint8)
    frame[:4096] = 0
    want = intake.frame_to_input(frame, 4096, 4096, "GRAY8", 0, 5)
    assert np.array_equal(embed(engine, frame, 4096, 4096, _tinyvlm.GRAY8)[1], want)


@pytest.mark.parametrize("bits", [8, 4])
def test_score(bits):
    rng = np.random.default_rng(bits)
    for stored, rows in ((1, 3), (7, 2), (64, 5), (255, 4), (256, 3)):
        top = 127 if bits == 8 else 7
        vectors = rng.integers(-top - 1, top + 1, (rows, stored)).astype(np.int8)
        vectors[-1, : (stored + 1) // 2] = 0
        embedding = rng.integers(-128, 128, stored).astype(np.int8)
        packed = vectors
        if bits == 4:
            even = np.zeros((rows, stored + stored % 2), np.int8)
            even[:, :stored] = vectors
            packed = (even[:, ::2] & 15 | even[:, 1::2] << 4).astype(np.uint8)
        for dim in {1, (stored + 1) // 2, stored}:
            out = array("f", [9.0] * rows)
            raw = packed.tobytes()
            _tinyvlm.score(embedding, raw, rows, stored, bits, dim, out)
            e, v = embedding[:dim].astype(np.int64), vectors[:, :dim].astype(np.int64)
            length = np.sqrt(np.float32((e * e).sum()) * (v * v).sum(1).astype(np.float32))
            with np.errstate(invalid="ignore"):
                want = np.where(v @ e == 0, 0, (v @ e).astype(np.float32) / length)
            assert np.array_equal(np.array(out), want.astype(np.float32))
    with pytest.raises(ValueError, match="cannot score 1 rows with 9 of 8"):
        _tinyvlm.score(embedding, raw, 1, 8, 8, 9, out)
    with pytest.raises(ValueError, match="vectors needs 800 bytes, the buffer has 3"):
        _tinyvlm.score(embedding, b"abc", 100, 8, 8, 8, out)


def test_crc32():
    data = bytes(range(256)) * 3
    assert _tinyvlm.crc32(data) == zlib.crc32(data)
    assert _tinyvlm.crc32(b"") == 0


@pytest.fixture(scope="module")
def small():
    graph = random_graph(3, size=8, dim=6, dense=True)
    return graph, tvlm.to_bytes(graph)


def test_what_an_encoder_says(small):
    graph, data = small
    engine = _tinyvlm.Encoder(data)
    shapes = graph.shapes()
    assert (engine.size, engine.dim) == (8, 6)
    assert engine.map == shapes[graph.dense][:2]
    assert engine.fingerprint == tvlm.fingerprint(graph)
    assert engine.macs == sum(graph.macs().values())
    assert '"name": "random"' in engine.info
    assert engine.arena == tvlm.load(data).plan.arena_size
    names = []
    for i in range(engine.layers):
        name, op, from_shape, to_shape, macs = engine.layer(i)
        names.append(name)
        assert to_shape == shapes[name] and from_shape == shapes[graph.layer(name).src]
        assert macs == graph.macs(dense=True)[name]
        assert op == type(graph.layer(name)).__name__.lower()
    assert names == [layer.name for layer in graph.layers]
    with pytest.raises(IndexError, match="layer 99 of"):
        engine.layer(99)


def test_profile(small):
    engine = _tinyvlm.Encoder(small[1])
    times = array("I", [0] * (engine.layers + 1))
    engine.profile(bytes(8 * 8), 8, 8, _tinyvlm.GRAY8, 0, times)
    assert times[0] > 0 and sum(times) < 1e9
    with pytest.raises(ValueError, match="the profile needs"):
        engine.profile(bytes(8 * 8), 8, 8, _tinyvlm.GRAY8, 0, bytearray(4))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((bytes(63), 8, 8, 0, 0), "the frame needs 64 bytes, the buffer has 63"),
        ((bytes(64), 8, 8, 6, 0), "unknown pixel format"),
        ((bytes(64), 8, 8, 300, 0), "format 300 is out of range"),
        ((bytes(64), -8, 8, 0, 0), "width -8 is out of range"),
        ((bytes(64), 0, 8, 0, 0), "width and height must be at least 1"),
        ((bytes(64), 8, 8, 0, 7), "stride is less than a row"),
        ((bytes(64), 3, 2, 5, 0), "a YUYV frame must have an even width"),
        ((bytes(64), 5000, 5000, 0, 0), "at most 4096"),
        ((b"\xff\xd8\xff\xe0" + bytes(20), 8, 8, 1, 0), "this is a JPEG; ask the camera for"),
    ],
)
def test_bad_frames(small, arguments, message):
    engine = _tinyvlm.Encoder(small[1])
    with pytest.raises(ValueError, match=message):
        engine.embed(*arguments, bytearray(engine.dim))


@pytest.mark.parametrize("seed", range(16))
def test_the_first_dimensions_alone(seed):
    """A buffer that is shorter than an embedding gets its beginning, and so does the map."""
    dim = (6, 7, 9, 16)[seed % 4]
    graph = random_graph(seed, size=8 + seed % 5, dim=dim, dense=seed % 3 > 0)
    engine = encoder(graph, budget=1 if seed % 2 else 1 << 30)
    image = np.random.default_rng(seed).integers(0, 256, 3 * engine.size**2, np.uint8).tobytes()
    frame = image, engine.size, engine.size, _tinyvlm.RGB888, 0
    out, dense = embed(engine, *frame[:4])
    for few in (1, dim // 2, dim - 1, dim, dim + 3):
        some = bytearray(few)
        engine.embed(*frame, some)
        assert some[:dim] == out[:few].tobytes()
        if dense is not None:
            cells = bytearray(dense[..., :few].size)
            engine.embed_map(*frame, some, cells)
            assert some[:dim] == out[:few].tobytes()
            assert cells == dense[..., :few].tobytes()


def test_bad_calls(small):
    engine = _tinyvlm.Encoder(small[1])
    with pytest.raises(ValueError, match="the embedding needs 1 byte, the buffer has 0"):
        engine.embed(bytes(64), 8, 8, 0, 0, bytearray())
    with pytest.raises(ValueError, match="the map needs"):
        engine.embed_map(bytes(64), 8, 8, 0, 0, bytearray(6), bytearray(5))
    no_map = encoder(random_graph(3, size=8, dense=False))
    with pytest.raises(ValueError, match="this encoder has no dense map"):
        no_map.embed_map(bytes(64), 8, 8, 0, 0, bytearray(99), bytearray(5))
    with pytest.raises(TypeError):
        engine.embed(bytes(64), 8, 8, 0, 0, bytes(6))


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64") or not shutil.which("gcc"),
    reason="needs gcc on Linux that runs programs of 32 bits, too",
)
def test_sizes_on_a_32_bit_python(tmp_path):
    """65,536 rows of 65,536 bytes are no 0 bytes there, for which any buffer would do."""
    tests, program = Path(__file__).parent, tmp_path / "holds"
    flags = "-m32 -std=c11 -O1 -Wall -Wextra -Werror -ffreestanding -nostdlib -static".split()
    sources = ["-I", tests.parent / "native" / "cpython", tests / "c" / "test_holds.c"]
    subprocess.run(["gcc", *flags, *sources, "-o", program], check=True)
    assert subprocess.run([program]).returncode == 0


def repaired(data, **fields):
    """The file with other bytes at some offsets and a checksum that matches."""
    data = bytearray(data)
    for at, value in fields.items():
        data[int(at[1:])] = value
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def test_bad_files(small):
    data = small[1]
    for bad, message in (
        (b"", "the file is truncated"),
        (b"GIF89a", "this is not an encoder file"),
        (data[:-1], "the file is truncated"),
        (data[:4] + b"\2" + data[5:], "a version that this firmware does not read"),
        (data[:-1] + bytes([data[-1] ^ 1]), "the checksum does not match"),
        (repaired(data, _28=4), "the header is inconsistent"),
        (repaired(data, _72=0), "a section is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            _tinyvlm.Encoder(bad)
    (records,) = struct.unpack_from("<I", data, 72 + 4)
    name = small[0].layers[1].name
    with pytest.raises(ValueError, match=rf"layer 1 \({name}\): operation, kernel or stride"):
        _tinyvlm.Encoder(repaired(data, **{f"_{records + 72}": 9}))


def test_selftest_says_what_differs(small):
    data = small[1]
    at = data.index(struct.pack("<I", reference.TEST_SEED)) + 4
    engine = _tinyvlm.Encoder(repaired(data, **{f"_{at + 2}": data[at + 2] ^ 1}))
    said = "1 of 6 dimensions, the first is dimension 2, -?[0-9]+ instead"
    with pytest.raises(RuntimeError, match=said):
        engine.selftest()


def test_bytes_after_the_file_are_ignored(small):
    assert _tinyvlm.Encoder(small[1] + b"more").selftest()


def test_a_file_that_can_be_changed_is_copied(small):
    """It was checked when it was opened; a change of it after that made runs leave the arena."""
    data = bytearray(small[1])
    view, shut = memoryview(data), np.frombuffer(data, np.uint8)
    shut.flags.writeable = False  # nobody writes by this one, but by others
    for buffer in (data, view, view.toreadonly(), np.frombuffer(data, np.uint8), shut):
        engine = _tinyvlm.Encoder(buffer)
        want = bytearray(6)
        engine.embed(bytes(64), 8, 8, _tinyvlm.GRAY8, 0, want)
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        got = bytearray(6)
        engine.embed(bytes(64), 8, 8, _tinyvlm.GRAY8, 0, got)
        assert engine.selftest() and got == want
        data[:] = small[1]
    del buffer, view, shut
    data.append(0)  # nor does the encoder keep the caller's


def test_a_map_whose_sums_would_not_fit_is_refused():
    cells = (1 << 24) + 1  # of -128: a sum of less than -2^31
    with pytest.raises(ValueError, match=r"cells 16777217 is not in 0 \.\.\. 16777215"):
        _tinyvlm.map_mean(b"\x80" * cells, cells, b"\1" * cells, bytearray(1))


def test_a_file_that_cannot_be_changed_is_used_in_place(small):
    data = memoryview(small[1])
    engine = _tinyvlm.Encoder(data)
    with pytest.raises(BufferError):
        data.release()
    del engine
    data.release()


def test_one_encoder_a_thread():
    engine = encoder(base_like())
    frame = bytes(96 * 96)
    busy, wrong = [], []
    first = bytearray(engine.dim)
    engine.embed(frame, 96, 96, 0, 0, first)

    def work():
        for turn in range(1000):
            if turn >= 20 and busy:
                break  # two have met
            out = bytearray(engine.dim)
            try:
                engine.embed(frame, 96, 96, 0, 0, out)
                wrong.extend([1] if out != first else [])
            except RuntimeError as error:
                busy.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert busy and all("one Encoder per thread" in text for text in busy)
