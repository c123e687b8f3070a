# SPDX-License-Identifier: MIT
"""Encoders on the accelerator of a MAX78000, from MicroPython: the driver and its binding are the
chip's, the chip is a simulator.

Twice the same tests: on QEMU's MAX78000FTHR with that board's firmware, where QEMU is new enough,
and in the firmware of the virtual Cortex-M7 board, which then has the simulator inside.
"""

import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import LIMIT, BoardUnderTest, make
from nets import Builder
from test_board_engine import pixels, romfs

from tinyvlm import export, packit
from tinyvlm.device import Encoder, Frame, Vocab
from tinyvlm.max78000 import virtual
from tinyvlm.max78000.virtual import VirtualMax78000, find_qemu
from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA
from tinyvlm.virtual.board import VirtualBoardError
from tinyvlm.virtual.photos import photos
from tinyvlm.words import tvp

TOP = Path(__file__).resolve().parents[1]
JAM_DONE, JAM_POWER, JAM_STUCK, JAM_FORGET = 1, 2, 8, 16
SIZE = (40, 30, 3)  # RGB888


class Fthr(VirtualMax78000, BoardUnderTest):
    """QEMU's MAX78000FTHR."""

    def jam(self, what):
        self.accelerator.simulator.jam = what

    def fault(self):
        return self.accelerator.simulator.fault


class Inside(BoardUnderTest):
    """The virtual Cortex-M7 board with the simulator in its firmware."""

    def jam(self, what):
        self.exec(f"import _tinyvlm_max78000; _tinyvlm_max78000.jam({what})")

    def fault(self):
        return self.eval("__import__('_tinyvlm_max78000').jam(0)")


@pytest.fixture(scope="module")
def graph():
    build = Builder(32, seed=3)
    build.space_to_depth(4)
    build.shifted(16, 3)
    build.pool(2)
    build.shifted(24, 3)
    graph = build.finish(32, True, build.shifted)
    graph.info["scheme"] = "max78000"
    return graph


@pytest.fixture(scope="module")
def data(graph):
    return tvlm.to_bytes(graph, cpu=False)


@pytest.fixture(scope="module")
def damaged(data):
    """{name: (file, words of the error)}: each has a valid checksum, but the last."""

    def sealed(raw):
        raw[12:16] = zlib.crc32(raw[16:]).to_bytes(4, "little")
        return bytes(raw)

    def plan(raw, tag):
        table = [raw[72 + 12 * i : 84 + 12 * i] for i in range(raw[31])]
        (entry,) = (e for e in table if e[:4] == tag)
        return int.from_bytes(entry[4:8], "little")

    other = bytearray(data)
    other[16] ^= 1
    magic = bytearray(data)
    magic[plan(data, b"PLNE")] ^= 1
    inside = bytearray(data)
    inside[plan(data, b"PLNE") + 60] ^= 1  # where the image lies: under the plan's own checksum
    short = bytearray(data)
    at = next(72 + 12 * i for i in range(data[31]) if data[72 + 12 * i :][:4] == b"PLNE")
    short[at + 8 : at + 12] = (50).to_bytes(4, "little")
    return {
        "other.tvlm": (sealed(other), "another encoder"),
        "magic.tvlm": (sealed(magic), "not a plan"),
        "inside.tvlm": (sealed(inside), "checksum"),
        "short.tvlm": (sealed(short), "truncated"),
        "cut.tvlm": (data[:-100], "truncated"),
        "flip.tvlm": (data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "checksum"),
    }


@pytest.fixture(scope="module")
def words(graph):
    """A vocabulary of random directions for this encoder."""
    vectors = np.random.default_rng(5).integers(-127, 128, (7, 32)).astype(np.int8)
    labels = [f"thing {i}" for i in range(7)]
    return tvp.to_bytes(tvp.Prototypes(labels, vectors, tvlm.fingerprint(graph), "test"))


@pytest.fixture(scope="module", params=["qemu", "inside"])
def start(request, tmp_path_factory, data, damaged, words):
    folder = tmp_path_factory.mktemp("rom")
    files = {"m.tvlm": data, "things.tvp": words}
    image = romfs(folder, files | {name: raw for name, (raw, _) in damaged.items()})
    if request.param == "qemu":
        try:
            find_qemu()
        except VirtualBoardError as error:
            pytest.skip(str(error))
        make("max78000")
        return lambda romfs=image: Fthr(romfs=romfs)
    make("board", "TINYVLM_MAX78000=sim", "BOARD_BUILD=build/board-max78000")
    firmware = TOP / "build/board-max78000/firmware.elf"
    return lambda romfs=image: Inside(firmware, romfs=romfs)


