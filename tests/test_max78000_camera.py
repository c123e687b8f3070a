# SPDX-License-Identifier: MIT
"""The MAX78000FTHR's camera module with a PMIC, an OV7692 and pins that are played here: what it
tells them, in which order, and what it says when one of them does not play along."""

import ast
import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

MODULE = Path(__file__).parents[1] / "boards" / "MAX78000FTHR" / "modules" / "camera.py"
PMIC, SENSOR = 0x28, 0x3C


class Pin:
    OPEN_DRAIN, AF1, AF2, PULL_UP = "open drain", "AF1", "AF2", "pull-up"
    used: dict = {}

    def __init__(self, name, *how):
        self.name = name
        self.used[name] = how


class Memory(dict):
    def __missing__(self, address):
        return 0


class Stage:
    """The chips on both buses, and a log of (bus, register, value)."""

    def __init__(self):
        self.log, self.absent, self.supply, self.resets = [], set(), 0x42, 3
        self.registers = {PMIC: {}, SENSOR: {}}
        self.memory = Memory()
        self.fast_enough = 0  # prescaler from which on the CPU keeps up

    def capture(self, buffer):
        buffer[:2] = b"\x12\x34"
        return self.registers[SENSOR][0x11] >= self.fast_enough

    def bus(self, scl, sda, freq):
        return Bus(self, (scl.name, sda.name))

    def write(self, chip, register, value):
        if chip in self.absent:
            raise OSError(19, "ENODEV")
        self.log.append((chip, register, value))
        self.registers[chip][register] = value

    def read(self, chip, register):
        if chip in self.absent:
            raise OSError(19, "ENODEV")
        if (chip, register) == (PMIC, 0x18):
            return self.supply
        if (chip, register) == (SENSOR, 0x12):
            self.resets -= 1
            return 0x80 if self.resets > 0 else 0
        return self.registers[chip][register]


class Bus:
    WIRES = {PMIC: ("P0.16", "P0.17"), SENSOR: ("P0.30", "P0.31")}

    def __init__(self, stage, wires):
        self.stage, self.wires, self.register = stage, wires, None

    def writeto_mem(self, chip, register, data):
        assert self.wires == self.WIRES[chip]
        self.stage.write(chip, register, data[0])

    def readfrom_mem(self, chip, register, count):
        assert chip != SENSOR, "SCCB knows no repeated start"
        return bytes([self.stage.read(chip, register)])

    def writeto(self, chip, data):
        (self.register,) = data

    def readfrom(self, chip, count):
        return bytes([self.stage.read(chip, self.register)])


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def camera(stage, monkeypatch):
    def module(name, **content):
        new = ModuleType(name)
        vars(new).update(content)
        monkeypatch.setitem(sys.modules, name, new)

    monkeypatch.setattr(Pin, "used", {})
    module("machine", Pin=Pin, SoftI2C=stage.bus, mem32=stage.memory)
    module("board", capture=stage.capture)
    module("tinyvlm", RGB565_BE=7, Frame=lambda *fields: SimpleNamespace(fields=fields))
    module("time", sleep_ms=lambda ms: stage.log.append(("wait", ms, None)))
    spec = importlib.util.spec_from_file_location("fthr_camera", MODULE)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_start_up(camera, stage):
    cam = camera.Camera(frame_size=(64, 64))
    # supply first, then the clock and 300 ms, then the sensor
    assert stage.log[:3] == [(PMIC, 0x0F, 1), (PMIC, 0x10, 0x13), (PMIC, 0x17, 0x42)]
    waits = [ms for what, ms, _ in stage.log if what == "wait"]
    assert waits[0] > 10 and waits[1] >= 300
    assert stage.log.index((SENSOR, 0x12, 0x80)) > stage.log.index(("wait", waits[1], None))
    assert stage.memory[0x4003C020] == 1 << 27 | 3 and stage.memory[0x4003C000] & 1
    sensor = stage.registers[SENSOR]
    assert sensor[0x12] == 0x06 and sensor[0x0E] == 0  # RGB565, runs
    assert sensor[0x0C] == 0xD6 and sensor[0x82] == 0x03  # upright, and what leads to RGB565
    told = [(register, value) for chip, register, value in stage.log if chip == SENSOR]
    mipi = told.index((0xFF, 0x01))
    assert told[mipi : mipi + 3] == [(0xFF, 0x01), (0xB5, 0x30), (0xFF, 0x00)]  # MIPI is off
    assert sensor[0x11] == 0  # 10 frames a second
    window = [sensor[r] << 8 | sensor[r + 1] for r in (0xC8, 0xCA, 0xCC, 0xCE)]
    assert window == [480, 480, 64, 65]  # sensor; picture, one line more if it is small
    data = [f"P0.{pin}" for pin in range(20, 28)] + ["P0.15"]
    assert all(Pin.used[name] == ("AF2",) for name in data)
    assert all(Pin.used[name] == ("AF1",) for name in ("P1.8", "P1.9", "P0.18"))
    frame = cam.capture()
    assert frame.fields[1:] == (64, 64, 7) and len(frame.fields[0]) == 64 * 64 * 2
    assert frame.fields[0][:2] == b"\x12\x34"


