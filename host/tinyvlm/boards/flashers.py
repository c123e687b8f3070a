# SPDX-License-Identifier: MIT
"""Four ways to bring an image into a chip: esptool, dfu-util, a DAPLink drive, a UF2 drive.

Each one looks who is there before it writes, refuses an image that is for another chip, and says
how to enter the bootloader when nobody answers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .firmware import STM32_DFU, UF2_FAMILIES, Image
from .ports import BoardError, check_port, choose_port, drives

ENTER = {
    "esp32": "hold BOOT (or IO0), press and release RESET (or EN), release BOOT",
    "stm32": "connect BOOT0 to 3.3 V (or hold the BOOT button), press and release RESET; from "
    "MicroPython: machine.bootloader()",
    "max78000": "plug the board in by its own USB connector; the drive DAPLINK appears by itself",
    "uf2": "hold BOOT while plugging in (RP2), or press RESET twice",
}
QUIET = 3  # seconds until a DAPLink drive that stays where it is counts as content

_AFTER = ("the board restarts with it", "press RESET to start it")


def flash_esp(image: Image, port: str, before: str, baud: int, stub: bool) -> None:
    """Write through Espressif's serial bootloader, with esptool's own functions."""
    import esptool.cmds as esp
    from esptool.util import FatalError

    if port == "auto":
        port = choose_port(f"; then {ENTER['esp32']}")
    check_port(port)
    chip = None
    try:
        chip = esp.detect_chip(port, connect_mode=before, connect_attempts=3)
        found = chip.CHIP_NAME.lower().replace("-", "")
        if found != image.chip:
            raise BoardError(
                f"{image.path.name} is for {image.chip}, the chip at {port} is {found}; nothing "
                "was written"
            )
        if stub:
            chip = esp.run_stub(chip)
            if baud != 115200:
                chip.change_baud(baud)
        esp.attach_flash(chip)
        # written, then compared by the MD5 that the chip computes of its flash
        esp.write_flash(chip, [(at, data) for at, data in image.segments])
        esp.reset_chip(chip, "no-reset" if before == "no-reset" else "hard-reset")
        print("written, and equal to the file; " + _AFTER[before == "no-reset"])
    except FatalError as error:
        message = str(error).splitlines()[0]
        if "Failed to connect" in message:
            message = f"no answer from a bootloader at {port}; {ENTER['esp32']}, and try again"
        elif re.search("serial|respon|timed out", message, re.I):
            message = f"{port} fell silent, the firmware is not complete; flash it again"
        raise BoardError(f"esptool: {message}") from None
    except OSError as error:
        raise BoardError(f"{port}: {error}; unplugged? Run the same command again") from None
    finally:
        if chip is not None:
            chip._port.close()


def dfu_devices() -> list[tuple[int, int, str, str]]:
    """What `dfu-util --list` sees: (vid, pid, alternate setting, its name)."""
    if shutil.which("dfu-util") is None:
        raise BoardError("dfu-util is not installed; Debian: apt-get install dfu-util")
    done = subprocess.run(["dfu-util", "--list"], capture_output=True, text=True, timeout=30)
    found = re.findall(
        r'Found DFU: \[([0-9a-f]{4}):([0-9a-f]{4})\].*?alt=(\d+), name="([^"]*)"', done.stdout
    )
    if not found and "LIBUSB_ERROR_ACCESS" in done.stdout + done.stderr:
        raise BoardError(
            "dfu-util may not open the device; use sudo, or a udev rule for 0483:df11"
        )
    return [(int(vid, 16), int(pid, 16), alt, name) for vid, pid, alt, name in found]


def dfu_regions(name: str) -> list[tuple[int, int]]:
    """Writable memory in the name of an alternate setting: `@Flash /0x08000000/16*128Kg`."""
    regions = []
    for address, layout in re.findall(r"/(0x[0-9a-fA-F]+)/([^/]+)", name):
        at = int(address, 16)
        for count, size, unit, kind in re.findall(r"(\d+)\*(\d+)([ BKM])([a-g])", layout):
            size = int(count) * int(size) * {"K": 1024, "M": 1 << 20}.get(unit, 1)
            if kind in "defg":  # bit 2: writable
                regions.append((at, at + size))
            at += size
    merged: list[tuple[int, int]] = []
    for first, end in sorted(regions):
        if merged and merged[-1][1] == first:
            first = merged.pop()[0]
        merged.append((first, end))
    return merged


def dfu_command(image: Image, devices: list[tuple[int, int, str, str]]) -> list[str]:
    """The dfu-util call that writes the image. BoardError if no device there can take it."""
    wanted = image.usb or STM32_DFU
    here = [device for device in devices if device[:2] == wanted]
    if not here:
        other = ", ".join(f"{vid:04x}:{pid:04x}" for vid, pid, _, _ in devices)
        seen = f" (there is {other})" if other else ""
        raise BoardError(
            f"no chip in DFU mode {wanted[0]:04x}:{wanted[1]:04x}{seen}; {ENTER['stm32']}"
        )
    for vid, pid, alt, name in here:
        regions = dfu_regions(name)
        if all(any(a <= at and at + len(d) <= b for a, b in regions) for at, d in image.segments):
            command = ["dfu-util", "-d", f"{vid:04x}:{pid:04x}", "-a", alt]
            where = [] if image.kind == "dfu" else ["-s", f"{image.segments[0][0]:#x}:leave"]
            return [*command, *where, "-D", str(image.path)]
    sizes = ", ".join(
        f"{(b - a) // 1024} KB at {a:#x}" for d in here for a, b in dfu_regions(d[3])
    )
    raise BoardError(
        f"{image.path.name} does not fit into the connected chip, which has {sizes or 'no flash'}"
    )


def flash_dfu(image: Image) -> None:
    command = dfu_command(image, dfu_devices())
    print("$ " + " ".join(command), flush=True)
    done = subprocess.run(command)
    # `:leave` makes some chips go before they have answered; dfu-util says 74 then
    if done.returncode not in (0, 74 if image.kind == "bin" else 0):
        raise BoardError(f"dfu-util ended with status {done.returncode}; run it again")


def daplink_board(drive: Path) -> str | None:
    """Which board is behind a DAPLink drive? "max78000", another board's id, or None."""
    try:
        details = (drive / "DETAILS.TXT").read_text(errors="replace")
    except OSError:
        return None
    if "DAPLink" not in details and "Unique ID" not in details:
        return None
    mode = re.search(r"Daplink Mode:\s*(\w+)", details, re.I)
    if mode and mode[1].lower() == "bootloader":
        return "bootloader"
    board = re.search(r"Unique ID:\s*([0-9a-f]{4})", details, re.I)
    page = [path.name.upper() for path in drive.glob("*.[Hh][Tt][Mm]")]
    # 0423 is the MAX78000FTHR in DAPLink's sources; its page there is MAX78000.HTM
    if (board and board[1] == "0423") or "MAX78000.HTM" in page or "MAX78000" in details:
        return "max78000"
    return board[1] if board else "unknown"


