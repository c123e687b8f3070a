# SPDX-License-Identifier: MIT
"""The fast kernels against the portable ones, on the virtual board: equal bytes, whatever shape.

Every case is a small net around one layer. Many nets go into one ROMFS image, where their weights
lie at any byte address, and both backends run them in the same session.
"""

import itertools
import struct
import zlib

import _tinyvlm
import numpy as np
import pytest
import test_legal as legal
from nets import Builder
from test_board_engine import romfs

from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan
from tinyvlm.net.schedule import Schedule

COMPARE = """
import _tinyvlm, gc

def in_place(path, offset):
    return memoryview(open(path, "rb"))

def in_ram(path, offset):
    data = open(path, "rb").read()
    whole = bytearray(len(data) + 4)
    whole[offset:offset + len(data)] = data
    return memoryview(whole)[offset:offset + len(data)]

def answer(e, backend, frame, side):
    e.backend = backend
    out, dense = bytearray(e.dim), bytearray(e.map[0] * e.map[1] * e.dim)
    e.embed_map(frame, side, side, 3, 0, out, dense)
    return out + dense

def compare(names, load, offset=0):
    differ = total = flat = 0
    for name, side in names:
        gc.collect()
        e = _tinyvlm.Encoder(load("/rom/" + name, offset))
        frame = bytes((i * i * 7 + i // 5) & 255 for i in range(side * side * 3))
        want = answer(e, "portable", frame, side)
        flat += len(set(want)) < 2
        for backend in ("dsp", "dsp-m4"):
            got = answer(e, backend, frame, side)
            wrong = sum(a != b for a, b in zip(got, want))
            if wrong:
                print(name, wrong, "differ")
            differ += wrong
            total += len(want)
    return differ, total, flat
"""


def conv(size, channels, out_c, kernel, stride, relu):
    """An ordinary convolution of `channels` inputs."""
    build = Builder(size, seed=channels * 31 + out_c)
    build.conv(channels, 1)
    build.conv(out_c, kernel, stride, relu=relu)
    return build.finish(5, dense=True)


def depthwise(size, channels, kernel, stride, relu):
    """A depthwise layer; the convolution before it writes planar rows."""
    build = Builder(size, seed=channels * 17 + size)
    build.conv(channels, 1, relu=relu)
    build.depthwise(kernel, stride, relu=relu)
    return build.finish(4, dense=True)


def expanded(size, inputs, channels, kernel, relu):
    """A pointwise convolution of `inputs` channels whose output is planar."""
    build = Builder(size, seed=inputs * 19 + channels)
    build.conv(inputs, 1)
    build.conv(channels, 1, relu=relu)
    build.depthwise(kernel)
    return build.finish(4, dense=True)


def add(size, channels, relu):
    """A residual addition, and what surrounds it."""
    build = Builder(size, seed=channels)
    build.conv(channels, 1, relu=False)
    build.residual(channels, 2)
    src = build.last
    build.conv(channels, 1, relu=False)
    build.add(src, relu=relu)
    return build.finish(3, dense=True)


def clamped(size, channels, kernel, zero):
    """ReLU at any zero point: after ordinary and depthwise convolutions and an addition."""
    build = Builder(size, seed=channels * 13 + size, relu_points=(zero,))
    build.conv(channels, kernel)
    src = build.conv(channels, 1)
    build.residual(channels, 2)
    build.conv(channels, 1)
    build.add(src, relu=True)
    return build.finish(5, dense=True)


def shuffled(size, block, channels, pool):
    """The beginning of a net for the MAX78000."""
    build = Builder(size, seed=channels)
    build.space_to_depth(block)
    build.shifted(channels, 3)
    build.pool(pool)
    build.shifted(channels + 1, 3)
    return build.finish(6, True, build.shifted)


