# SPDX-License-Identifier: MIT
"""ESP32 boards with a camera: name what the camera sees. Start it with: mpremote run

The firmware needs the module `camera` of micropython-camera-API; it gives bare buffers, in the
sensor's byte order. On the board: the package tinyvlm, an encoder (nano.tvlm) and pets.tvp. On
ESP32-C3 and C6 the native module _tinyvlm.mpy runs the encoder, elsewhere plain Python does.
"""

import time

import tinyvlm

WIDTH, HEIGHT = 160, 120  # QQVGA


def main(frames=None):
    """Prints the best labels of each picture. frames: stop after so many."""
    from camera import Camera, FrameSize, PixelFormat

    print(tinyvlm.load())
    pets = tinyvlm.Vocab("pets.tvp")
    print(pets)
    camera = Camera(pixel_format=PixelFormat.RGB565, frame_size=FrameSize.QQVGA)
    while frames is None or frames > 0:
        pixels = camera.capture()
        if not pixels:
            continue  # no picture this time
        before = time.ticks_ms()
        # OV sensors send the high byte first: big-endian. With colours wrong, try RGB565_LE.
        frame = tinyvlm.Frame(pixels, WIDTH, HEIGHT, tinyvlm.RGB565_BE)
        found = tinyvlm.classify(frame, pets)
        words = ", ".join(["%s %.2f" % pair for pair in found])
        print("%-47s %d ms" % (words, time.ticks_diff(time.ticks_ms(), before)))
        frames = None if frames is None else frames - 1


if __name__ == "__main__":
    main()
