# SPDX-License-Identifier: MIT
"""tinyvlm-deploy onto a CIRCUITPY drive: a folder with a boot_out.txt."""

import errno
import os

import pytest
from deploying import make_vocab, run, small_encoder

from tinyvlm import shipped
from tinyvlm.boards import deployment, ports
from tinyvlm.boards.drive import Drive

BOOT_OUT = """\
Adafruit CircuitPython 9.2.1 on 2024-11-20; Adafruit Feather ESP32-S3 with ESP32S3
Board ID:adafruit_feather_esp32s3_4mbflash_2mbpsram
UID:C7FD1A2B3C4D
"""


@pytest.fixture
def drive(tmp_path):
    folder = tmp_path / "CIRCUITPY"
    folder.mkdir()
    (folder / "boot_out.txt").write_text(BOOT_OUT)
    (folder / "code.py").write_text("print('Hello World!')\n")
    return folder


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_package_and_vocabulary(drive, tmp_path):
    pets = make_vocab(tmp_path / "pets.tvp")
    status, out, _ = run(pets, "--port", drive)
    print(out)
    assert status == 0
    assert "CircuitPython 9.2.1 on Adafruit Feather ESP32-S3 with ESP32S3" in out
    assert "not looked at: --encoder nano, and words of tinyvlm-pack --model nano" in out
    package = [f"lib/tinyvlm/{path.name}" for path in deployment.package_files()]
    assert tree(drive) == sorted(["boot_out.txt", "code.py", "pets.tvp", *package])
    assert (drive / "pets.tvp").read_bytes() == pets.read_bytes()
    assert (drive / "code.py").read_text() == "print('Hello World!')\n"
    assert "unchanged: the board has all of it" in run(pets, "--port", drive)[1]


def test_main_is_code_py(drive, tmp_path):
    (tmp_path / "mine.py").write_text("print(1)\n")
    out = run("--port", drive, "--main", tmp_path / "mine.py")[1]
    assert "code.py, 9 bytes: changed" in out
    assert (drive / "code.py").read_text() == "print(1)\n"


def test_dry_run(drive, tmp_path):
    before = tree(drive)
    pets = make_vocab(tmp_path / "pets.tvp")
    assert "nothing was changed" in run(pets, "--port", drive, "--dry-run")[1]
    assert tree(drive) == before


def test_found_without_a_port(drive, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "serial_ports", lambda: [])
    monkeypatch.setattr(ports, "_mounts", lambda: [tmp_path, drive])
    assert str(drive) in run("--list")[1]
    pets = make_vocab(tmp_path / "pets.tvp")
    assert run(pets)[0] == 0 and (drive / "pets.tvp").exists()


def test_wrong_encoder(drive, tmp_path):
    assert run("--encoder", small_encoder(tmp_path), "--port", drive)[0] == 0
    pets = make_vocab(tmp_path / "pets.tvp")
    status, _, err = run(pets, "--port", drive)
    assert status == 2 and "the board has small.tvlm" in err and not (drive / "pets.tvp").exists()


def test_an_encoder_that_the_board_would_find_first(drive, tmp_path):
    """A drive has no prompt, so nobody would see that the new one is not taken."""
    nano = shipped.model_path("nano")
    small = small_encoder(tmp_path)
    assert run("--encoder", small, "--port", drive)[0] == 0
    assert run("--encoder", nano, "--port", drive)[0] == 0  # nano.tvlm comes before small.tvlm
    before = tree(drive)
    status, _, err = run("--encoder", small, "--port", drive)
    assert status == 2 and "the board would take nano.tvlm" in err and "delete it" in err
    assert tree(drive) == before
    (drive / "nano.tvlm").unlink()
    assert run("--encoder", small, "--port", drive)[0] == 0