CONVS = [
    *itertools.product((3, 7, 12), (1, 4, 5, 8), (1, 2, 9), (1,), (1, 2), (True, False)),
    *itertools.product((5, 8), (3, 6), (2, 5), (3, 5), (1, 2), (True, False)),
    *itertools.product((4,), (33, 36, 40, 68, 100), (6,), (1,), (1,), (True, False)),
    (7, 2, 3, 7, 1, True),
    (8, 2, 3, 7, 2, False),
]
DEPTHWISES = [
    *itertools.product(range(1, 14), (1, 2, 7), (3,), (1, 2), (True, False)),
    *itertools.product((23, 24, 25, 26), (3,), (3,), (1, 2), (True,)),
    *itertools.product((6, 7), (3,), (1, 5, 7), (1, 2), (True, False)),
    *itertools.product((*range(1, 14), 25), (1, 2), (5, 7), (1, 2), (True,)),
]
EXPANDED = [
    *itertools.product((3, 4, 6, 9, 12, 24), (5, 8, 9, 16), (1, 2, 5), (3,), (True, False)),
    *itertools.product((3, 6, 12), (8,), (1, 6), (5, 7), (True,)),
]
ADDS = list(itertools.product((1, 2, 5, 8), (1, 3, 4, 7), (True, False)))
CLAMPED = list(itertools.product((1, 4, 7), (1, 4, 6), (1, 3), (-127, 0, 63)))
SHUFFLED = list(itertools.product((12, 24), (2, 4), (4, 7, 16), (1, 2)))


def little_scratch(data, graph):
    """The file with the least scratch that its layers allow."""
    data = bytearray(data)
    struct.pack_into("<I", data, 52, Schedule(graph).least_scratch)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


TABLES = [
    (conv, CONVS),
    (depthwise, DEPTHWISES),
    (expanded, EXPANDED),
    (add, ADDS),
    (clamped, CLAMPED),
    (shuffled, SHUFFLED),
]


def variants(graph):
    """In one piece and row by row; with much scratch and with the least there may be."""
    for budget in (1, 1 << 30):
        data = tvlm.to_bytes(graph, plan(graph, budget))
        yield data
        yield little_scratch(data, graph)


@pytest.mark.parametrize(("make", "table"), TABLES, ids=lambda x: "")
def test_shapes(start_board, tmp_path, make, table):
    files, names = {}, []
    for shape in table:
        for data in variants(make(*shape)):
            name = "n" * (1 + len(names) // 3 % 4) + f"{len(names)}.tvlm"
            files[name] = data
            names.append((name, shape[0]))
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(COMPARE)
    differ = total = flat = 0
    for first in range(0, len(names), 40):
        said = board.exec(f"print(compare({names[first : first + 40]}, in_place))", timeout=60)
        *complaints, sums = said.splitlines()
        assert not complaints, complaints
        differ, total, flat = (
            a + b for a, b in zip((differ, total, flat), eval(sums), strict=True)
        )
    print(f"\n{make.__name__}: {len(names)} nets, {differ} of {total} differ")
    assert differ == 0 and flat < len(names) / 8


@pytest.mark.parametrize("offset", range(4))
def test_any_address(start_board, tmp_path, offset):
    graphs = conv(9, 6, 7, 3, 1, True), depthwise(9, 5, 3, 2, True), add(9, 3, False)
    files = {f"{i}.tvlm": tvlm.to_bytes(graph) for i, graph in enumerate(graphs)}
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(COMPARE)
    names = [(name, 9) for name in files]
    differ, total, flat = board.eval(f"compare({names}, in_ram, {offset})")
    print(f"\noffset {offset}: {differ} of {total} differ")
    assert differ == 0 and total > 0 and flat == 0


def hostile(count, seed=0):
    """Files with values of layers and weights changed at random that are accepted all the same."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        data = bytearray(legal.FILES[("whole", "streamed")[len(found) % 2]])
        start, size = legal.sections(data)[b"WGHT"]
        data[start + rng.integers(0, size)] ^= 1 << rng.integers(0, 8)
        start, size = legal.sections(data)[b"LAYR"]
        for _ in range(rng.integers(1, 4)):
            at = start + int(rng.integers(0, size // 2)) * 2
            value = int(rng.choice([0, 1, 2, 3, 7, 255, rng.integers(0, 64)]))
            struct.pack_into(rng.choice(["<B", "<H"]), data, at, value)
        engine, said = legal.verdict(_tinyvlm.Encoder, data := legal.signed(data))
        if not said and engine.arena < 100_000 and legal.steps(data) < 200_000:
            found.append(data)
    return found


def test_hostile_files(start_board, tmp_path):
    """What is accepted has one answer: no kernel reads what another does not write."""
    files = {f"{i}.tvlm": data for i, data in enumerate(hostile(200))}
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(COMPARE)
    said = board.exec(f"print(compare({[(name, 12) for name in files]}, in_place))", timeout=200)
    *complaints, sums = said.splitlines()
    differ, total, _ = eval(sums)
    print(f"\n{len(files)} hostile files: {differ} of {total} differ")
    assert not complaints and differ == 0 < total
