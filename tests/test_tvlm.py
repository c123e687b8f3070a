# SPDX-License-Identifier: MIT
"""`.tvlm` files: nothing is lost, nothing damaged is accepted, the arena's plan is sound."""

import copy
import struct
import zlib
from dataclasses import fields, replace

import _tinyvlm
import nets
import numpy as np
import pytest

from tinyvlm.net import plan, reference, schedule, tvlm
from tinyvlm.net.graph import Add, AvgPool, Conv, Depthwise, Graph, Quant, SpaceToDepth

SEEDS = range(60)


def assert_same(one: Graph, two: Graph) -> None:
    """Equal in all that the file is meant to keep."""
    assert (one.input_shape, one.input, one.embedding, one.dense, one.info) == (
        two.input_shape, two.input, two.embedding, two.dense, two.info,
    )  # fmt: skip
    shapes = one.shapes()
    for a, b in zip(one.layers, two.layers, strict=True):
        assert type(a) is type(b) and a.name == b.name
        if isinstance(a, AvgPool):
            assert a.src == b.src
            assert tvlm.record_window(a, shapes) == tvlm.record_window(b, shapes)
            continue
        if isinstance(a, Add):
            assert {a.src, a.src2} == {b.src, b.src2} and a.out == b.out
            assert a.relu == b.relu or a.out.zero_point == -128
            continue
        if isinstance(a, SpaceToDepth):
            assert a == b
            continue
        for field in fields(a):
            left, right = getattr(a, field.name), getattr(b, field.name)
            if isinstance(left, np.ndarray):
                assert left.dtype == right.dtype and np.array_equal(left, right), field.name
            elif field.name == "relu":  # at zero point -128 it makes no difference
                assert left == right or a.out.zero_point == -128
            else:
                assert left == right, field.name


@pytest.mark.parametrize("seed", SEEDS)
def test_round_trip(seed):
    graph = nets.random_graph(seed)
    data = tvlm.to_bytes(graph)
    encoder = tvlm.load(data)
    assert_same(graph, encoder.graph)
    assert encoder.plan == plan.plan(graph)
    assert encoder.fingerprint == tvlm.fingerprint(graph) == tvlm.fingerprint(encoder.graph)
    assert encoder.macs == sum(graph.macs().values())
    assert tvlm.to_bytes(encoder.graph) == data
    seed, answer = encoder.test
    image = reference.known_image(graph.input_shape, seed)
    assert np.array_equal(reference.embed(graph, image), answer)


def test_write_is_atomic(tmp_path):
    graph = net()
    path = tmp_path / "net.tvlm"
    size = tvlm.write(graph, path)
    assert path.stat().st_size == size
    graph.layers[0].stride = 4
    with pytest.raises(ValueError, match="stride 4"):
        tvlm.write(graph, path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.tvlm"]
    assert tvlm.read(path).layers[0].stride != 4


def test_bytes_after_the_file_are_ignored():
    data = tvlm.to_bytes(nets.random_graph(4))
    assert tvlm.load(data + b"\xff" * 100).fingerprint == tvlm.load(data).fingerprint


def small() -> bytes:
    build = nets.Builder(5, 7)
    build.conv(3, 3, 2)
    build.depthwise()
    return tvlm.to_bytes(build.finish(4))


def test_every_truncation():
    data = small()
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r"^encoder: .*\w"):
            tvlm.load(data[:size])


def test_every_bit_flip():
    data = small()
    for bit in range(8 * len(data)):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"^encoder: "):
            tvlm.load(bad)
    print(f"{8 * len(data)} of {8 * len(data)} single-bit flips refused")


def test_damage_with_a_right_checksum():
    """A made-up file is a ValueError or an encoder that runs, nothing else."""
    rng, accepted = np.random.default_rng(0), 0
    for data in (small(), tvlm.to_bytes(nets.random_graph(9, size=9))):
        body = len(data) - tvlm.load(data).sections["WGHT"]
        for _ in range(1500):
            bad = bytearray(data)
            for _ in range(rng.integers(1, 4)):
                bad[rng.integers(16, body)] = rng.integers(0, 256)
            struct.pack_into("<I", bad, 12, zlib.crc32(bad[16:]))
            try:
                encoder = tvlm.load(bytes(bad))
            except ValueError as error:
                assert str(error).startswith("encoder: ")
            else:
                reference.run(encoder.graph, nets.random_image(encoder.graph))
                accepted += 1
    print(f"{accepted} of 3000 accepted")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:3], "truncated"),
        (lambda d: d[:30], "truncated"),
        (lambda d: b"TVPR" + d[4:], "a .tvp holds prototypes"),
        (lambda d: b"JUNK" + d[4:], "not a tinyvlm encoder"),
        (lambda d: d[:4] + b"\2\0" + d[6:], "format version 2, this tinyvlm reads 1"),
        (lambda d: d[:6] + b"\x40\0" + d[8:], "header of 64 bytes"),
        (lambda d: d[:-1], "truncated"),
        (lambda d: d[:-1] + bytes([d[-1] ^ 1]), "damaged, the checksum"),
    ],
)
def test_first_failing_check_is_named(tmp_path, change, message):
    path = tmp_path / "bad.tvlm"
    path.write_bytes(change(small()))
    with pytest.raises(ValueError, match=message) as error:
        tvlm.load(path)
    assert str(error.value).startswith(str(path))


