# SPDX-License-Identifier: MIT
"""The virtual Cortex-M7 board: starts QEMU and says which port mpremote connects to.

    $ tinyvlm-board                     # the firmware of `make board`
    $ tinyvlm-board --from dist         # a release's: nothing to compile
    mpremote connect /dev/pts/3

In Python, for tests and the demo:

    with Board(romfs="models.romfs", icount=True) as board:
        subprocess.run(["mpremote", "connect", board.port, "run", "detect.py"])
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ..files import explain
from ..shipped import CHECKOUT

try:
    import tty
except ImportError:  # Windows
    tty = None  # type: ignore[assignment]

# Both agree with boards/VIRT_CORTEX_M7: the linker script and clock.c.
ROMFS_ADDRESS = 0x60800000
ICOUNT_SHIFT = 7
FLASH_SIZE = 8 << 20  # bytes: LittleFS, then ROMFS

FIRMWARE = CHECKOUT / "build" / "board" / "firmware.elf"


class VirtualBoardError(RuntimeError):
    """The virtual board cannot start."""


class Board:
    """A running virtual board; leaving the `with` block ends it.

    firmware  the .elf that `make board` builds
    romfs     an image that is mounted at /rom (`mpremote romfs build`)
    flash     a file that keeps the board's flash; made when missing, else contents are lost
    icount    count instructions: `virt.count()`, `time.ticks_cpu()`; board time is not real then
    plugin    a plugin for QEMU and its options, as its command line wants them
    """

    def __init__(
        self,
        firmware: str | os.PathLike | None = None,
        romfs: str | os.PathLike | None = None,
        flash: str | os.PathLike | None = None,
        icount: bool = False,
        plugin: str | None = None,
    ):
        command = qemu_command(firmware, romfs, flash, icount)
        self._start(command + ([] if plugin is None else ["-plugin", plugin]))

    def _start(self, command: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        self.command = command
        # QEMU's standard input and output are one end of a pty, mpremote opens the other.
        # We keep both open: the settings of the pty survive when mpremote leaves, and the last
        # words of a crashing board can still be read.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self.command,
            stdin=self._master,
            stdout=self._master,
            stderr=self._stderr,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._wait_for_boot(seconds=2)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def __del__(self):
        if hasattr(self, "_watcher"):
            self.close()

    def _watch(self) -> None:
        # When QEMU ends, close the port: whoever reads from it gets an error, not silence.
        self._process.wait()
        self._closing.wait(0.2)  # time to read the last words
        os.close(self._master)
        os.close(self._slave)

    def _wait_for_boot(self, seconds: float) -> None:
        # The banner is left for mpremote to read. A silent main.py is no error.
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                said = self.stderr().strip() or "no message"  # all registers, after a crash
                raise VirtualBoardError(f"QEMU ended at once: {said.splitlines()[0]}")
            if select.select([self._slave], [], [], 0.02)[0]:
                return

    def stderr(self) -> str:
        """What QEMU wrote to its standard error so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def wait(self, timeout: float | None = None) -> int:
        """Waits until QEMU ends by itself; 0 is a regular end, 1 a crash of the board."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """Pulls the plug: what the board wrote to `flash` until now is there, no more."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._closing.set()
        self._process.wait()
        self._watcher.join()

    # Nothing inside QEMU waits to be saved: flash is written through.
    close = kill


def find_firmware(path: str | os.PathLike) -> Path:
    """The firmware; VirtualBoardError if there is none."""
    if not Path(path).is_file():
        clone = (CHECKOUT / "Makefile").is_file()
        where = f"at {path}" if clone or path != FIRMWARE else "here"
        build = "run `make board`, or " if clone else ""
        raise VirtualBoardError(f"no firmware {where}: {build}give a release by --from DIR or URL")
    return Path(path)


def qemu_command(firmware=None, romfs=None, flash=None, icount=False) -> list[str]:
    """The command line that starts QEMU; raises VirtualBoardError when something is missing."""
    qemu = shutil.which("qemu-system-arm")
    if qemu is None:
        raise VirtualBoardError(
            "qemu-system-arm is not installed; Debian: apt-get install qemu-system-arm, "
            "macOS: brew install qemu"
        )
    if tty is None:
        raise VirtualBoardError("Windows has no pty, which the board talks by; WSL has")
    firmware = find_firmware(firmware or FIRMWARE)
    arguments = [qemu, "-machine", "mps2-an500", "-kernel", str(firmware)]
    arguments += ["-display", "none", "-monitor", "none", "-serial", "null"]
    # The board reads these options as one line, so the one with a path comes last.
    options = ["board"]
    if icount:
        arguments += ["-icount", f"shift={ICOUNT_SHIFT}"]
        options.append(f"icount={ICOUNT_SHIFT}")
    if romfs is not None:
        if not Path(romfs).is_file():
            raise VirtualBoardError(f"no ROMFS image at {romfs}")
        loader = f"loader,file={escape(romfs)},addr={ROMFS_ADDRESS:#x},force-raw=on"
        arguments += ["-device", loader]
    if flash is not None:
        options.append(f"flash={make_flash(Path(flash))}")
    semihosting = ["enable=on", "target=native", *(f"arg={escape(option)}" for option in options)]
    return [*arguments, "-semihosting-config", ",".join(semihosting)]


def escape(value: str | os.PathLike) -> str:
    """QEMU separates options with commas; a doubled comma stands for one."""
    return str(value).replace(",", ",,")


def make_flash(path: Path) -> Path:
    """Makes an empty flash chip where there is none; returns its absolute path."""
    try:
        with open(path, "ab") as file:
            size = file.tell()
            if size == 0:
                file.truncate(FLASH_SIZE)  # sparse: takes no room until it is written
    except OSError as error:
        raise VirtualBoardError(f"cannot write the flash file {path}: {error.strerror}") from error
    if size not in (0, FLASH_SIZE):
        raise VirtualBoardError(
            f"{path} is not a flash file: it has {size} bytes, not {FLASH_SIZE}"
        )
    return path.resolve()


def make_link(link: Path, port: str) -> None:
    if link.is_symlink():
        link.unlink()
    try:
        link.symlink_to(port)
    except OSError as error:
        raise VirtualBoardError(f"cannot make the link {link}: {error.strerror}") from error


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tinyvlm-board", description=__doc__.split("\n")[0])
    image = parser.add_mutually_exclusive_group()
    image.add_argument("--firmware", default=FIRMWARE, help="default: %(default)s")
    image.add_argument("--from", dest="release", metavar="DIR|URL", help="that of a release")
    parser.add_argument("--romfs", metavar="IMG", help="image to mount at /rom")
    parser.add_argument("--flash", metavar="FILE", help="keep the board's flash in this file")
    parser.add_argument("--icount", action="store_true", help="count instructions (virt.count)")
    parser.add_argument("--link", metavar="PATH", type=Path, help="a fixed name for the port")
    args = parser.parse_args(argv)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if args.release:
            from ..release import Release

            release = Release(args.release)
            args.firmware = release.path(release.one("virtual"))
        with Board(args.firmware, args.romfs, args.flash, args.icount) as board:
            try:
                if args.link:
                    make_link(args.link, board.port)
                print("mpremote connect", args.link or board.port, flush=True)
                status = board.wait()
            finally:
                if args.link and args.link.is_symlink():
                    args.link.unlink()
            print(board.stderr(), end="", file=sys.stderr)
            return status
    except (VirtualBoardError, ValueError, OSError) as error:
        print(f"tinyvlm-board: {explain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
