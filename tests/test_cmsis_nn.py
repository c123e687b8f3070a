# SPDX-License-Identifier: MIT
"""The backend "cmsis-nn": the real library where there is one, and a stand-in everywhere.

make test CMSIS_NN=/prefix      # prefix/include/arm_nnfunctions.h, prefix/lib/libcmsis-nn.a
"""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import make
from nets import Builder, base_like, random_graph, small_graph
from test_board_engine import FRAMES
from test_legal import check_equal, kinds, layer, put, record, sections

from tinyvlm import export, inspect
from tinyvlm.boards.romfs import make_image
from tinyvlm.device import pure_file
from tinyvlm.net import cmsis_nn, tvlm
from tinyvlm.net.graph import Conv
from tinyvlm.net.plan import plan
from tinyvlm.shipped import DEFAULT_MODEL
from tinyvlm.virtual import count

TOP = Path(__file__).resolve().parents[1]
BACKENDS = ["dsp", "dsp-m4", "portable", "cmsis-nn"]
FLAGS = (
    "-std=c99 -O1 -g -Wall -Wextra -Werror -Wconversion -Wdouble-promotion "
    "-fsanitize=address,undefined -fno-sanitize-recover=all -DTINYVLM_CMSIS_NN"
).split()


def shapes(depthwise):
    """Every kernel and stride over odd and even sizes and channels, a few layers a net."""
    for kernel in (1, 3, 5, 7):
        for stride in (1, 2):
            for size, channels in ((1, 3), (2, 1), (6, 5), (7, 4), (17, 2), (20, 7)):
                build = Builder(size, seed=size * kernel)
                build.conv(channels, relu=kernel % 4 == 1)
                build.conv(channels + 1, kernel, stride, depthwise=depthwise, relu=size % 2 == 0)
                build.pool(1 if size < 6 else 2, 1)
                yield build.finish(6, dense=True)


def encoders():
    """{name: file}: random nets and all shapes, ours (run whole and streamed) and CMSIS-NN's."""
    graphs = [*(random_graph(seed) for seed in range(30)), *shapes(False), *shapes(True)]
    budgets, files = (1 << 30, 1), {}
    for i, graph in enumerate(graphs):
        files[f"{i}.tvlm"] = tvlm.to_bytes(graph, plan(graph, budgets[i % 2]))
        files[f"{i}c.tvlm"] = tvlm.to_bytes(graph, library=True)
    return files


