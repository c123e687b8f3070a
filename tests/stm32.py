# SPDX-License-Identifier: MIT
"""What the tests of the STM32H7 boards share: the boards, and what MicroPython's makefile makes
of one of them, without its submodules."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from release_boards import STM32 as BOARDS

TOP = Path(__file__).resolve().parents[1]
SHARED = TOP / "boards" / "stm32"
INTERNAL = [name for name in BOARDS if "H743" in name and "WEACT" not in name]
NAMES = ("LD_FILES", "LD_ISR_DIR", "BOARD_DIR", "USER_C_MODULES", "FROZEN_MANIFEST", "CFLAGS")
NAMES += ("MICROPY_PY_LWIP", "MICROPY_PY_SSL", "MICROPY_PY_BLUETOOTH", "BOARD_PINS", "SRC_C")


class NoBoard(Exception):
    """MicroPython's makefile refuses the board; its own words."""


def port(micropython: Path) -> Path:
    return micropython / "ports" / "stm32"


@functools.cache
def variables(micropython: Path, board: str) -> dict[str, str]:
    """Variables of the port's makefile when it builds a board. NoBoard if it will not."""
    lines = [f"$(info {name}=$({name}))" for name in NAMES]
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "show.mk"
        shown.write_text(
            "\n".join(["include Makefile", *lines, ".PHONY: show", "show:", "\t@true"])
        )
        command = ["make", "-s", "-f", shown, "show", f"BOARD_DIR={TOP / 'boards' / board}"]
        command += [f"BUILD={folder}/build", f"PYTHON={sys.executable}"]
        done = subprocess.run(command, cwd=port(micropython), capture_output=True, text=True)
    if done.returncode:
        raise NoBoard(done.stderr)
    rows = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value.strip() for name, _, value in rows if name in NAMES}


def gcc(micropython: Path, flags: str, *arguments) -> str:
    """Runs the compiler as the port does, in the port's folder; returns its output."""
    command = f"arm-none-eabi-gcc {flags} {' '.join(map(str, arguments))}"  # quoted for a shell
    done = subprocess.run(
        command, shell=True, cwd=port(micropython), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout
