# SPDX-License-Identifier: MIT
"""`import camera` on the virtual board: the STM32H7's driver; a played chip sees photos."""

import ctypes

import numpy as np
import pytest
from test_board_engine import romfs
from test_camera import GRAY, HM01B0, OV2640, RGB565, YUV, Played, bytes_of, lib  # noqa: F401
from test_device import DETECT, pack
from test_max78000_camera import stubbed

from tinyvlm.device import Encoder, Frame, Vocab
from tinyvlm.shipped import DEFAULT_MODEL
from tinyvlm.virtual.demo import named, parse
from tinyvlm.virtual.photos import photos

CATCH = """
import _camera_board, camera, gc, tinyvlm
_camera_board.ENDLESS = True
from camera import Camera, FrameSize, PixelFormat
def error(*args, **kw):
    try:
        return "no error: %r" % Camera(*args, **kw)
    except Exception as e:
        return "%s: %s" % (type(e).__name__, e)
"""
FORMATS = {RGB565: "RGB565_BE", GRAY: "GRAY8", YUV: "YUYV"}


@pytest.fixture(scope="module")
def pictures():
    """{name: RGB888} in the order in which the camera sees them."""
    found = {photo.name: np.asarray(photo.image().convert("RGB")) for photo in photos()[:3]}
    return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def rom(tmp_path_factory, pictures):
    files = {"base.tvlm": DEFAULT_MODEL.read_bytes()}
    for name, rgb in pictures.items():
        files[f"photos/{name}.ppm"] = b"P6 %d %d 255\n" % rgb.shape[1::-1] + rgb.tobytes()
    return romfs(tmp_path_factory.mktemp("rom"), files)


@pytest.fixture
def board(start_board, rom):
    board = start_board(romfs=rom)
    board.exec(CATCH)
    return board


def seen(lib, rgb, format=RGB565, width=160, height=120, sensor=OV2640):  # noqa: F811
    """What the driver makes of a picture, on the PC."""
    played = Played(lib, sensor)
    rgb = np.ascontiguousarray(rgb)
    lib.scene(rgb.ctypes.data_as(ctypes.c_char_p), rgb.shape[1], rgb.shape[0])
    assert played.open(format, width, height) == 0
    turn, pixels = played.capture(bytes_of(format, width, height))
    assert turn == 0
    return pixels.tobytes()


@pytest.mark.parametrize("format", list(FORMATS), ids=list(FORMATS.values()))
def test_frames_are_the_pc_s(board, lib, pictures, format):  # noqa: F811
    board.exec(f"cam = Camera(pixel_format={format}, frame_size=FrameSize.R128X128)")
    assert board.eval("repr(cam)") == "Camera(OV2640, 128x128)"
    for rgb in pictures.values():
        board.exec("f = cam.capture()")
        assert board.eval("repr(f)") == f"Frame(128x128 {FORMATS[format]})"
        assert board.eval("bytes(f)") == seen(lib, rgb, format, 128, 128)
        assert board.eval("bytes(f.buffer) == bytes(f) and len(f) == len(f.buffer)")


def test_classify_takes_a_frame_as_it_is(board, lib, pictures, tmp_path):  # noqa: F811
    vocab = pack(tmp_path, "some", ["cat", "dog", "rocket", "coffee cup"])
    board.mpremote("cp", vocab, ":")
    board.exec(CATCH + "cam = Camera(); v = tinyvlm.Vocab('some.tvp')")
    here = Encoder(str(DEFAULT_MODEL))
    for rgb in pictures.values():
        frame = Frame(seen(lib, rgb), 160, 120, "RGB565_BE")
        there = board.eval("(tinyvlm.classify(cam.capture(), v, 4))")
        want = here.classify(frame, Vocab(str(vocab)), 4)
        assert [label for label, _ in there] == [label for label, _ in want]
        assert [score for _, score in there] == pytest.approx([s for _, s in want], abs=1e-5)
    # and as a buffer, as cameras of other firmware give it
    board.exec("f = cam.capture(); g = tinyvlm.Frame(f, cam.pixel_width, cam.pixel_height, 2)")
    assert board.eval("bytes(tinyvlm.embed(g)) == bytes(tinyvlm.embed(f))")


def test_two_frames_in_turns_without_garbage(board):
    board.exec("cam = Camera(); e = tinyvlm.load(); out = bytearray(e.dim)")
    assert board.eval(
        "(lambda a, b, c: (a is c, a is b))(*[cam.capture() for _ in range(3)])"
    ) == (
        True,
        False,
    )
    board.exec(
        "import micropython\n"
        "def call():\n    e.embed_into(cam.capture(), out)\n"
        "call(); call()\n"
        "micropython.heap_lock()\n"
        "try:\n    call(); call()\n"
        "finally:\n    micropython.heap_unlock()"
    )


