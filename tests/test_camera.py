# SPDX-License-Identifier: MIT
"""The STM32H7's camera driver against played sensors and a played DCMI with its DMA, on the PC."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TOP = Path(__file__).parents[1]
RGB565, GRAY, YUV = range(3)
OV2640, OV7670, OV7725, OV5640, GC2145, HM01B0, HM0360 = range(7)
NAMES = ["OV2640", "OV7670", "OV7725", "OV5640", "GC2145", "HM01B0", "HM0360"]
ADDRESS = dict(zip(range(7), (0x30, 0x21, 0x21, 0x3C, 0x3C, 0x24, 0x24), strict=True))
NO_SENSOR, UNKNOWN, BUS, SIZE, LARGE, FORMAT = range(-80, -86, -1)
TIMEOUT, OVERRUN, SHORT, DMA, CLOSED = range(-86, -91, -1)
JAM_DARK, JAM_SHORT, JAM_OVERRUN, JAM_DMA, JAM_ONCE, JAM_STUCK = (1 << i for i in range(6))
ALWAYS = 1 << 30  # acknowledges
COLOURS = range(5)
MOST = 262140

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    library = tmp_path_factory.mktemp("camera") / "camera.so"
    flags = "-std=gnu99 -O2 -g -Wall -Wextra -Werror -Wconversion -shared -fPIC".split()
    sources = [TOP / "tests/c/test_camera.c", *sorted((TOP / "native/camera").glob("tv_*.c"))]
    include = ["-I", TOP / "native", "-I", TOP / "native/camera"]
    subprocess.run(["gcc", *flags, *include, *sources, "-o", library], check=True)
    lib = ctypes.CDLL(str(library))
    lib.name.restype = lib.words.restype = ctypes.c_char_p
    return lib


class Played:
    """A camera with `sensor` in front of a picture."""

    def __init__(self, lib, sensor, jam=0, id=0, other=0, acknowledges=ALWAYS, size=(60, 80)):
        self.lib = lib
        lib.play(sensor, id, other, acknowledges, jam)
        rng = np.random.default_rng(1)
        self.scene = rng.integers(0, 256, (*size, 3), np.uint8)
        lib.scene(self.scene.ctypes.data_as(ctypes.c_char_p), size[1], size[0])

    def open(self, format, width, height):
        assert self.lib.detect() == 0
        return self.lib.begin(format, width, height)

    def capture(self, size):
        """(buffer or error, pixels)"""
        buffer = (ctypes.c_uint8 * size)()
        return self.lib.capture(buffer), np.frombuffer(buffer, np.uint8)

    def expected(self, format, width, height):
        """The middle of what the sensor sends."""
        buffer = (ctypes.c_uint8 * (2 * 1280 * 960))()
        sent = [ctypes.c_uint(), ctypes.c_uint()]
        self.lib.expected(buffer, *map(ctypes.byref, sent))
        w, h = (number.value for number in sent)
        each = 1 if self.lib.name().startswith(b"HM") else 2
        rows = np.frombuffer(buffer, np.uint8)[: w * h * each].reshape(h, w, each)
        left, top = (w - width) // 4 * 2, (h - height) // 2
        part = rows[top : top + height, left : left + width]
        return (part[..., 0] if format == GRAY else part).reshape(-1)


def bytes_of(format, width, height):
    return width * height * (1 if format == GRAY else 2)


XCLK = 12_000_000  # of boards/stm32/modules/_camera_board.py


def registers(lib):
    """What each register of the sensor was told last."""
    return {lib.written(i) >> 8: lib.written(i) & 255 for i in range(lib.writes())}


def test_the_himax_runs_on_the_board_s_clock(lib):
    """As OpenMV's and Zephyr's drivers read its registers: 0 is the pin, and 3 divides by 1."""
    assert Played(lib, HM01B0).open(GRAY, 160, 120) == 0
    told = registers(lib)
    assert told[0x3067] == 0
    assert told[0x3060] & 0x0C == 0x08  # the second divider: by 1
    clock = XCLK / (8 >> (told[0x3060] & 3))
    lines, line = (told[at] << 8 | told[at + 1] for at in (0x340, 0x342))
    assert 20 < clock / lines / line < 30


def test_the_hm0360_s_frames(lib):
    """Clock and frame as OpenMV's and Zephyr's drivers have them: 0x0300 divides by 1, 2, 4, 8."""
    for width, height, divider in ((640, 400, 1), (320, 240, 4), (160, 120, 8)):
        assert Played(lib, HM0360).open(GRAY, width, height) == 0
        told = registers(lib)
        assert told[0x300] == 0x08 | divider.bit_length() - 1
        lines, line, light = (told[at] << 8 | told[at + 1] for at in (0x340, 0x342, 0x2029))
        assert 20 < XCLK / divider / lines / line < 35
        assert light < lines


def test_the_edge_of_the_himax_s_clock(lib):
    """Not left to a reset: HM01B0's PCLK_POLARITY, HM0360's bit 2 of PAD_REGISTER_07."""
    assert Played(lib, HM01B0).open(GRAY, 160, 120) == 0
    assert registers(lib)[0x3068] == 0x20
    assert Played(lib, HM0360).open(GRAY, 160, 120) == 0
    assert registers(lib)[0x3112] == 0x04


def test_the_ov2640_s_processor(lib):
    """YUV and RGB on, and bit 7 of 0x50, as OpenMV's and Zephyr's drivers have them."""
    for format, size in ((RGB565, (160, 120)), (GRAY, (320, 240)), (YUV, (400, 320))):
        assert Played(lib, OV2640).open(format, *size) == 0
        told = registers(lib)
        assert told[0xC2] == 0x0E and told[0x50] & 0x80


def test_the_ov5640_s_pll_can_lock(lib):
    """OpenMV's boards run its oscillator at 525 to 800 MHz, of 12, 12.5 or 24 MHz."""
    assert Played(lib, OV5640).open(RGB565, 160, 120) == 0
    told = registers(lib)
    vco = XCLK / (told[0x3037] & 15) * told[0x3036]
    assert 500e6 <= vco <= 1000e6
    pixels = vco / (told[0x3035] >> 4) / 2 / 2 / 2  # a second; root, 8 bits, two bytes a pixel
    line, lines = (told[at] << 8 | told[at + 1] for at in (0x380C, 0x380E))
    assert 15 < pixels / line / lines < 30


