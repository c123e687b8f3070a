# SPDX-License-Identifier: MIT
"""OpenMV cameras with stock firmware: name what the camera sees.

On the camera's drive or in its ROMFS: the package tinyvlm, base.tflite (tinyvlm-export base.tvlm
--tflite base.tflite) and pets.tvp (tinyvlm-pack --vocab pets.txt). Start it from OpenMV's IDE.
"""

import time

import tinyvlm


def camera():
    """A function that takes a picture: an image.Image of RGB565."""
    try:
        import csi

        camera = csi.CSI()
        camera.reset()
        camera.pixformat(csi.RGB565)
        camera.framesize(csi.QVGA)
        return camera.snapshot
    except ImportError:  # firmware before csi
        import sensor

        sensor.reset()
        sensor.set_pixformat(sensor.RGB565)
        sensor.set_framesize(sensor.QVGA)
        return sensor.snapshot


def main(frames=None):
    """Prints the best labels of each picture. frames: stop after so many."""
    encoder = tinyvlm.load()  # the first .tflite: OpenMV's ml runs it
    pets = tinyvlm.Vocab("pets.tvp")
    print(encoder)
    print(pets)
    snapshot = camera()
    while frames is None or frames > 0:
        before = time.ticks_ms()
        found = tinyvlm.classify(snapshot(), pets)
        words = ", ".join(["%s %.2f" % pair for pair in found])
        print("%-47s %d ms" % (words, time.ticks_diff(time.ticks_ms(), before)))
        frames = None if frames is None else frames - 1


if __name__ == "__main__":
    main()
