# SPDX-License-Identifier: MIT
"""Where boards are: serial ports as mpremote lists them, and the drives that boards show.

Nothing here talks to a board; it finds the one that is meant, or says in a sentence why it cannot.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


class BoardError(Exception):
    """One sentence for the user: what is wrong with the board, and what to do."""


@dataclass(frozen=True)
class Port:
    """A serial port. Boards on USB have vid and pid, the PC's own ports have none."""

    device: str
    vid: int | None = None
    pid: int | None = None
    about: str = ""

    def __str__(self) -> str:
        usb = f"{self.vid:04x}:{self.pid:04x}" if self.vid is not None else "no USB"
        return f"{self.device}  {usb}  {self.about}".rstrip()


def serial_ports() -> list[Port]:
    """All serial ports, in the order of `mpremote connect list`."""
    import serial.tools.list_ports

    return [
        Port(p.device, p.vid, p.pid, " ".join(filter(None, (p.manufacturer, p.product))))
        for p in sorted(serial.tools.list_ports.comports())
    ]


def board_ports() -> list[Port]:
    """Those that may be boards: `mpremote connect auto` takes the first of them."""
    return [port for port in serial_ports() if port.vid is not None and port.pid is not None]


def choose_port(hint: str = "") -> str:
    """The port of the only board on USB. BoardError if there is none, or more than one."""
    found = board_ports()
    if not found:
        raise BoardError(f"no board on USB; plug one in, or name its port with --port{hint}")
    if len(found) > 1:
        names = ", ".join(port.device for port in found)
        raise BoardError(f"{len(found)} boards on USB ({names}); choose one with --port")
    return found[0].device


def check_port(device: str) -> None:
    """BoardError if this user cannot open the port. Others may still be using it."""
    if "://" in device or sys.platform == "win32":  # pyserial's own business
        return
    if not os.path.exists(device):
        raise BoardError(f"{device}: no such port; tinyvlm-deploy --list shows those there are")
    if not os.access(device, os.R_OK | os.W_OK):
        raise BoardError(
            f"{device}: no permission; sudo usermod -aG {_group(device)} $USER, then log in again"
        )
    if os.path.isfile(device):
        raise BoardError(f"{device}: a file, not a port; tinyvlm-deploy --list shows the ports")


def _group(device: str) -> str:
    try:
        import grp

        return grp.getgrgid(os.stat(device).st_gid).gr_name
    except (ImportError, KeyError, OSError):
        return "dialout"


def drives(*files: str) -> list[Path]:
    """Mounted drives that have all of these files in their root."""
    return [drive for drive in _mounts() if all((drive / name).is_file() for name in files)]


def _mounts() -> list[Path]:
    if sys.platform == "win32":
        return [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    user = os.environ.get("USER", "")
    parents = [Path("/Volumes"), Path("/media") / user, Path("/run/media") / user, Path("/media")]
    found = []
    for parent in parents:
        try:
            found += [path for path in sorted(parent.iterdir()) if path.is_dir()]
        except OSError:
            continue
    return list(dict.fromkeys(found))
