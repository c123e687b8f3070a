# SPDX-License-Identifier: MIT
"""The board's camera, an OV7692, with the names of micropython-camera-API.

    from camera import Camera, FrameSize, PixelFormat
    cam = Camera(pixel_format=PixelFormat.RGB565, frame_size=FrameSize.R96X96)
    tinyvlm.classify(cam.capture(), tinyvlm.Vocab("/rom/things.tvp"))

Written from documents and not tried on a board yet: see docs/boards/max78000fthr.md.
"""

import time

import board
from machine import Pin, SoftI2C, mem32

from tinyvlm import RGB565_BE, Frame

_PMIC = 0x28
_SENSOR = 0x3C
_VSSEL = 0xC0  # of a GPIO port: 1 = 3.3 V
_SLOWEST = 7  # the sensor's clock divided by 8: a frame in 0.75 s


class PixelFormat:
    """What this driver sets the sensor to."""

    RGB565 = 0


class FrameSize:
    """Width << 12 | height, as in the module `camera` of the STM32H7 boards."""

    R96X96 = 96 << 12 | 96
    QQVGA = 160 << 12 | 120
    R128X128 = 128 << 12 | 128
    QCIF = 176 << 12 | 144


def _size(frame_size):
    try:
        width, height = frame_size
    except TypeError:
        width, height = frame_size >> 12, frame_size & 0xFFF
    if not (1 <= width <= 640 and 1 <= height <= 480):
        raise ValueError("frame_size: FrameSize.R96X96, ..., or (width, height) up to 640x480")
    return width, height