def test_a_sensor_without_colours(board, lib, pictures, tmp_path):  # noqa: F811
    """As on the Portenta's vision shield: Camera() alone is grey, and detect.py runs."""
    board.mpremote("cp", pack(tmp_path, "pets", ["cat", "dog", "rocket"]), ":")
    board.exec(CATCH + "_camera_board.GRAYSCALE = True")
    words = "ValueError: this sensor has no colours; ask for GRAYSCALE"
    assert board.eval("error(pixel_format=PixelFormat.RGB565)") == words
    board.exec("cam = Camera(); f = cam.capture()")
    assert board.eval("(repr(cam), repr(f))") == (
        "Camera(HM01B0, 160x120)",
        "Frame(160x120 GRAY8)",
    )
    first = next(iter(pictures.values()))
    assert board.eval("bytes(f)") == seen(lib, first, GRAY, sensor=HM01B0)
    assert board.eval("cam.pixel_format == PixelFormat.GRAYSCALE")
    board.exec("_camera_board.ENDLESS = False")
    said = board.exec(DETECT.read_text(), timeout=200)
    assert said.count("\ncamera ") == len(pictures) and "heap in use" in said


def test_what_is_wrong_with_a_camera(board):
    for arguments, words in (
        ("frame_size=(161, 120)", "ValueError: width and height must be multiples of 4"),
        ("frame_size=(640, 480)", "ValueError: the frame is larger than the sensor's picture, or"),
        ("frame_size=(5000, 4)", "ValueError: frame_size: FrameSize.QQVGA, ..., or (width, hei"),
        ("frame_size=(1, 2, 3)", "ValueError"),
        ("pixel_format=3", "ValueError: pixel_format: PixelFormat.RGB565, GRAYSCALE or YUV422"),
        ("xclk=20", "TypeError"),
    ):
        assert board.eval(f"error({arguments})").startswith(words), arguments
    assert board.eval("error()") == "no error: Camera(OV2640, 160x120)"


def test_what_it_cannot_become_leaves_it_as_it_is(board):
    board.exec("cam = Camera(); f = cam.capture()")
    for arguments in ("frame_size=(161, 120)", "frame_size=(640, 480)", "pixel_format=3"):
        board.exec(
            f"try:\n    cam.reconfigure({arguments})\nexcept ValueError as e:\n    said = str(e)"
        )
        assert board.eval("said")
        assert board.eval("repr(cam)") == "Camera(OV2640, 160x120)"
    assert board.eval("len(cam.capture())") == 160 * 120 * 2


def test_names_are_those_of_the_stub(board):
    board.exec("cam = Camera()")
    for name, members in stubbed().items():
        it = {"Camera": "cam", "Frame": "cam.capture()"}.get(name, f"camera.{name}")
        assert board.eval(f"[n for n in {sorted(members)} if not hasattr({it}, n)]") == [], name
    assert board.eval("cam.free_buffer() is cam")


def test_deinit_and_a_second_camera(board):
    board.exec("one = Camera(); f = one.capture(); kept = bytes(f); one.deinit(); one.deinit()")
    assert board.eval("repr(one)") == "Camera(closed)"
    said = "try:\n    one.capture()\nexcept OSError as e:\n    said = str(e)"
    board.exec(said)
    assert board.eval("said") == "this Camera is closed: make a new one"
    board.exec(
        "two = Camera(); three = Camera(frame_size=(96, 96), pixel_format=PixelFormat.GRAYSCALE)"
    )
    assert board.eval("(repr(two), repr(three))") == ("Camera(closed)", "Camera(OV2640, 96x96)")
    board.exec("three.reconfigure(frame_size=FrameSize.QQVGA)")
    assert board.eval("(three.pixel_width, three.pixel_height, three.pixel_format)") == (
        160,
        120,
        1,
    )
    assert board.eval("(three.fb_count, three.sensor_name)") == (2, "OV2640")
    assert board.eval("three.frame_size == FrameSize.QQVGA and bytes(f) == kept")
    board.exec("with Camera() as cam:\n    cam.capture()")
    assert board.eval("repr(cam)") == "Camera(closed)"


def test_a_soft_reset_releases_it(board):
    board.exec("cam = Camera(); cam.capture()")
    board.transport.exit_raw_repl()
    board.transport.enter_raw_repl(soft_reset=True)
    board.exec(CATCH)
    assert board.eval("error()") == "no error: Camera(OV2640, 160x120)"


def test_no_sensor(start_board):
    board = start_board()
    board.exec(CATCH)
    words = "OSError: no camera sensor answers: nothing does; check power, clock and wires"
    assert board.eval("error()") == words


def test_detect_uses_the_camera(board, pictures, tmp_path):
    """The example as it is; the board's Ctrl-C comes after the last photo."""
    board.mpremote("cp", pack(tmp_path, "pets", ["cat", "dog", "rocket"]), ":")
    said = board.mpremote("run", DETECT, timeout=200)
    lines = [line.replace(" ms", " M instructions") for line in said.splitlines()]
    assert sum(line.startswith("camera ") for line in lines) == len(pictures)
    answers = parse(named(lines, photos()[:3]))
    assert list(answers) == list(pictures)
    assert "heap in use" in lines[-1]
