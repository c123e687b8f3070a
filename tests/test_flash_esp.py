# SPDX-License-Identifier: MIT
"""tinyvlm-flash for the ESP32 family: esptool itself, against a stand-in for the chip's ROM."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deploying import call

pytest.importorskip("esptool", reason="esptool is not installed (extra `boards`)")

from esprom import FLASH_BEGIN, RomLoader, firmware  # noqa: E402
from esptool.targets import CHIP_DEFS  # noqa: E402

from tinyvlm import flash  # noqa: E402
from tinyvlm.boards import ports  # noqa: E402
from tinyvlm.boards.firmware import read_image  # noqa: E402
from tinyvlm.boards.ports import BoardError  # noqa: E402

TOP = Path(__file__).resolve().parents[1]
CHIPS = ["esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6", "esp32p4"]


def run(*args):
    """`tinyvlm-flash ...`; esptool's own lines end up in the output, too."""
    return call(flash.main, *args)


@pytest.fixture
def image(tmp_path):
    def image(chip):
        path = tmp_path / f"{chip}.bin"
        path.write_bytes(firmware(chip))
        return path

    return image


def esptool(*args):
    command = [sys.executable, "-m", "esptool", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("chip", CHIPS)
def test_images_of_the_tests_are_what_esptool_takes(image, chip):
    done = esptool("image-info", image(chip))
    assert done.returncode == 0, done.stdout
    assert f"Detected image type: {CHIP_DEFS[chip].CHIP_NAME.upper()}" in done.stdout
    assert "(valid)" in done.stdout and "invalid" not in done.stdout


def test_esptool_flashes_the_stand_in(image):
    """The same through esptool's own command line: the stand-in is good enough for it."""
    path = image("esp32c3")
    with RomLoader("esp32c3") as chip:
        options = ["--chip", "esp32c3", "--port", chip.port, "--before", "no-reset", "--no-stub"]
        done = esptool(*options, "--after", "no-reset", "write-flash", "0x0", path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Hash of data verified" in done.stdout
    assert chip.flash[: len(path.read_bytes())] == path.read_bytes()


@pytest.mark.parametrize("name", ["esp32", "esp32c3", "esp32s3"])
def test_flash(image, name):
    path = image(name)
    at = CHIP_DEFS[name].BOOTLOADER_FLASH_OFFSET
    with RomLoader(name) as chip:
        status, out, err = run(path, "--port", chip.port, "--no-stub", "--before", "no-reset")
    assert status == 0, err
    assert f"for {name}, " in out and "esptool" in out
    assert "written, and equal to the file; press RESET" in out
    data = path.read_bytes()
    assert chip.flash[at : at + len(data)] == data
    assert chip.flash[:at] == b"\xff" * at


@pytest.mark.parametrize("there", ["esp32", "esp32s3"])
def test_an_image_for_another_chip_is_not_written(image, there):
    with RomLoader(there) as chip:
        status, _, err = run(
            image("esp32c3"), "--port", chip.port, "--no-stub", "--before", "no-reset"
        )
    assert status == 2 and "is for esp32c3, the chip at" in err and f"is {there}" in err
    assert "nothing was written" in err
    assert FLASH_BEGIN not in chip.commands and chip.flash.count(0xFF) == len(chip.flash)


def test_the_chip_that_the_user_names(image):
    assert run(image("esp32s3"), "--chip", "ESP32-S3", "--dry-run")[0] == 0
    status, _, err = run(image("esp32s3"), "--chip", "esp32", "--dry-run")
    assert status == 2 and "esp32s3.bin is for esp32s3, not for esp32; nothing was written" in err


def test_dry_run(image):
    status, out, _ = run(image("esp32"), "--dry-run")
    assert status == 0 and "32802 bytes" not in out and "at 0x1000" in out
    assert "hold BOOT" in out and "dry run: nothing was written" in out


def test_damaged_image(image):
    path = image("esp32c3")
    data = bytearray(path.read_bytes())
    data[1000] ^= 4
    path.write_bytes(data)
    status, _, err = run(path, "--dry-run")
    assert status == 2 and "damaged, its checksum is wrong" in err
    path.write_bytes(data[:500])
    status, _, err = run(path, "--dry-run")
    assert status == 2 and "damaged" in err


def test_damaged_headers(image):
    """A byte of the image's header, or of a segment's, changed: read, or refused in a sentence."""
    path, said = image("esp32s3"), set()
    data = path.read_bytes()
    for at in range(48):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[at] ^= change
            path.write_bytes(damaged)
            try:
                read_image(path)
                said.add("")
            except BoardError as error:
                said.add(str(error))
    assert len(said) > 2 and not any("\n" in one for one in said)


def test_application_without_partition_table(image):
    path = image("esp32c3")
    path.write_bytes(path.read_bytes()[:0x7000])
    status, _, err = run(path, "--dry-run")
    assert status == 2 and "an application alone" in err and "--address" in err
    assert "at 0x10000" in run(path, "--dry-run", "--address", "0x10000")[1]


def test_damage_on_the_way_is_found(image):
    with RomLoader("esp32c3", damage=True) as chip:
        status, _, err = run(
            image("esp32c3"), "--port", chip.port, "--no-stub", "--before", "no-reset"
        )
    assert status == 2 and "MD5" in err


def test_unplugged_while_writing(image, monkeypatch):
    import esptool.loader

    monkeypatch.setattr(esptool.loader, "DEFAULT_TIMEOUT", 0.3)
    monkeypatch.setattr(esptool.loader.ESPLoader, "WRITE_BLOCK_ATTEMPTS", 1, raising=False)
    with RomLoader("esp32c3", dies_after=3) as chip:
        status, _, err = run(
            image("esp32c3"), "--port", chip.port, "--no-stub", "--before", "no-reset"
        )
    assert status == 2 and "fell silent" in err and "flash it again" in err


def test_nobody_answers(image):
    master, slave = os.openpty()
    try:
        port = os.ttyname(slave)
        status, _, err = run(image("esp32"), "--port", port, "--before", "no-reset")
    finally:
        os.close(master)
        os.close(slave)
    assert status == 2 and f"no answer from a bootloader at {port}; hold BOOT" in err


def test_no_port(image, monkeypatch):
    monkeypatch.setattr(ports, "serial_ports", lambda: [])
    status, _, err = run(image("esp32"))
    assert status == 2 and "no board on USB" in err and "hold BOOT" in err
    status, _, err = run(image("esp32"), "--port", "/dev/ttyNone0")
    assert status == 2 and "no such port" in err


def test_command(image):
    command = [sys.executable, TOP / "host" / "tinyvlm-flash", image("esp32c3"), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "for esp32c3" in done.stdout
    code = "import sys, tinyvlm.flash; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"numpy", "serial", "esptool", "rich"} & set(done.stdout.split())
