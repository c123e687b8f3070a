# SPDX-License-Identifier: MIT
"""OpenMV cameras and ESP-VISION boards, stock firmware: name what the camera sees, and where.

`tinyvlm-deploy pets.tvp --openmv` puts it onto the camera as main.py, with all that it needs. The
preview (OpenMV's IDE, ESP-VISION's) shows each picture with the boxes and labels drawn on it.
"""

import os
import time

import tinyvlm

WHERE = True  # False: name the picture as a whole, which is a little faster
COLOR = (0, 255, 0)


def camera():
    """(a function that takes a picture, one that sends it to the preview once it is drawn on)"""
    try:
        import csi

        camera = csi.CSI()
        camera.reset()
        camera.pixformat(csi.RGB565)
        camera.framesize(csi.QVGA)
        camera.snapshot(time=1000)  # until exposure and colours are right
        return camera.snapshot, lambda picture: None  # the next snapshot sends it
    except ImportError:  # OpenMV's firmware before csi, and ESP-VISION
        import sensor

        sensor.reset()
        sensor.set_pixformat(sensor.RGB565)
        sensor.set_framesize(sensor.QVGA)
        sensor.skip_frames(time=1000)
        return sensor.snapshot, lambda picture: picture.flush()


def newest_vocab():
    """The path of the newest .tvp: on the drive, else in ROMFS."""
    for place in ("", "/sdcard/", "/flash/", "/rom/"):
        try:
            names = [name for name in os.listdir(place or ".") if name.endswith(".tvp")]
        except OSError:
            continue
        if names:
            return place + max(names, key=lambda name: os.stat(place + name)[8])
    raise OSError("no vocabulary on this camera; tinyvlm-deploy pets.tvp --openmv")


def look(picture, vocab):
    """A list of (label, score, box), best first; box is None where WHERE is False."""
    if WHERE:
        return tinyvlm.detect(picture, vocab)
    return [found + (None,) for found in tinyvlm.classify(picture, vocab, 1)]


def draw(picture, found):
    """Boxes and labels onto the picture, which has been looked at by now."""
    line = 2
    for label, score, box in found:
        x, y = 2, line
        if box:
            picture.draw_rectangle(box, color=COLOR)
            x, y = box[0] + 2, box[1] + 2
        picture.draw_string(x, y, "%s %.2f" % (label, score), color=COLOR)
        line += 12


def main(frames=None):
    """Prints and draws what is in each picture. frames: stop after so many."""
    encoder = tinyvlm.load()  # the first .tflite of ours: the firmware's own runtime runs it
    vocab = tinyvlm.Vocab(newest_vocab())
    print(encoder)
    print(vocab)
    snapshot, show = camera()
    while frames is None or frames > 0:
        picture = snapshot()
        before = time.ticks_ms()
        found = look(picture, vocab)
        took = time.ticks_diff(time.ticks_ms(), before)
        draw(picture, found)
        show(picture)
        words = ", ".join(["%s %.2f" % thing[:2] for thing in found]) or "unknown"
        print("%-47s %d ms" % (words, took))
        frames = None if frames is None else frames - 1


if __name__ == "__main__":
    main()