@pytest.fixture
def board(start):
    with start() as board:
        board.exec("import tinyvlm; e = tinyvlm.load('/rom/m.tvlm')")
        yield board


def frame_on(board):
    width, height, _ = SIZE
    board.exec(
        f"f = tinyvlm.Frame(bytes(i * i * 7 + i // 5 & 255 for i in range({width * height * 3})),"
        f" {width}, {height}, tinyvlm.RGB888)"
    )


def frame_here():
    return Frame(pixels(*SIZE), *SIZE)


def test_embeddings_are_the_pc_s(board, graph, tmp_path):
    (tmp_path / "m.tvlm").write_bytes(tvlm.to_bytes(graph))
    here = Encoder(str(tmp_path / "m.tvlm"))
    frame_on(board)
    assert board.eval("e._engine.backend") == "max78000"
    assert board.eval("e.fingerprint") == tvlm.fingerprint(graph)
    want = bytes(here.embed_into(frame_here(), bytearray(here.dim)))
    assert board.eval("bytes(tinyvlm.embed(f))") == want
    f = frame_here()
    h, w = here._engine.map
    dense = bytearray(h * w * here.dim)
    arguments = f.buffer, f.width, f.height, f.format, f.stride
    here._engine.embed_map(*arguments, bytearray(here.dim), dense)
    board.exec(
        "h, w = e._engine.map; m = bytearray(h * w * e.dim); o = bytearray(e.dim)\n"
        "e._engine.embed_map(f.buffer, f.width, f.height, f.format, f.stride, o, m)"
    )
    assert bytes.fromhex(board.eval("m.hex()")) == dense
    assert board.eval("bytes(o)") == want
    few = here.dim - 3
    board.exec(
        f"m = bytearray(h * w * {few}); o = bytearray({few})\n"
        "e._engine.embed_map(f.buffer, f.width, f.height, f.format, f.stride, o, m)"
    )
    assert board.eval("bytes(o)") == want[:few]
    cells = [dense[i : i + few] for i in range(0, len(dense), here.dim)]
    assert bytes.fromhex(board.eval("m.hex()")) == b"".join(cells)
    assert board.fault() is None


def test_classify_is_the_same_call(board, graph, words, tmp_path):
    for name, content in (("m.tvlm", tvlm.to_bytes(graph)), ("things.tvp", words)):
        (tmp_path / name).write_bytes(content)
    here = Encoder(str(tmp_path / "m.tvlm"))
    want = here.classify(frame_here(), Vocab(str(tmp_path / "things.tvp")), 7)
    frame_on(board)
    got = board.eval("tinyvlm.classify(f, tinyvlm.Vocab('/rom/things.tvp'), 7)")
    assert [label for label, _ in got] == [label for label, _ in want]
    assert [score for _, score in got] == pytest.approx([score for _, score in want], rel=1e-4)


def test_the_shipped_encoder_names_photos(start, tmp_path):
    """detect.py prints the PC's lines, and the embeddings are the PC's: 0 of N numbers differ."""
    model, words = tmp_path / "board.tvlm", tmp_path / "words.tvp"
    assert export.main(["max78000", "--max78000", str(model)]) == 0
    (tmp_path / "words.txt").write_text("cat\ncoffee\nflower\ntemple\n")
    arguments = [
        "--vocab",
        tmp_path / "words.txt",
        "--model",
        "max78000",
        "--unknown",
        "off",
        "-o",
    ]
    assert packit.main([*map(str, arguments), str(words)]) == 0
    files = {"board.tvlm": model.read_bytes()}
    frames = {}
    for photo in photos()[1:4]:
        small = photo.image().convert("RGB").resize((60, 40))
        frames[photo.name] = Frame(small.tobytes(), 60, 40, "RGB888")
        files[f"photos/{photo.name}.ppm"] = b"P6 60 40 255\n" + small.tobytes()
    here, vocab = Encoder(str(DATA / "max78000.tvlm")), Vocab(str(words))
    with start(romfs(tmp_path, files)) as board:
        # in one command: QEMU's FTHR has its files in RAM, a soft reset between would lose them
        detect = TOP / "device" / "examples" / "detect.py"
        # The camera of QEMU's FTHR has no supply; that of the virtual Cortex-M7 sees other frames.
        is_fthr = isinstance(board, Fthr)
        hide = [] if is_fthr else ["exec", "import sys; sys.modules['camera'] = None", "+"]
        said = board.mpremote("cp", words, ":", "+", *hide, "run", detect, timeout=LIMIT)
        assert is_fthr == ("camera: the PMIC, which supplies the camera: " in said)
        assert "Vocab(4 labels" in said
        board.exec("import tinyvlm")
        assert board.eval("tinyvlm.load()._engine.backend") == "max78000"
        for name, frame in frames.items():
            found = here.classify(frame, vocab, 3)
            assert f"{name:<11} " + ", ".join(f"{n} {score:.2f}" for n, score in found) in said
            board.exec(
                f"data = memoryview(open('/rom/photos/{name}.ppm', 'rb'))[13:]\n"
                "out = tinyvlm.embed(tinyvlm.Frame(data, 60, 40, 'RGB888'))"
            )
            want = bytes(here.embed_into(frame, bytearray(here.dim)))
            assert board.eval("bytes(out)") == want
        assert board.fault() is None
    print(f"\n0 of {len(frames) * here.dim} numbers differ from the PC's")


