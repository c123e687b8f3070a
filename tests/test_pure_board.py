# SPDX-License-Identifier: MIT
"""The plain Python engine on the virtual board, with the firmware's C module hidden."""

import struct
import subprocess
import sys

import _tinyvlm
import numpy as np
import pytest
from nets import Builder, random_graph

from tinyvlm.net import tvlm

SMALL = 18  # a random net with every operation whose kernels fit the heap
HIDE = "import sys; sys.modules['_tinyvlm'] = None; import tinyvlm, virt, gc\n"


def nano_like():
    """The shapes of the configuration nano (64 x 64 pixels) with random weights."""
    build = Builder(64, seed=1)
    build.conv(8, 3, 2)
    build.depthwise(3, 2)
    build.conv(16, relu=False)
    for out, hidden, stride in ((24, 48, 2), (24, 72, 1), (40, 96, 2), (40, 160, 1), (40, 160, 1)):
        source = build.last
        build.conv(hidden)
        build.depthwise(3, stride)
        build.conv(out, relu=False)
        if stride == 1:
            build.add(source)
    build.conv(192)
    return build.finish(256)


@pytest.fixture(scope="module")
def rom(tmp_path_factory):
    """A ROMFS image with two encoders and a frame; and what the C engine makes of that."""
    folder = tmp_path_factory.mktemp("rom")
    (folder / "rom").mkdir()
    frame = np.random.default_rng(0).integers(0, 256, 160 * 120 * 2, np.uint8).tobytes()
    (folder / "rom" / "frame.raw").write_bytes(frame)
    want = {}
    for name, graph in (("small", random_graph(SMALL, size=16)), ("nano", nano_like())):
        data = tvlm.to_bytes(graph)
        (folder / "rom" / f"{name}.tvlm").write_bytes(data)
        engine = _tinyvlm.Encoder(data)
        out = bytearray(engine.dim)
        engine.embed(frame, 160, 120, _tinyvlm.RGB565_BE, 0, out)
        want[name] = list(struct.unpack(f"{engine.dim}b", out))
    image = folder / "rom.romfs"
    command = [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", folder / "rom"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return image, want


def test_the_board_without_our_c(start_board, rom):
    """Equal to the C engine on a random net and on nano's shapes; what a frame takes."""
    image, want = rom
    board = start_board(romfs=image, icount=True)
    board.exec(
        HIDE + "frame = tinyvlm.Frame(memoryview(open('/rom/frame.raw', 'rb')), 160, 120, 2)"
    )
    for name, expected in want.items():
        board.exec(f"e = tinyvlm.load('/rom/{name}.tvlm'); gc.collect()")
        assert board.eval("e._engine.backend") == "python" and board.eval("e.in_place")
        board.exec("n = virt.instructions(); out = tinyvlm.embed(frame)", timeout=200)
        spent = board.eval("virt.instructions() - n")
        got = board.eval("list(out)")
        bad = sum(a != b for a, b in zip(got, expected, strict=True))
        macs, arena = board.eval("e.macs"), board.eval("e.arena")
        print(f"plain Python on the virtual board, {name}: {bad} of {len(got)} differ, "
              f"{macs / 1e6:.2f} M MAC, {spent / 1e6:.0f} M instructions, "
              f"{spent / macs:.0f} a MAC, arena {arena} bytes")  # fmt: skip
        assert bad == 0


def test_of_equal_ones_the_first(board):
    """As in the engine; sorted() would put them into another order on MicroPython."""
    board.exec(
        HIDE + "from array import array\nfrom tinyvlm import slow\n"
        "values, index = array('f', [1] * 9 + [2] * 9 + [1] * 9), array('H', bytes(24))"
    )
    assert board.eval("(slow.largest(values, 27, 12, index), list(index))") == (
        (12, [*range(9, 18), 0, 1, 2])
    )
