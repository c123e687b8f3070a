# SPDX-License-Identifier: MIT
"""How long Ctrl-C waits while a file is opened: at most 50 ms of a Cortex-M7 at 480 MHz."""

import hostile
import pytest
from hostile import STEM, A, B, add, file
from test_board_engine import romfs


def longer(data: bytes, size: int) -> bytes:
    """The file with `size` bytes behind its last section."""
    data = bytearray(data + bytes(size))
    data[8:12] = len(data).to_bytes(4, "little")
    return hostile.signed(bytes(data))


# What takes longest, each by another part of the checks.
SLOW = {
    "sums of one operand": file(STEM, *[add(A, A, B)] * 1021),
    "wide tables": hostile.wide(4, 4),
    "3.9 MB": longer(file(STEM), 3_900_000),
    "long INFO": file(STEM, info=hostile.info(65535)),
}
LONGEST = 24_000_000  # instructions: 50 ms at 480 MHz and one a cycle

ON_BOARD = """
import _tinyvlm, micropython, virt
longest = last = 0
def look(_):
    global longest, last
    now = virt.count()
    longest, last = max(longest, now - last), now
    micropython.schedule(look, None)
file = memoryview(open("/rom/slow.tvlm", "rb"))
def measure():
    global longest, last
    last, longest = virt.count(), 0
    micropython.schedule(look, None)
    encoder = _tinyvlm.Encoder(file)
"""


@pytest.mark.parametrize("name", SLOW)
def test_ctrl_c_waits_for_no_file(start_board, tmp_path, name):
    board = start_board(romfs=romfs(tmp_path, {"slow.tvlm": SLOW[name]}), icount=True)
    board.exec(ON_BOARD)
    before = board.eval("virt.count()")
    board.exec("measure()")
    longest, whole = board.eval("longest"), board.eval("virt.count()") - before
    print(f"\n{name}: {longest:,} of {whole:,} instructions")
    assert longest < LONGEST