def test_selftest_and_profile(board):
    assert board.eval("tinyvlm.selftest()") is True
    rows = board.eval("tinyvlm.profile().rows")
    assert [row[0] for row in rows] == ["intake", "accelerator", "results"]
    assert board.fault() is None


CATCH = """
def error(f, *args):
    try:
        return "no error: %r" % f(*args)
    except Exception as e:
        return "%s: %s" % (type(e).__name__, e)
"""


def test_bad_files(board, damaged):
    board.exec(CATCH)
    for name, (_, words) in damaged.items():
        said = board.eval(f"error(tinyvlm.Encoder, '/rom/{name}')")
        assert said.startswith("ValueError: ") and words in said, (name, said)
    assert board.eval("tinyvlm.selftest()") is True  # the good one is still loaded


FILE_LIKE = """
import io, _tinyvlm_max78000 as chip
from machine import mem32
class File(io.IOBase):  # in Python, as mpremote's are
    def __init__(self, raw):
        self.raw, self.at, self.broken, self.most = raw, 0, False, 0
    def readinto(self, buf):
        if self.broken:
            raise OSError(5)
        part = self.raw[self.at : self.at + len(buf)]
        buf[: len(part)] = part
        self.at += len(part)
        self.most = max(self.most, len(buf))
        return len(part)
    def ioctl(self, request, arg):
        if request == 2:  # seek
            self.at = mem32[arg]
        return 0
def numbers(e):
    o, m = bytearray(e.dim), bytearray(e.map[0] * e.map[1] * e.dim)
    e.embed_map(f.buffer, f.width, f.height, f.format, f.stride, o, m)
    return bytes(o), bytes(m)
raw = bytearray(open("/rom/m.tvlm", "rb").read())
"""


def test_weights_out_of_an_open_file(board):
    """For a model that no flash has room for: 256 bytes at a time, whenever they are needed."""
    board.exec(CATCH + FILE_LIKE)
    frame_on(board)
    board.exec("want = numbers(e._engine); file = File(raw); chip.off()")
    assert board.eval("chip.has_plan(file)") is True
    board.exec("s = chip.Encoder(file); b = chip.Encoder(io.BytesIO(raw))")
    assert board.eval("numbers(s) == want") and board.eval("file.most") == 256
    assert board.eval("s.info == e._engine.info and s.selftest()")
    board.exec("chip.off(); file.broken = True")
    assert "EIO" in board.eval("error(numbers, s)")
    board.exec("file.broken = False")
    assert board.eval("numbers(s) == want")
    board.exec("chip.off()")
    assert board.eval("numbers(b) == want")
    board.exec("at = len(raw) // 2; raw[at] ^= 1; chip.off()")  # the weights are most of it
    assert "checksum of the weights" in board.eval("error(numbers, s)")
    assert board.eval("numbers(e._engine) == want")
    assert board.fault() is None


def test_what_read_does_while_weights_are_loaded(board):
    """A file's read() is anybody's Python: it may resize the frame's buffers, or want the chip."""
    board.exec(CATCH + FILE_LIKE)
    frame_on(board)
    board.exec("""
class Eager(File):
    def readinto(self, buf):
        if self.first:
            first, self.first = self.first, None
            first()
        return File.readinto(self, buf)
want, file = numbers(e._engine), Eager(raw)
file.first = None
s = chip.Encoder(file)
def embed(first):
    chip.off()
    file.first = lambda: first(o)
    s.embed(f.buffer, f.width, f.height, f.format, f.stride, o)
said, o = [], bytearray(s.dim)
wall = bytearray(4_000)  # o cannot grow where it is
""")
    resized = "RuntimeError: a buffer that the encoder uses was resized"
    assert board.eval("error(embed, lambda o: o.extend(bytes(5_000)))") == resized
    for nested in ("tinyvlm.embed, f", "tinyvlm.selftest", "chip.off"):
        board.exec(f"embed(lambda o: said.append(error({nested})))")
    busy = "RuntimeError: the accelerator is busy loading weights"
    assert board.eval("said") == [busy] * 3
    assert board.eval("numbers(s) == want and numbers(e._engine) == want")
    assert board.fault() is None