def build(folder, status="-DCMSIS_NN_NOW"):
    """tests/c/test_cmsis_nn.c under sanitizers, with tests/c/cmsis_nn in the library's place."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    stand_in = TOP / "tests" / "c" / "cmsis_nn"
    sources = [TOP / "tests" / "c" / "test_cmsis_nn.c", stand_in / "arm_nnfunctions.c"]
    sources += (TOP / "native").glob("tv_*.c")
    program, includes = folder / "test", ["-I", TOP / "native", "-I", stand_in]
    subprocess.run(["gcc", *FLAGS, status, *includes, *sources, "-lm", "-o", program], check=True)
    return program


@pytest.mark.parametrize("status", ["-DCMSIS_NN_2022", "-DCMSIS_NN_NOW"])
def test_our_side_of_it(tmp_path, status):
    program, paths = build(tmp_path, status), []
    for name, data in encoders().items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    print(done.stdout.splitlines()[-1:], done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert done.stdout.startswith("0 of ")


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """judge(files): what the engine with CMSIS-NN says of each; "" where it runs."""
    folder = tmp_path_factory.mktemp("judge")
    program = build(folder)

    def said(files):
        paths = []
        for i, data in enumerate(files):
            paths.append(folder / f"{i}.tvlm")
            paths[-1].write_bytes(data)
        done = subprocess.run([program, "-v", *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return done.stdout.split("\n")[:-1]

    return said


SMALL = tvlm.to_bytes(small_graph(5), library=True)


def python(data):
    """What the reader in Python says of it, as the tools use it."""
    try:
        pure_file.File(data, cmsis_nn.check_layer)
    except ValueError as error:
        return str(error).split("): ")[-1]
    return ""


def loads(data):
    try:
        return tvlm.load(data)
    except ValueError:
        return None


def test_the_file_holds_the_same_network():
    """Read back it is the very graph; every tensor is whole."""
    for seed in range(12):
        graph = random_graph(seed)
        ours = tvlm.load(tvlm.to_bytes(graph))
        theirs = tvlm.load(data := tvlm.to_bytes(graph, library=True))
        assert theirs.fingerprint == ours.fingerprint and "WGHT" not in theirs.sections
        assert tvlm.to_bytes(theirs.graph, library=True) == data
        assert tvlm.to_bytes(theirs.graph) == tvlm.to_bytes(graph)
        heights = {"input": graph.input_shape} | graph.shapes()
        for name, ref in theirs.plan.refs.items():
            height, width, channels = heights.get(name, graph.input_shape)
            assert (ref.rows, ref.row_bytes, ref.pitch) == (height, width * channels, 0)


def test_base_fits_the_board(tmp_path, capsys):
    """285 KB: what an STM32H743's AXI RAM has to spare. Today's base fits its DTCM, too."""
    out = tmp_path / "base-cmsis.tvlm"
    assert export.main([str(DEFAULT_MODEL), "--cmsis-nn", str(out)]) == 0
    assert f"{out}: {out.stat().st_size} bytes" in capsys.readouterr().out
    assert tvlm.load(out).plan.arena_size <= 285 << 10
    assert out.stat().st_size < 1.05 * DEFAULT_MODEL.stat().st_size
    assert inspect.main([str(out)]) == 0
    assert "bytes, of these" in (said := capsys.readouterr().out) and "CMSIS-NN" in said


def test_refused_where_there_is_no_library():
    assert check_equal(SMALL) == (
        "it is made for CMSIS-NN, which is not built in here; use the encoder that it was made of"
    )


CONV3 = next(i for i in kinds(SMALL, 1) if SMALL[record(SMALL, i) + 2] == 3)
TABLE = sections(SMALL)[b"CMNN"][0] + struct.unpack_from("<I", SMALL, record(SMALL, CONV3) + 64)[0]
WHOLE, QUANT = "in a file for CMSIS-NN every tensor is whole", "shift is out of range"
WEIGHTS, SHAPE = "weights or table lie outside", "shapes do not fit the operation"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SMALL, ""),
        (layer(SMALL, 0, 1, "<B", 2), WHOLE),  # streams
        (layer(SMALL, CONV3, 4, "<B", 1 - SMALL[record(SMALL, CONV3) + 4]), SHAPE),  # padding
        (layer(SMALL, CONV3, 60, "<I", sections(SMALL)[b"CMNN"][1] - 8), WEIGHTS),
        (layer(SMALL, CONV3, 64, "<I", sections(SMALL)[b"CMNN"][1] - 8), WEIGHTS),
        (put(SMALL, TABLE, "<I", 1 << 31), QUANT),  # a bias; 5 of each
        (put(SMALL, TABLE + 20, "<I", (1 << 30) - 1), QUANT),
        (put(SMALL, TABLE + 20, "<i", -1), QUANT),
        (put(SMALL, TABLE + 40, "<i", 0), QUANT),
        (put(SMALL, TABLE + 40, "<i", -23), QUANT),
        (put(SMALL, TABLE + 40, "<i", 1), QUANT),
        (put(SMALL, 52, "<I", 12 * 12), "scratch_size is too small"),
        (SMALL[:-1], "the file is truncated"),
    ],
)
def test_what_is_refused(judge, data, message):
    (said,) = judge([data])
    assert message in said and bool(said) == bool(message)
    assert said == python(data)
    assert bool(loads(data)) == (not message)


def test_a_layer_may_not_cost_too_much(judge, monkeypatch):
    """A function of the library keeps Ctrl-C waiting until a whole layer is done."""
    words, graphs = "a layer takes more steps than CMSIS-NN may at one go", []
    for channels in (35, 36):
        build = Builder(64)
        build.conv(channels, 3)
        graphs.append(build.finish(4))
        assert (64 * 64 * (channels + 12) * (27 + 24) <= 10_000_000) == (channels == 35)
    with monkeypatch.context() as patch:
        patch.setattr(cmsis_nn, "MAX_WORK", 1 << 62)
        files = [tvlm.to_bytes(graph, library=True) for graph in graphs]
    assert judge(files) == ["", words] == [python(data) for data in files]
    for call, those in ((tvlm.load, files), (lambda g: tvlm.to_bytes(g, library=True), graphs)):
        assert call(those[0])
        with pytest.raises(ValueError) as error:
            call(those[1])
        assert str(error.value).endswith(f"layer 0 (conv0): {words}")


def test_a_table_at_any_address(judge):
    (at,) = struct.unpack_from("<I", SMALL, record(SMALL, CONV3) + 64)
    data = layer(SMALL, CONV3, 64, "<I", at + 1)
    assert WEIGHTS in judge([data])[0] and loads(data) is None
    assert judge([data]) == [python(data)]


def test_values_changed_anywhere(judge):
    """C and Python say the same. What is accepted runs, in bounds and without overflow."""
    files, rng = [], np.random.default_rng(1)
    start, size = sections(SMALL)[b"LAYR"]
    for at in [*range(24, 72), *range(start, start + size)]:
        files += [put(SMALL, at, "<B", SMALL[at] ^ change) for change in (1, 0x80)]
    for _ in range(1000):
        at = start + int(rng.integers(0, size // 2)) * 2
        files.append(put(SMALL, at, "<H", int(rng.choice([0, 1, 2, 3, 7, 255]))))
    said = judge(files)
    for data, word in zip(files, said, strict=True):
        # how much scratch there must be says the library itself
        assert word == python(data) or python(data) == "scratch_size is too small for a kernel"
    print(f"\n{said.count('')} of {len(files)} accepted; {sorted(set(said))}")
    assert 0 < said.count("") < len(files) and len(set(said)) > 10


def test_an_accumulator_that_leaves_int32():
    """Our own kernels fold the zero point into the bias and have room for it."""
    weights = np.zeros((1, 1, 1, 40_000), np.int8)
    graph = small_graph(5)
    wide = Conv("wide", "x", weights, np.full(1, (1 << 30) - 1, np.int32), np.ones(1, np.float32),
                graph.input)  # fmt: skip
    with pytest.raises(ValueError, match="layer 'wide': CMSIS-NN's accumulator can leave int32"):
        cmsis_nn.check(type(graph)(graph.input_shape, graph.input, [wide], "wide"))


@pytest.fixture(scope="module")
def firmware():
    """The firmware with CMSIS-NN, in a folder of its own."""
    prefix = os.environ.get("CMSIS_NN")
    if not prefix:
        pytest.skip("needs CMSIS-NN as a library: CMSIS_NN=/prefix")
    build = "build/board-cmsis-nn"
    make("board", f"BOARD_BUILD={build}", f"CMSIS_NN={prefix}")
    return TOP / build / "firmware.elf"


def romfs(folder, files):
    """An image whose files lie as tinyvlm-deploy writes them."""
    image = folder / "rom.img"
    image.write_bytes(make_image([(f"/rom/{name}", data) for name, data in files.items()]))
    return image


ON_BOARD = """
import _tinyvlm

