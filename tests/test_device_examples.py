# SPDX-License-Identifier: MIT
"""The examples with LED and asyncio, on the virtual board and on the PC."""

import contextlib
import io
from pathlib import Path

import pytest
from conftest import BoardUnderTest
from test_device_calls import PRELUDE, rom  # noqa: F401

EXAMPLES = Path(__file__).resolve().parents[1] / "device" / "examples"
# Three frames of one thing, then four of another, as from a camera.
FRAMES = (
    "v = tinyvlm.Vocab(ROM + '/words.tvp')\n"
    "v.threshold = 0\n"
    "frames = [picture('motorcycle')] * 4 + [picture('rocket')] * 6\n"
)
BLINK = "LABEL = 'motorcycle'\nshown = []\nrun(frames, v, shown.append)\nprint(shown)"
WATCH = "import asyncio\nv.threshold = 0.3\nasyncio.run(main(frames, v))"


@pytest.fixture(scope="module")
def board(firmware, rom):  # noqa: F811
    board = BoardUnderTest(firmware, romfs=rom.parent / "rom.img", icount=True)
    board.exec("ROM = '/rom'\n" + PRELUDE + FRAMES)
    yield board
    board.close()


def on_pc(path, code, rom):  # noqa: F811
    names, out = {"ROM": str(rom), "__name__": "example"}, io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(path.read_text() + PRELUDE + FRAMES + code, names)
    return out.getvalue().strip()


def on_board(board, path, code):
    # its functions and not its main: there is no camera
    text = path.read_text().replace('"__main__"', '"no camera"')
    board.exec(text)
    return board.exec(code)


def test_an_led_follows_a_label_and_does_not_flicker(board, rom):  # noqa: F811
    there = on_board(board, EXAMPLES / "blink.py", BLINK)
    assert there == on_pc(EXAMPLES / "blink.py", BLINK, rom) == "[True, False]"


def test_without_pins_the_news_are_printed(board):
    # the virtual board has no Pin; on the PC there is no machine at all
    assert on_board(board, EXAMPLES / "blink.py", "outputs()(True)") == "cat seen"


BROKEN = """
import asyncio
def broken():
    yield frames[0]
    raise ValueError('unplugged')
try:
    asyncio.run(asyncio.wait_for(main(broken(), v), 100))
except ValueError as e:
    print(e)
"""


def test_a_broken_camera_ends_the_program(board, rom):  # noqa: F811
    """Who waits for news must not wait for ever."""
    assert on_board(board, EXAMPLES / "watch.py", BROKEN) == "unplugged"
    assert on_pc(EXAMPLES / "watch.py", BROKEN, rom) == "unplugged"


def test_others_run_while_frames_are_watched(board, rom):  # noqa: F811
    there = on_board(board, EXAMPLES / "watch.py", WATCH)
    here = on_pc(EXAMPLES / "watch.py", WATCH, rom)
    print(there)
    assert [line.split(" 0.")[0] for line in there.splitlines()] == [
        line.split(" 0.")[0] for line in here.splitlines()
    ]
    assert [line.split()[0] for line in there.splitlines()] == ["motorcycle", "rocket"]
