# Power, pins and clock of a camera on an STM32H7's DCMI, for `camera`. Not yet run on a chip.
#
# The wiring is the board's (_camera_pins.py in its folder), or that of a camera_pins.py on the
# board's file system, with the same names:
#
#   SCL, SDA  pins of the control bus; pins are named as the chip names them: "B8" is PB8
#   DCMI      D0 ... D7, HSYNC, VSYNC, PIXCLK
#   XCLK      pin, timer and channel of the sensor's clock, or None if it has its own
#   HIGH, LOW pins that switch it on, at these levels
#   WRITE     (register, value) pairs for the sensor when it runs: how it is mounted; one above 255
#             is sent as two bytes, as OV5640, HM01B0 and HM0360 have them
import time

from machine import Pin, SoftI2C

_AF_DCMI = 13
_HERTZ = 12_000_000


def wiring():
    for name in ("camera_pins", "_camera_pins"):
        try:
            return __import__(name)
        except ImportError:
            pass
    raise OSError(
        "this board has no camera connector: camera_pins.py on it must say how yours is wired"
    )


def pin(name, *how, **more):
    try:
        return Pin(getattr(Pin.cpu, name), *how, **more)
    except AttributeError:
        raise OSError("this board has no pin P%s for the camera" % name) from None


def begin():
    board = wiring()
    for level, names in ((0, board.LOW), (1, board.HIGH)):
        for name in names:
            pin(name, Pin.OUT, value=level)
    for name in board.DCMI:
        pin(name, Pin.ALT, alt=_AF_DCMI)
    if board.XCLK:
        import pyb

        name, timer, channel = board.XCLK
        timer = pyb.Timer(timer, freq=_HERTZ)
        timer.channel(channel, pyb.Timer.PWM, pin=pin(name), pulse_width_percent=50)
    time.sleep_ms(20)  # supply and clock settle
    global _bus
    _bus = SoftI2C(scl=pin(board.SCL), sda=pin(board.SDA), freq=100_000)
    return _bus


def ready(address):
    for register, value in wiring().WRITE:
        at = (register,) if register < 256 else (register >> 8, register & 255)
        _bus.writeto(address, bytes(at + (value,)))