def test_bad_open_files(board, damaged):
    board.exec(CATCH + FILE_LIKE)
    for name, (_, words) in damaged.items():
        if name not in ("cut.tvlm", "flip.tvlm"):  # those show when the weights are loaded
            said = board.eval(f"error(chip.Encoder, File(open('/rom/{name}', 'rb').read()))")
            assert said.startswith("ValueError: ") and words in said, (name, said)
    board.exec("""
said = set()
head = raw.find(b"TVMX") + 4000
for n in list(range(200)) + list(range(200, head, 41)):
    try:
        chip.has_plan(io.BytesIO(raw[:n]))
        chip.Encoder(io.BytesIO(raw[:n]))
        said.add("accepted %d" % n)
    except ValueError as e:
        said.add(str(e))
""")
    assert board.eval("said") == {"the file is truncated"}
    # ... where the plan's own header ends: nothing is known of the plan
    assert board.eval('chip.has_plan(io.BytesIO(raw[:raw.find(b"TVMX") + 20]))') is False
    assert "OSError" in board.eval("error(chip.Encoder, 5)")
    assert board.eval("tinyvlm.selftest()") is True


def test_an_encoder_on_the_file_system(board):
    board.exec("""
import vfs
class Disk:
    def __init__(self):
        self.data = bytearray(64 * 512)
    def readblocks(self, block, buf, offset=0):
        at = 512 * block + offset
        buf[:] = self.data[at : at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        at = 512 * block + offset
        self.data[at : at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: 64, 5: 512}.get(op, 0)
disk = Disk()
vfs.VfsLfs2.mkfs(disk)
vfs.mount(disk, "/ram")
with open("/ram/m.tvlm", "wb") as to, open("/rom/m.tvlm", "rb") as file:
    to.write(file.read())
""")
    frame_on(board)
    board.exec("want = bytes(tinyvlm.embed(f)); tinyvlm.load('/ram/m.tvlm')")
    assert board.eval("tinyvlm.info().backend") == "max78000"
    board.exec("__import__('_tinyvlm_max78000').off()")
    assert board.eval("bytes(tinyvlm.embed(f)) == want and tinyvlm.selftest()")


def test_truncated_anywhere(board):
    """Plans and sections that are cut off: an error at every length, and the board lives on."""
    board.exec("""
import _tinyvlm_max78000 as chip
data = bytearray(open("/rom/m.tvlm", "rb").read(3000))  # header, table, INFO, plan's tables
whole = memoryview(data)
said = set()
for n in list(range(400)) + list(range(400, 3000, 37)):
    chip.has_plan(whole[:n])
    for size in (n, None):
        if size:  # a file that says it is no longer than that
            data[8:12] = n.to_bytes(4, "little")
            data[12:16] = tinyvlm.encoder._tinyvlm.crc32(whole[16:n]).to_bytes(4, "little")
        try:
            chip.Encoder(whole[:n])
            said.add("accepted %d" % n)
        except ValueError as e:
            said.add(str(e))
""")
    said = board.eval("said")
    assert not [words for words in said if words.startswith("accepted")]
    assert "the file is truncated" in said and len(said) >= 3, said


def test_done_never_comes(board):
    board.exec(CATCH)
    frame_on(board)
    board.jam(JAM_DONE)
    began = board.eval("__import__('time').ticks_ms()")
    assert "did not finish in time" in board.eval("error(tinyvlm.embed, f)")
    assert board.eval("__import__('time').ticks_ms()") - began < 10_000
    assert "RuntimeError" in board.eval("error(tinyvlm.selftest)")
    board.jam(JAM_STUCK)
    assert "done flag is stuck" in board.eval("error(tinyvlm.embed, f)")
    board.jam(0)
    assert board.eval("tinyvlm.selftest()") is True


def test_no_power(board):
    board.exec(CATCH + "import _tinyvlm_max78000 as chip")
    frame_on(board)
    assert board.eval("tinyvlm.selftest()") is True
    board.exec("chip.off()")
    board.jam(JAM_POWER)
    assert "it has no power or no clock" in board.eval("error(tinyvlm.embed, f)")
    board.jam(0)
    assert board.eval("tinyvlm.selftest()") is True