@pytest.mark.parametrize("what", ["pmic", "supply", "sensor", "reset"])
def test_what_does_not_play_along(camera, stage, what):
    if what == "supply":
        stage.supply = 0
    elif what == "reset":
        stage.resets = 1 << 30
    else:
        stage.absent.add(PMIC if what == "pmic" else SENSOR)
    words = {
        "pmic": "^the PMIC, which supplies the camera: .*ENODEV",
        "supply": "LDO2 of the PMIC. does not come up",
        "sensor": "^the camera: .*ENODEV",
        "reset": "^the camera: stays in reset",
    }
    with pytest.raises(OSError, match=words[what]):
        camera.Camera()


SIZES = {  # frame_size: the part of the sensor, the picture and its lines
    "R96X96": (480, 480, 96, 96),
    "QQVGA": (640, 480, 160, 120),
    "QCIF": (586, 480, 176, 144),
    (640, 480): (640, 480, 640, 480),
    (320, 160): (640, 320, 320, 160),
    (60, 80): (360, 480, 60, 80),
}


def window(stage):
    sensor = stage.registers[SENSOR]
    return tuple(sensor[r] << 8 | sensor[r + 1] for r in (0xC8, 0xCA, 0xCC, 0xCE))


@pytest.mark.parametrize("size", SIZES)
def test_sizes(camera, stage, size):
    """As detect.py asks for them, and the same again by reconfigure()."""
    asked = getattr(camera.FrameSize, size) if isinstance(size, str) else size
    cam = camera.Camera(pixel_format=camera.PixelFormat.RGB565, frame_size=asked)
    assert window(stage) == SIZES[size]
    width, height = SIZES[size][2:]
    assert cam.capture().fields[1:] == (width, height, 7)
    assert (cam.pixel_width, cam.pixel_height) == (width, height)
    assert cam.frame_size == width << 12 | height
    assert repr(cam) == f"Camera(OV7692, {width}x{height})"
    other = camera.Camera()
    assert other.frame_size == camera.FrameSize.R96X96
    other.reconfigure(frame_size=asked)
    assert window(stage) == SIZES[size] and len(other.capture().fields[0]) == 2 * width * height


@pytest.mark.parametrize("size", [0, (0, 96), (641, 480), (96, 481), (-96, 96), 96])
def test_sizes_that_it_has_not(camera, size):
    with pytest.raises(ValueError, match="frame_size: FrameSize.R96X96, ..., or "):
        camera.Camera(frame_size=size)
    with pytest.raises(ValueError, match="this camera has PixelFormat.RGB565"):
        camera.Camera(96)


