# SPDX-License-Identifier: MIT
"""The engine as a native .mpy gives what the firmware's gives, and both what the PC's gives.

One body of Python, BODY, runs on CPython, on MicroPython's unix port and on the virtual board,
there with the engine built in and with the .mpy. All must print the same.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import _tinyvlm
import pytest
from conftest import BoardUnderTest
from nets import Builder, random_graph
from power import OPTIONS
from readme import PAGES, check_region, markdown, million
from test_board_engine import RESIZE, RESIZED, romfs

from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA
from tinyvlm.virtual.board import ROMFS_ADDRESS, qemu_command

TOP = Path(__file__).resolve().parents[1]
BOARD_ARCHS = ("armv7emsp", "armv7emdp", "armv6m")

MESSAGE = """
def message(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return type(error).__name__ + ": " + str(error)
    return "no error"
"""
BODY = (
    MESSAGE
    + """
from array import array
from binascii import hexlify

def hexed(buffer):
    return hexlify(buffer).decode()

def pieces(buffer):
    # checksums: a board under load may lose characters when it prints a hundred thousand
    view = memoryview(buffer)
    return ["%08x" % _tinyvlm.crc32(view[i:i + 64]) for i in range(0, len(buffer), 64)]

def pixels(n):
    values = bytearray(n)
    for i in range(n):
        values[i] = (i * i * 7 + i // 5) & 255
    return values

def embed(name, width, height, format):
    e = _tinyvlm.Encoder(read(name))
    frame = pixels(width * height * (1, 2, 2, 3, 3, 2)[format])
    out, dense = bytearray(e.dim), bytearray()
    if e.map:
        dense = bytearray(e.map[0] * e.map[1] * e.dim)
        e.embed_map(frame, width, height, format, 0, out, dense)
    else:
        e.embed(frame, width, height, format, 0, out)
    print(name, hexed(out), len(dense), pieces(dense), e.selftest())
    print(e.size, e.dim, e.map, e.arena, e.macs, hexed(e.fingerprint), e.info, e.layers)
    print([e.layer(i) for i in range(e.layers)])
    return e, out, dense

def scores(out, dense, cells, dim):
    rows = 40
    vectors = pixels(rows * dim)
    cosines, peaks = array("f", [0] * rows), array("f", [0] * rows)
    levels, heat = array("f", [0] * 2 * cells), array("f", [0] * cells)
    for bits, used in ((8, dim), (8, dim // 2), (4, dim)):
        _tinyvlm.score(out, vectors, rows, dim, bits, used, cosines)
        print(hexed(cosines))
    index, best, shown = array("H", [0] * 5), array("f", [0] * 5), array("H", [2, 3, 31])
    gains = array("f", [0.6, 0.5, 0.75])
    _tinyvlm.weigh(cosines, shown, 3, gains)
    print(_tinyvlm.largest(cosines, rows, 5, index), list(index))
    near = array("f", [0] * rows)
    how = array("f", [31.5, 0.01, 0.2])
    print(_tinyvlm.rank(cosines, rows - 3, rows, how, near, 5, index), list(index))
    print(hexed(near))
    how, labels = array("f", [11.5, 0.01, -2]), rows - 3
    some = out, vectors, labels, rows, dim, 8, dim, shown, 3, gains, how, 5, index, best
    print(_tinyvlm.best(*some), list(index), hexed(best))
    _tinyvlm.map_peaks(dense, cells, vectors, rows, dim, 8, dim, cosines, peaks, levels)
    _tinyvlm.map_heat(dense, cells, vectors, 3, dim, 8, dim, levels, heat)
    print(hexed(peaks), hexed(levels), hexed(heat))
    mask, box, high = bytearray(cells), array("H", [0] * 4), 1
    while cells % (high + 1) == 0 and high < 4:
        high += 1
    _tinyvlm.map_region(heat, high, cells // high, 119, mask, box)
    print(hexed(mask), list(box))
    mean = bytearray(dim)
    _tinyvlm.map_mean(dense, cells, bytes([i % 2 for i in range(cells)]), mean)
    print(hexed(mean), _tinyvlm.crc32(vectors), _tinyvlm.crc32(b"6789", _tinyvlm.crc32(b"12345")))

def shared():
    # what is written must not be read as something else meanwhile
    bits = bytearray(64)
    whole = memoryview(bits)
    numbers, rows = array("f", [1, 2, 3, 4]), array("H", [3, 1])
    def at(kind, first, size):
        return memoryview(memories[kind])[first:first + size]
    memories = {"f": array("f", [0.5] * 16)}
    how = array("f", [1, 0, -2])
    print(message(_tinyvlm.weigh, bits, whole[8:12], 2, numbers))
    print(message(_tinyvlm.weigh, numbers, rows, 2, memoryview(numbers)[2:]))
    print(message(_tinyvlm.weigh, numbers, rows, 2, array("f", [2, 3])), list(numbers))
    print(message(_tinyvlm.weigh, numbers, rows, 0, numbers), list(numbers))
    print(message(_tinyvlm.rank, numbers, 3, 4, how, array("d", [0] * 3), 2, rows))
    print(message(_tinyvlm.rank, numbers, 3, 4, how, numbers, 2, rows))
    print(message(_tinyvlm.rank, numbers, 3, 4, how, whole, 2, whole[8:]))
    print(message(_tinyvlm.rank, whole, 3, 4, how, numbers, 2, whole[12:]))
    print(message(_tinyvlm.rank, at("f", 0, 4), 3, 4, how, at("f", 4, 3), 2, rows), list(rows))
    print(message(_tinyvlm.rank, memories["f"], 3, 4, how, at("f", 4, 3), 2, rows), list(rows))

class Zero:
    def __int__(self):
        return 0
    __index__ = __int__

def errors(e):
    print(e.layer(Zero()) == e.layer(0) == e.layer(False))
    out, frame = bytearray(e.dim), bytes(64)
    print(message(_tinyvlm.Encoder, b"abcd"))
    print(message(_tinyvlm.Encoder, read("small.tvlm")[:200]))
    print(message(e.embed, frame, 9, 9, 0, 0, out))
    print(message(e.embed, frame, -1, 9, 0, 0, out))
    print(message(e.embed, frame, 8, 8, 256, 0, out))
    print(message(e.embed, frame, 8, 8, 7, 0, out))
    print(message(e.embed, b"\\xff\\xd8\\xff" + frame, 8, 8, 2, 0, out))
    print(message(e.embed, frame, 8, 8, 0, 0, out[1:]))
    print(message(e.embed, frame, 8, 8, 0, 0, array("f", [0] * e.dim)))
    print(message(e.embed, frame, 1 << 70, 8, 0, 0, out)[:13])
    print(message(e.embed, frame, 1.5, 8, 0, 0, out)[:9])
    print(message(e.layer, 99))
    for cells in (-1, 0, 3, 1 << 24):
        print(message(_tinyvlm.map_mean, frame, cells, frame, out))
    others = "gc", "time", "heap", "backends"
    print(sorted(name for name in dir(_tinyvlm) if name[0] != "_" and name not in others))

for item in FRAMES:
    last = embed(*item)
scores(last[1], last[2], last[0].map[0] * last[0].map[1], last[0].dim)
errors(last[0])
shared()
times = array("I", [0] * (last[0].layers + 1))
last[0].profile(pixels(64), 8, 8, 0, 0, times)
"""
)


def make(*arguments):
    """make with a clean environment; returns (status, what it said)."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", *map(str, arguments)]
    made = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True)
    return made.returncode, made.stdout + made.stderr


@pytest.fixture(scope="module")
def micropython():
    """The folder of MicroPython's source, with mpy-cross built."""
    status, said = make("build/micropython.path")
    if status:
        pytest.skip(f"no compiler, emulator or MicroPython here: {said.strip()[-300:]}")
    folder = Path((TOP / "build" / "micropython.path").read_text().strip())
    status, said = make("-C", folder / "mpy-cross", f"PYTHON={sys.executable}")
    assert status == 0, said[-3000:]
    return folder


@pytest.fixture(scope="module")
def build(micropython):
    """build(arch) -> the folder that `mip` installs from; skips where there is no compiler."""

    def build(arch):
        status, said = make(
            *("-C", "native/natmod", f"ARCH={arch}", f"MPY_DIR={micropython}"),
            f"PYTHON={sys.executable}",
        )
        for reason in ("No arm-", "No riscv", "No xtensa", "has not what links"):
            if status and reason in said:
                pytest.skip(said[said.index("***") + 4 :].splitlines()[0])
        assert status == 0, said[-3000:]
        return TOP / "build" / "natmod" / arch

    return build


def port(micropython, name, folder, *options):
    """The folder in build/ where MicroPython's makefile builds a port."""
    build = TOP / "build" / folder
    status, said = make("-C", micropython / "ports" / name, f"BUILD={build}", *options)
    assert status == 0, said[-3000:]
    return build


@pytest.fixture(scope="module")
def unix(micropython):
    """MicroPython's unix port, with the engine built in."""
    return port(micropython, "unix", "unix", f"USER_C_MODULES={TOP}", *OPTIONS) / "micropython"


@pytest.fixture(scope="module")
def files():
    """{name: (encoder file, frame)}: random networks, a small one, and the encoder that ships."""
    frames = [(31, 17, 0), (20, 33, 1), (9, 9, 2), (40, 30, 3), (12, 50, 4), (22, 21, 5)]
    files = {f"r{i}.tvlm": (tvlm.to_bytes(random_graph(i)), frames[i % 6]) for i in range(12)}
    small = Builder(8, seed=1, relu_points=(-128, 0))
    small.space_to_depth(2)
    small.conv(4, 3, 2)
    small.residual(4, 2)
    files["base.tvlm"] = (DATA / "base.tvlm").read_bytes(), (96, 96, 2)
    files["small.tvlm"] = tvlm.to_bytes(small.finish(8, dense=True)), (9, 8, 3)
    return files


@pytest.fixture(scope="module")
def body(files):
    return f"FRAMES = {[(name, *frame) for name, (_, frame) in files.items()]}\n{BODY}"


@pytest.fixture(scope="module")
def expected(files, body):
    """What CPython prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(body, {"_tinyvlm": _tinyvlm, "read": lambda name: files[name][0]})
    return said.getvalue()


def prelude(arch):
    """`_tinyvlm` is the built-in module, or the .mpy in ROMFS: a built-in one is found first."""
    if arch is None:
        return "import _tinyvlm\nassert not hasattr(_tinyvlm, '__file__')\n"
    return (
        f"import sys\n_tinyvlm = sys.modules['_tinyvlm'] = __import__('natmod_{arch}')\n"
        f"assert _tinyvlm.__file__ == '/rom/natmod_{arch}.mpy'\n"
    )


IN_PLACE = "def read(name):\n    return memoryview(open('/rom/' + name, 'rb'))\n"
IN_RAM = "def read(name):\n    return open('/rom/' + name, 'rb').read()\n"


def image(tmp_path, files, build, archs):
    rom = {name: data for name, (data, _) in files.items()}
    for arch in archs:
        rom[f"natmod_{arch}.mpy"] = (build(arch) / "_tinyvlm.mpy").read_bytes()
    return romfs(tmp_path, rom)


def on_unix(unix, rom, code, *options):
    """What MicroPython's unix port prints, the image mounted as /rom."""
    script = rom.with_name("code.py")
    mount = f"import sys, vfs\nvfs.mount(vfs.VfsRom(open({str(rom)!r}, 'rb').read()), '/rom')\n"
    script.write_text(f"{mount}sys.path.append('/rom')\n{code}")
    done = subprocess.run([unix, *options, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stdout


def compare(what, said, expected):
    """0 of N differ: the numbers of embeddings and maps, and all the rest that was printed."""
    got, want = said.splitlines(), expected.splitlines()
    for i, (one, other) in enumerate(zip(got, want, strict=False)):
        assert one == other, f"line {i}"
    assert len(got) == len(want)
    lines = [line.split() for line in got if ".tvlm " in line]
    numbers = sum(len(words[1]) // 2 + int(words[2]) for words in lines)
    print(f"\n{what}: 0 of {numbers} numbers differ, nor does one of {len(got)} lines")


@pytest.mark.parametrize("arch", [None, "x64"], ids=["built-in", "mpy"])
@pytest.mark.parametrize("read", [IN_PLACE, IN_RAM], ids=["romfs", "ram"])
def test_unix_port(unix, build, files, body, expected, tmp_path, arch, read):
    rom = image(tmp_path, files, build, [arch] if arch else [])
    said = on_unix(unix, rom, f"{prelude(arch)}{read}{body}", "-X", "heapsize=8M")
    compare(f"unix port, {arch or 'built in'}", said, expected)


DEEP = """
e = _tinyvlm.Encoder(read("small.tvlm"))
frame, out, said = bytes(9 * 8 * 3), bytearray(e.dim), []
def deep():
    try:
        deep()
    except RuntimeError:
        pass
    if len(said) < 20:
        said.append(message(e.embed, frame, 9, 8, 3, 0, out))
deep()
full = "RuntimeError: maximum recursion depth exceeded"
assert set(said) <= {full, "no error"}, said
print(said[-1], said.count(full), e.selftest())
"""


@pytest.mark.parametrize("arch", [None, "x64"], ids=["built-in", "mpy"])
def test_a_full_stack_leaves_the_encoder_free(unix, build, files, tmp_path, arch):
    rom = image(tmp_path, files, build, [arch] if arch else [])
    said = on_unix(unix, rom, f"{prelude(arch)}{IN_PLACE}{MESSAGE}{DEEP}")
    last, full, fine = said.rsplit(" ", 2)
    assert (last, fine) == ("no error", "True\n")
    assert 0 < int(full) < 20 if arch else int(full) < 20  # where callbacks are a call of Python


@pytest.mark.parametrize("arch", [None, *BOARD_ARCHS], ids=["built-in", *BOARD_ARCHS])
def test_virtual_board(start_board, build, files, body, expected, tmp_path, arch):
    board = start_board(romfs=image(tmp_path, files, build, [arch] if arch else []))
    said = board.exec(f"{prelude(arch)}{IN_PLACE}{body}", timeout=200)
    compare(f"virtual board, {arch or 'built in'}", said, expected)
    backends = board.eval("_tinyvlm.backends()")
    assert backends[0] == ("portable" if arch == "armv6m" else "dsp")


COST = """
import gc, virt
gc.collect()
before = gc.mem_alloc()
{prelude}
gc.collect()
taken = gc.mem_alloc() - before
{read}
e = _tinyvlm.Encoder(read("base.tvlm"))
frame, out = bytearray(160 * 120 * 2), bytearray(e.dim)
e.embed(frame, 160, 120, 1, 0, out)
n = virt.count(e.embed, frame, 160, 120, 1, 0, out)
print(taken, n, _tinyvlm.backends()[0])
"""


def test_what_it_costs(start_board, build, files, tmp_path):
    """Bytes and instructions of each build beside the one in the firmware: performance.md."""
    rows = [["ARCH", "`.mpy`", "heap at import", "kernels", "instructions a frame"]]
    for arch in (*BOARD_ARCHS, None):
        only = {"base.tvlm": files["base.tvlm"]}
        board = start_board(
            romfs=image(tmp_path, only, build, [arch] if arch else []), icount=True
        )
        said = board.exec(COST.format(prelude=prelude(arch), read=IN_PLACE), timeout=200)
        taken, count, kernels = said.split()
        size = (build(arch) / "_tinyvlm.mpy").stat().st_size if arch else 0
        sizes = [f"{n / 1024:.1f} KB" for n in (size, int(taken) if arch else 0)]
        rows.append([arch or "built in", *sizes, kernels, million(int(count))])
        board.close()
    check_region("natmod", markdown(rows))


def test_ctrl_c_callbacks_and_heap(start_board, build, files, tmp_path):
    """What the .mpy does by other means than the firmware: helpers.py and natmod/port.h."""
    board = start_board(romfs=image(tmp_path, files, build, ["armv7emsp"]))
    board.exec(f"""
{prelude("armv7emsp")}{IN_PLACE}
import gc, micropython, time
from array import array
e = _tinyvlm.Encoder(read("base.tvlm"))
frame, out, seen = bytearray(96 * 96), bytearray(e.dim), []
def callback(_):
    try:
        e.embed(frame, 96, 96, 0, 0, out)
    except RuntimeError as error:
        seen.append(str(error))
def frames():
    before = gc.mem_alloc()
    e.embed(frame, 96, 96, 0, 0, out)
    return gc.mem_alloc() - before
def forever():
    while True:
        e.embed(frame, 96, 96, 0, 0, out)
frames()
taken = frames()
micropython.schedule(callback, 0)
e.embed(frame, 96, 96, 0, 0, out)
""")
    assert board.eval("taken") == 0
    assert board.eval("seen") == ["the encoder is busy with a frame"]
    board.begin("forever()")
    board.interrupt()
    assert board.eval("e.selftest()") is True

    board.exec("times = array('I', [0] * (e.layers + 1))")
    board.exec("e.profile(frame, 96, 96, 0, 0, times)")
    assert board.eval("sum(times) > 0")
    free, largest = board.eval("_tinyvlm.heap()")
    assert 0.9 * free < board.eval("gc.mem_free()") < 1.1 * free
    assert 0 < largest <= free
    board.exec("""
hog = []
try:
    while True:
        hog.append(bytearray(10_000))
except MemoryError:
    pass
try:
    _tinyvlm.Encoder(read("base.tvlm"))
except MemoryError as error:
    said = str(error)
hog = None
""")
    said = board.eval("said")
    assert said.startswith("arena: need ") and "load the encoder first" in said
    assert board.eval("_tinyvlm.Encoder(read('base.tvlm')).selftest()") is True


def test_a_callback_that_resizes_a_buffer_ends_the_frame(start_board, build, files, tmp_path):
    board = start_board(romfs=image(tmp_path, files, build, ["armv7emsp"]))
    board.exec(f"{prelude('armv7emsp')}{IN_PLACE}{RESIZE}\nraw = bytes(read('small.tvlm'))")
    for name in ("frame", "out", "dense", "times", "file"):
        after = RESIZED if name == "file" else "no error"
        assert board.eval(f"resize({name!r}, raw)") == (RESIZED, after)
    assert board.eval("_tinyvlm.Encoder(raw).selftest()") is True


class CortexM33(BoardUnderTest):
    """The virtual board on QEMU's mps2-an505: the core of an RP2350."""

    def __init__(self, firmware, image, *options):
        command = qemu_command(firmware, image)
        moved = {"mps2-an500": "mps2-an505", f"{ROMFS_ADDRESS:#x}": f"{ROMFS_ADDRESS + 2**29:#x}"}
        for old, new in moved.items():
            command = [part.replace(old, new) for part in command]
        self._start([*command, *options])


@pytest.fixture(scope="module")
def m33(micropython):
    """The virtual board's firmware with the engine, for a Cortex-M33."""
    folder = port(
        *(micropython, "qemu", "m33", "BOARD=VIRT_CORTEX_M7", "CORE=m33", "-j2"),
        *(f"BOARD_DIR={TOP / 'boards' / 'VIRT_CORTEX_M7'}", f"USER_C_MODULES={TOP}"),
        *(f"MPY_LIB_DIR={micropython}", f"PYTHON={sys.executable}"),
    )
    return folder / "firmware.elf"


@pytest.mark.parametrize("arch", [None, "armv7emsp"], ids=["built-in", "mpy"])
def test_cortex_m33(m33, build, files, body, expected, tmp_path, arch):
    """What an RP2350 runs: the fast kernels, on an M33."""
    with CortexM33(m33, image(tmp_path, files, build, [arch] if arch else [])) as board:
        said = board.exec(f"{prelude(arch)}{IN_PLACE}{body}", timeout=400)
        assert board.eval("_tinyvlm.backends()[0]") == "dsp"
        assert "M33" in board.eval("__import__('os').uname().machine")
    compare(f"QEMU's Cortex-M33, {arch or 'built in'}", said, expected)


CLOCKED = """
import time
def clocked(f, *args):
    before = time.ticks_us()
    f(*args)
    return time.ticks_diff(time.ticks_us(), before) * 1000 // 128
"""


def test_what_it_costs_on_a_cortex_m33(m33, build, files, tmp_path):
    """As many instructions as the M7's that performance.md has. That board cannot count; with
    shift=7 each takes 128 ns, and what its console takes in between is less than a percent."""
    rom = image(tmp_path, {"base.tvlm": files["base.tvlm"]}, build, ["armv7emsp"])
    code = CLOCKED + COST.format(prelude=prelude("armv7emsp"), read=IN_PLACE)
    with CortexM33(m33, rom, "-icount", "shift=7") as board:
        taken, count, kernels = board.exec(
            code.replace("virt.count(", "clocked("), timeout=400
        ).split()
    page = PAGES["docs/performance.md"].text
    row = re.search(r"^\| armv7emsp \|.* ([\d.]+) M \|$", page, re.M)
    print(f"\nQEMU's Cortex-M33: {million(int(count))} instructions a frame, heap {taken}")
    assert kernels == "dsp"
    assert int(count) / 1e6 == pytest.approx(float(row[1]), rel=0.01)


class RiscV(BoardUnderTest):
    """QEMU's `virt` with MicroPython's own port; a ROMFS image lies in its RAM."""

    ROM = 0x81000000

    def __init__(self, firmware, image):
        self.transport = None
        self._start(
            f"qemu-system-riscv32 -machine virt -bios none -kernel {firmware} -display none "
            "-monitor none -serial stdio -semihosting "
            f"-device loader,file={image},addr={self.ROM:#x},force-raw=on".split()
        )
        self.mount = (
            "import sys, uctypes, vfs\n"
            f"image = uctypes.bytearray_at({self.ROM}, {image.stat().st_size})\n"
            "vfs.mount(vfs.VfsRom(image), '/rom')\n"
            "sys.path.append('/rom')\n"
            # this port has no clock, and profile() only wants one
            "class time:\n def ticks_cpu():\n  return 0\n"
            "sys.modules['time'] = time\n"
        )


@pytest.fixture(scope="module")
def riscv(micropython):
    """MicroPython's firmware for QEMU's RISC-V machine, as it is."""
    for tool in ("qemu-system-riscv32", "riscv64-unknown-elf-gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here")
    folder = port(
        *(micropython, "qemu", "riscv", "BOARD=VIRT_RV32"),
        # Debian's compiler finds its 32-bit libraries by the name that does not list zicsr
        *("RV32_ARCH=rv32imac -misa-spec=2.2", "MICROPY_HEAP_SIZE=1500000", "FROZEN_MANIFEST="),
    )
    return folder / "firmware.elf"


def test_riscv(riscv, build, files, body, expected, tmp_path):
    """The ESP32-C3's file, on another RISC-V core: rv32imc."""
    data = (build("rv32imc") / "_tinyvlm.mpy").read_bytes()
    assert data[:2] == b"M\x06" and data[2] >> 2 == 11  # MP_NATIVE_ARCH_RV32IMC
    with RiscV(riscv, image(tmp_path, files, build, ["rv32imc"])) as board:
        said = board.exec(f"{board.mount}{prelude('rv32imc')}{IN_PLACE}{body}", timeout=400)
    compare("QEMU's RISC-V virt, rv32imc", said, expected)


def test_xtensa_as_far_as_rules_go(micropython, tmp_path):
    """No compiler for an ESP32-S3 here: which one is asked for, with which sources and flags."""
    natmod = ("-C", "native/natmod", "ARCH=xtensawin", f"MPY_DIR={micropython}")
    natmod += (f"PYTHON={sys.executable}", "CROSS=xtensa-played-elf-")
    status, said = make(*natmod)
    assert status and "No xtensa-played-elf-gcc" in said and "CROSS=xtensa-esp32s3-elf-" in said
    played = tmp_path / "xtensa-played-elf-gcc"
    played.write_text("#!/bin/sh\n")
    played.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        status, said = make("--dry-run", *natmod)
    assert status == 0, said[-3000:]
    compiled = [line for line in said.splitlines() if line.startswith("xtensa-played-elf-gcc")]
    sources = {word for line in compiled for word in line.split() if word.endswith(".c")}
    assert {"sqrt.c", "natmod.c", "tv_conv.c"} <= {Path(source).name for source in sources}
    assert not {source for source in sources if source.endswith("float.c")}
    for line in compiled:
        if " -c " in line:
            assert "-Dsqrtf=natmod_sqrtf" in line and "-fno-jump-tables" in line
            assert "-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_FLOAT" in line
    assert "--arch xtensawin" in said


def test_another_micropython_starts_from_scratch(micropython, build, tmp_path):
    """Its objects would look up to date."""
    build("x64")
    linked = TOP / "build" / "natmod" / "objects" / "x64" / "_tinyvlm.native.mpy"
    before = linked.stat().st_mtime_ns
    build("x64")
    assert linked.stat().st_mtime_ns == before
    (tmp_path / "other").symlink_to(micropython)
    status, said = make(
        *("-C", "native/natmod", "ARCH=x64", f"MPY_DIR={tmp_path / 'other'}"),
        f"PYTHON={sys.executable}",
    )
    assert status == 0, said[-3000:]
    assert linked.stat().st_mtime_ns > before


def test_a_wrong_architecture_is_explained():
    status, said = make("-C", "native/natmod", "ARCH=z80")
    assert status and 'ARCH is "z80"; say which core' in said
    status, said = make("-C", "native/natmod", "ARCH=x64", "MPY_DIR=/nowhere")
    assert status and "/nowhere is no source tree of MicroPython" in said
