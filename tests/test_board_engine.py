# SPDX-License-Identifier: MIT
"""The engine on the virtual board: the same bytes as on the PC, in bounded memory."""

import struct
import subprocess
import sys
import time
import zlib

import _tinyvlm
import numpy as np
import pytest
from nets import Builder, base_like, random_graph

from tinyvlm.device import pure_check, pure_file
from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan

FRAMES = [(31, 17, 0), (20, 33, 1), (9, 9, 2), (40, 30, 3), (12, 50, 4), (22, 21, 5)]
PIXEL = (1, 2, 2, 3, 3, 2)


def romfs(folder, files):
    """A ROMFS image of {name: bytes}; its files lie at any byte address."""
    for name, data in files.items():
        path = folder / "rom" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    image = folder / "rom.img"
    command = [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", folder / "rom"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return image


def pixels(width, height, format):
    size = width * height * PIXEL[format]
    return bytes(i * i * 7 + i // 5 & 255 for i in range(size))


ON_BOARD = """
import _tinyvlm, binascii, gc

def run(path, dim, width, height, format):
    e = _tinyvlm.Encoder(memoryview(open(path, "rb")))
    n = width * height * (1, 2, 2, 3, 3, 2)[format]
    frame = bytes((i * i * 7 + i // 5) & 255 for i in range(n))
    out = bytearray(dim)
    if e.map is None:
        e.embed(frame, width, height, format, 0, out)
    else:
        dense = bytearray(e.map[0] * e.map[1] * dim)
        e.embed_map(frame, width, height, format, 0, out, dense)
        out = out + dense
    assert e.selftest()
    print(binascii.hexlify(out).decode())
"""


def test_equal_to_the_pc(start_board, tmp_path):
    files, expected = {}, {}
    for seed in range(24):
        graph = random_graph(seed)
        data = tvlm.to_bytes(graph, plan(graph, 1 if seed % 2 else 1 << 30))
        frame = FRAMES[seed % len(FRAMES)]
        engine = _tinyvlm.Encoder(data)
        out = bytearray(engine.dim)
        dense = bytearray()
        if engine.map:
            dense = bytearray(engine.map[0] * engine.map[1] * engine.dim)
            engine.embed_map(pixels(*frame), *frame, 0, out, dense)
        else:
            engine.embed(pixels(*frame), *frame, 0, out)
        name = "n" * (1 + seed % 4) + f"{seed}.tvlm"
        dim = max(1, engine.dim - seed % 3)  # all of the dimensions, or the first of them
        dense = b"".join(dense[i : i + dim] for i in range(0, len(dense), engine.dim))
        files[name], expected[name] = data, ((dim, *frame), out[:dim] + dense)
    board = start_board(romfs=romfs(tmp_path, files))
    board.exec(ON_BOARD)
    bad = n = 0
    for name, (frame, want) in expected.items():
        got = bytes.fromhex(board.exec(f"run('/rom/{name}', *{frame})"))
        assert len(got) == len(want)
        bad += sum(a != b for a, b in zip(got, want, strict=True))
        n += len(want)
    print(f"\n{bad} of {n} differ")
    assert bad == 0


def test_scores_are_equal_to_the_pc(board):
    rng = np.random.default_rng(0)
    for bits, stored in ((8, 32), (8, 35), (4, 32)):  # 35: rows at every offset
        embedding, vectors = rng.bytes(stored), rng.bytes(50 * stored * bits // 8)
        out = np.zeros(50, np.float32)
        for dim in (1, 7, 17, stored):
            _tinyvlm.score(embedding, vectors, 50, stored, bits, dim, out)
            board.exec(
                "import _tinyvlm, array; out = array.array('f', [0] * 50); "
                f"_tinyvlm.score({embedding!r}, {vectors!r}, 50, {stored}, {bits}, {dim}, out)"
            )
            assert bytes.fromhex(board.eval("bytes(out).hex()")) == out.tobytes()


@pytest.mark.parametrize("cells, dim", [(6, 20), (36, 16), (255, 8), (256, 9)])
def test_means_of_a_region_are_equal_to_the_pc(board, cells, dim):
    """Also where 16 bits do not hold a sum."""
    rng = np.random.default_rng(cells)
    for grid in (rng.bytes(cells * dim), bytes([128]) * (cells * dim)):
        mask, out = bytes(rng.integers(0, 4, cells, np.uint8) | (grid[0] == 128)), bytearray(dim)
        _tinyvlm.map_mean(grid, cells, mask, out)
        board.exec(
            f"import _tinyvlm; out = bytearray({dim}); "
            f"_tinyvlm.map_mean({grid!r}, {cells}, {mask!r}, out)"
        )
        assert bytes.fromhex(board.eval("out.hex()")) == out


GROWS = """
import _tinyvlm
from array import array

class Number: # as an argument it makes all buffers move
    def __init__(self, value, buffers):
        self.value, self.buffers = value, buffers
    def __int__(self):
        while self.buffers:
            grow(self.buffers.pop())
        return self.value

def grow(buffer):
    more = bytes(240)
    buffer.extend(more if isinstance(buffer, bytearray) else array(kinds[id(buffer)], more))

def made():
    some, rows, near = bytearray(range(1, 121)), array("H", [2, 0, 1]), array("f", [1, 7, 4, 2])
    by, how, out = array("f", [0.5, 2, 3]), array("f", [7, 0.1, 0.3]), array("f", [0] * 64)
    index, more, mask = array("H", [0] * 4), array("f", [0] * 8), bytearray(120)
    parts = some, rows, near, by, how, out, index, more, mask
    kinds.clear()
    kinds.update({id(part): "H" if i in (1, 6) else "f" for i, part in enumerate(parts)})
    return parts, bytearray(2000)  # they cannot grow where they are

kinds = {}

def run(call, numbers_grow):
    buffers, wall = made()
    if not numbers_grow:
        for buffer in buffers:
            grow(buffer)
    left = list(buffers) if numbers_grow else []
    result = call(lambda value: Number(value, left), *buffers)
    return result, [bytes(buffer) for buffer in buffers], len(left)

CALLS = {
    "weigh": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.weigh(near, rows, n(3), by),
    "largest": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.largest(near, n(4), n(2), index),
    "rank": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.rank(near, n(3), 4, how, out, n(2), index),
    "best": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.best(some, some, n(5), 6, 8, 8, n(7), rows, n(1), by, how, n(2), index, out),
    "score": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.score(some, some, n(5), 8, 8, n(7), out),
    "map_peaks": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.map_peaks(some, n(6), some, 3, 8, 8, 8, more, near, out),
    "map_heat": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.map_heat(some, n(6), some, 2, 8, 8, 8, out, more),
    "map_mean": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.map_mean(some, n(6), bytes(b"\\1" * 6), mask),
    "map_region": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.map_region(more, n(2), n(3), n(97), mask, index),
    "crc32": lambda n, some, rows, near, by, how, out, index, more, mask:
        _tinyvlm.crc32(some, n(5)),
}
"""


@pytest.mark.parametrize(
    "name", "weigh largest rank best score map_peaks map_heat map_mean map_region crc32".split()
)
def test_a_number_that_resizes_the_buffers(board, name):
    """An object's __int__() may do anything; buffers are looked at when the numbers are known."""
    board.exec(GROWS)
    board.exec(f"once = [run(CALLS[{name!r}], later) for later in (False, True)]")
    assert board.eval("once[1][2]") == 0  # the buffers did grow
    assert board.eval("once[0] == once[1]")


@pytest.fixture(scope="module")
def small():
    """An encoder of 1.5 KB with every operation."""
    build = Builder(8, seed=1, relu_points=(-128, 0))
    build.space_to_depth(2)
    build.conv(4, 3, 2)
    build.residual(4, 2)
    return tvlm.to_bytes(build.finish(5, dense=True))


def test_damaged_files_are_refused(board, small):
    board.exec(f"import _tinyvlm; data = bytearray({small!r}); whole = memoryview(data)")
    board.exec("""
def refused(buffer):
    try:
        _tinyvlm.Encoder(buffer)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted")
messages = {refused(whole[:n]) for n in range(len(data))}
for bit in list(range(16 * 8)) + list(range(128, 8 * len(data), 7)):
    data[bit // 8] ^= 1 << bit % 8
    messages.add(refused(whole))
    data[bit // 8] ^= 1 << bit % 8
e = _tinyvlm.Encoder(whole)
""")
    assert board.eval("sorted(messages)") == [
        "the checksum does not match, the file is damaged",
        "the file is of a version that this firmware does not read",
        "the file is truncated",
        "the header is inconsistent",
        "this is not an encoder file (.tvlm)",
    ]


def test_a_frame_takes_no_heap_and_weights_stay(start_board, tmp_path):
    data = tvlm.to_bytes(base_like())
    board = start_board(romfs=romfs(tmp_path, {"b.tvlm": data}))
    board.exec("""
import _tinyvlm, gc
frame, out = bytearray(160 * 120 * 2), bytearray(256)
def used():
    gc.collect()
    return gc.mem_alloc()
before = used()
e = _tinyvlm.Encoder(memoryview(open("/rom/b.tvlm", "rb")))
""")
    assert board.eval("used() - before") < 500
    board.exec("""
def frames():
    embed, bytes_used = e.embed, gc.mem_alloc
    before = bytes_used()
    embed(frame, 160, 120, 2, 0, out)
    embed(frame, 160, 120, 2, 0, out)
    return bytes_used() - before
frames()
""")
    assert board.eval("frames()") == 0


def test_too_large_for_the_board(board, small):
    need = 200_000
    data = bytearray(small)
    struct.pack_into("<I", data, 44, need)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    data = bytes(data)
    board.exec(f"import _tinyvlm; data = {data!r}")
    board.exec("""
try:
    _tinyvlm.Encoder(data)
except MemoryError as error:
    message = str(error)
""")
    assert board.eval("message") == (
        f"arena: need {need} bytes, have 131072, largest free block 131072; use a smaller encoder"
    )


def test_ctrl_c_ends_a_frame(start_board, tmp_path):
    board = start_board(romfs=romfs(tmp_path, {"b.tvlm": tvlm.to_bytes(base_like())}))
    board.exec("""
import _tinyvlm
e = _tinyvlm.Encoder(memoryview(open("/rom/b.tvlm", "rb")))
frame, out = bytearray(96 * 96), bytearray(256)
def forever():
    while True:
        e.embed(frame, 96, 96, 0, 0, out)
""")
    for delay in (0.05, 0.1, 0.17):
        board.begin("forever()")
        time.sleep(delay)
        board.interrupt()
        assert board.eval("e.selftest()") is True
    board.mpremote("soft-reset")
    board.exec("import _tinyvlm; e = _tinyvlm.Encoder(memoryview(open('/rom/b.tvlm', 'rb')))")
    assert board.eval("e.selftest()") is True


def test_a_callback_cannot_start_a_second_frame(start_board, tmp_path):
    board = start_board(romfs=romfs(tmp_path, {"b.tvlm": tvlm.to_bytes(base_like())}))
    board.exec("""
import _tinyvlm, micropython
e = _tinyvlm.Encoder(memoryview(open("/rom/b.tvlm", "rb")))
frame, out, seen = bytearray(96 * 96), bytearray(256), []
def callback(_):
    try:
        e.embed(frame, 96, 96, 0, 0, out)
    except RuntimeError as error:
        seen.append(str(error))
def go():
    micropython.schedule(callback, 0)
    e.embed(frame, 96, 96, 0, 0, out)
go()
""")
    assert board.eval("seen") == ["the encoder is busy with a frame"]
    assert board.eval("e.selftest()") is True


# A callback resizes one of the buffers that a frame uses, and takes what became free.
RESIZE = """
import micropython
from array import array

def resize(name, raw):
    used = {"file": bytearray(raw)}
    e = _tinyvlm.Encoder(used["file"])
    used["frame"], used["out"] = bytearray(8 * 8), bytearray(e.dim)
    used["dense"] = bytearray(e.map[0] * e.map[1] * e.dim)
    used["times"] = array("I", [0] * (e.layers + 1))
    wall, taken = bytearray(4_000), []  # nothing can grow where it is
    more = array("I", [0] * 1_500) if name == "times" else bytes(6_000)
    def callback(_):
        used[name].extend(more)
        taken.extend(bytearray(b"U" * 32) for _ in range(100))
    if name == "times":
        method, written = e.profile, (used["times"],)
    else:
        method, written = e.embed_map, (used["out"], used["dense"])
    micropython.schedule(callback, 0)
    try:
        method(used["frame"], 8, 8, 0, 0, *written)
        said = "no error"
    except RuntimeError as error:
        said = str(error)
    assert len(taken) == 100 and all(set(part) == {85} for part in taken)
    try:
        e.layer(0)
        after = "no error"
    except RuntimeError as error:
        after = str(error)
    return said, after
"""
RESIZED = "a buffer that the encoder uses was resized"


@pytest.mark.parametrize("name", ["frame", "out", "dense", "times", "file"])
def test_a_callback_that_resizes_a_buffer_ends_the_frame(start_board, tmp_path, name):
    """The engine has its address; after extend() something else may lie there."""
    data = tvlm.to_bytes(random_graph(3, size=8, dim=6, dense=True))
    board = start_board(romfs=romfs(tmp_path, {"s.tvlm": data}))
    board.exec(f"import _tinyvlm\n{RESIZE}\nraw = open('/rom/s.tvlm', 'rb').read()")
    after = RESIZED if name == "file" else "no error"
    assert board.eval(f"resize({name!r}, raw)") == (RESIZED, after)
    assert board.eval("_tinyvlm.Encoder(raw).selftest()") is True


def test_a_callback_that_resizes_the_file_ends_its_opening(board, small):
    board.exec(f"""
import _tinyvlm, micropython
data = bytearray({small!r})
wall = bytearray(4_000)  # it cannot grow where it is
def opened():
    micropython.schedule(lambda _: data.extend(bytes(6_000)), None)
    try:
        return _tinyvlm.Encoder(data).dim
    except RuntimeError as error:
        return str(error)
""")
    assert board.eval("opened()") == RESIZED
    assert board.eval("_tinyvlm.Encoder(data).selftest()") is True


def few(side, seed, *layers):
    """An encoder of layers that are work for little: few inputs or channels, odd sizes."""
    build = Builder(side, seed=seed, relu_points=(0, 9))
    for name, *arguments in layers:
        getattr(build, name)(*arguments)
    return tvlm.to_bytes(build.finish(8))


FEW = [
    few(40, 1, ("conv", 1), ("conv", 64), ("conv", 1), ("conv", 3, 3), ("conv", 48, 3)),
    few(64, 2, ("conv", 33, 1, 2), ("pool", 1, 1), ("pool", 2, 1), ("pool", 3, 2), ("pool", 0, 0)),
    few(64, 3, ("space_to_depth", 2), ("conv", 2), ("conv", 3), ("conv", 5), ("conv", 7, 7)),
    few(24, 4, ("conv", 9), ("depthwise", 3), ("conv", 40), ("depthwise", 5), ("conv", 1)),
    few(8, 5, ("conv", 3), ("depthwise", 7), ("conv", 300), ("residual", 300, 1), ("conv", 1)),
]


def test_a_step_is_at_most_three_instructions(start_board, tmp_path):
    """What a row may cost is counted in steps (docs/format.md): so long Ctrl-C waits at most."""
    files = {f"{i}.tvlm": data for i, data in enumerate(FEW)}
    board = start_board(romfs=romfs(tmp_path, files), icount=True)
    board.exec("import _tinyvlm\nfrom array import array")
    for name, data in files.items():
        file = pure_file.File(data)
        board.exec(
            f"e = _tinyvlm.Encoder(memoryview(open('/rom/{name}', 'rb')))\n"
            "times, n = array('I', [0] * (e.layers + 1)), e.size\n"
            "e.profile(bytes(3 * n * n), n, n, 3, 0, times)"
        )
        for i, cost in enumerate(board.eval("list(times)")[1:]):
            layer = file.layer(i)
            row, steps = cost / layer.out_h, pure_check._work(layer)
            print(f"{name} {file.layer_name(i):12} {row:10.0f} a row, {row / steps:.2f} a step")
            assert row < 3 * steps + 4000  # and what every row takes, however short it is
