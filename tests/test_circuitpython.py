# SPDX-License-Identifier: MIT
"""The examples for stock firmware, with the modules that firmware lacks taken away: CircuitPython,
ESP32, OpenMV cameras and ESP-VISION. Each prints the PC's answer for that picture."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvlm
from tinyvlm import packit
from tinyvlm.net import tflite, tvlm
from tinyvlm.shipped import DATA
from tinyvlm.virtual.photos import photos

STOCK = Path(__file__).with_name("stock.py")
WORDS = ["cat", "rocket", "coffee", "dog"]


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A board's drive with encoder, vocabulary and a picture; and what is seen in it."""
    folder = tmp_path_factory.mktemp("drive")
    (folder / "words.txt").write_text("\n".join(WORDS))
    arguments = ["--vocab", str(folder / "words.txt"), "-o", str(folder / "pets.tvp")]
    assert packit.main(arguments) == 0
    [photo] = [photo for photo in photos() if photo.name == "coffee"]
    pixels = np.asarray(photo.image().convert("RGB").resize((160, 120))).astype(np.uint16)
    r, g, b = (pixels[..., i] for i in range(3))
    raw = (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype(">u2").tobytes()
    (folder / "pixels").write_bytes(raw)
    tinyvlm.load()
    vocab = tinyvlm.Vocab(folder / "pets.tvp")
    seen = tinyvlm.classify(tinyvlm.Frame(raw, 160, 120, "RGB565_BE"), vocab)
    return folder, ", ".join("%s %.2f" % pair for pair in seen)  # noqa: UP031 (as on the board)


def run(kind, example, folder):
    command = [sys.executable, STOCK, kind, example, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("kind", "example"), [("circuitpython", "code.py"), ("esp32", "esp32_detect.py")]
)
def test_a_camera_without_our_c(drive, kind, example):
    folder, seen = drive
    (folder / "base.tvlm").write_bytes((DATA / "base.tvlm").read_bytes())
    encoder, vocab, answer = run(kind, example, folder)
    assert encoder.startswith("Encoder(") and "in RAM" in encoder
    assert vocab.startswith("Vocab(4 labels")
    assert answer.startswith(seen + " "), (answer, seen)


@pytest.mark.parametrize("kind", ["openmv", "openmv4", "espvision"])
def test_an_openmv_camera(drive, kind):
    """The picture is resized by the firmware's own code: labels are asserted, not scores. What was
    printed is drawn, a box for each; only where `csi` does not do it a picture is flushed."""
    pytest.importorskip("ai_edge_litert.interpreter")
    folder, seen = drive
    (folder / "base.tflite").write_bytes(tflite.to_bytes(tvlm.read(DATA / "base.tvlm"), True))
    (folder / "a_face_detector.tflite").write_bytes(b"of the firmware's maker")
    *_, answer, drawn = run(kind, "openmv_detect.py", folder)
    assert answer.split()[0] == seen.split()[0]
    things, flushed = answer.rsplit(None, 2)[0].split(", "), drawn.rsplit(" ", 1)[1]
    shown = ast.literal_eval(drawn.rsplit(" ", 1)[0])
    assert shown[1::2] == things and all(len(box) == 4 for box in shown[::2])
    assert int(flushed) == (kind != "openmv")


def test_modules_that_are_taken_away_are_missed(tmp_path):
    """The harness itself: an import that CircuitPython lacks fails."""
    code = (
        f"import sys; sys.path.insert(0, {str(STOCK.parent)!r}); import stock\n"
        "stock.forbid_others(stock.CIRCUITPYTHON)\n"
        "scope = {'__file__': str(stock.DEVICE / 'x.py')}\n"
        "exec('import struct', scope)\n"
        "try:\n    exec('import ctypes', scope)\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "no module named 'ctypes'\n", done.stderr