def test_too_small_a_drive(drive, monkeypatch):
    usage = type("U", (), {"total": 9000, "free": 5000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    status, _, err = run("--port", drive)
    assert status == 2 and "delete files there. Nothing" in err  # a drive has no mpremote


def test_not_a_circuitpy_drive(tmp_path):
    status, _, err = run("--port", tmp_path)
    assert status == 2 and "no boot_out.txt" in err


def test_remains_are_removed(drive, tmp_path):
    (drive / ".pets.tvp.new").write_bytes(b"half")
    assert run("--port", drive)[0] == 0
    assert not (drive / ".pets.tvp.new").exists()


@pytest.mark.parametrize(
    "number, message",
    [
        (errno.EROFS, "cannot be written; does boot.py keep the drive to the board"),
        (errno.ENOSPC, "no space left; nothing was replaced"),
        (errno.EIO, "is gone (unplugged?)"),
    ],
)
def test_drive_that_cannot_be_written(drive, tmp_path, monkeypatch, number, message):
    pets = make_vocab(tmp_path / "pets.tvp")
    assert run(pets, "--port", drive)[0] == 0
    old = pets.read_bytes()
    make_vocab(pets, ["cat", "dog", "bird"])

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    status, _, err = run(pets, "--port", drive)
    assert status == 2 and message in err
    assert (drive / "pets.tvp").read_bytes() == old
    assert not (drive / ".pets.tvp.new").exists()


def test_a_rename_that_fails_keeps_the_old_file(drive, tmp_path, monkeypatch):
    pets = make_vocab(tmp_path / "pets.tvp")
    assert run(pets, "--port", drive)[0] == 0
    old = pets.read_bytes()
    make_vocab(pets, ["cat", "dog", "bird"])

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        assert run(pets, "--port", drive)[0] == 2
    assert (drive / "pets.tvp").read_bytes() == old
    assert run(pets, "--port", drive)[0] == 0
    assert (drive / "pets.tvp").read_bytes() == pets.read_bytes()


def test_links_do_not_lead_off_the_drive(drive, tmp_path):
    """Neither what is written nor what is cleared away; and a pipe is not waited for."""
    outside, pets = tmp_path / "outside", make_vocab(tmp_path / "pets.tvp")
    outside.mkdir()
    for name in (".__init__.py.new", "victim"):
        (outside / name).write_text("mine")
    (drive / ".pets.tvp.new").symlink_to(outside / "victim")
    (drive / "pets.tvp").symlink_to(outside / "victim")
    os.mkfifo(drive / "x.tvlm")
    (drive / "lib").mkdir()
    (drive / "lib" / "tinyvlm").symlink_to(outside)
    status, _, err = run(pets, "--port", drive)
    assert status == 2 and "leaves" in err and "lib/tinyvlm" in err
    assert {path.read_text() for path in outside.iterdir()} == {"mine"}
    assert len(list(outside.iterdir())) == 2
    (drive / "lib" / "tinyvlm").unlink()
    assert run(pets, "--port", drive)[0] == 0
    assert (drive / "pets.tvp").read_bytes() == pets.read_bytes()
    assert not (drive / "pets.tvp").is_symlink() and len(list(outside.iterdir())) == 2
    assert (outside / "victim").read_text() == "mine"


def test_two_at_once(drive, tmp_path):
    """They would remove each other's half-written files."""
    pets = make_vocab(tmp_path / "pets.tvp")
    first = Drive(drive)
    first.lock()
    before = tree(drive)
    status, _, err = run(pets, "--port", drive)
    assert status == 2 and "another tinyvlm-deploy is busy with" in err
    assert tree(drive) == before
    first.unlock()
    assert run(pets, "--port", drive)[0] == 0
    assert run(pets, "--port", drive)[0] == 0  # which gave it back


def test_what_a_drive_says_of_itself_is_text(drive):
    (drive / "boot_out.txt").write_text(BOOT_OUT.replace("Feather", "\x1b]0;owned\x07\x1b[2J"))
    out = run("--port", drive, "--dry-run")[1]
    assert "owned" in out and "\x1b" not in out and "\x07" not in out
