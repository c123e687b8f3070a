# SPDX-License-Identifier: MIT
"""How long Ctrl-C waits while a file is opened: at most 50 ms of a Cortex-M7 at 480 MHz."""

import hostile
import pytest
from hostile import STEM, A, B, add, file

from tinyvlm.boards.romfs import make_image


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
def look(again):
    global longest, last
    now = virt.instructions()
    longest, last = max(longest, now - last), now
    if again[0]:
        micropython.schedule(look, again)
def measure():
    global last
    again, last = [True], virt.instructions()
    micropython.schedule(look, again)
    _tinyvlm.Encoder(file)
    again[0] = False
    look(again)
file = memoryview(open("/rom/slow.tvlm", "rb"))
"""


@pytest.mark.parametrize("name", SLOW)
def test_ctrl_c_waits_for_no_file(start_board, tmp_path, name):
    image = tmp_path / "rom.img"
    image.write_bytes(make_image([("/rom/slow.tvlm", SLOW[name])]))
    board = start_board(romfs=image, icount=True)
    board.exec(ON_BOARD)
    whole = board.eval("virt.count(_tinyvlm.Encoder, file)")
    board.exec("measure()")
    longest = board.eval("longest")
    print(f"\n{name}: {whole:,} instructions, {longest:,} without a look")
    assert 0 < longest < LONGEST