@pytest.mark.parametrize("sensor", range(7), ids=NAMES)
@pytest.mark.parametrize("format", [RGB565, GRAY, YUV], ids=["rgb565", "gray", "yuv"])
@pytest.mark.parametrize("size", [(160, 120), (96, 96), (240, 176), (320, 240), (4, 4)])
def test_frames(lib, sensor, format, size):
    """What the sensor sends arrives, by registers that both sides read their own way."""
    played = Played(lib, sensor)
    err = played.open(format, *size)
    assert lib.name().decode() == NAMES[sensor]
    if sensor not in COLOURS and format != GRAY:
        assert err == FORMAT
        return
    assert err == 0
    turns = []
    for _ in range(3):
        turn, pixels = played.capture(bytes_of(format, *size))
        turns.append(turn)
        assert (pixels == played.expected(format, *size)).all()
    assert turns == [0, 1, 0]
    assert lib.fault() == 0
    lib.end()
    lib.end()
    assert lib.clocks() == 1 << 1 and not lib.stream_runs()  # DMA2's is MicroPython's, too


@settings(max_examples=60)
@given(st.integers(0, 6), st.integers(1, 90), st.integers(1, 70), st.sampled_from([RGB565, GRAY]))
def test_any_size(lib, sensor, w4, h4, format):
    format = format if sensor in COLOURS else GRAY
    played = Played(lib, sensor)
    err = played.open(format, 4 * w4, 4 * h4)
    if sensor == HM01B0 and (w4 > 80 or h4 > 60):
        assert err == LARGE
        return
    size = bytes_of(format, 4 * w4, 4 * h4)
    assert err == (0 if size <= MOST else LARGE)
    if err == 0:
        turn, pixels = played.capture(size)
        assert turn == 0 and (pixels == played.expected(format, 4 * w4, 4 * h4)).all()
        assert lib.fault() == 0


def test_every_sensor_is_reset_first(lib):
    """Its first setting is the software reset (OV2640, GC2145: after the choice of the bank)."""
    first = [0x112 << 8 | 0x80, 0x12 << 8 | 0x80, 0x12 << 8 | 0x80, 0x3103 << 8 | 0x11]
    first += [0xFE << 8 | 0xF0, 0x103 << 8 | 1, 0x103 << 8]
    for sensor in range(7):
        played = Played(lib, sensor)
        assert played.open(GRAY, 160, 120) == 0
        told = [lib.written(i) for i in range(lib.writes())]
        assert first[sensor] in told[:4], NAMES[sensor]
        assert lib.now_ms() >= 10  # and given time


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (0, 4), (6, 4)])
def test_odd_sizes(lib, size):
    played = Played(lib, OV2640)
    assert played.open(RGB565, *size) == SIZE
    assert lib.clocks() == 0


def test_too_large(lib):
    assert Played(lib, OV2640).open(RGB565, 400, 328) == LARGE  # DMA counts 65,535 words
    assert Played(lib, OV2640).open(GRAY, 804, 4) == LARGE
    assert Played(lib, HM01B0).open(GRAY, 324, 240) == LARGE


def test_nothing_there(lib):
    Played(lib, -1)
    assert lib.detect() == NO_SENSOR and lib.seen(0) == 0
    Played(lib, -1, other=0x1E)
    assert lib.detect() == NO_SENSOR and (lib.seen(0), lib.seen(1)) == (0x1E, 0)


