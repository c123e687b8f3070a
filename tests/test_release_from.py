# SPDX-License-Identifier: MIT
"""--from: what is read of a release, and what of it fits the connected board."""

import json
import os
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from deploying import FINGERPRINT, call, make_vocab
from release import Made
from releasing import VERSION, encoder, firmware, make_release, served

from tinyvlm import deploy, flash
from tinyvlm.boards import fitting, flashers, native_mpy, ports
from tinyvlm.boards.ports import Port
from tinyvlm.boards.target import Facts
from tinyvlm.release import Release
from tinyvlm.shipped import DATA
from tinyvlm.virtual import board as virtual

STM32 = struct.pack("<II", 0x2002_0000, 0x0800_0401) + bytes(40_000)
MAX78000 = struct.pack("<II", 0x2002_0000, 0x1000_0401) + bytes(40_000)

# -- reading one ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    data = [(DATA / f"{name}.tvlm").read_bytes() for name in ("base", "nano", "max78000")]
    return make_release(
        tmp_path / "dist",
        encoder("base", data[0], 83_200),
        encoder("nano", data[1], 55_936),
        encoder("max78000", data[2]),
        encoder("max78000-board", data[2][:24], chip="max78000"),
        firmware("WEACT_H743_TINYVLM", STM32, ".bin", "stm32h7", "WeAct STM32H743"),
        firmware("NUCLEO_H743ZI_TINYVLM", STM32, ".bin", "stm32h7", "NUCLEO-H743ZI"),
        firmware("MAX78000FTHR", MAX78000, ".bin", "max78000"),
        *(Made(f"{a}.mpy", "engine", a, b"M\x06\x1f" + a.encode()) for a in ("armv6m", "rv32imc")),
    )