def test_fingerprint():
    graph = nets.random_graph(12)
    identity = tvlm.fingerprint(graph)
    fast = plan.plan(graph, 1 << 30, 0)
    assert tvlm.load(tvlm.to_bytes(graph, fast)).fingerprint == identity
    other = copy.deepcopy(graph)
    other.info = {"name": "another"}
    assert tvlm.fingerprint(other) == identity
    for layer in other.layers:
        if isinstance(layer, Conv | Depthwise):
            layer.weights.flat[0] ^= 1
            assert tvlm.fingerprint(other) != identity
            layer.weights.flat[0] ^= 1
    embed = other.layer("embed")
    embed.relu = True
    assert tvlm.fingerprint(other) != identity


# -- what is refused when a file is written ---------------------------------------------------


def net() -> Graph:
    build = nets.Builder(9, 1)
    build.conv(4, 3, 2)
    build.residual(4, 2)
    return build.finish(6, dense=True)


def _set(index, **values):
    def change(graph):
        graph.layers[index] = replace(graph.layers[index], **values)

    return change


def _kernel(size):
    def change(graph):
        layer = graph.layers[0]
        layer.weights = np.zeros((4, size, size, 3), np.int8)

    return change


def _weight_scale(factor):
    def change(graph):
        layer = graph.layers[1]
        layer.weight_scale = (layer.weight_scale * factor).astype(np.float32)

    return change


def _squares(block):
    return lambda graph: graph.layers.insert(0, SpaceToDepth("depth", "input", block))


def _image(shape):
    return lambda graph: setattr(graph, "input_shape", shape)


def _bias(graph):
    graph.layers[1].bias[0] = 1 << 30


def _depthwise_first(graph):
    first = graph.layers[0]
    weights = first.weights[:3, :, :, 0]
    numbers = weights, first.bias[:3], first.weight_scale[:3]
    graph.layers[0] = Depthwise(first.name, first.src, *numbers, first.out, 2, first.relu)
    graph.layers[1].weights = graph.layers[1].weights[..., :3]
    graph.layers[4] = replace(graph.layers[4], src2="conv3")


def _shared_input(graph):
    hidden, wide = graph.layers[1], graph.layers[3]
    wide.weights = np.concatenate([wide.weights, wide.weights])[: len(hidden.weights)]
    wide.bias, wide.weight_scale = hidden.bias.copy(), wide.weight_scale.repeat(2)
    graph.layers[4] = Add("add4", "conv3", "conv1", Quant(0.5, 0))
    for layer in graph.layers[5:]:
        if isinstance(layer, Conv):
            layer.weights = layer.weights.repeat(2, axis=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_kernel(2), "layer 'conv0': kernel 2x2 is not supported; use 1x1, 3x3"),
        (_kernel(9), "layer 'conv0': kernel 9x9"),
        (_set(0, stride=3), "layer 'conv0': stride 3"),
        (_weight_scale(1e4), "layer 'conv1': channel . has a multiplier of 0.5 or more"),
        (_weight_scale(1e-9), "layer 'conv1': channel . has a multiplier below"),
        (_bias, r"layer 'conv1': channel 0: its accumulator can leave \+-2\*\*30"),
        (_set(-1, out=Quant(0.1, 3)), "layer 'embed': the embedding must be 1x1 with zero point"),
        (_set(-3, out=Quant(0.1, 3)), "layer 'dense': the dense map must have zero point 0"),
        (_set(-2, kernel=2, stride=1), "layer 'embed': the embedding must be 1x1"),
        (_set(4, src="dense"), "layer 'add4': reads 'dense', which comes later"),
        (_set(-2, src="dense", kernel=9), "layer 'pool6': window 9x9 is larger"),
        (_set(4, out=Quant(1e-12, 0)), "layer 'add4': scales .* too far apart"),
        (_set(-3, dense=False), "the dense map 'dense' is not a convolution marked dense"),
        (_set(1, dense=True), "layer 'dw2': reads 'conv1', which exists only when the dense map"),
        (_set(-1, dense=True), "layer 'embed': marked dense, but the map does not need it"),
        (_image((9, 8, 3)), "the image must be square"),
        (_image((9, 9, 1)), "the image must be square, RGB"),
        (_image((1025, 1025, 3)), "at most 1024"),
        (_set(1, name=""), "used twice|reads 'conv1'|1 ... 255 bytes"),
        (_depthwise_first, "layer 'conv0': its input 'input' is not made by a convolution"),
        (_shared_input, "layer 'dw2': its input 'conv1' is also read by 'add4'"),
        (_set(1, bias=np.zeros(8)), "layer 'conv1': bias must be int32"),
        (_squares(2), "layer 'depth': 9x9 cannot be cut into squares of 2x2; height and width"),
        (_squares(0), "layer 'depth': 9x9 cannot be cut into squares of 0x0"),
        (_set(1, weight_scale=np.ones(8)), "layer 'conv1': weight_scale must be float32"),
        (lambda g: setattr(g, "embedding", "none"), "the embedding 'none' is not a layer"),
    ],
)
def test_refused(change, message):
    graph = net()
    tvlm.to_bytes(graph)
    change(graph)
    with pytest.raises(ValueError, match=message):
        tvlm.to_bytes(graph)