@pytest.mark.parametrize("sensor", range(7), ids=NAMES)
def test_an_unknown_chip(lib, sensor):
    Played(lib, sensor, id=0x1234)
    assert lib.detect() == UNKNOWN
    assert lib.seen(0) == ADDRESS[sensor] and lib.chip_id() in (0x1234, 0)
    assert lib.name() == b""


def test_an_earlier_ov2640(lib):
    Played(lib, OV2640, id=0x2641)
    assert lib.detect() == 0 and lib.name() == b"OV2640"


@pytest.mark.parametrize("sensor", range(7), ids=NAMES)
def test_a_wire_that_falls_off(lib, sensor):
    """At any write of the set-up: an error, and no clock stays on."""
    played = Played(lib, sensor)
    assert played.open(GRAY, 160, 120) == 0
    for count in range(0, lib.writes(), 3):
        played = Played(lib, sensor)
        assert lib.detect() == 0
        Played.__init__(played, lib, sensor, acknowledges=count)
        if lib.detect() == 0:
            assert lib.begin(GRAY, 160, 120) == BUS
            assert lib.clocks() & 1 == 0


@pytest.mark.parametrize(
    ("jam", "error"),
    [(JAM_DARK, TIMEOUT), (JAM_SHORT, SHORT), (JAM_OVERRUN, OVERRUN), (JAM_DMA, DMA)],
)
def test_what_goes_wrong(lib, jam, error):
    """An error in bounded time; once only, it is tried again; and then everything works again."""
    played = Played(lib, OV2640, jam)
    assert played.open(RGB565, 96, 96) == 0
    begin = lib.now_ms()
    assert played.capture(96 * 96 * 2)[0] == error
    assert lib.now_ms() - begin < 1100
    assert b"unknown" not in lib.words(error)
    if jam != JAM_DARK:
        lib.jam(jam | JAM_ONCE)
        assert played.capture(96 * 96 * 2)[0] >= 0
    lib.jam(0)
    turn, pixels = played.capture(96 * 96 * 2)
    assert turn >= 0 and (pixels == played.expected(RGB565, 96, 96)).all()
    assert lib.fault() == 0


def test_a_stream_that_does_not_stop(lib):
    played = Played(lib, OV2640)
    assert played.open(RGB565, 96, 96) == 0
    lib.jam(JAM_STUCK)
    begin, waited = lib.now_ms(), lib.waited()
    lib.end()
    assert 5 < lib.now_ms() - begin < 20 and not lib.clocks() & 1
    assert lib.waited() == waited  # a finaliser closes it, where no callback may run nor raise


@pytest.mark.parametrize("waits", [1, 2])
def test_a_callback_that_closes_it(lib, waits):
    """While a frame is waited for: its buffers may be somebody else's, and the chip, too."""
    played = Played(lib, OV2640)
    assert played.open(RGB565, 96, 96) == 0
    lib.close_in(waits)
    begin = lib.now_ms()
    assert played.capture(96 * 96 * 2)[0] == CLOSED
    assert lib.now_ms() - begin < 10 and not lib.clocks() & 1 and lib.fault() == 0
    assert b"unknown" not in lib.words(CLOSED)


def test_a_callback_that_closes_it_while_it_is_opened(lib):
    played = Played(lib, OV2640)
    assert lib.detect() == 0
    lib.close_in(1)
    assert lib.begin(RGB565, 96, 96) == CLOSED
    assert not lib.clocks() & 1 and not lib.stream_runs() and lib.fault() == 0
    assert played.open(RGB565, 96, 96) == 0 and played.capture(96 * 96 * 2)[0] == 0


def test_dma_that_ends_after_the_frame(lib):
    """What it has fetched is on its way to RAM: that is no short frame."""
    played = Played(lib, OV2640)
    assert played.open(RGB565, 96, 96) == 0
    shot = lib.frames()
    lib.late_dma(3)
    assert played.capture(96 * 96 * 2)[0] == 0 and lib.frames() == shot + 1


def test_a_frame_is_not_stale(lib):
    """A picture that was taken long before it is asked for is taken again."""
    played = Played(lib, OV2640)
    assert played.open(RGB565, 96, 96) == 0
    played.capture(96 * 96 * 2)
    shot = lib.frames()
    lib.sleep_ms(100)
    played.capture(96 * 96 * 2)
    assert lib.frames() == shot + 1
    lib.sleep_ms(5000)
    played.scene[:] = 7
    _, pixels = played.capture(96 * 96 * 2)
    assert (pixels == played.expected(RGB565, 96, 96)).all()
    assert lib.fault() == 0


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is missing")
def test_compiles_for_the_chip(tmp_path):
    flags = (
        "-std=gnu99 -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard -Os -Wall -Wextra "
        "-Werror -Wdouble-promotion -Wfloat-conversion -Wconversion"
    ).split()
    for source in (TOP / "native/camera").glob("tv_*.c"):
        command = ["arm-none-eabi-gcc", *flags, "-c", source, "-o", tmp_path / "x.o"]
        subprocess.run(command, check=True)