def test_from_a_folder_and_from_the_web(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    local = Release(folder)
    file = local.one("encoder", "nano")
    assert local.path(file) == folder / "nano.tvlm"
    assert Release(folder / "manifest.json").where == str(folder)
    with served(folder) as url:
        remote = Release(f"{url}/")
        kept = remote.path(remote.one("encoder", "nano"))
        assert kept.read_bytes() == (folder / "nano.tvlm").read_bytes()
        kept.write_bytes(b"rotten")
        assert remote.path(file).read_bytes() == (folder / "nano.tvlm").read_bytes()
    assert remote.path(file) == kept  # from the cache: the server is gone


@pytest.mark.parametrize("on_web", [False, True])
@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda f: (f / "manifest.json").unlink(), "no manifest.json there, so this is not a rel"),
        (lambda f: (f / "manifest.json").write_text("{"), "its manifest.json is damaged"),
        (lambda f: (f / "manifest.json").write_text("[" * 100_000), "its manifest.json is damag"),
        (lambda f: (f / "manifest.json").write_text('{"format": 1}'), "its manifest.json is dama"),
        (lambda f: (f / "manifest.json").write_text('{"format": 2}'), "has format 2, this tinyvl"),
        (lambda f: (f / "base.tvlm").unlink(), "base.tvlm is missing there"),
        (lambda f: (f / "base.tvlm").write_bytes(b"abc"), "base.tvlm is damaged, its checksum"),
        (lambda f: os.truncate(f / "base.tvlm", 999), "base.tvlm is damaged, its checksum"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder, tmp_path, monkeypatch, spoil, message, on_web):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spoil(folder)

    def get(where):
        found = Release(where)
        return found.path(found.one("encoder", "base"))

    with served(folder) as url, pytest.raises(ValueError, match=message) as caught:
        get(url if on_web else folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a\\b", "c:x", "a/../../b"])
def test_no_name_leaves_the_folder(tmp_path, name):
    make_release(tmp_path / "dist", Made("good", "encoder", "base", b"x"))
    text = (tmp_path / "dist" / "manifest.json").read_text()
    quoted = json.dumps(name)
    (tmp_path / "dist" / "manifest.json").write_text(text.replace('"good"', quoted))
    with pytest.raises(ValueError, match="manifest.json is damaged"):
        Release(tmp_path / "dist")


def test_a_server_that_is_not_there():
    with pytest.raises(ValueError, match=r"manifest.json: cannot be fetched \("):
        Release("http://127.0.0.1:9/none")


# -- what fits --------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """No board anywhere."""
    monkeypatch.setattr(ports, "_mounts", lambda: [])
    monkeypatch.setattr(fitting, "board_ports", lambda: [])
    monkeypatch.setattr(fitting, "dfu_devices", lambda: [])
    return monkeypatch


@pytest.mark.parametrize(
    "board, target",
    [
        ("WEACT_H743_TINYVLM", "WEACT_H743_TINYVLM"),
        ("weact_h743", "WEACT_H743_TINYVLM"),
        ("max78000fthr", "MAX78000FTHR"),
    ],
)
def test_flash_by_name(folder, alone, board, target):
    status, out, err = call(flash.main, "--from", folder, "--board", board, "--dry-run")
    assert status == 0, err
    assert f"{VERSION}: tinyvlm-{VERSION}-{target}.bin for {target}\n" in out


@pytest.mark.parametrize(
    "connected, found",
    [
        ("NUCLEO-H743ZI with tinyvlm with STM32H743", "NUCLEO_H743ZI_TINYVLM"),
        ("NUCLEO_H743ZI with STM32H743", "NUCLEO_H743ZI_TINYVLM"),
        ("PYBv1.1 with STM32F405RG", "(PYBv1.1 with STM32F405RG): "),
    ],
)
def test_flash_for_the_board_at_the_prompt(folder, alone, connected, found):
    class Link:
        __enter__ = __exit__ = lambda self, *_: self

    alone.setattr(fitting, "board_ports", lambda: [Port("/dev/ttyACM7", 1, 2)])
    alone.setattr(fitting, "connect", lambda port: Link())
    facts = Facts("micropython", "1.25.0", connected, 0, "/")
    alone.setattr(fitting, "Target", lambda link: SimpleNamespace(facts=facts))
    status, out, err = call(flash.main, "--from", folder, "--dry-run")
    assert found in (out if status == 0 else err)
    assert status == (0 if found in out else 2)


def test_flash_for_the_drive_that_is_there(folder, alone, tmp_path):
    drive = tmp_path / "DAPLINK"
    drive.mkdir()
    (drive / "DETAILS.TXT").write_text("# DAPLink Firmware\nUnique ID: 0423000043808be2\n")
    alone.setattr(ports, "_mounts", lambda: [drive])
    alone.setattr(flashers, "QUIET", 0.1)
    status, _, err = call(flash.main, "--from", folder)
    assert status == 0, err
    assert (drive / f"tinyvlm-{VERSION}-MAX78000FTHR.bin").read_bytes() == MAX78000


@pytest.mark.parametrize(
    "words, message",
    [
        ("", "no board is connected: "),
        (
            "--board PYBV11",
            "has no firmware for it, but for MAX78000FTHR, NUCLEO_H743ZI_TINYVLM, ",
        ),
        ("firmware.bin", "name one: a firmware file, or a release by --from"),
        ("--board weact_h743 --chip max78000", "for stm32, not for max78000; nothing was written"),
    ],
)
def test_flash_says_what_does_not_fit(folder, alone, words, message):
    status, _, err = call(flash.main, "--from", folder, *words.split())
    assert status == 2 and message in err


def test_a_chip_in_dfu_mode_may_be_either(folder, alone):
    alone.setattr(fitting, "dfu_devices", lambda: [(0x0483, 0xDF11, "0", "@Internal Flash")])
    status, _, err = call(flash.main, "--from", folder)
    assert status == 2
    assert "may be one of NUCLEO_H743ZI_TINYVLM, WEACT_H743_TINYVLM; say which with" in err


def facts(machine="a board", arch="armv7emdp", **more):
    number = native_mpy.ARCHS.index(arch)
    more = {"ram": 300_000, "romfs": 0, "mpy": number << 10 | 0x306, **more}
    return Facts("micropython", "1.25.0", machine, cwd="/", **more)


@pytest.mark.parametrize(
    "board, engine",
    [
        (facts(), "armv6m"),  # the release has none for its own core, but for a lesser one
        (facts(arch="armv6m"), "armv6m"),
        (facts(arch="rv32imc"), "rv32imc"),
        (facts(arch="xtensawin"), None),
        (facts(arch="none"), None),
        (facts(engine=""), None),
        (facts(engine="/lib/_tinyvlm.mpy"), "armv6m"),
        (Facts("circuitpython", "9", "a board", 0, "", mpy=facts().mpy), None),
    ],
)
def test_which_engine(folder, board, engine):
    found = fitting.engine(Release(folder), board)
    assert (found and found.target) == engine


NANO = (DATA / "nano.tvlm").read_bytes()[16:24]
CHIP = (DATA / "max78000.tvlm").read_bytes()[16:24]


@pytest.mark.parametrize(
    "board, words, name",
    [
        (facts(), set(), "nano.tvlm"),  # base and its arena do not fit into RAM
        (facts(ram=700_000), set(), "base.tvlm"),
        (facts(ram=60_000, romfs=1 << 20), set(), "base.tvlm"),
        (facts(ram=60_000), set(), None),
        (facts(ram=60_000), {NANO}, "nano.tvlm"),  # the words decide
        (facts(encoders=[("/rom/base.tvlm", FINGERPRINT, 1)]), {NANO}, None),
        (facts("MAX78000FTHR with MAX78000"), set(), "max78000-board.tvlm"),
        (facts("MAX78000FTHR with MAX78000"), {CHIP}, "max78000-board.tvlm"),
        (facts(), {CHIP}, "max78000.tvlm"),
        (facts(), {b"elsewhere"}, None),
        (Facts("circuitpython", "9", "a board", 0, ""), set(), "nano.tvlm"),
    ],
)
def test_which_encoder(folder, board, words, name):
    found = fitting.encoder(Release(folder), board, words)
    assert (found and found.name) == name


def test_deploy_onto_a_drive(folder, tmp_path):
    drive = tmp_path / "CIRCUITPY"
    drive.mkdir()
    (drive / "boot_out.txt").write_text("Adafruit CircuitPython 9.2.1 on 2024-11-20; A board\n")
    pets = make_vocab(tmp_path / "pets.tvp", fingerprint=NANO)
    status, out, err = call(deploy.main, pets, "--port", drive, "--from", folder)
    assert status == 0, err
    assert f"release     {folder}: version {VERSION}, nano.tvlm\n" in out
    assert (drive / "nano.tvlm").read_bytes() == (folder / "nano.tvlm").read_bytes()
    status, out, _ = call(deploy.main, pets, "--port", drive, "--from", folder)
    assert status == 0 and "unchanged: the board has all of it" in out


def test_deploy_wants_its_own_version(folder, tmp_path):
    make_release(folder, version="9.9.9")
    status, _, err = call(deploy.main, "--port", tmp_path, "--from", folder)
    assert status == 2 and f"is tinyvlm 9.9.9, this command is {VERSION}; install the w" in err


@pytest.mark.parametrize(
    "words, message",
    [
        ("--from nowhere", "nowhere: no manifest.json there, so this is not a release"),
        ("--from {folder}", "{folder} has no virtual; it has: none"),
    ],
)
def test_the_virtual_board_says_what_is_missing(folder, words, message):
    words = words.format(folder=folder).split()
    status, _, err = call(virtual.main, *words)
    assert status == 2 and message.format(folder=folder) in err


def test_the_virtual_board_of_a_release(firmware, tmp_path):
    """Deployed to and asked by the image that --from finds."""
    made = Made("virt.elf", "virtual", "VIRT_CORTEX_M7", Path(firmware).read_bytes())
    data = (DATA / "base.tvlm").read_bytes()
    folder = make_release(tmp_path / "dist", made, encoder("base", data, 83_200))
    found = Release(folder)
    board = virtual.Board(found.path(found.one("virtual")))
    try:
        pets = make_vocab(tmp_path / "pets.tvp")
        status, out, err = call(deploy.main, pets, "--port", board.port, "--from", folder)
        assert status == 0, err
        assert "base.tvlm" in out and "self-test passed" in out
    finally:
        board.close()
