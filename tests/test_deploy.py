# SPDX-License-Identifier: MIT
"""tinyvlm-deploy on the virtual board, through mpremote and through ampy, as its users type it."""

import hashlib
import os
import subprocess
import sys
import threading
import time
import tty
import zlib
from pathlib import Path

import numpy as np
import pytest
from deploying import FINGERPRINT, make_vocab, run, small_encoder
from mpremote.transport_serial import SerialTransport

from tinyvlm import deploy
from tinyvlm.boards import deployment, target, transports
from tinyvlm.net import tvlm
from tinyvlm.shipped import DEFAULT_MODEL

TOP = Path(__file__).resolve().parents[1]


@pytest.fixture
def pets(tmp_path):
    return make_vocab(tmp_path / "pets.tvp")


def labels(board, path="pets.tvp"):
    """What the board reads there. The port is free again afterwards."""
    found = board.eval(f"__import__('tinyvlm').Vocab({path!r}).labels")
    board.disconnect()
    return found


def files(board):
    names = board.eval("sorted(__import__('os').listdir())")
    board.disconnect()
    return [name for name in names if name != "rom"]


def test_command_deploys_all_that_a_fresh_board_needs(board, pets):
    command = [sys.executable, TOP / "host" / "tinyvlm-deploy", pets, "--port", board.port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert "MicroPython" in done.stdout and "Cortex-M7" in done.stdout
    assert "is built into the firmware" in done.stdout
    assert "pets.tvp, " in done.stdout and ": new" in done.stdout
    assert "self-test passed" in done.stdout and "pets.tvp: cat, dog" in done.stdout
    assert files(board) == ["pets.tvp"]
    assert board.eval("__import__('tinyvlm').load().path") == "/rom/base.tvlm"
    board.exec("import tinyvlm")
    board.exec("found = tinyvlm.classify(bytes(96 * 96 * 3), tinyvlm.Vocab('pets.tvp'))")
    assert sorted(label for label, _ in board.eval("found")) == ["cat", "dog"]


def test_second_time_nothing_is_written(start_board, tmp_path, pets):
    flash = tmp_path / "flash"
    board = start_board(flash=flash)
    assert run(pets, "--port", board.port)[0] == 0
    before = hashlib.sha256(flash.read_bytes()).hexdigest()
    status, out, _ = run(pets, "--port", board.port)
    assert status == 0 and "unchanged: the board has all of it" in out
    assert "pets.tvp: cat, dog" in out  # looked at all the same
    assert hashlib.sha256(flash.read_bytes()).hexdigest() == before


def test_dry_run_writes_nothing(start_board, tmp_path, pets):
    flash = tmp_path / "flash"
    board = start_board(flash=flash)
    board.eval("1")
    board.disconnect()
    before = hashlib.sha256(flash.read_bytes()).hexdigest()
    status, out, _ = run(pets, "--port", board.port, "--dry-run", "--examples")
    assert status == 0 and "dry run: nothing was changed" in out
    assert "pets.tvp" in out and "/rom/base.tvlm" in out and "detect.py" in out
    assert hashlib.sha256(flash.read_bytes()).hexdigest() == before


def blind(monkeypatch, fact):
    """The board does not tell one of its facts from now on."""
    look = target.Target._look

    def without(self):
        facts = look(self)
        setattr(facts, fact, None)
        return facts

    monkeypatch.setattr(target.Target, "_look", without)


def test_a_changed_vocabulary_replaces_the_old_one(board, pets):
    assert run(pets, "--port", board.port)[0] == 0
    make_vocab(pets, ["cat", "dog", "Käfer"])
    status, out, _ = run(pets, "--port", board.port)
    assert status == 0 and ": changed" in out and "pets.tvp: cat, dog, Käfer" in out
    assert labels(board) == ["cat", "dog", "Käfer"] and files(board) == ["pets.tvp"]


def test_examples_and_main_run(board, pets, tmp_path):
    program = tmp_path / "blink.py"
    program.write_text("print('main runs')\n")
    assert run(pets, "--port", board.port, "--examples", "--main", program)[0] == 0
    assert files(board) == ["detect.py", "main.py", "pets.tvp"]
    assert "Vocab(2 labels" in board.mpremote("exec", "import detect")
    board.mpremote("reset")
    board.await_reset()
    assert board.exec("import main") == "main runs"


def test_package_goes_to_lib_when_the_firmware_lacks_it(board, pets, monkeypatch):
    # This firmware has it: make deploy blind for that, and the board's import, too.
    blind(monkeypatch, "frozen")
    board.exec(
        "with open('boot.py', 'w') as f: f.write('import sys; sys.path.remove(\".frozen\")')"
    )
    board.disconnect()
    status, out, _ = run(pets, "--port", board.port)
    assert status == 0 and "/lib/tinyvlm, " in out and "self-test passed" in out
    board.mpremote("soft-reset")
    assert board.exec("import tinyvlm; print(tinyvlm.__file__)") == "/lib/tinyvlm/__init__.py"
    there = board.eval("sorted(__import__('os').listdir('/lib/tinyvlm'))")
    assert there == [path.name for path in deployment.package_files()]
    board.disconnect()
    status, out, _ = run(pets, "--port", board.port)
    assert "unchanged: the board has all of it" in out
    assert "package     left out" in run("--port", board.port, "--no-package")[1]


def test_another_encoder_keeps_the_other_files_in_romfs(board, tmp_path):
    rom = tmp_path / "rom"
    (rom / "photos").mkdir(parents=True)
    content = np.random.default_rng(1).bytes(10_000)
    (rom / "photos" / "a.ppm").write_bytes(content)
    (rom / "old.tvlm").write_bytes(DEFAULT_MODEL.read_bytes())
    board.mpremote("romfs", "deploy", rom)
    small = small_encoder(tmp_path)
    status, out, _ = run("--encoder", small, "--port", board.port)
    assert status == 0 and "1 other files in ROMFS, 10000 bytes, are kept" in out
    assert "until the command has ended the board has no ROMFS: keep it on" in out
    assert "Encoder(small: 16x16" in out and "self-test passed" in out
    assert board.eval("__import__('os').listdir('/rom')") == ["photos", "small.tvlm"]
    assert board.eval("__import__('tinyvlm').info().aligned")
    assert board.eval("open('/rom/photos/a.ppm', 'rb').read()") == content
    board.disconnect()
    assert "unchanged" in run("--encoder", small, "--port", board.port)[1]


def test_vocabulary_for_another_encoder_does_not_reach_the_board(board, tmp_path, pets):
    small = small_encoder(tmp_path)
    status, _, err = run(pets, "--encoder", small, "--port", "/dev/none")  # not even looked for
    assert status == 2 and "first-light" in err and "small.tvlm is small" in err
    assert FINGERPRINT.hex() in err and "pack it again with --model" in err
    assert run("--encoder", small, "--port", board.port)[0] == 0
    status, _, err = run(pets, "--port", board.port)
    assert status == 2 and "the board has /rom/small.tvlm" in err
    assert files(board) == []


def test_a_vocabulary_left_behind_by_a_new_encoder_is_named(board, tmp_path, pets):
    assert run(pets, "--port", board.port)[0] == 0
    out = run("--encoder", small_encoder(tmp_path), "--port", board.port)[1]
    assert "pets.tvp was packed for another encoder and will not work with this one" in out


def test_encoder_without_romfs_is_a_file(board, tmp_path, monkeypatch):
    blind(monkeypatch, "romfs")
    small = small_encoder(tmp_path)
    status, out, _ = run("--encoder", small, "--port", board.port)
    assert status == 0 and "no ROMFS" in out and "in RAM" in out and "self-test passed" in out
    assert files(board) == ["small.tvlm"]
    assert "unchanged" in run("--encoder", small, "--port", board.port)[1]
    # the one that ships would need more RAM than is free
    out = run("--encoder", DEFAULT_MODEL, "--port", board.port, "--dry-run")[1]
    assert "no ROMFS here: it is loaded into RAM" in out


def test_no_space_is_said_before_anything_is_written(board, pets, monkeypatch):
    board.exec(
        "import os\nwith open('full', 'wb') as f:\n"
        " for _ in range(os.statvfs('')[3] - 6): f.write(bytes(4096))"
    )
    board.disconnect()
    make_vocab(pets, [f"label {n}" for n in range(400)])
    status, _, err = run(pets, "--port", board.port)
    assert status == 2 and "no space" in err and "Nothing was changed" in err
    assert "pets.tvp" not in files(board)
    board.disconnect()
    monkeypatch.setattr(deployment, "check_space", lambda *_: None)  # as if statvfs were wrong
    status, _, err = run(pets, "--port", board.port)
    assert (status, err) == (
        2,
        "tinyvlm-deploy: no space left on the board; nothing was replaced\n",
    )
    assert files(board) == ["full"]


@pytest.mark.parametrize("backend", ["mpremote", "ampy"])
def test_damage_on_the_way_is_found(board, pets, monkeypatch, backend):
    assert run(pets, "--port", board.port)[0] == 0
    link = {"mpremote": transports.MpremoteLink, "ampy": transports.AmpyLink}[backend]
    put = link.put
    monkeypatch.setattr(link, "put", lambda self, p, d: put(self, p, d[:99] + b"?" + d[100:]))
    make_vocab(pets, ["cat", "dog", "bird"])
    status, _, err = run(pets, "--port", board.port, "--backend", backend)
    assert status == 2 and "its checksum differs on the board; nothing was replaced" in err
    assert labels(board) == ["cat", "dog"] and files(board) == ["pets.tvp"]


def test_crc32_where_the_board_has_no_sha256(board, pets, monkeypatch):
    hide = "import sys; sys.modules['hashlib'] = None"
    board.exec(f"with open('boot.py', 'w') as f: f.write({hide!r})")
    board.disconnect()
    sums = []
    real = target._sum
    monkeypatch.setattr(target, "_sum", lambda d, kind: sums.append(kind) or real(d, kind))
    assert run(pets, "--port", board.port)[0] == 0
    assert "unchanged" in run(pets, "--port", board.port)[1]
    assert set(sums) == {"crc32"}


def test_remains_of_an_interrupted_copy_are_tidied_up(board, pets):
    data = pets.read_bytes()
    board.exec(
        f"def w(n, b):\n with open(n, 'wb') as f: f.write(b)\ndata = {data!r}\n"
        "w('whole.tvp.new', data); w('half.tvp.new', data[:150]); w('pets.tvp', data)\n"
        "w('pets.tvp.new', data[:99]); w('mine.new', b'')"
    )
    board.disconnect()
    status, out, _ = run("--port", board.port)
    assert status == 0 and "whole.tvp: an interrupted copy was complete" in out
    assert files(board) == ["mine.new", "pets.tvp", "whole.tvp"]
    assert labels(board, "whole.tvp") == labels(board) == ["cat", "dog"]


def test_ampy_does_the_same(board, pets):
    assert run("--port", board.port)[0] == 0  # the encoder: ROMFS takes mpremote
    status, out, _ = run(pets, "--port", board.port, "--backend", "ampy")
    assert status == 0 and "self-test passed" in out and "pets.tvp: cat, dog" in out
    assert labels(board) == ["cat", "dog"] and files(board) == ["pets.tvp"]
    board.disconnect()
    assert "unchanged" in run(pets, "--port", board.port, "--backend", "ampy")[1]


def test_ampy_says_that_it_cannot_write_romfs(board, pets):
    status, _, err = run(pets, "--port", board.port, "--backend", "ampy")
    assert status == 2 and "ROMFS, which ampy cannot write; use mpremote" in err
    assert files(board) == []


def test_self_test_that_fails(board, tmp_path):
    """A byte of the known answer is wrong: the board must say so, not the PC."""
    path = small_encoder(tmp_path, name="wrong")
    encoder = tvlm.load(path)
    data = bytearray(path.read_bytes())
    at = data.rindex(encoder.test[1].tobytes())
    data[at] ^= 1
    data[12:16] = zlib.crc32(data[16:]).to_bytes(4, "little")
    path.write_bytes(data)
    status, _, err = run("--encoder", path, "--port", board.port)
    assert status == 1 and "the self-test failed" in err and "differs from the file's" in err


# When there is no board


def pty_that_says(answer):
    """A port with something behind it that is no MicroPython; None: nothing at all."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def talk():
        try:
            while os.read(master, 100):
                if answer:
                    os.write(master, answer)
        except OSError:
            pass

    threading.Thread(target=talk, daemon=True).start()
    return os.ttyname(slave), master, slave


@pytest.mark.parametrize("backend", ["mpremote", "ampy"])
@pytest.mark.parametrize(
    "answer, message",
    [(None, "no answer"), (b"Arduino says hello\r\n", "not as MicroPython does")],
)
def test_something_else_at_the_port(monkeypatch, backend, answer, message):
    monkeypatch.setattr(transports, "QUIET", 1 if answer else 0.3)
    monkeypatch.setattr(time, "sleep", lambda *_, sleep=time.sleep: sleep(0.001))
    port, master, slave = pty_that_says(answer)
    try:
        status, _, err = run("--port", port, "--backend", backend)
    finally:
        os.close(master)
        os.close(slave)
    assert status == 2 and f"{port}" in err and message in err


def test_a_line_that_never_falls_silent(monkeypatch):
    """mpremote looks at its clock in silence only; the noise has no end."""
    monkeypatch.setattr(transports, "QUIET", 0.2)
    master, slave = os.openpty()
    tty.setraw(slave)

    def rustle():
        try:
            while True:
                os.write(master, b"\x55\xaa" * 50)
        except OSError:
            pass

    threading.Thread(target=rustle, daemon=True).start()
    try:
        status, _, err = run("--port", os.ttyname(slave))
        named = os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)
    assert status == 2 and named in err


def test_no_such_port():
    status, _, err = run("--port", "/dev/ttyNone7")
    assert status == 2 and "/dev/ttyNone7: no such port" in err


def test_port_without_permission(monkeypatch, tmp_path):
    port = tmp_path / "tty"
    port.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    status, _, err = run("--port", port)
    assert status == 2 and "no permission; sudo usermod -aG" in err
    monkeypatch.undo()
    status, _, err = run("--port", port)
    assert status == 2 and "tty: a file, not a port" in err


def test_port_in_use(board):
    other = SerialTransport(board.port)
    try:
        status, _, err = run("--port", board.port)
    finally:
        other.close()
    assert status == 2 and "is used by another program" in err


def test_auto_finds_the_only_board(board, pets, monkeypatch):
    from tinyvlm.boards import ports

    monkeypatch.setattr(ports, "serial_ports", lambda: [ports.Port("/dev/ttyS0")])
    monkeypatch.setattr(ports, "_mounts", lambda: [])
    status, _, err = run(pets)
    assert status == 2 and "no board on USB" in err
    usb = ports.Port(board.port, 0xF055, 0x9800, "MicroPython Board")
    monkeypatch.setattr(ports, "serial_ports", lambda: [ports.Port("/dev/ttyS0"), usb])
    assert run(pets)[0] == 0
    assert "f055:9800  MicroPython Board" in run("--list")[1]
    two = [usb, ports.Port("/dev/ttyACM7", 1, 2)]
    monkeypatch.setattr(ports, "serial_ports", lambda: two)
    status, _, err = run(pets)
    assert status == 2 and "2 boards on USB" in err and "/dev/ttyACM7" in err


def test_files_are_checked_first(tmp_path):
    (tmp_path / "bad.tvp").write_bytes(b"nothing")
    status, _, err = run(tmp_path / "bad.tvp")
    assert status == 2 and "not a tinyvlm vocabulary" in err
    status, _, err = run(tmp_path / "none.tvp")
    assert status == 2 and "none.tvp: no such file" in err


def test_an_encoder_that_ships_has_a_name():
    assert deploy.encoder_path("nano").name == "nano.tvlm" and deploy.encoder_path("nano").exists()
    assert deploy.encoder_path("mine.tvlm") == Path("mine.tvlm")


def test_help_comes_at_once():
    code = "import sys, tinyvlm.deploy; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"numpy", "serial", "mpremote", "ampy"} & set(done.stdout.split())
