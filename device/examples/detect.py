# SPDX-License-Identifier: MIT
"""Name what the camera sees, until Ctrl-C. Start it with: mpremote run detect.py

Without a camera it goes once through the photos (*.ppm) on the board, in /rom/photos or photos.
The words come from a .tvp file: tinyvlm-pack --vocab pets.txt; mpremote cp pets.tvp :
"""

import gc
import os
import time

import tinyvlm

try:  # the virtual board can count instructions; its milliseconds would mean nothing then
    import virt

    counting = virt.instructions() is not None
except ImportError:
    counting = False

VOCAB = None  # path of a .tvp file; None: the newest one on the board
TOP = 3
SMOOTH = False  # True: steady names from a video, instead of every frame's own


def newest_vocab():
    found = [name for name in os.listdir() if name.endswith(".tvp")]
    if not found:
        raise OSError("no vocabulary on this board; mpremote cp pets.tvp :")
    return max(found, key=lambda name: os.stat(name)[8])


def photos():
    """(name, frame) of every binary PPM on the board; pixels in ROMFS are used in place."""
    for folder in ("/rom/photos", "photos"):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name.endswith(".ppm"):
                yield name[:-4], tinyvlm.Frame.open(folder + "/" + name)


def camera():
    """(name, frame) from the camera, for ever; nothing if this board has none."""
    try:
        from camera import Camera, FrameSize, PixelFormat
    except ImportError:
        return
    pixels = "RGB565_BE"
    try:
        try:
            cam = Camera(pixel_format=PixelFormat.RGB565, frame_size=FrameSize.QQVGA)
        except ValueError:  # a sensor without colours
            cam = Camera(pixel_format=PixelFormat.GRAYSCALE, frame_size=FrameSize.QQVGA)
            pixels = "GRAY8"
    except OSError as error:
        print("camera: %s" % error)
        return
    while True:
        frame = cam.capture()
        if not hasattr(frame, "format"):  # pixels alone: ESP32 and friends
            frame = tinyvlm.Frame(frame, cam.pixel_width, cam.pixel_height, pixels)
        yield "camera", frame


def main():
    print(tinyvlm.load())
    path = VOCAB or newest_vocab()
    vocab = tinyvlm.Vocab(path)
    print("%s: %s" % (path, vocab))
    smooth = tinyvlm.Smoother() if SMOOTH else None
    try:
        for source in (camera(), photos()):
            for name, frame in source:
                us, cpu = time.ticks_us(), time.ticks_cpu()
                found = tinyvlm.classify(frame, vocab, TOP)
                if smooth:
                    found = smooth(found)
                cpu = time.ticks_diff(time.ticks_cpu(), cpu)
                us = time.ticks_diff(time.ticks_us(), us)
                words = ", ".join("%s %.2f" % pair for pair in found)
                cost = "%.1f M instructions" % (cpu / 1e6) if counting else "%.1f ms" % (us / 1e3)
                print("%-11s %-47s %s" % (name, words, cost))
    except KeyboardInterrupt:  # Ctrl-C ends it
        pass
    used, free = gc.mem_alloc(), gc.mem_free()
    print("heap in use %d of %d KB" % (used // 1024, (used + free) // 1024))


main()
