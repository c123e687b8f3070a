# SPDX-License-Identifier: MIT
"""Light an LED, or move a servo, while the camera sees one thing: mpremote run blink.py

Copy it to the board as main.py and it starts with the power.
"""

import tinyvlm

LABEL = "cat"
LED = "LED"  # a pin's name or number; on a board without this name, change it
SERVO = None  # a pin for a hobby servo, which looks up while LABEL is seen


def outputs():
    """A function that shows True or False on the pins, or on the screen without a machine.Pin."""
    try:
        from machine import PWM, Pin

        led = Pin(LED, Pin.OUT)
        servo = PWM(Pin(SERVO), freq=50) if SERVO is not None else None
    except (ImportError, ValueError, TypeError):
        return lambda on: print(LABEL, "seen" if on else "gone")

    def show(on):
        led.value(on)
        if servo:
            servo.duty_ns(1_900_000 if on else 1_100_000)  # 1 ... 2 ms of 20 ms: its angle

    return show


def run(frames, vocab, show):
    """Follow frames until they end. The LED changes when the label is sure, not every frame."""
    smooth, shown = tinyvlm.Smoother(alpha=0.4, on=0.5, off=0.3), False
    for frame in frames:
        seen = LABEL in [label for label, _ in smooth(tinyvlm.classify(frame, vocab))]
        if seen != shown:
            shown = seen
            show(shown)


def camera():
    """Frames for ever, from a camera with the usual `camera` module."""
    from camera import Camera, FrameSize, PixelFormat

    pixels = "RGB565_BE"
    try:
        cam = Camera(pixel_format=PixelFormat.RGB565, frame_size=FrameSize.QQVGA)
    except ValueError:  # a sensor without colours
        cam = Camera(pixel_format=PixelFormat.GRAYSCALE, frame_size=FrameSize.QQVGA)
        pixels = "GRAY8"
    while True:
        frame = cam.capture()
        if not hasattr(frame, "format"):  # pixels alone: ESP32 and friends
            frame = tinyvlm.Frame(frame, cam.pixel_width, cam.pixel_height, pixels)
        yield frame


if __name__ == "__main__":
    run(camera(), tinyvlm.Vocab("pets.tvp"), outputs())