def test_too_many_channels():
    build = nets.Builder(3, 0)
    build.conv(4)
    graph = build.finish(2)
    layer = graph.layers[0]
    layer.weights = np.zeros((65536, 1, 1, 3), np.int8)
    layer.bias, layer.weight_scale = np.zeros(65536, np.int32), np.full(65536, 0.01, np.float32)
    graph.layers[-1].weights = np.zeros((2, 1, 1, 65536), np.int8)
    with pytest.raises(ValueError, match="layer 'conv0': 65536 channels; at most 65535"):
        tvlm.to_bytes(graph)


# -- the plan ---------------------------------------------------------------------------------


class Arena:
    """Plays a file's records as docs/format.md says, writing marks instead of numbers.

    Every byte knows which row of which record's output it holds, so a read of anything else
    (overlap, a ring too short, an addition in place too early) is noticed.
    """

    def __init__(self, data: bytes) -> None:
        count, embedding, self.dense = struct.unpack_from("<HHH", data, 36)
        size, self.scratch, self.scratch_size = struct.unpack_from("<III", data, 44)
        sections = [struct.unpack_from("<4sII", data, 72 + 12 * i) for i in range(data[31])]
        start = next(offset for tag, offset, _ in sections if tag == b"LAYR")
        self.records = [data[start + 72 * i : start + 72 * (i + 1)] for i in range(count)]
        self.bytes = np.full(size, -1)
        self.image = struct.unpack_from("<IIHH", data, 56), struct.unpack_from("<HHH", data, 24)
        self.producer = {struct.unpack_from("<IIHH", data, 56): -1}
        self.dense_too = {}  # and what records for the map alone made, for their like
        self.done = {}

    def rows(self, tensor, shape, y, count):
        offset, row_bytes, rows, pitch = tensor
        content = 2 * shape[2] * pitch if pitch else shape[2] * shape[1]
        for r in range(y, y + count):
            start = offset + r % rows * row_bytes
            assert start + content <= len(self.bytes)
            yield r, slice(start, start + content)

    def write(self, tensor, shape, y, index):
        self.bytes[self.scratch : self.scratch + self.scratch_size] = -2  # kernels scribble there
        for r, where in self.rows(tensor, shape, y, 1):
            self.bytes[where] = index * 65536 + r

    def read(self, tensor, shape, y, count, index):
        for r, where in self.rows(tensor, shape, y, count):
            assert (self.bytes[where] == index * 65536 + r).all(), (index, r)

    def stage(self, index):
        """(rows, needed rows by y, run y) of a record."""
        if index < 0:
            tensor, shape = self.image
            return shape[0], lambda y: 0, lambda y: self.write(tensor, shape, y, 1)
        record = self.records[index]
        op, _, kernel, stride, top = record[:5]
        shape, out_shape = (
            struct.unpack_from("<HHH", record, 8),
            struct.unpack_from("<HHH", record, 14),
        )
        source, out, source2 = (struct.unpack_from("<IIHH", record, at) for at in (20, 32, 44))
        made_by = self.producer[source]
        made_by2 = self.producer[source2] if op == 3 else None

        def need(y):
            return y + 1 if op == 3 else min(shape[0], y * stride - top + kernel)

        def run(y):
            first = y if op == 3 else max(0, y * stride - top)
            self.read(source, shape, first, need(y) - first, made_by + 2)
            if op == 3:
                self.read(source2, shape, y, 1, made_by2 + 2)
            self.write(out, out_shape, y, index + 2)

        self.producer[out] = index
        return out_shape[0], need, run

    def play(self, dense: bool) -> None:
        stages = [self.stage(-1)]
        for index, record in enumerate(self.records):
            before, out = dict(self.producer), struct.unpack_from("<IIHH", record, 32)
            if record[1] & 1:
                self.producer |= self.dense_too
            stages.append(self.stage(index))
            if record[1] & 1:
                self.producer, self.dense_too[out] = before, index
            else:
                self.dense_too.pop(out, None)
            if record[1] & 2:
                continue
            if dense or not record[1] & 1:
                self.segment(stages)
                shape = struct.unpack_from("<HHH", record, 14)
                self.read(out, shape, 0, shape[0], index + 2)  # complete when the segment ends
            stages = []

    @staticmethod
    def segment(stages) -> None:
        assert len(stages) <= 17
        done = [0] * len(stages)
        while done[-1] < stages[-1][0]:
            i = len(stages) - 1
            while i > 0 and stages[i][1](done[i]) > done[i - 1]:
                i -= 1
            stages[i][2](done[i])
            done[i] += 1


