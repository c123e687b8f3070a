# SPDX-License-Identifier: MIT
"""How long Ctrl-C waits while a file is opened, and while much is compared with many words: at
most 50 ms of a Cortex-M7 at 480 MHz. (Of frames: test_board_engine.py.)"""

import random

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
from array import array
longest = last = 0
def look(again):
    global longest, last
    now = virt.instructions()
    longest, last = max(longest, now - last), now
    if again[0]:
        micropython.schedule(look, again)
def measure(call):
    global last
    again, last = [True], virt.instructions()
    micropython.schedule(look, again)
    call()
    again[0] = False
    look(again)
file = memoryview(open("/rom/file", "rb"))
"""


def check(start_board, folder, name: str, data: bytes, call: str) -> None:
    """A call that looks at `file`: never too long without a look at callbacks, and at Ctrl-C."""
    (folder / "rom.img").write_bytes(make_image([("/rom/file", data)]))
    board = start_board(romfs=folder / "rom.img", icount=True)
    board.exec(f"{ON_BOARD}\ndef call():\n    {call}")
    whole = board.eval("virt.count(call)")
    board.exec("measure(call)")
    longest = board.eval("longest")
    print(f"\n{name}: {whole:,} instructions, {longest:,} without a look")
    assert 0 < longest < LONGEST


@pytest.mark.parametrize("name", SLOW)
def test_opening(start_board, tmp_path, name):
    check(start_board, tmp_path, name, SLOW[name], "_tinyvlm.Encoder(file)")


@pytest.mark.parametrize("bits", [8, 4])
def test_ten_thousand_words_in_a_map(start_board, tmp_path, bits):
    rows, cells, dim = 10_000, 36, 64
    data = random.Random(1).randbytes(cells * dim + rows * dim * bits // 8)
    call = f"""cosines, peaks = (array("f", bytes(4 * {rows})) for _ in (0, 1))
    _tinyvlm.map_peaks(
        file[:{cells * dim}], {cells}, file[{cells * dim}:], {rows}, {dim}, {bits}, {dim},
        cosines, peaks, array("f", bytes(8 * {cells})))"""
    check(start_board, tmp_path, f"a map, {rows:,} rows of {bits} bits", data, call)


def test_sixty_thousand_words(start_board, tmp_path):
    rows, dim, bits = 60_000, 64, 4
    data = random.Random(1).randbytes(dim + rows * dim * bits // 8)
    call = f"""none, how = array("f"), array("f", [50, 0, -2])
    _tinyvlm.best(
        file[:{dim}], file[{dim}:], {rows}, {rows}, {dim}, {bits}, {dim}, array("H"), 0, none,
        how, 9, array("H", range(9)), array("f", range(9)))"""
    check(start_board, tmp_path, f"best() of {rows:,} rows", data, call)
    rows //= 3
    call = f"""out = array("f", bytes(4 * {rows}))
    _tinyvlm.score(file[:{dim}], file[{dim}:], {rows}, {dim}, {bits}, {dim}, out)
    for _ in (0, 1):
        _tinyvlm.score(file[:{dim}], file[{dim}:], {rows}, {dim}, {bits}, {dim}, out)"""
    check(start_board, tmp_path, f"three times score() of {rows:,} rows", data, call)
