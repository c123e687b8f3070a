# SPDX-License-Identifier: MIT
"""The board's camera, an OV7692: small square pictures for the encoder.

    import camera, tinyvlm
    cam = camera.Camera(96)
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


class Camera:
    """Pictures of side x side pixels from the middle of the sensor; OSError if it is absent."""

    def __init__(self, side=96):
        if not 1 <= side <= 480:
            raise ValueError("a side of 1 to 480 pixels, not %r" % side)
        self.side = side
        self._prescaler = 0
        self._buffer = bytearray(2 * side * side)
        self._frame = Frame(self._buffer, side, side, RGB565_BE)
        self._power()
        self._pins()
        scl, sda = (Pin(name, Pin.OPEN_DRAIN, Pin.PULL_UP) for name in ("P0.30", "P0.31"))
        self._bus = SoftI2C(scl=scl, sda=sda, freq=100000)
        try:
            self._setup()
        except OSError as error:
            raise OSError("the camera: %s" % error) from None

    def capture(self):
        """The next picture: a tinyvlm.Frame, the same one at every call.

        About 10 a second. Where the CPU cannot keep up, the sensor's clock is slowed down.
        """
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
        lines = self.side + (self.side <= 68)
        self._write(
            (0xFF, 0x01), (0xB5, 0x30), (0xFF, 0x00),  # MIPI and its transmitter off
            (0x0C, 0xD6),  # mirrored and flipped, as it is mounted
            (0x82, 0x03),  # YUV 4:2:2 inside: what RGB565 is made of
            (0x11, self._prescaler),  # the pixel clock is the input's, 8.33 MHz: 10 frames/s
            (0x12, 0x06),  # RGB565
            (0x81, 0x3F),  # scaling
            (0x31, 0x82),  # system clock: PLL x 2, then / 2
            (0x37, 0x00),  # pixel clock: the system clock
            (0xC8, 0x01), (0xC9, 0xE0), (0xCA, 0x01), (0xCB, 0xE0),  # of the square in the middle
            (0xCC, self.side >> 8), (0xCD, self.side & 255),
            (0xCE, lines >> 8), (0xCF, lines & 255),
            (0x13, 0xEF),  # gain, exposure and white balance by itself
            (0x14, 0x30),  # gain up to 16
            (0x0E, 0x00),  # run
        )  # fmt: skip