PLANS = ((plan.BUDGET, plan.SLACK), (1 << 30, 0), (0, 0), (1 << 30, 100))


def check_plan(graph: Graph, budget: int, slack: float) -> plan.Plan:
    found = plan.plan(graph, budget, slack)
    data = tvlm.to_bytes(graph, found)
    Arena(data).play(dense=False)
    if graph.dense:
        Arena(data).play(dense=True)
    # No two tensors that live at once overlap, but for an addition in place.
    items = [(ref.offset, ref.size, *found.lifetimes[n], n) for n, ref in found.refs.items()]
    items.append((found.scratch_offset, found.scratch_size, 0, len(found.segments) - 1, "#"))
    reads = {
        layer.name: {layer.src, getattr(layer, "src2", None)}
        for layer in graph.layers
        if isinstance(layer, Add)
    }
    for offset, size, first, last, name in items:
        assert offset % schedule.ALIGN == 0 and offset + size <= found.arena_size
        if name != "#":
            ref = found.refs[name]
            assert ref.pitch % 2 == 0 and (not ref.pitch or ref.row_bytes % 4 == 0)
        for offset2, size2, first2, last2, name2 in items:
            apart = offset + size <= offset2 or offset2 + size2 <= offset
            apart = apart or last < first2 or last2 < first
            in_place = name in reads.get(name2, ()) or name2 in reads.get(name, ())
            in_place = in_place and found.refs[name] == found.refs[name2]
            chain = offset == offset2 and size == size2  # additions in place of additions
            assert apart or in_place or chain or name == name2, (name, name2)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_of_random_nets(seed):
    graph = nets.random_graph(seed)
    sizes = [check_plan(graph, *option).arena_size for option in PLANS]
    assert sizes[2] == min(sizes)


@pytest.mark.parametrize("make", [nets.base_like, nets.mobilenet_like, nets.max78000_like])
def test_plans_of_real_shapes(make):
    graph = make(96)
    for option in PLANS:
        found = check_plan(graph, *option)
        print(f"{make.__name__} {option}: {found.arena_size} B, {found.fetched} weight reads")
    assert check_plan(graph, plan.BUDGET, plan.SLACK).arena_size <= plan.BUDGET


def test_an_image_in_squares_never_exists_in_full():
    graph = nets.max78000_like()
    for option in PLANS:
        assert plan.plan(graph, *option).refs["input"].rows == 4
    # and with pooling inside a segment no map of 24 x 24 does
    small = plan.plan(graph, 0)
    rows = {name: ref.rows for name, ref in small.refs.items()}
    assert (0, 2) in small.segments and rows["depth0"] == 3 and rows["conv1"] == 2


def test_plan_is_deterministic():
    assert plan.plan(nets.random_graph(5)) == plan.plan(nets.random_graph(5))


def test_arena_notices_a_short_ring(monkeypatch):
    """The simulation is worth something: a ring of one row less fails it."""
    graph = nets.base_like(32)
    found = plan.plan(graph, 0)
    failed = 0
    for name, ref in found.refs.items():
        if 1 < ref.rows < graph.shapes()[name][0]:
            refs = {
                n: replace(r, rows=r.rows - 1) if r == ref else r for n, r in found.refs.items()
            }
            with pytest.raises(ValueError, match="keeps"):
                tvlm.to_bytes(graph, replace(found, refs=refs))
            with monkeypatch.context() as patch:
                patch.setattr(tvlm, "_check", lambda data: None)
                data = tvlm.to_bytes(graph, replace(found, refs=refs))
            with pytest.raises(AssertionError):
                Arena(data).play(dense=False)
            for read in (tvlm.load, _tinyvlm.Encoder):
                with pytest.raises(ValueError, match="keeps"):
                    read(data)
            failed += 1
    assert failed > 3
