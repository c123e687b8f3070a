# SPDX-License-Identifier: MIT
"""Runs an example of device/examples in a process of its own, as a stock firmware would: the
package is the board's, `_tinyvlm` is missing, and so is every module that the firmware lacks.

    python tests/stock.py circuitpython code.py FOLDER     # one picture: FOLDER/pixels, 160x120
    python tests/stock.py esp32 esp32_detect.py FOLDER
    python tests/stock.py openmv openmv_detect.py FOLDER      # or openmv4, espvision
"""

import atexit
import builtins
import os
import sys
import time
import types
from array import array
from pathlib import Path

DEVICE = Path(__file__).resolve().parents[1] / "device"
WIDTH, HEIGHT = 160, 120

# https://docs.circuitpython.org, "Python standard libraries": what of these the boards with a
# camera have, and of `time` what our package may use there.
CIRCUITPYTHON = {
    "array", "binascii", "collections", "errno", "gc", "io", "json", "math", "os", "random", "re",
    "struct", "sys", "time", "board", "busio", "displayio", "espcamera", "supervisor", "tinyvlm",
}  # fmt: skip
MICROPYTHON = CIRCUITPYTHON - {"board", "busio", "displayio", "espcamera", "supervisor"}
MODULES = {
    "circuitpython": CIRCUITPYTHON,
    "esp32": MICROPYTHON | {"camera", "machine"},
    "openmv": MICROPYTHON | {"csi", "image", "ml"},
    "openmv4": MICROPYTHON | {"sensor", "image", "ml"},
    "espvision": MICROPYTHON | {"sensor", "image", "tflite"},
}


def forbid_others(allowed):
    """Whatever board code imports that is not in `allowed` does not exist."""
    real = builtins.__import__

    def importer(name, scope=None, local=None, names=(), level=0):
        from_board = str((scope or {}).get("__file__", "")).startswith(str(DEVICE))
        if from_board and not level and name.split(".")[0] not in allowed:
            raise ImportError(f"no module named '{name}'")
        return real(name, scope, local, names, level)

    builtins.__import__ = importer
    sys.modules["_tinyvlm"] = None


def module(name, **contents):
    """A module that can be imported from now on."""
    sys.modules[name] = made = types.ModuleType(name)
    vars(made).update(contents)


def circuitpython(pixels):
    """espcamera hands out a Bitmap of 16-bit items, in the byte order of the wire."""

    class Bitmap(array):
        width, height, bits_per_value = WIDTH, HEIGHT, 16

    class Camera:
        def __init__(self, **options):
            assert options["pixel_format"] == "RGB565" and options["frame_size"] == "QQVGA"

        def take(self, timeout):
            return Bitmap("H", pixels)

    pins = ("DATA", "XCLK", "PCLK", "VSYNC", "HREF", "SIOC", "SIOD")
    module("board", **{"CAMERA_" + pin: object() for pin in pins})
    module("busio", I2C=lambda scl, sda: object())
    formats = types.SimpleNamespace(RGB565="RGB565"), types.SimpleNamespace(QQVGA="QQVGA")
    module("espcamera", Camera=Camera, PixelFormat=formats[0], FrameSize=formats[1])


def esp32(pixels):
    """micropython-camera-API hands out a bare memoryview."""

    class Camera:
        def __init__(self, pixel_format, frame_size):
            assert (pixel_format, frame_size) == ("RGB565", "QQVGA")

        def capture(self):
            return memoryview(pixels)

    formats = types.SimpleNamespace(RGB565="RGB565"), types.SimpleNamespace(QQVGA="QQVGA")
    module("camera", Camera=Camera, PixelFormat=formats[0], FrameSize=formats[1])


def openmv(pixels, kind="openmv"):
    """An image.Image, little-endian; the file has the big-endian pixels. What was drawn on it is
    printed in the end."""
    import openmv as stub

    global firmware  # for as long as the process runs
    firmware = stub.firmware(kind.rstrip("4"))
    image = firmware.__enter__()
    swapped = bytearray(pixels)
    swapped[::2], swapped[1::2] = pixels[1::2], pixels[::2]
    picture = image.Image(WIDTH, HEIGHT, image.RGB565, buffer=swapped)
    made = (stub.csi if kind == "openmv" else stub.sensor)(lambda: picture)
    sys.modules[made.__name__] = made
    atexit.register(lambda: print(picture.drawn, picture.flushed))


def main(kind, example, folder):
    sys.path.insert(0, str(DEVICE))
    os.chdir(folder)
    pixels = Path("pixels").read_bytes()
    if kind in ("circuitpython", "esp32"):
        {"circuitpython": circuitpython, "esp32": esp32}[kind](pixels)
    else:
        openmv(pixels, kind)
    if kind != "circuitpython":
        time.ticks_ms = lambda: time.monotonic_ns() // 1000000
        time.ticks_diff = lambda a, b: a - b
    forbid_others(MODULES[kind])
    scope = {"__name__": "example", "__file__": str(DEVICE / "examples" / example)}
    exec(compile((DEVICE / "examples" / example).read_text(), example, "exec"), scope)
    scope["main"](frames=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
