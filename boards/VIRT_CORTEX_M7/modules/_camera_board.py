# What the virtual board's camera looks at: the photos (*.ppm) in /rom/photos, one after the other;
# then somebody presses Ctrl-C. Without photos no sensor is connected.
import os

ENDLESS = False  # True: nobody does
GRAYSCALE = False  # True: it is an HM01B0, as on the Portenta's vision shield; else an OV2640


def ppm(path):
    """(pixels, width, height) of a binary PPM, not copied."""
    with open(path, "rb") as file:
        data = memoryview(file)
    fields = bytes(data[:32]).split(None, 4)
    width, height = int(fields[1]), int(fields[2])
    return data[len(data) - 3 * width * height :], width, height


def begin():
    try:
        names = sorted(os.listdir("/rom/photos"))
    except OSError:
        return []
    found = [ppm("/rom/photos/" + name) for name in names if name.endswith(".ppm")]
    return found if ENDLESS or not found else found + [None]
