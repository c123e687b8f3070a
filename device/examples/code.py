# SPDX-License-Identifier: MIT
"""CircuitPython boards with a camera: name what it sees. Copy this to CIRCUITPY as code.py.

On the drive: the package in lib/tinyvlm, an encoder (nano.tvlm) and pets.tvp. The encoder runs in
plain Python, which takes seconds a picture; its file lies in RAM, so the board needs PSRAM.
"""

import time

import tinyvlm


def open_camera():
    """The board's camera in RGB565, 160x120. The pins are those that the board's makers named."""
    import board
    import busio
    import espcamera

    return espcamera.Camera(
        data_pins=board.CAMERA_DATA,
        external_clock_pin=board.CAMERA_XCLK,
        pixel_clock_pin=board.CAMERA_PCLK,
        vsync_pin=board.CAMERA_VSYNC,
        href_pin=board.CAMERA_HREF,
        i2c=busio.I2C(board.CAMERA_SIOC, board.CAMERA_SIOD),
        pixel_format=espcamera.PixelFormat.RGB565,
        frame_size=espcamera.FrameSize.QQVGA,
    )


def frame_of(bitmap):
    """A frame of espcamera's Bitmap: RGB565_SWAPPED, which is the high byte first."""
    row = (bitmap.width * 2 + 3) // 4 * 4  # a Bitmap's rows begin at multiples of four bytes
    pixels = memoryview(bitmap).cast("B")
    return tinyvlm.Frame(pixels, bitmap.width, bitmap.height, tinyvlm.RGB565_BE, row)


def main(frames=None):
    """Prints the best labels of each picture. frames: stop after so many."""
    print(tinyvlm.load())
    pets = tinyvlm.Vocab("pets.tvp")
    print(pets)
    camera = open_camera()
    while frames is None or frames > 0:
        bitmap = camera.take(1)  # seconds
        if bitmap is None:
            continue
        before = time.monotonic()
        found = tinyvlm.classify(frame_of(bitmap), pets)
        words = ", ".join(["%s %.2f" % pair for pair in found])
        print("%-47s %.1f s" % (words, time.monotonic() - before))
        frames = None if frames is None else frames - 1


if __name__ == "__main__":
    main()