def test_off_keeps_weights(board):
    board.exec("import _tinyvlm_max78000 as chip")
    frame_on(board)
    want = board.eval("bytes(tinyvlm.embed(f))")
    for keep, jam in ((True, 0), (False, 0), (True, JAM_FORGET)):
        board.jam(jam)
        board.exec(f"chip.off({keep})")
        assert board.eval("bytes(tinyvlm.embed(f))") == want
    assert board.fault() is None


def test_pins_flash_and_camera(board):
    """As far as QEMU goes, whose pins, flash controller and camera interface are not there."""
    if not isinstance(board, Fthr):
        pytest.skip("the virtual Cortex-M7 board has none of them")
    board.exec(CATCH + "import board, camera\nfrom machine import Pin")
    assert board.eval("str(Pin('SW2', Pin.IN, Pin.PULL_UP))") == "Pin('P1.7')"
    board.exec("led = Pin('LED_RED', Pin.OUT, value=0); led.on(); led.off(); led.toggle(); led(1)")
    for arguments, words in (
        ("'P3.1'", "no pin P3.1"),
        ("'P0.32'", "no pin P0.32"),
        ("'LED_RED', 9", "mode: IN, OUT"),
        ("'SW1', Pin.IN, 7", "pull: None, PULL_UP or PULL_DOWN"),
    ):
        assert words in board.eval(f"error(Pin, {arguments})")
    board.exec("flash = board.Flash()")
    for call in (
        "readblocks(4, bytearray(16))",
        "readblocks(0x80000, bytearray(16), 0)",  # 2**32 bytes, as an address 0
        "writeblocks(0x80000, bytes(16), 0)",
        "writeblocks(0, bytes(16), 8)",
        "ioctl(6, 0x80000)",
    ):
        assert board.eval(f"flash.{call}") == -22, call
    assert board.eval("flash.ioctl(6, 0)") == -5  # nothing can be erased
    assert "the camera sent 0 of 8 bytes" in board.eval("error(board.capture, bytearray(8))")
    assert "the PMIC, which supplies the camera" in board.eval("error(camera.Camera)")


def test_through_mpremote(start):
    """As a user does it: a new process for every command."""
    with start() as board:
        code = "import tinyvlm; tinyvlm.load('/rom/m.tvlm'); print(tinyvlm.info())"
        said = board.mpremote("exec", code, timeout=LIMIT)
        assert "kernels   max78000" in said
        assert "/rom/m.tvlm" in said


def test_no_such_qemu_or_image(tmp_path, monkeypatch, capsys):
    qemu, image = tmp_path / "qemu", tmp_path / "rom.img"
    for words in (
        "No such file",
        "Permission denied",
        "has no machine",
        "no ROMFS image",
        "237568",
    ):
        if words == "Permission denied":
            qemu.write_text("#!/bin/sh\necho none of them")
        elif words == "has no machine":
            qemu.chmod(0o755)
        elif words == "no ROMFS image":
            qemu.write_text("#!/bin/sh\necho max78000fthr")
        elif words == "237568":
            image.write_bytes(bytes(232 * 1024 + 1))
        monkeypatch.setenv("TINYVLM_QEMU", str(qemu))
        # the firmware's content does not matter: all of this is found before anything starts
        assert virtual.main(["--firmware", __file__, "--romfs", str(image)]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1, said


def test_flash_budget():
    """What the board's flash is divided into has room for the shipped encoder and vocabularies."""
    script = TOP / "boards" / "MAX78000FTHR" / "max78000fthr.ld"
    found = re.findall(r"^ *(\w+) *: ORIGIN.*LENGTH = (\d+)K$", script.read_text(), re.MULTILINE)
    sizes = {name: int(size) for name, size in found}
    assert sizes["FLASH"] + sizes["ROMFS"] + sizes["DISK"] == 512
    assert sizes["ROMFS"] >= 232 and sizes["RAM"] == 128
    said = subprocess.run(
        [sys.executable, script.with_name("budget.py"), script], capture_output=True, text=True
    ).stdout
    assert "512 KB  flash" in said
    assert virtual.ROMFS_SIZE == sizes["ROMFS"] << 10
    assert virtual.ROMFS_ADDRESS == 0x1000_0000 + (sizes["FLASH"] << 10)
    shipped = (TOP / "host" / "tinyvlm" / "data" / "max78000.tvlm").read_bytes()
    sections = tvlm._sections(shipped, shipped[31])
    board_file = sum(len(sections[name]) for name in ("INFO", "TEST", "PLNE", "PLND"))
    assert board_file <= (sizes["ROMFS"] - 16) << 10
    assert int.from_bytes(sections["PLNE"][40:44], "little") <= 50_000  # cycles: 1 ms
