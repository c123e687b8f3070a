# SPDX-License-Identifier: MIT
"""Which encoder files are legal: C and the device's Python say the same of every file, in the same
words, and give the same bytes where they accept it. docs/format.md is what they implement."""

import struct
import zlib

import _tinyvlm
import hostile
import numpy as np
import pytest
from nets import Builder, random_graph

from tinyvlm.device import pure, pure_check_plan
from tinyvlm.device.encoder import Encoder
from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan

RECORD = 72


def small(budget=1 << 30):
    """Every operation, a residual and a dense map."""
    build = Builder(12, seed=1, relu_points=(-128, 0, 9))
    build.space_to_depth(2)
    build.conv(5, 3, 2)
    build.residual(5, 2)
    build.pool(2, 1)
    graph = build.finish(5, dense=True)
    return tvlm.to_bytes(graph, plan(graph, budget))


FILES = {"whole": small(), "streamed": small(1)}


def signed(data):
    """The same with a checksum that matches."""
    data = bytearray(data)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def sections(data):
    """{tag: (offset, size)}"""
    table = (struct.unpack_from("<4sII", data, 72 + 12 * i) for i in range(data[31]))
    return {tag: (offset, size) for tag, offset, size in table}


def verdict(engine, data):
    """(the engine or None, what it says)"""
    try:
        return engine(data), None
    except ValueError as error:
        return None, str(error)


def steps(data):
    """Values that a frame computes: some files are legal and take a while."""
    records, total = sections(data)[b"LAYR"], 0
    for at in range(records[0], sum(records), RECORD):
        kernel, in_c, h, w, c = struct.unpack_from("<2xB9xHHHH", data, at)
        total += h * w * c * (kernel * kernel * in_c or 1)
    return total


def check_equal(data):
    """Are the verdicts equal, and the bytes where it is accepted? Returns what was said."""
    (c, said), (python, said_too) = (verdict(e, data) for e in (_tinyvlm.Encoder, pure.Encoder))
    assert said == said_too
    if c is not None and c.size < 40 and steps(data) < 200_000:
        frame, got = bytes(range(256)) * 5, []
        for engine in (c, python):
            out = np.zeros(engine.dim, np.int8)
            dense = np.zeros(
                engine.map[0] * engine.map[1] * engine.dim if engine.map else 1, np.int8
            )
            if engine.map:
                engine.embed_map(frame, 16, 16, _tinyvlm.RGB888, 0, out, dense)
            else:
                engine.embed(frame, 16, 16, _tinyvlm.RGB888, 0, out)
            got.append((out.tobytes(), dense.tobytes()))
        assert got[0] == got[1]
    return said


def put(data, at, form, *values):
    """The file with other values in one place."""
    data = bytearray(data)
    struct.pack_into(form, data, at, *values)
    return signed(data)


def record(data, number):
    """Where a layer's record begins."""
    return sections(data)[b"LAYR"][0] + RECORD * number


def layer(data, number, at, form, *values):
    """The file with other values in a layer's record."""
    return put(data, record(data, number) + at, form, *values)


def kinds(data, op):
    """Numbers of the layers of a kind."""
    count = sections(data)[b"LAYR"][1] // RECORD
    return [i for i in range(count) if data[record(data, i)] == op]


def weights_of(data, number):
    (offset,) = struct.unpack_from("<I", data, record(data, number) + 60)
    return sections(data)[b"WGHT"][0] + offset


def scratch_moved(data):
    """A tensor where the scratch is."""
    return layer(data, 0, 32, "<4s", data[48:52])


def same_place(data):
    """A pool that writes where it reads."""
    number = kinds(data, 4)[0]
    source = record(data, number) + 20
    return layer(data, number, 32, "<4s", data[source : source + 4])


WHOLE = FILES["whole"]
INFO = sections(WHOLE)[b"INFO"][0]
NAMES = sections(WHOLE)[b"NAME"][0]
CONV3 = next(i for i in kinds(WHOLE, 1) if WHOLE[record(WHOLE, i) + 2] == 3)
OVERLAP, WEIGHTS, SECTION = "overlap", "their padding is not zero", "is not UTF-8"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (put(WHOLE, 44, "<I", 0xFFFFFFF0), "the header is inconsistent"),  # an arena of 4 GB
        (put(WHOLE, 36, "<H", 1025), "the header is inconsistent"),
        (put(WHOLE, 66, "<H", 2), "the header is inconsistent"),
        (scratch_moved(WHOLE), OVERLAP),
        (same_place(WHOLE), OVERLAP),
        # 12 channels, 3x3: 108 taps are whole words; the fifth channel has no sixth beside it
        (put(WHOLE, weights_of(WHOLE, CONV3) + 2 * 2 * 108 + 4, "<B", 1), WEIGHTS),
        (put(WHOLE, weights_of(WHOLE, kinds(WHOLE, 2)[0]) + 3, "<B", 1), WEIGHTS),
        (put(WHOLE, INFO, "<B", 0xFF), SECTION),
        (put(WHOLE, NAMES + 1, "<B", 0xC0), SECTION),
        (put(WHOLE, NAMES, "<B", 255), SECTION),
    ],
)
def test_what_is_refused_everywhere(data, message):
    assert message in check_equal(data)
    with pytest.raises(ValueError):
        tvlm.load(data)


