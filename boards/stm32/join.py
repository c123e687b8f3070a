# SPDX-License-Identifier: MIT
"""Firmware and encoder as one image: `join.py BUILD MICROPYTHON/tools/dfu.py`.

Only for boards with ROMFS in the chip's own flash. Writes all.bin (for a debugger's drive or
st-flash, from the start of flash) and all.dfu (for the chip's USB bootloader). Nothing for the
others: USB bootloaders do not reach external flash, so there `mpremote romfs deploy` comes second.
"""

import subprocess
import sys
from pathlib import Path

from elf import ROMFS, symbols

FLASH = 0x08000000
FLASH_SIZE = 2 << 20


def join(firmware: bytes, romfs: bytes, at: int, room: int) -> bytes:
    """Both, `at` bytes apart, erased flash (0xff) between. ValueError if one has no room."""
    if len(firmware) > at:
        raise ValueError(f"the firmware has {len(firmware)} bytes, ROMFS begins after {at}")
    if len(romfs) > room:
        raise ValueError(
            f"the ROMFS image has {len(romfs)} bytes, its flash {room}; take a smaller encoder"
        )
    return firmware.ljust(at, b"\xff") + romfs


def main(build: Path, dfu: Path) -> int:
    known = symbols(build / "firmware.elf")
    at, room = (known[name] for name in ROMFS)
    if not FLASH <= at < FLASH + FLASH_SIZE:
        return 0
    romfs = build / "rom.romfs"
    firmware = build / "firmware.bin"
    try:
        image = join(firmware.read_bytes(), romfs.read_bytes(), at - FLASH, room)
    except ValueError as error:
        print(f"make firmware: {error}", file=sys.stderr)
        return 1
    (build / "all.bin").write_bytes(image)
    parts = ["-b", f"{FLASH:#x}:{firmware}", "-b", f"{at:#x}:{romfs}"]
    command = [sys.executable, str(dfu), "-D", "0x0483:0xdf11", *parts, str(build / "all.dfu")]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
