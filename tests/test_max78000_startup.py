# SPDX-License-Identifier: MIT
"""How the MAX78000FTHR's firmware starts, and what happens when the bus hangs."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make

TOP = Path(__file__).parents[1]
FIRMWARE = TOP / "build" / "max78000" / "firmware.elf"
CTRL, RST = 0x40003000, 0x40003004
HAS_RESET, ENABLE, RESETS = 1 << 31, 1 << 8, 1 << 11

PLAYED = """
#include <stdint.h>
uint32_t ctrl, slot, last, count, told[64][2];
volatile uint32_t *played(uint32_t address) {
    if (last == 0x40003000) { ctrl = slot; }
    if (last && count < 64) { told[count][0] = last; told[count++][1] = slot; }
    last = address;
    slot = address == 0x40003000 ? ctrl : 0;
    return &slot;
}
"""


@pytest.fixture
def watchdog(tmp_path):
    """boards/MAX78000FTHR/watchdog.c with registers that remember what was written."""
    (tmp_path / "played.c").write_text(PLAYED)
    (tmp_path / "played.h").write_text("volatile uint32_t *played(uint32_t address);\n")
    flags = "-std=gnu99 -Wall -Wextra -Werror -shared -fPIC -DREG(a)=(*played(a))".split()
    flags += ["-include", "stdint.h", "-include", tmp_path / "played.h"]
    flags += ["-I", TOP / "boards/qemu", "-o", tmp_path / "watchdog.so"]
    source = TOP / "boards/MAX78000FTHR/watchdog.c"
    subprocess.run(["gcc", *flags, source, tmp_path / "played.c"], check=True)
    return ctypes.CDLL(str(tmp_path / "watchdog.so"))


def written(library):
    """[(address, value)] since the last time, of the watchdog's control and sequence registers."""
    library.played(0)
    count = ctypes.c_uint32.in_dll(library, "count")
    log = ((ctypes.c_uint32 * 2) * 64).in_dll(library, "told")
    found = [tuple(entry) for entry in log[: count.value] if entry[0] in (CTRL, RST)]
    count.value = 0
    return found


def test_the_watchdog_resets_what_hangs(watchdog):
    watchdog.watchdog_start()
    told = written(watchdog)
    feeds = [value for address, value in told if address == RST]
    assert feeds == [0xA5, 0x5A, 0xFE, 0xED]  # from 0; enable
    assert told[-1][0] == CTRL and told[-1][1] & (ENABLE | RESETS) == ENABLE | RESETS
    cycles = 1 << 31 - (told[-1][1] >> 4 & 15)
    assert 0.2 < cycles / 50e6 < 1  # longer than a run may take
    watchdog.watchdog_stop()
    told = written(watchdog)
    assert [value for address, value in told if address == RST] == [0xA5, 0x5A, 0xDE, 0xAD]
    assert not told[-1][1] & (ENABLE | RESETS)


def test_it_says_so_once(watchdog):
    ctrl = ctypes.c_uint32.in_dll(watchdog, "ctrl")
    watchdog.watchdog_has_bitten.restype = ctypes.c_bool
    assert not watchdog.watchdog_has_bitten()
    written(watchdog)
    ctrl.value = HAS_RESET
    assert watchdog.watchdog_has_bitten()
    written(watchdog)
    assert not watchdog.watchdog_has_bitten()


@pytest.fixture(scope="module")
def code():
    """{function: its instructions} of the chip's firmware, which must link, QEMU or not."""
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is missing")
    make("max78000")
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", FIRMWARE], capture_output=True, text=True, check=True
    ).stdout
    parts = re.split(r"^[0-9a-f]+ <(\w+)>:\n", listing, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_reset_loads_the_stack_pointer_itself(code):
    """Before anything is pushed: what the boot ROM leaves in it is unknown."""
    reset = code["Reset_Handler"]
    assert "MSP" in reset and "push" not in reset and "[sp" not in reset


def test_a_debugger_can_get_in(code):
    """The CPU is awake for two seconds after a reset, and for good after a fault."""
    window = code["board_debugger_window"]
    assert "wfi" not in window and re.search(r"#2000|0x7d0|#1999|0x7cf", window), window
    assert "wfi" not in code["exit"]


def test_a_pulse_of_irq_101_is_not_lost(code):
    """Pending is cleared behind wfi only: an interrupt that came before ends it at once."""
    pause = code["tv_max78000_board_pause"]
    stores = [m.start() for m in re.finditer(r"\tstr", pause)]
    sleep = pause.index("wfi")
    assert len([at for at in stores if at < sleep]) == 1  # enable
    assert len([at for at in stores if at > sleep]) == 2  # disable, clear