def stubbed():
    """{class: its public names} of typings/camera.pyi."""
    tree = ast.parse((MODULE.parents[3] / "typings" / "camera.pyi").read_text())
    return {
        node.name: {
            n.target.id if isinstance(n, ast.AnnAssign) else n.name
            for n in node.body
            if isinstance(n, ast.AnnAssign) or getattr(n, "name", "__init__") != "__init__"
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def test_names_are_those_of_the_stub(camera):
    """One program for both: what a type checker lets through is there."""
    cam, names = camera.Camera(), stubbed()
    assert {name for name in names["Camera"] if not hasattr(cam, name)} == set()
    assert {name for name in vars(camera.FrameSize) if name[0] != "_"} < names["FrameSize"]
    assert {name for name in vars(camera.PixelFormat) if name[0] != "_"} < names["PixelFormat"]
    assert cam.free_buffer() is cam  # as on the STM32H7 boards
    assert cam.capture() is cam.capture()


def test_a_closed_camera(camera, stage):
    with camera.Camera() as cam:
        cam.capture()
    assert not stage.memory[0x4003C000] & 1 and repr(cam) == "Camera(closed)"
    for call in (cam.capture, cam.reconfigure):
        with pytest.raises(OSError, match="closed: make a new one"):
            call()


def test_a_cpu_that_is_too_slow(camera, stage):
    """The sensor's clock is divided until the FIFO does not run over; it stays so."""
    cam = camera.Camera()
    stage.fast_enough = 2
    told = len(stage.log)
    assert cam.capture().fields[0][:2] == b"\x12\x34"
    assert stage.log[told:] == [(SENSOR, 0x11, 1), (SENSOR, 0x11, 2)]
    cam.capture()
    assert len(stage.log) == told + 2
    stage.fast_enough = 99
    with pytest.raises(OSError, match="too fast for the CPU even with its clock divided by 8"):
        cam.capture()


@pytest.fixture(scope="module")
def pcif(tmp_path_factory):
    """boards/MAX78000FTHR/pcif.c with a played interface behind its registers."""
    library = tmp_path_factory.mktemp("pcif") / "pcif.so"
    top, folder = MODULE.parents[3], MODULE.parents[1]
    flags = "-std=gnu99 -O2 -Wall -Wextra -Werror -shared -fPIC".split()
    flags += ["-DREG(a)=(*played(a))", "-I", top / "boards/qemu", "-include", "stdint.h"]
    (library.parent / "played.h").write_text("volatile uint32_t *played(uint32_t address);\n")
    flags += ["-include", library.parent / "played.h"]
    subprocess.run(
        ["gcc", *flags, folder / "pcif.c", top / "tests/c/test_pcif.c", "-o", library], check=True
    )
    return ctypes.CDLL(str(library))


def captured(pcif, size, **played):
    """(what pcif_capture() says, bytes that came, the buffer)."""
    played = {"period": 4, "words": 1 << 20, "stall_at": 1 << 31, "stall": 0} | played
    pcif.play(*played.values())
    buffer, got = (ctypes.c_uint8 * size)(), ctypes.c_size_t()
    said = pcif.pcif_capture(buffer, ctypes.c_size_t(size), ctypes.byref(got))
    pcif.played(0)
    assert pcif.last_ctrl() == 0  # it is switched off whatever happened
    return said, got.value, bytes(buffer)


OK, OVERRUN, TIMEOUT = range(3)


@pytest.mark.parametrize("size", [4, 18432, 99])
def test_all_words_in_order(pcif, size):
    want = b"".join(bytes((i & 31) + j for j in (1, 2, 3, 4)) for i in range(size // 4 + 1))
    assert captured(pcif, size) == (OK, size, want[:size])
    # an interrupt that is shorter than the FIFO is long
    assert captured(pcif, size, stall_at=9, stall=20) == (OK, size, want[:size])


def test_an_overrun_is_no_picture(pcif):
    assert captured(pcif, 18432, period=2)[0] == OVERRUN
    assert captured(pcif, 18432, stall_at=1000, stall=64)[0] == OVERRUN


def test_no_sensor_or_a_short_frame(pcif):
    assert captured(pcif, 8, words=0)[:2] == (TIMEOUT, 0)
    assert captured(pcif, 8000, words=1000)[:2] == (TIMEOUT, 4000)