@pytest.mark.parametrize("name", hostile.FILES)
def test_what_no_net_of_the_writer_comes_near(name):
    data, message = hostile.FILES[name]
    said = check_equal(data)
    assert said == message or (message and message in said)
    with pytest.raises(ValueError):
        tvlm.load(data)  # the tools want true tables and a fingerprint, too


@pytest.mark.parametrize("text", [b"[]", b"12", b'""', b"{]", b"[" * 65_000])
def test_info_is_an_object(tmp_path, text):
    """Not one: a sentence with the file's name, from the board's package and from the tools."""
    build = Builder(12, seed=1)
    graph = build.finish(4)
    graph.info = {"name": "x" * (len(text) - 12)} if len(text) > 2 else {}
    data = tvlm.to_bytes(graph)
    at, size = sections(data)[b"INFO"]
    (tmp_path / "x.tvlm").write_bytes(signed(data[:at] + text + data[at + size :]))
    assert size == len(text)
    for read in (Encoder, tvlm.load):
        with pytest.raises(ValueError, match="x.tvlm: INFO is not a JSON object"):
            read(str(tmp_path / "x.tvlm"))


def test_a_row_may_not_cost_too_much():
    """A row of a 255x255 pool over many channels would keep Ctrl-C waiting."""
    build = Builder(256, seed=1)
    build.conv(6, 1, 1)
    build.pool(255, 1)
    graph = build.finish(4)
    assert check_equal(tvlm.to_bytes(graph)) is None  # 2 x 6 windows: 2.3 million steps
    wide = Builder(256, seed=1)
    wide.conv(200, 1, 1)
    wide.pool(255, 1)
    with pytest.raises(ValueError, match="steps"):
        tvlm.to_bytes(wide.finish(4))


def test_the_steps_of_a_convolution():
    """8 values a row, of 7 x 7 x 600 inputs each: 2^23 steps are 35 channels."""
    for channels, legal in ((34, True), (35, False)):
        build = Builder(8, seed=1)
        build.conv(600, 1, 1)
        build.conv(channels, 7, 1)
        graph = build.finish(4)
        if legal:
            assert check_equal(tvlm.to_bytes(graph)) is None
        else:
            with pytest.raises(ValueError, match="steps"):
                tvlm.to_bytes(graph)


def test_opening_tries_no_rows(monkeypatch):
    """Whether the rows of a stream are there is known without running it."""
    counts = []
    for side in (16, 128):
        build = Builder(side, seed=1)
        for _ in range(3):
            build.residual(4, 1)
        data = tvlm.to_bytes(graph := build.finish(4), plan(graph, 1))
        asked = [0]
        needed = pure_check_plan._needed

        def counted(layer, y, asked=asked, needed=needed):
            asked[0] += 1
            return needed(layer, y)

        with monkeypatch.context() as patch:
            patch.setattr(pure_check_plan, "_needed", counted)
            pure.Encoder(data)
        counts.append(asked[0])
    assert 0 < counts[0] and counts[1] < 2 * counts[0]


def test_a_cropped_convolution_is_cropped():
    """1x1, and its output narrower than its input: not one long row of pixels."""
    (number,) = struct.unpack_from("<H", WHOLE, 40)  # the dense layer
    width, channels = struct.unpack_from("<HH", WHOLE, record(WHOLE, number) + 16)
    data = layer(WHOLE, number, 16, "<H", width - 1)
    assert check_equal(layer(data, number, 36, "<I", (width - 1) * channels)) is None


@pytest.mark.parametrize("name", FILES)
def test_a_byte_changed_anywhere(name):
    """Header, table, records and names, 3 values each; a matching checksum."""
    data, said = FILES[name], {}
    places = [*range(16, 72 + 12 * data[31])]
    for tag in (b"LAYR", b"NAME", b"TEST", b"INFO"):
        places += range(sections(data)[tag][0], sum(sections(data)[tag]))
    for at in places:
        for change in (0x01, 0x80, 0xFF):
            word = check_equal(put(data, at, "<B", data[at] ^ change))
            word = word and word.split("): ")[-1]
            said[word] = said.get(word, 0) + 1
    print(f"\n{name}:", *sorted(said.items(), key=lambda item: -item[1]), sep="\n  ")
    assert len(said) > 12


@pytest.mark.parametrize("seed", range(4))
def test_values_changed_at_random(seed):
    rng = np.random.default_rng(seed)
    files = [*FILES.values(), tvlm.to_bytes(random_graph(seed + 20, dim=4))]
    accepted = 0
    for i in range(1500):
        data = bytearray(files[i % len(files)])
        start, size = sections(data)[b"LAYR"]
        for _ in range(rng.integers(1, 4)):
            at = start + int(rng.integers(0, size // 2)) * 2
            form = rng.choice(["<B", "<H"])
            value = int(rng.choice([0, 1, 2, 3, 7, 255, rng.integers(0, 64)]))
            struct.pack_into(form, data, at, value)
        accepted += check_equal(signed(data)) is None
    print(f"\n{accepted} of 1500 accepted, all verdicts and bytes equal")
    assert accepted > 50
