# SPDX-License-Identifier: MIT
"""The MAX78000FTHR without the board: its firmware in QEMU, the accelerator simulated on the PC.

    $ python -m tinyvlm.max78000.virtual --romfs models.romfs
    mpremote connect /dev/pts/3

QEMU 10.1 and newer have this board: CPU, RAM, flash that can be read only, serial ports. Where
the accelerator should be they have nothing. So the firmware build/max78000/qemu.bin hands the
driver's accesses to UART1, and `Accelerator` here does them on the simulator.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from ..shipped import CHECKOUT
from ..virtual.board import Board, VirtualBoardError, escape

ROMFS_ADDRESS, ROMFS_SIZE = 0x1003_E000, 232 << 10  # boards/MAX78000FTHR/max78000fthr.ld
MACHINE = "max78000fthr"
FIRMWARE = CHECKOUT / "build" / "max78000" / "qemu.bin"


class Accelerator:
    """A simulated accelerator behind a socket; boards/MAX78000FTHR/bus_qemu.c is the other end."""

    _SIZES = {ord("W"): 8, ord("N"): 4, ord("B"): 5, ord("R"): 4}  # bytes after the command

    def __init__(self, connection: socket.socket):
        from _tinyvlm_max78000 import Simulator

        self.simulator = Simulator()
        self.reads = self.writes = 0
        self._connection = connection
        self._address = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        pending = b""
        while received := self._receive():
            pending += received
            at = 0
            while at < len(pending) and at + 1 + self._SIZES[pending[at]] <= len(pending):
                size = self._SIZES[pending[at]]
                self._do(pending[at], pending[at + 1 : at + 1 + size])
                at += 1 + size
            pending = pending[at:]

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 16)
        except OSError:
            return b""  # QEMU has ended

    def _do(self, command: int, data: bytes) -> None:
        if command == ord("N"):
            self._address += 4
        elif command == ord("W"):
            self._address = int.from_bytes(data[:4], "little")
        if command == ord("R"):
            self.reads += 1
            value = self.simulator.read(int.from_bytes(data, "little"))
            self._connection.sendall(value.to_bytes(4, "little"))
            return
        self.writes += 1
        if command == ord("B"):
            self.simulator.write(int.from_bytes(data[:4], "little"), data[4])
        else:
            self.simulator.write(self._address, int.from_bytes(data[-4:], "little"))


class VirtualMax78000(Board):
    """A running board; leaving the `with` block ends it. accelerator: what its chip has in it.

    romfs: an image that is mounted at /rom. There is no file system that could be written.
    """

    def __init__(self, firmware: str | os.PathLike = FIRMWARE, romfs: str | os.PathLike = ""):
        ours, theirs = socket.socketpair()
        command = qemu_command(firmware, romfs, theirs.fileno())
        self.accelerator = Accelerator(ours)
        self._start(command, (theirs.fileno(),))
        theirs.close()


def find_qemu() -> str:
    """QEMU with this board: $TINYVLM_QEMU or the one in PATH.

    VirtualBoardError says what is missing.
    """
    qemu = os.environ.get("TINYVLM_QEMU") or shutil.which("qemu-system-arm")
    if qemu is None:
        raise VirtualBoardError("qemu-system-arm is not installed: run `make setup`")
    try:
        done = subprocess.run([qemu, "-machine", "help"], capture_output=True, text=True)
    except OSError as error:
        raise VirtualBoardError(f"{qemu}: {error.strerror}; see TINYVLM_QEMU") from None
    if MACHINE not in done.stdout:
        raise VirtualBoardError(
            f"{qemu} has no machine {MACHINE}: QEMU 10.1 or newer has; "
            "say where one is with TINYVLM_QEMU=/path/to/qemu-system-arm"
        )
    return qemu


def qemu_command(firmware: str | os.PathLike, romfs: str | os.PathLike, bus: int) -> list[str]:
    """The command line that starts QEMU; `bus` is the file descriptor behind UART1."""
    qemu = find_qemu()
    if not Path(firmware).is_file():
        raise VirtualBoardError(f"no firmware at {firmware}: run `make max78000`")
    # -kernel is what the reset takes stack and entry from; the code runs at flash's address.
    arguments = [qemu, "-machine", MACHINE, "-display", "none", "-monitor", "none"]
    arguments += ["-kernel", str(firmware), "-device", _loader(firmware, 0x1000_0000)]
    if romfs:
        if not Path(romfs).is_file():
            raise VirtualBoardError(f"no ROMFS image at {romfs}")
        if (size := Path(romfs).stat().st_size) > ROMFS_SIZE:
            raise VirtualBoardError(f"{romfs} has {size} bytes, the board's ROMFS {ROMFS_SIZE}")
        arguments += ["-device", _loader(romfs, ROMFS_ADDRESS)]
    arguments += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    return [*arguments, "-chardev", f"socket,id=bus,fd={bus}", "-serial", "chardev:bus"]


def _loader(path: str | os.PathLike, address: int) -> str:
    return f"loader,file={escape(path)},addr={address:#x},force-raw=on"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--firmware", default=FIRMWARE, help="default: %(default)s")
    parser.add_argument("--romfs", metavar="IMG", default="", help="image to mount at /rom")
    args = parser.parse_args(argv)
    try:
        with VirtualMax78000(args.firmware, args.romfs) as board:
            print("mpremote connect", board.port, flush=True)
            return board.wait()
    except VirtualBoardError as error:
        print(f"tinyvlm.max78000.virtual: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
