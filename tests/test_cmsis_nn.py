# SPDX-License-Identifier: MIT
"""The backend "cmsis-nn": the real library where there is one, and a stand-in everywhere.

make test CMSIS_NN=/prefix      # prefix/include/arm_nnfunctions.h, prefix/lib/libcmsis-nn.a
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make
from nets import Builder, base_like, random_graph
from test_board_engine import FRAMES, romfs

from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan

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
    """{name: file}: random nets and all shapes, run whole and streamed."""
    graphs = [*(random_graph(seed) for seed in range(30)), *shapes(False), *shapes(True)]
    budgets = (1 << 30, 1)
    return {
        f"{i}.tvlm": tvlm.to_bytes(graph, plan(graph, budgets[i % 2]))
        for i, graph in enumerate(graphs)
    }


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("status", ["-DCMSIS_NN_2022", "-DCMSIS_NN_NOW"])
def test_our_side_of_it(tmp_path, status):
    """tv_cmsis_nn.c under sanitizers, with tests/c/cmsis_nn in the library's place."""
    stand_in = TOP / "tests" / "c" / "cmsis_nn"
    sources = [TOP / "tests" / "c" / "test_cmsis_nn.c", stand_in / "arm_nnfunctions.c"]
    sources += (TOP / "native").glob("tv_*.c")
    program = tmp_path / "test"
    includes = ["-I", TOP / "native", "-I", stand_in]
    subprocess.run(["gcc", *FLAGS, status, *includes, *sources, "-lm", "-o", program], check=True)
    paths = []
    for name, data in encoders().items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    print(done.stdout.splitlines()[-1:], done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert done.stdout.startswith("0 of ")


@pytest.fixture(scope="module")
def firmware():
    """The firmware with CMSIS-NN, in a folder of its own."""
    prefix = os.environ.get("CMSIS_NN")
    if not prefix:
        pytest.skip("needs CMSIS-NN as a library: CMSIS_NN=/prefix")
    build = "build/board-cmsis-nn"
    make("board", f"BOARD_BUILD={build}", f"CMSIS_NN={prefix}")
    return TOP / build / "firmware.elf"


ON_BOARD = """
import _tinyvlm

def frame_of(width, height, format):
    n = width * height * (1, 2, 2, 3, 3, 2)[format]
    return bytes((i * i * 7 + i // 5) & 255 for i in range(n))

def outputs(e, backend, *shape):
    e.backend = backend
    out = bytearray(e.dim)
    assert e.selftest()
    if e.map is None:
        e.embed(frame_of(*shape), *shape, 0, out)
        return out
    dense = bytearray(e.map[0] * e.map[1] * e.dim)
    e.embed_map(frame_of(*shape), *shape, 0, out, dense)
    return out + dense

def compare(path, *shape):
    e = _tinyvlm.Encoder(memoryview(open(path, "rb")))
    all = [outputs(e, b, *shape) for b in _tinyvlm.backends()]
    bad = sum(sum(a != b for a, b in zip(all[0], other)) for other in all[1:])
    print(bad, len(all[0]) * (len(all) - 1))
"""


def test_equal_to_the_library(start_board, tmp_path):
    files = encoders()
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(ON_BOARD)
    assert board.eval("_tinyvlm.backends()") == BACKENDS
    bad = n = 0
    for i, name in enumerate(files):
        more = board.exec(f"compare('/rom/{name}', *{FRAMES[i % len(FRAMES)]})").split()
        bad, n = bad + int(more[0]), n + int(more[1])
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_profile_and_memory(start_board, tmp_path):
    """One count a layer; two encoders share the memory; a net that is too large is refused."""
    build = Builder(96)
    for out_c, stride in [(48, 1)] * 10 + [(8, 2)] * 3:
        build.conv(out_c, 3 if stride == 2 else 1, stride)
    large = build.finish(8)
    files = {"a.tvlm": tvlm.to_bytes(base_like()), "b.tvlm": tvlm.to_bytes(random_graph(3))}
    files["large.tvlm"] = tvlm.to_bytes(large, plan(large, 1))
    board = start_board(romfs=romfs(tmp_path, files), icount=True)
    board.exec(
        ON_BOARD
        + """
import array
a, b = (_tinyvlm.Encoder(memoryview(open("/rom/%s.tvlm" % n, "rb"))) for n in "ab")
counts = {}
for name in _tinyvlm.backends():
    a.backend = b.backend = name
    assert a.selftest() and b.selftest() and a.selftest()
    counts[name] = times = array.array("I", [0] * (a.layers + 1))
    a.profile(bytes(96 * 96), 96, 96, 0, 0, times)
assert all(list(t).count(0) == 1 for t in counts.values())  # only the dense layer
"""
    )
    sums = {name: board.eval(f"sum(counts['{name}'])") for name in BACKENDS}
    print(f"\n{sums}")
    assert sums["dsp"] < sums["cmsis-nn"] < sums["portable"]
    board.exec("""
e = _tinyvlm.Encoder(memoryview(open("/rom/large.tvlm", "rb")))
try:
    e.backend = "cmsis-nn"
except MemoryError as error:
    message = str(error)
assert e.backend == "dsp"
""")
    message = board.eval("message")
    assert message.startswith("backend: need ") and "have 4194304, largest" in message


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
    micropython.schedule(callback, "cmsis-nn" if name == "dsp" else "dsp")
    assert e.selftest() and e.backend == name
go("dsp")
go("cmsis-nn")
"""
    )
    assert board.eval("seen") == ["the encoder is busy with a frame"] * 2