def find_daplink(port: str) -> Path:
    """The DAPLink drive of a MAX78000FTHR."""
    found = drives("DETAILS.TXT") if port == "auto" else [Path(port)]
    boards = {drive: daplink_board(drive) for drive in found}
    for drive, board in boards.items():
        if board == "bootloader":
            raise BoardError(
                f"{drive} would replace DAPLink itself; plug the board in without holding a button"
            )
    good = [drive for drive, board in boards.items() if board == "max78000"]
    if len(good) == 1:
        return good[0]
    if good:
        raise BoardError(f"{len(good)} MAX78000 boards ({', '.join(map(str, good))}); use --port")
    for drive, board in boards.items():
        if board is not None:
            raise BoardError(f"{drive} is the DAPLink of another board ({board}), not a MAX78000")
    where = "" if port == "auto" else f" at {port}"
    raise BoardError(f"no DAPLink drive of a MAX78000{where}; {ENTER['max78000']}")


def flash_daplink(image: Image, port: str, seconds: float = 20) -> None:
    """Copy to the drive; DAPLink programs, the drive leaves and comes back with its verdict."""
    drive = find_daplink(port)
    print(f"copying to {drive} ...", flush=True)
    _copy(image, drive)
    end = time.monotonic() + seconds
    quiet = time.monotonic() + min(seconds, QUIET)
    left = False
    while time.monotonic() < end:
        if not (drive / "DETAILS.TXT").exists():
            left = True
        elif (drive / "FAIL.TXT").exists():
            time.sleep(0.2)
            reason = " ".join((drive / "FAIL.TXT").read_text(errors="replace").split())
            raise BoardError(f"DAPLink could not program the board: {reason}")
        elif left or time.monotonic() > quiet:
            print("programmed: DAPLink reports no failure")
            return
        time.sleep(0.1)
    print(f"copied; the drive did not come back in {seconds:.0f} s: look for FAIL.TXT on it")


def flash_uf2(image: Image, port: str) -> None:
    """Copy to the drive of the chip's UF2 bootloader; it programs and restarts by itself."""
    found = drives("INFO_UF2.TXT") if port == "auto" else [Path(port)]
    marks = {mark for chip, mark in UF2_FAMILIES.values() if chip == image.chip}
    seen = ""
    for drive in found:
        try:
            info = (drive / "INFO_UF2.TXT").read_text(errors="replace")
        except OSError:
            continue
        plain = info.upper().replace("-", "").replace(" ", "")
        if any(mark.upper().replace("-", "") in plain for mark in marks):
            print(f"copying to {drive} ...", flush=True)
            _copy(image, drive)
            print("copied; the board restarts with it")
            return
        model = re.search(r"Model:\s*(.*)", info)
        seen = f" ({drive} is {model[1].strip() if model else 'another one'})"
    raise BoardError(f"no UF2 drive of an {image.chip}{seen}; {ENTER['uf2']}")


def _copy(image: Image, drive: Path) -> None:
    if (drive / image.path.name).is_symlink():
        raise BoardError(f"{drive / image.path.name} is a link, nothing was written; remove it")
    try:
        with (drive / image.path.name).open("wb") as file:
            file.write(image.data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # a bootloader may leave the bus as soon as it has the last byte
        if drive.exists() and (drive / image.path.name).exists():
            raise BoardError(f"{drive}: {error.strerror.lower()}; try again") from None
