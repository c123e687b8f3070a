# SPDX-License-Identifier: MIT
"""Power, pins and clock of the STM32H7 boards' cameras: what MicroPython's modules are told."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

BOARDS = Path(__file__).parents[1] / "boards"
WIRED = sorted(path.parents[1].name for path in BOARDS.glob("*/modules/_camera_pins.py"))


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stage(monkeypatch):
    """MicroPython's modules, played: `told` is the order of what they were asked for."""
    told = []

    class Pin:
        OUT, ALT = "out", "alt"
        cpu = SimpleNamespace(
            **{f"{port}{n}": f"{port}{n}" for port in "ABCDEGHIK" for n in range(16)}
        )

        def __init__(self, name, *how, value=None, alt=None):
            self.name = name
            told.append((name, *how, value if alt is None else alt))

    class Timer:
        PWM = "pwm"

        def __init__(self, timer, freq):
            told.append(("timer", timer, freq))

        def channel(self, number, mode, pin, pulse_width_percent):
            told.append(("clock", pin.name, number, mode, pulse_width_percent))

    class Bus:
        def __init__(self, scl, sda, freq):
            told.append(("bus", scl.name, sda.name, freq))

        def writeto(self, address, data):
            told.append(("write", address, bytes(data)))

    def module(name, **content):
        new = ModuleType(name)
        vars(new).update(content)
        monkeypatch.setitem(sys.modules, name, new)

    module("machine", Pin=Pin, SoftI2C=Bus)
    module("pyb", Timer=Timer)
    module("time", sleep_ms=lambda ms: told.append(("wait", ms)))
    stage = SimpleNamespace(told=told, module=module)
    stage.board = load(BOARDS / "stm32/modules/_camera_board.py", "camera_board_under_test")
    return stage


@pytest.mark.parametrize("name", WIRED)
def test_each_board(stage, monkeypatch, name):
    pins = load(BOARDS / name / "modules/_camera_pins.py", "_camera_pins")
    monkeypatch.setitem(sys.modules, "_camera_pins", pins)
    bus = stage.board.begin()
    data = [entry[0] for entry in stage.told if entry[1:] == ("alt", 13)]
    assert data == list(pins.DCMI) and len(set(data)) == 11
    order = [entry[0] for entry in stage.told]
    assert order.index("clock") < order.index("wait") < order.index("bus")
    assert [e for e in stage.told if e[1:2] == ("out",)] == (
        [(p, "out", 0) for p in pins.LOW] + [(p, "out", 1) for p in pins.HIGH]
    )
    assert ("timer", pins.XCLK[1], 12_000_000) in stage.told
    assert ("bus", pins.SCL, pins.SDA, 100_000) in stage.told
    stage.board.ready(0x3C)
    written = [entry for entry in stage.told if entry[0] == "write"]
    assert written == [("write", 0x3C, bytes(pair)) for pair in pins.WRITE]
    assert hasattr(bus, "writeto")


def test_there_are_the_three_that_have_connectors():
    found = [name.removesuffix("_TINYVLM") for name in WIRED]
    assert found == ["ARDUINO_NICLA_VISION", "ARDUINO_PORTENTA_H7", "WEACT_H743"]


def test_a_file_on_the_board_comes_first(stage):
    names = {"SCL": "B6", "SDA": "B7", "DCMI": ("A0",), "XCLK": None, "HIGH": (), "LOW": ()}
    stage.module("_camera_pins")
    stage.module("camera_pins", WRITE=(), **names)
    stage.board.begin()
    assert ("bus", "B6", "B7", 100_000) in stage.told
    assert not [entry for entry in stage.told if entry[0] == "clock"]


@pytest.mark.parametrize(
    ("pair", "written"),
    [
        ((0x12, 0x06), b"\x12\x06"),
        ((0xFF, 0), b"\xff\0"),
        ((0x101, 3), b"\1\1\3"),  # HM01B0
        ((0x3820, 0x47), b"\x38\x20\x47"),  # OV5640
    ],
)
def test_a_register_of_16_bits(stage, pair, written):
    """OV5640 and Himax's sensors have them: how they are mounted is told there."""
    names = {"SCL": "B6", "SDA": "B7", "DCMI": ("A0",), "XCLK": None, "HIGH": (), "LOW": ()}
    stage.module("camera_pins", WRITE=(pair,), **names)
    stage.board.begin()
    stage.board.ready(0x3C)
    assert stage.told[-1] == ("write", 0x3C, written)


def test_no_connector_and_a_wrong_pin(stage):
    with pytest.raises(OSError, match="no camera connector: camera_pins.py on it must say"):
        stage.board.begin()
    stage.module("camera_pins", DCMI=("Z9",), HIGH=(), LOW=())
    with pytest.raises(OSError, match="no pin PZ9"):
        stage.board.begin()
