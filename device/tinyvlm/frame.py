# SPDX-License-Identifier: MIT
"""Frames: pixels with their size and format. Nothing is guessed that could be wrong silently."""

from .rows import item_size

# The values are those of the engine (`_tinyvlm`, native/tv.h).
GRAY8 = 0
RGB565_LE = 1
RGB565_BE = 2
RGB888 = 3
BGR888 = 4
YUYV = 5

_NAMES = ("GRAY8", "RGB565_LE", "RGB565_BE", "RGB888", "BGR888", "YUYV")
_BYTES = (1, 2, 2, 3, 3, 2)


class Frame:
    """A picture in a buffer: `Frame(camera.capture(), 160, 120, tinyvlm.RGB565_BE)`.

    buffer: anything with the buffer protocol; it is not copied. stride: bytes from one row to the
    next, 0 when rows are packed. format: one of tinyvlm.GRAY8, RGB565_LE, RGB565_BE, RGB888,
    BGR888, YUYV, or its name. ValueError if the buffer is too small for that.
    """

    def __init__(self, buffer, width, height, format, stride=0):
        if isinstance(format, str):
            if format not in _NAMES:
                raise ValueError("format %r: use one of %s" % (format, ", ".join(_NAMES)))
            format = _NAMES.index(format)
        if not 0 <= format < len(_NAMES):
            raise ValueError("format %r: use tinyvlm.RGB565_BE, tinyvlm.GRAY8, ..." % (format,))
        view = memoryview(buffer)
        have = len(view) * item_size(view)
        if have and isinstance(view[0], float):  # their bytes would be taken as pixels
            raise ValueError("a buffer of floats; give the pixels as uint8, 0 ... 255")
        row = width * _BYTES[format]
        need = (height - 1) * (stride or row) + row
        if width < 1 or height < 1 or (stride and stride < row):
            raise ValueError("frame %dx%d with stride %d is impossible" % (width, height, stride))
        if have < need:
            if bytes(view[:2]) == b"\xff\xd8":
                raise ValueError("this is a JPEG; ask the camera for RGB565 or grayscale pixels")
            raise ValueError(
                "frame %dx%d %s needs %d bytes, the buffer has %d; check size and format"
                % (width, height, _NAMES[format], need, have)
            )
        self.buffer = buffer
        self.width = width
        self.height = height
        self.format = format
        self.stride = stride

    @classmethod
    def open(cls, path):
        """The picture in a binary PPM or PGM file; its pixels stay in ROMFS if it lies there.

        On the PC any picture that Pillow reads. ValueError if it is none.
        """
        with open(path, "rb") as file:
            try:
                data = memoryview(file)
            except TypeError:
                data = memoryview(file.read())
        head, fields, at = bytes(data[:256]), [], 0
        while len(fields) < 4 and at < len(head):
            end = at
            if head[at] == 35:  # a comment, to the end of its line
                while end < len(head) and head[end] != 10:
                    end += 1
            else:
                while end < len(head) and head[end] > 32:
                    end += 1
                if end > at:
                    fields.append(head[at:end])
            at = end + 1
        try:
            format = {b"P5": GRAY8, b"P6": RGB888}[fields[0]]
            width, height, most = [int(field) for field in fields[1:]]
        except (IndexError, KeyError, ValueError):
            most = 0
        if most != 255:
            raise ValueError("%s: no binary PPM or PGM file of 8 bits; save it as one" % path)
        return cls(data[at:], width, height, format)

    def __repr__(self):
        return "Frame(%dx%d %s)" % (self.width, self.height, _NAMES[self.format])


def as_frame(thing, side):
    """A Frame from what cameras hand out; `side` is the encoder's input size.

    A Frame is returned as it is, one of our firmware's `camera`, too; an image.Image of OpenMV
    knows its size and format. A bare buffer is accepted only when its length fits exactly one
    reading: side x side pixels of RGB888 or GRAY8. RGB565 has two byte orders, so it must be said:
    `Frame(buffer, width, height, tinyvlm.RGB565_BE)`.
    """
    if isinstance(thing, Frame) or hasattr(thing, "stride"):
        return thing
    if hasattr(thing, "width") and hasattr(thing, "height"):
        return frame_of(thing)
    try:
        if isinstance(thing, str):  # a path, perhaps; MicroPython would take its letters as pixels
            raise TypeError
        length = len(memoryview(thing))
    except TypeError:
        raise TypeError(
            "a frame must be a tinyvlm.Frame or a buffer, not %s" % type(thing).__name__
        ) from None
    for format in (RGB888, GRAY8):
        if length == side * side * _BYTES[format]:
            return Frame(thing, side, side, format)
    raise ValueError(
        "%d bytes: say what they are, e.g. tinyvlm.Frame(buffer, width, height, "
        "tinyvlm.RGB565_BE)" % length
    )


def frame_of(picture):
    """A Frame of an OpenMV image.Image, not copied. ValueError if it is not of raw pixels."""
    if not callable(picture.width):  # a displayio.Bitmap of CircuitPython, a Pillow image
        raise ValueError(
            "this %s does not say in which order its bytes are; say it: tinyvlm.Frame(buffer, "
            "width, height, tinyvlm.RGB565_BE)" % type(picture).__name__
        )
    import image

    kind = picture.format()
    if kind == image.GRAYSCALE:
        kind = GRAY8
    elif kind == image.RGB565:
        kind = RGB565_LE
    else:
        raise ValueError("an image of format %r; ask the camera for RGB565 or GRAYSCALE" % (kind,))
    return Frame(picture.bytearray(), picture.width(), picture.height(), kind)