class Camera:
    """Pictures from the middle of the sensor, scaled by it; OSError if it is absent.

    pixel_format: PixelFormat.RGB565, the only one. frame_size: a FrameSize or (width, height); the
    encoder's own size is the least work. It is in pixel_width and pixel_height, too.
    """

    sensor_name = "OV7692"
    pixel_format = PixelFormat.RGB565
    fb_count = 1

    def __init__(self, pixel_format=PixelFormat.RGB565, frame_size=FrameSize.R96X96):
        self._prescaler = 0
        self._take(pixel_format, frame_size)
        self._power()
        self._pins()
        scl, sda = (Pin(name, Pin.OPEN_DRAIN, Pin.PULL_UP) for name in ("P0.30", "P0.31"))
        self._bus = SoftI2C(scl=scl, sda=sda, freq=100000)
        try:
            self._setup()
        except OSError as error:
            raise OSError("the camera: %s" % error) from None

    def __repr__(self):
        if self._frame is None:
            return "Camera(closed)"
        return "Camera(%s, %dx%d)" % (self.sensor_name, self.pixel_width, self.pixel_height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()

    def _take(self, pixel_format, frame_size):
        if pixel_format != PixelFormat.RGB565:
            raise ValueError("pixel_format: this camera has PixelFormat.RGB565")
        width, height = self.pixel_width, self.pixel_height = _size(frame_size)
        self.frame_size = width << 12 | height
        self._frame = self._buffer = None  # the old one is free before the new one is taken
        self._buffer = bytearray(2 * width * height)
        self._frame = Frame(self._buffer, width, height, RGB565_BE)

    def reconfigure(self, pixel_format=PixelFormat.RGB565, frame_size=None):
        """Another size, from the next picture on."""
        self._opened()
        self._take(pixel_format, self.frame_size if frame_size is None else frame_size)
        self._write(*self._window())

    def deinit(self):
        """Stop the sensor's clock and free the buffer."""
        mem32[0x4003C000] &= ~1
        self._frame = self._buffer = None

    def free_buffer(self):
        """For programs of micropython-camera-API; nothing needs to be freed here."""
        return self

    def _opened(self):
        if self._frame is None:
            raise OSError("this Camera is closed: make a new one")

    def capture(self):
        """The next picture: a tinyvlm.Frame, the same one at every call.

        About 10 a second. Where the CPU cannot keep up, the sensor's clock is slowed down.
        """
        self._opened()
        while not board.capture(self._buffer):
            if self._prescaler == _SLOWEST:
                raise OSError(
                    "the camera is too fast for the CPU even with its clock divided by %d"
                    % (_SLOWEST + 1)
                )
            self._prescaler += 1
            self._write((0x11, self._prescaler))
        return self._frame

    def _power(self):
        pmic = SoftI2C(scl=Pin("P0.16"), sda=Pin("P0.17"), freq=100000)
        try:
            for register, value in ((0x0F, 0x01), (0x10, 0x13), (0x17, 0x42)):  # LDO2, 2.8 V
                pmic.writeto_mem(_PMIC, register, bytes((value,)))
            time.sleep_ms(11)  # more than 10 ms
            up = pmic.readfrom_mem(_PMIC, 0x18, 1) == b"\x42"
        except OSError as error:
            raise OSError("the PMIC, which supplies the camera: %s" % error) from None
        if not up:
            raise OSError("the camera's supply (LDO2 of the PMIC) does not come up")

    def _pins(self):
        mem32[0x40000048] &= ~(1 << 18)  # clock of the camera interface
        mem32[0x40000024] &= ~(1 << 29)  # and of the pulse trains
        for pin in range(20, 28):
            Pin("P0.%d" % pin, Pin.AF2)
        Pin("P0.15", Pin.AF2)
        for pin in ("P1.8", "P1.9", "P0.18"):
            Pin(pin, Pin.AF1)
        mem32[0x40008000 + _VSSEL] |= 0xFF << 20 | 1 << 15 | 1 << 18 | 3 << 30
        mem32[0x40009000 + _VSSEL] |= 3 << 8
        mem32[0x4003C020] = 1 << 27 | 3  # square wave, 50 MHz / 6
        mem32[0x4003C000] |= 1
        time.sleep_ms(300)

    def _write(self, *pairs):
        for register, value in pairs:
            self._bus.writeto_mem(_SENSOR, register, bytes((value,)))

    def _read(self, register):
        # SCCB wants a stop between the two, which readfrom_mem() does not make.
        self._bus.writeto(_SENSOR, bytes((register,)))
        return self._bus.readfrom(_SENSOR, 1)[0]

    def _setup(self):
        self._write((0x12, 0x80))
        for _ in range(100):
            time.sleep_ms(1)
            if not self._read(0x12) & 0x80:
                break
        else:
            raise OSError("stays in reset")
        self._write(
            (0xFF, 0x01), (0xB5, 0x30), (0xFF, 0x00),  # MIPI and its transmitter off
            (0x0C, 0xD6),  # mirrored and flipped, as it is mounted
            (0x82, 0x03),  # YUV 4:2:2 inside: what RGB565 is made of
            (0x11, self._prescaler),  # the pixel clock is the input's, 8.33 MHz: 10 frames/s
            (0x12, 0x06),  # RGB565
            (0x81, 0x3F),  # scaling
            (0x31, 0x82),  # system clock: PLL x 2, then / 2
            (0x37, 0x00),  # pixel clock: the system clock
        )  # fmt: skip
        self._write(*self._window())
        self._write(
            (0x13, 0xEF),  # gain, exposure and white balance by itself
            (0x14, 0x30),  # gain up to 16
            (0x0E, 0x00),  # run
        )  # fmt: skip

    def _window(self):
        """The largest part of the sensor's 640x480 of the picture's shape, and the picture."""
        width, height = self.pixel_width, self.pixel_height
        lines = height + (height <= 68)  # it gives one less
        if 3 * width >= 4 * height:
            seen = 640, 640 * height // width & ~1
        else:
            seen = 480 * width // height & ~1, 480
        pairs = []
        for register, value in zip((0xC8, 0xCA, 0xCC, 0xCE), seen + (width, lines)):  # noqa: B905
            pairs += ((register, value >> 8), (register + 1, value & 255))
        return pairs