def frame_of(width, height, format):
    n = width * height * (1, 2, 2, 3, 3, 2)[format]
    return bytes((i * i * 7 + i // 5) & 255 for i in range(n))

def open_encoder(path, backend):
    e = _tinyvlm.Encoder(memoryview(open(path, "rb")))
    e.backend = backend
    return e

def outputs(path, backend, *shape):
    e = open_encoder(path, backend)
    out = bytearray(e.dim)
    assert e.selftest()
    if e.map is None:
        e.embed(frame_of(*shape), *shape, 0, out)
        return out
    dense = bytearray(e.map[0] * e.map[1] * e.dim)
    e.embed_map(frame_of(*shape), *shape, 0, out, dense)
    return out + dense

def compare(name, *shape):
    all = [outputs("/rom/%s.tvlm" % name, b, *shape) for b in _tinyvlm.backends()[:-1]]
    all.append(outputs("/rom/%sc.tvlm" % name, "cmsis-nn", *shape))
    bad = sum(sum(a != b for a, b in zip(all[0], other)) for other in all[1:])
    print(bad, len(all[0]) * (len(all) - 1))
"""


def test_equal_to_the_library(start_board, tmp_path):
    files = encoders()
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(ON_BOARD)
    assert board.eval("_tinyvlm.backends()") == BACKENDS
    bad = n = 0
    for i in range(len(files) // 2):
        more = board.exec(f"compare({i}, *{FRAMES[i % len(FRAMES)]})").split()
        bad, n = bad + int(more[0]), n + int(more[1])
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_base_in_the_budget_of_the_chip(start_board, tmp_path):
    """From flash in place, arena and scratch in the chip's DTCM; a count a layer; two in turns."""
    graph = tvlm.read(DEFAULT_MODEL)
    files = {"base.tvlm": DEFAULT_MODEL.read_bytes(), "like.tvlm": tvlm.to_bytes(base_like())}
    files["basec.tvlm"] = tvlm.to_bytes(graph, library=True)
    board = start_board(romfs=romfs(tmp_path, files), icount=True)
    board.exec(
        ON_BOARD
        + """
import array
counts = {}
for name in _tinyvlm.backends():
    a = open_encoder("/rom/basec.tvlm" if name == "cmsis-nn" else "/rom/base.tvlm", name)
    b = open_encoder("/rom/like.tvlm", "dsp")
    assert a.selftest() and b.selftest() and a.selftest()
    counts[name] = times = array.array("I", [0] * (a.layers + 1))
    a.profile(bytes(96 * 96), 96, 96, 0, 0, times)
assert all(list(t).count(0) == 1 for t in counts.values())  # only the dense layer
"""
    )
    sums = {name: board.eval(f"sum(counts['{name}'])") for name in BACKENDS}
    print(f"\n{sums}")
    assert sums["dsp"] < sums["cmsis-nn"] < sums["portable"]


def few(size, *layers):
    """An encoder of layers that cost the library much for what they do."""
    build = Builder(size)
    for kind, *arguments in layers:
        getattr(build, kind)(*arguments)
    return tvlm.to_bytes(build.finish(4), library=True)


COSTLY = [
    few(12, ("conv", 1), ("conv", 1, 7), ("conv", 1, 7, 2), ("conv", 3, 3), ("conv", 2, 7)),
    few(8, ("conv", 33), ("depthwise", 5), ("conv", 3), ("depthwise", 7), ("conv", 300)),
    few(8, ("conv", 300), ("residual", 300, 1, 1), ("pool", 7, 1), ("pool", 2, 2), ("conv", 640)),
]


def test_a_step_is_at_most_two_and_a_half_instructions(start_board, tmp_path):
    """What a layer may cost is counted in steps (docs/format.md): so long Ctrl-C waits at most."""
    files = {f"{i}.tvlm": data for i, data in enumerate(COSTLY)}
    files["base.tvlm"] = tvlm.to_bytes(tvlm.read(DEFAULT_MODEL), library=True)
    board = start_board(romfs=romfs(tmp_path, files), icount=True)
    board.exec(ON_BOARD + "from array import array")
    worst = 0
    for name, data in files.items():
        board.exec(
            f"e = open_encoder('/rom/{name}', 'cmsis-nn')\n"
            "times, n = array('I', [0] * (e.layers + 1)), e.size\n"
            "e.profile(bytes(3 * n * n), n, n, 3, 0, times)"
        )
        file = pure_file.File(data, cmsis_nn.check_layer)
        for i, cost in enumerate(board.eval("list(times)")[1:]):
            steps = cmsis_nn.work(file.layer(i))
            print(f"{name} {file.layer_name(i):16} {cost:9,} {cost / steps:.2f} a step")
            assert cost < 2.5 * steps + 2000  # and what every call takes, however small the layer
            worst = max(worst, cost)
    assert 1_000_000 < worst < 25_000_000


def test_the_bench_runs_it(firmware):
    """On its own file, beside ours, and compares the answers."""
    (result,) = count.run({"base": DEFAULT_MODEL.read_bytes()}, False, firmware)["models"]
    assert result["differ"] == 0 < result["compared"]
    assert result["backends"]["cmsis-nn"]["sum"] > result["backends"]["dsp"]["sum"]


def test_what_the_board_says(start_board, tmp_path):
    """A file on the wrong backend, and one at an odd address."""
    files = {"a.tvlm": tvlm.to_bytes(base_like()), "ac.tvlm": SMALL}
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(
        ON_BOARD
        + """
said = []
for path, name in (("/rom/a.tvlm", "cmsis-nn"), ("/rom/ac.tvlm", "portable")):
    e = _tinyvlm.Encoder(memoryview(open(path, "rb")))
    before = e.backend
    try:
        e.backend = name
    except ValueError as error:
        said.append(str(error))
    assert e.backend == before and e.selftest()
try:
    _tinyvlm.Encoder(memoryview(b" " + open("/rom/ac.tvlm", "rb").read())[1:])
except ValueError as error:
    said.append(str(error))
"""
    )
    said = board.eval("said")
    assert [*map(str.split, said)][0] == said[1].split() and "another order" in said[0]
    assert "multiple of 4" in said[2]


def test_a_callback_cannot_switch_backends(start_board, tmp_path):
    board = start_board(romfs=romfs(tmp_path, {"a.tvlm": tvlm.to_bytes(base_like())}))
    board.exec(
        ON_BOARD
        + """
import micropython
e = _tinyvlm.Encoder(memoryview(open("/rom/a.tvlm", "rb")))
seen = []
def callback(name):
    try:
        e.backend = name
    except RuntimeError as error:
        seen.append(str(error))
def go(name):
    e.backend = name
    micropython.schedule(callback, "portable" if name == "dsp" else "dsp")
    assert e.selftest() and e.backend == name
go("dsp")
go("portable")
"""
    )
    assert board.eval("seen") == ["the encoder is busy with a frame"] * 2
