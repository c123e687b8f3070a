# SPDX-License-Identifier: MIT
"""tinyvlm-deploy --engine: the native .mpy reaches the board, is tried there, and runs.

The virtual board has the engine in its firmware, where it is found first. So here the .mpy has
another name, and the board's boot.py gives the package that one.
"""

import pytest
from deploying import make_vocab, run
from test_natmod import build, micropython  # noqa: F401 - fixtures

from tinyvlm.boards import native_mpy, onboard

BOOT = """
import sys
try:
    sys.modules['_tinyvlm'] = __import__('natmod')
except ImportError:
    pass
"""


@pytest.fixture
def native(build):  # noqa: F811
    return build("armv7emdp") / "_tinyvlm.mpy"


@pytest.fixture
def stock(board, monkeypatch):
    """The board, as if its firmware had no engine."""
    monkeypatch.setattr(onboard, "ENGINE", "natmod")
    board.exec(f"with open('boot.py', 'w') as f: f.write({BOOT!r})")
    board.disconnect()
    return board


def lib(board):
    names = board.eval("[n for n in __import__('os').listdir('/lib')]")
    board.disconnect()
    return sorted(names)


def test_the_engine_is_copied_and_runs(stock, native, tmp_path):
    pets = make_vocab(tmp_path / "pets.tvp")
    status, out, err = run(pets, "--engine", native, "--port", stock.port)
    size = native.stat().st_size
    assert status == 0, err
    assert "no engine" in out
    assert f"engine      /lib/natmod.mpy, for armv7emdp, {size} bytes: new\n" in out
    assert "self-test passed" in out
    assert lib(stock) == ["natmod.mpy"]
    stock.mpremote("soft-reset")
    stock.exec("import tinyvlm; from tinyvlm import encoder")
    assert stock.eval("encoder._tinyvlm.__file__") == "/lib/natmod.mpy"
    assert stock.eval("tinyvlm.selftest()") is True
    stock.disconnect()
    status, out, _ = run(pets, "--engine", native, "--port", stock.port)
    assert status == 0 and "unchanged: the board has all of it" in out
    assert "engine /lib/natmod.mpy" in out  # of the board's facts


@pytest.mark.parametrize("number, name", [(2, "x64"), (11, "rv32imc")])
def test_another_core_is_said_and_the_old_engine_stays(stock, native, tmp_path, number, name):
    assert run("--engine", native, "--port", stock.port)[0] == 0
    data = bytearray(native.read_bytes())
    data[2] = data[2] & 3 | number << 2
    (tmp_path / "other.mpy").write_bytes(data)
    args = "--engine", tmp_path / "other.mpy", "--port", stock.port
    status, out, err = run(*args, "--dry-run")
    assert status == 0 and f"for {name} (the board: armv7emdp)" in out
    status, _, err = run(*args)
    assert status == 2 and f"the engine is for {name}, this board is armv7emdp and says" in err
    assert "incompatible .mpy" in err and "make natmod ARCH=armv7emdp" in err
    assert err.endswith("nothing was replaced\n")
    assert lib(stock) == ["natmod.mpy"]
    assert stock.eval("__import__('natmod').__file__") == "/lib/natmod.mpy"


def test_a_module_that_is_not_the_engine(stock, native, tmp_path, monkeypatch):
    """It imports, but lacks what the package needs."""
    monkeypatch.setattr(native_mpy, "NEEDS", ("Camera",))
    status, _, err = run("--engine", native, "--port", stock.port)
    assert status == 2 and "Camera" in err and "ARCH=" not in err and "nothing was replaced" in err
    assert lib(stock) == []


def test_one_that_is_found_first_is_named(stock, native, tmp_path):
    stock.mpremote("cp", native, ":natmod.mpy")
    status, _, err = run("--engine", native, "--port", stock.port, "--no-selftest")
    assert status == 1
    assert "imports natmod.mpy, not /lib/natmod.mpy" in err or "imports /natmod.mpy, not" in err


def test_what_an_interrupted_trial_left_is_removed(stock, native):
    stock.exec("import os\nos.mkdir('/lib')\nfor n in ('natmod_new.mpy', 'natmod.mpy.new'):\n"
               " with open('/lib/' + n, 'wb') as f: f.write(b'half')")  # fmt: skip
    stock.disconnect()
    assert run("--port", stock.port, "--no-selftest")[0] == 0
    assert lib(stock) == []


def test_an_engine_in_the_firmware_is_found_first(board, native):
    status, _, err = run("--engine", native, "--port", board.port)
    assert status == 2 and "has the engine built in and finds it first" in err


def test_what_is_no_native_mpy(tmp_path):
    for content in (b"", b"M\x06\x00\x1f", b"import this\n"):
        (tmp_path / "e.mpy").write_bytes(content)
        status, _, err = run("--engine", tmp_path / "e.mpy", "--port", "/dev/none")
        assert status == 2 and "e.mpy: not a native .mpy; make natmod" in err
    status, _, err = run("--engine", tmp_path / "none.mpy", "--port", "/dev/none")
    assert status == 2 and "none.mpy: no such file" in err


def test_circuitpython_loads_none(tmp_path):
    (tmp_path / "boot_out.txt").write_text(
        "Adafruit CircuitPython 9.2.1 on 2024-11-20; Adafruit Feather with ESP32S3\n"
    )
    (tmp_path / "e.mpy").write_bytes(b"M\x06\x23\x1f")
    status, _, err = run("--engine", tmp_path / "e.mpy", "--port", tmp_path, "--no-package")
    assert status == 2 and "CircuitPython loads no native .mpy" in err
