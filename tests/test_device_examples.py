# SPDX-License-Identifier: MIT
"""The examples with LED, asyncio and a button, on the virtual board and on the PC."""

import contextlib
import io
import itertools
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from conftest import BoardUnderTest
from test_device_calls import PRELUDE, rom  # noqa: F401

from tinyvlm import device
from tinyvlm.device import Frame

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


LEARN = """
down = iter(%r)
teacher = Teacher(start(PATH, ROM + '/words.tvp'), ('thing', 'engine'), PATH)
run(%s, teacher, lambda: next(down))
"""


@pytest.fixture
def learning(board, rom, tmp_path):  # noqa: F811
    """learning(code) -> what the code prints with learn.py before it, on the board and here."""
    path = EXAMPLES / "learn.py"
    board.exec("import os\nPATH = '/learnt.tvp'\ntry:\n os.remove(PATH)\nexcept OSError: pass")

    def both(code):
        here = on_pc(path, f"PATH = {str(tmp_path / 'learnt.tvp')!r}\n{code}", rom)
        return [
            on_board(board, path, code),
            here.replace(str(tmp_path), ""),
        ]

    return both


def test_a_button_teaches_and_what_was_learnt_is_there_after_a_restart(learning):
    pressed = [0, 1, 0, *[1] * 5, *[0] * 12]  # a short press, then a long one, then look
    there, here = learning(LEARN % (pressed, "[picture('coins')] * 20"))
    assert there == here
    lines = there.splitlines()
    assert lines[:4] == ["next: engine", *(f"engine: shown {n} times" for n in (1, 2, 3))]
    assert lines[4].startswith("saved /learnt.tvp, ") and "sees engine" in lines[5:]
    code = "v = start(PATH, 'no.tvp')\nprint(v.labels[-1], v.add('engine', picture('rocket')))"
    assert learning(code) == ["engine 4"] * 2


def test_only_what_was_let_go_is_saved_and_one_press_shows_at_most_so_much(learning):
    there, here = learning(LEARN % ([1] * 20, "[picture('rocket')] * 20"))
    assert there == here  # the frames end with the button held
    assert there.count("shown") == 10 and "saved" in there.splitlines()[-1]
    code = """
teacher = Teacher(start(PATH), ('thing',), PATH)
for _ in range(4):
    teacher(True, picture('rocket'))
v = start(PATH)  # the plug was pulled before the button came up
print(v.labels[-1], v.add('thing', picture('rocket')))
"""
    assert [said.splitlines()[-1] for said in learning(code)] == ["thing 11"] * 2


def test_a_file_that_cannot_be_written_is_said_and_not_fatal(learning):
    code = LEARN.replace("'), PATH)", "'), '/rom/no/learnt.tvp')") % (
        [1, 1, 1, 0],
        "[picture('rocket')] * 4",
    )
    for said in learning(code):
        assert "not saved: " in said.splitlines()[1]


# -- their camera -----------------------------------------------------------------------------


class PlayedCamera:
    """A camera of 4 x 2 pixels that hands out pixels alone, as on ESP32 boards."""

    pixel_width, pixel_height = 4, 2

    def __init__(self, pixel_format, frame_size):
        if self.grey and pixel_format != "grey":
            raise ValueError("this sensor has no colours; ask for GRAYSCALE")

    def capture(self):
        return bytes(range(8 if self.grey else 16))


class OurCamera(PlayedCamera):
    """The same as `camera` of our firmware: its frames say what they are."""

    def capture(self):
        return Frame(super().capture(), 4, 2, "GRAY8" if self.grey else "RGB565_BE")


@pytest.mark.parametrize("name", ["blink", "detect", "learn", "watch"])
@pytest.mark.parametrize("kind", [PlayedCamera, OurCamera], ids=["pixels", "frames"])
@pytest.mark.parametrize("grey", [False, True], ids=["colours", "grey"])
def test_a_sensor_without_colours_serves_every_example(monkeypatch, name, kind, grey):
    camera = ModuleType("camera")
    camera.Camera = type("Camera", (kind,), {"grey": grey})
    camera.PixelFormat = SimpleNamespace(RGB565="colours", GRAYSCALE="grey")
    camera.FrameSize = SimpleNamespace(QQVGA="160 x 120")
    monkeypatch.setitem(sys.modules, "camera", camera)
    monkeypatch.setitem(sys.modules, "tinyvlm", device)
    names = {"__name__": "example"}
    text = (EXAMPLES / f"{name}.py").read_text().removesuffix("main()\n")  # detect.py starts so
    exec(text, names)
    for frame in itertools.islice(names["camera"](), 2):
        frame = frame[1] if name == "detect" else frame
        assert str(frame) == f"Frame(4x2 {'GRAY8' if grey else 'RGB565_BE'})"
        assert bytes(frame.buffer) == bytes(range(8 if grey else 16))
