# SPDX-License-Identifier: MIT
"""tinyvlm-flash for STM32 (a dfu-util that records what it is told), DAPLink and UF2 drives."""

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib

import pytest
from conftest import TOP
from deploying import call

from tinyvlm import flash
from tinyvlm.boards import flashers, ports

H743 = '"@Internal Flash   /0x08000000/16*128Kg"'
F407 = '"@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"'
DETAILS = """\
# DAPLink Firmware - see https://mbed.com/daplink
Unique ID: {board}000043808be200000000000000000000000097969906
HIC ID: 97969906
Auto Reset: 1
Automation allowed: 0
Overflow detection: 0
Daplink Mode: {mode}
Interface Version: 0256
USB Interfaces: MSD, CDC, HID
"""


def run(*args):
    return call(flash.main, *args)


def code(stack, start, size):
    """A raw Arm image: vector table, then anything."""
    return struct.pack("<II", stack, start | 1) + bytes(range(248)) * (size // 248)


STM32 = code(0x2002_0000, 0x0800_0400, 40_000)
MAX78000 = code(0x2002_0000, 0x1000_0400, 40_000)


def dfuse(*elements, vid=0x0483, pid=0xDF11):
    """A DfuSe file of one target."""
    body = b"".join(struct.pack("<II", at, len(data)) + data for at, data in elements)
    target = struct.pack("<6sBI255sII", b"Target", 0, 1, b"ST...", len(body), len(elements)) + body
    data = struct.pack("<5sBIB", b"DfuSe", 1, 11 + len(target), 1) + target
    data += struct.pack("<HHHH3sB", 0xFFFF, pid, vid, 0x011A, b"UFD", 16)
    return data + struct.pack("<I", zlib.crc32(data) ^ 0xFFFFFFFF)


def ihex(start, data):
    """Intel hex, 16 bytes a line."""

    def record(kind, address, payload):
        raw = bytes([len(payload), address >> 8 & 255, address & 255, kind]) + payload
        return f":{(raw + bytes([-sum(raw) & 255])).hex().upper()}\n"

    lines, high = "", None
    for at in range(0, len(data), 16):
        if (start + at) >> 16 != high:
            high = (start + at) >> 16
            lines += record(4, 0, high.to_bytes(2, "big"))
        lines += record(0, start + at & 0xFFFF, data[at : at + 16])
    return (lines + record(1, 0, b"")).encode()


def uf2(data, start=0x1000_0000, family=0xE48BFF56):
    pieces = [data[at : at + 256] for at in range(0, len(data), 256)]
    blocks = b""
    for number, piece in enumerate(pieces):
        head = (0x0A324655, 0x9E5D5157, 0x2000, start + 256 * number)
        head += (len(piece), number, len(pieces), family)
        blocks += struct.pack("<8I476sI", *head, piece, 0x0AB16F30)
    return blocks


@pytest.fixture
def file(tmp_path):
    def file(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return file


# STM32


@pytest.fixture
def dfu_util(tmp_path, monkeypatch):
    """dfu-util on PATH: lists the devices of devices.txt, notes its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "dfu-util"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "if sys.argv[1:] == ['--list']:\n"
        "    print((here / 'devices.txt').read_text())\n"
        "else:\n"
        "    (here / 'called.json').write_text(json.dumps(sys.argv[1:]))\n"
        "    sys.exit(int((here / 'status').read_text()))\n"
    )
    script.chmod(0o755)
    (folder / "status").write_text("0")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    class DfuUtil:
        def connect(self, name=H743, ids="0483:df11"):
            lines = f'Found DFU: [{ids}] ver=2200, devnum=9, cfg=1, intf=0, path="1-2", alt=0, '
            lines += f'name={name}, serial="200364500000"\n' if name else ""
            (folder / "devices.txt").write_text("dfu-util 0.11\n\n" + (lines if name else ""))

        def status(self, number):
            (folder / "status").write_text(str(number))

        @property
        def called(self):
            path = folder / "called.json"
            return json.loads(path.read_text()) if path.exists() else None

    return DfuUtil()


def test_dfu_file(file, dfu_util):
    dfu_util.connect()
    path = file("firmware.dfu", dfuse((0x0800_0000, STM32), (0x0802_0000, bytes(1000))))
    status, out, err = run(path, "--chip", "stm32h743")
    assert status == 0, err
    assert "for stm32, " in out and "1000 bytes at 0x8020000" in out
    assert dfu_util.called == ["-d", "0483:df11", "-a", "0", "-D", str(path)]


def test_bin_file(file, dfu_util):
    dfu_util.connect()
    path = file("firmware.bin", STM32)
    assert run(path)[0] == 0
    where = ["-s", "0x8000000:leave"]
    assert dfu_util.called == ["-d", "0483:df11", "-a", "0", *where, "-D", str(path)]
    dfu_util.status(74)  # dfu-util's answer when the chip left before it could say so
    assert run(path)[0] == 0


def test_bin_file_elsewhere(file, dfu_util):
    dfu_util.connect()
    path = file("app.bin", code(0x2400_0400, 0x0802_0200, 10_000))
    status, _, err = run(path)
    assert status == 2 and "it starts at 0x8020200, outside of its" in err and "--address" in err
    assert dfu_util.called is None
    assert run(path, "--address", "0x08020000")[0] == 0
    assert "0x8020000:leave" in dfu_util.called


def test_dry_run(file, dfu_util):
    status, out, _ = run(file("firmware.dfu", dfuse((0x0800_0000, STM32))), "--dry-run")
    assert status == 0 and "way: dfu-util" in out and "BOOT0" in out
    assert "dry run: nothing was written" in out and dfu_util.called is None


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("cut.dfu", dfuse((0x0800_0000, STM32))[:-100], "damaged or cut off"),
        ("bit.dfu", dfuse((0x0800_0000, STM32)).replace(b"\x20\x21", b"\x20\x20", 1), "damaged"),
        ("stack.dfu", dfuse((0x0800_0000, code(0x6000_0000, 0x0800_0400, 999))), "its stack at"),
        ("start.dfu", dfuse((0x0800_0000, code(0x2002_0000, 0x400, 999))), "it starts at 0x401"),
        ("large.dfu", dfuse((0x0800_0000, code(0x2002_0000, 0x0800_0400, 3 << 20))), "do not fit"),
        ("none.bin", bytes(5000), "not a firmware known here"),
        ("short.bin", b"12", "2 bytes are no firmware"),
        ("text.bin", b"Hello, this is not a firmware", "not a firmware known here"),
        ("a.elf", b"\x7fELF" + bytes(100), "is an ELF file"),
        ("stm32.hex", ihex(0x0800_0000, STM32), "dfu-util takes .dfu or .bin"),
    ],
)
def test_files_that_are_refused(file, dfu_util, name, data, message):
    dfu_util.connect()
    status, _, err = run(file(name, data))
    assert status == 2 and message in err and name.split(".")[0] in err + name
    assert dfu_util.called is None


def test_for_another_chip(file, dfu_util):
    dfu_util.connect()
    status, _, err = run(file("firmware.bin", STM32), "--chip", "max78000")
    assert status == 2 and "firmware.bin is for stm32, not for max78000" in err
    # an STM32, but not one with this RAM
    path = file("other.bin", code(0x2004_0000, 0x0800_0400, 4000))
    assert run(path, "--dry-run")[0] == 0
    status, _, err = run(path, "--chip", "STM32H743", "--dry-run")
    assert status == 2 and "is not in the RAM of an STM32H7" in err
    assert dfu_util.called is None


def test_for_another_usb_device(file, dfu_util):
    dfu_util.connect()
    path = file("other.dfu", dfuse((0x0800_0000, STM32), vid=0x2341, pid=0x035B))
    status, _, err = run(path)
    assert status == 2 and "no chip in DFU mode 2341:035b (there is 0483:df11)" in err
    assert dfu_util.called is None


def test_too_large_for_the_chip_that_is_there(file, dfu_util):
    dfu_util.connect(F407)  # 1 MB
    path = file("firmware.dfu", dfuse((0x0800_0000, code(0x2002_0000, 0x0800_0400, 1_200_000))))
    status, _, err = run(path)
    assert status == 2 and "does not fit into the connected chip, which has 1024 KB" in err
    assert dfu_util.called is None


def test_layouts():
    assert flashers.dfu_regions(F407) == [(0x0800_0000, 0x0810_0000)]
    read_only = "@Option Bytes  /0x5200201C/01*128 a,01*128 e"
    assert flashers.dfu_regions(read_only) == [(0x5200_209C, 0x5200_211C)]


def test_nothing_in_dfu_mode(file, dfu_util):
    dfu_util.connect(None)
    status, _, err = run(file("firmware.bin", STM32))
    assert status == 2 and "no chip in DFU mode 0483:df11; connect BOOT0" in err


def test_dfu_util_fails(file, dfu_util):
    dfu_util.connect()
    dfu_util.status(70)
    status, _, err = run(file("firmware.dfu", dfuse((0x0800_0000, STM32))))
    assert status == 2 and "dfu-util ended with status 70" in err


def test_no_dfu_util(file, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    status, _, err = run(file("firmware.bin", STM32))
    assert status == 2 and "dfu-util is not installed" in err


@pytest.mark.skipif(shutil.which("dfu-suffix") is None, reason="needs dfu-util: dfu-suffix")
def test_the_real_dfu_suffix_agrees(file):
    path = file("firmware.dfu", dfuse((0x0800_0000, STM32)))
    done = subprocess.run(["dfu-suffix", "--check", path], capture_output=True, text=True)
    assert done.returncode == 0 and "0x0483" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("dfuse-pack") is None, reason="needs dfu-util: dfuse-pack")
def test_a_file_by_the_real_dfuse_pack_is_read(file, tmp_path):
    made = tmp_path / "made.dfu"
    pieces = [file("a.bin", STM32), file("b.bin", bytes(2000))]
    command = ["dfuse-pack", "-b", f"0x08000000:{pieces[0]}", "-b", f"0x08020000:{pieces[1]}"]
    subprocess.run([*command, made], check=True, capture_output=True, timeout=30)
    status, out, err = run(made, "--chip", "stm32h743", "--dry-run")
    assert status == 0, err
    assert f"{len(STM32)} bytes at 0x8000000, 2000 bytes at 0x8020000" in out


@pytest.mark.skipif(shutil.which("dfu-util") is None, reason="needs dfu-util")
def test_the_real_dfu_util_lists(file):
    assert isinstance(flashers.dfu_devices(), list)


# MAX78000


@pytest.fixture
def daplink(tmp_path):
    def daplink(board="0423", mode="Interface", folder="DAPLINK"):
        drive = tmp_path / folder
        drive.mkdir()
        (drive / "DETAILS.TXT").write_text(DETAILS.format(board=board, mode=mode))
        return drive

    return daplink


@pytest.mark.parametrize("kind", ["bin", "hex"])
def test_daplink(file, daplink, monkeypatch, kind):
    drive = daplink()
    data = MAX78000 if kind == "bin" else ihex(0x1000_0000, MAX78000)
    path = file(f"firmware.{kind}", data)
    monkeypatch.setattr(ports, "_mounts", lambda: [drive])
    monkeypatch.setattr(flashers, "QUIET", 0.2)
    status, out, err = run(path, "--chip", "MAX78000")
    assert status == 0, err
    assert "for max78000" in out and "DAPLink reports no failure" in out
    assert (drive / path.name).read_bytes() == data


def test_daplink_reports_a_failure(file, daplink, monkeypatch):
    """The drive goes away while DAPLink programs, and comes back with its verdict."""
    drive = daplink()
    monkeypatch.setattr(flashers, "QUIET", 20)
    away = drive.with_name("away")

    def program():
        while not (drive / "firmware.bin").exists():
            time.sleep(0.01)
        time.sleep(0.1)
        drive.rename(away)
        (away / "FAIL.TXT").write_text("The transfer timed out.\r\n")
        time.sleep(0.3)
        away.rename(drive)

    thread = threading.Thread(target=program)
    thread.start()
    status, _, err = run(file("firmware.bin", MAX78000), "--port", drive)
    thread.join()
    assert status == 2
    assert "DAPLink could not program the board: The transfer timed out." in err


def test_daplink_that_does_not_come_back(file, daplink, tmp_path, capsys):
    from tinyvlm.boards.firmware import read_image

    drive = daplink()
    image = read_image(file("firmware.bin", MAX78000))

    def go():
        while not (drive / "firmware.bin").exists():
            time.sleep(0.01)
        drive.rename(tmp_path / "gone")

    thread = threading.Thread(target=go)
    thread.start()
    flashers.flash_daplink(image, str(drive), seconds=0.5)
    thread.join()
    assert "did not come back" in capsys.readouterr().out


@pytest.mark.parametrize(
    "board, mode, message",
    [
        ("0226", "Interface", "is the DAPLink of another board (0226), not a MAX78000"),
        ("0423", "Bootloader", "would replace DAPLink itself"),
    ],
)
def test_wrong_daplink(file, daplink, board, mode, message):
    drive = daplink(board, mode)
    status, _, err = run(file("firmware.bin", MAX78000), "--port", drive)
    assert status == 2 and message in err and not (drive / "firmware.bin").exists()


def test_no_daplink(file, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "_mounts", lambda: [tmp_path])
    status, _, err = run(file("firmware.bin", MAX78000))
    assert status == 2 and "no DAPLink drive of a MAX78000; plug the board in" in err


def test_two_daplinks(file, daplink, monkeypatch):
    drives = [daplink(), daplink(folder="DAPLINK1")]
    monkeypatch.setattr(ports, "_mounts", lambda: drives)
    status, _, err = run(file("firmware.bin", MAX78000))
    assert status == 2 and "2 MAX78000 boards" in err and "--port" in err


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("large.bin", code(0x2002_0000, 0x1000_0400, 600_000), "do not fit into the flash"),
        ("cut.hex", ihex(0x1000_0000, MAX78000)[:-30], "is damaged"),
        ("end.hex", ihex(0x1000_0000, MAX78000)[:-12], "cut off"),
        ("bit.hex", ihex(0x1000_0000, MAX78000).replace(b"0102", b"0112", 1), "is damaged"),
        ("low.hex", ihex(0x0FFF_0000, MAX78000), "do not fit into the flash"),
    ],
)
def test_max78000_files_that_are_refused(file, daplink, name, data, message):
    drive = daplink()
    status, _, err = run(file(name, data), "--port", drive)
    assert status == 2 and message in err and not (drive / name).exists()


# UF2


def test_uf2(file, tmp_path):
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    info = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
    (drive / "INFO_UF2.TXT").write_text(info)
    path = file("firmware.uf2", uf2(bytes(3000)))
    status, out, err = run(path, "--port", drive)
    assert status == 0, err
    assert "for rp2040, 3000 bytes at 0x10000000" in out
    assert (drive / "firmware.uf2").read_bytes() == path.read_bytes()
    (tmp_path / "victim").write_text("mine")
    (drive / "firmware.uf2").unlink()
    (drive / "firmware.uf2").symlink_to(tmp_path / "victim")
    status, _, err = run(path, "--port", drive)
    assert status == 2 and "is a link" in err and (tmp_path / "victim").read_text() == "mine"
    other = file("s3.uf2", uf2(bytes(3000), family=0xC47E5767))
    status, _, err = run(other, "--port", drive)
    assert status == 2 and "no UF2 drive of an esp32s3" in err and "is Raspberry Pi RP2" in err
    assert not (drive / "s3.uf2").exists()
    status, _, err = run(file("cut.uf2", path.read_bytes()[:-512]), "--dry-run")
    assert status == 2 and "damaged or cut off" in err
    status, _, err = run(file("what.uf2", uf2(b"1", family=0x12345678)), "--dry-run")
    assert status == 2 and "does not say for which" in err


def test_board_names(file):
    status, _, err = run(file("firmware.bin", STM32), "--board", "NO_SUCH_BOARD")
    assert status == 2 and "VIRT_CORTEX_M7" in err and "use --chip" in err


def test_no_such_file(tmp_path):
    status, _, err = run(tmp_path / "none.bin")
    assert status == 2 and "none.bin: no such file" in err


def test_help():
    command = [sys.executable, TOP / "host" / "tinyvlm-flash", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "FIRMWARE" in done.stdout
