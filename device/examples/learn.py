# SPDX-License-Identifier: MIT
"""Teach the board by a button: mpremote run learn.py

Hold the button while the camera looks at the thing: every frame is shown to the label. Let go and
it is saved, all or nothing: pull the plug whenever you like. A short press goes on to the next
label. Copy it to the board as main.py and it starts with the power.
"""

import tinyvlm

LABELS = ("my mug", "my keys", "my cat")  # what a short press goes through
WORDS = "pets.tvp"  # the vocabulary to start from, made by tinyvlm-pack
LEARNT = "learnt.tvp"  # where what is learnt is kept
BUTTON = "BUTTON"  # a pin's name or number, to ground when pressed; change it for your board
HOLD = 3  # frames from which a press is long
MOST = 10  # frames that one press shows; more from the same spot teach nothing


class Teacher:
    """The button's part of a program: `teacher(pressed, frame)`, once a frame.

    vocab: what learns; labels: what a short press goes through; path: of the file that is kept;
    say: called with a line of text when there is news.
    """

    def __init__(self, vocab, labels, path, say=print):
        self.vocab = vocab
        self.labels = labels
        self.path = path
        self.say = say
        self.label = labels[0]
        self._held = 0  # frames since the button went down
        self._shown = 0  # of these, frames that were learnt

    def __call__(self, pressed, frame):
        """True while the button is down: the frame is a lesson, not a question."""
        if pressed:
            self._held += 1
            if HOLD <= self._held < HOLD + MOST:
                times = self.vocab.add(self.label, frame)
                self._shown += 1
                self.say("%s: shown %d times" % (self.label, times))
        elif self._held:
            self._let_go()
        return pressed

    def _let_go(self):
        shown, self._held, self._shown = self._shown, 0, 0
        if shown:
            try:
                size = self.vocab.save(self.path)
                self.say("saved %s, %d bytes" % (self.path, size))
            except OSError as error:  # the flash is full: the old file is still there
                self.say("not saved: %s" % error)
        else:
            at = (self.labels.index(self.label) + 1) % len(self.labels)
            self.label = self.labels[at]
            self.say("next: %s" % self.label)


def start(learnt=LEARNT, words=WORDS):
    """What was learnt before, or the words if there is nothing yet."""
    try:
        return tinyvlm.Vocab(learnt)
    except OSError:
        return tinyvlm.Vocab(words)


def button():
    """A function that says whether the button is down."""
    from machine import Pin

    pin = Pin(BUTTON, Pin.IN, Pin.PULL_UP)
    return lambda: not pin.value()


def run(frames, teacher, pressed, say=print):
    """Follow frames until they end: learn while the button is down, else say what is seen."""
    smooth = tinyvlm.Smoother()
    try:
        for frame in frames:
            if teacher(pressed(), frame):
                continue
            found = smooth(tinyvlm.classify(frame, teacher.vocab))
            if smooth.changed:
                say("sees %s" % (", ".join([label for label, _ in found]) or "nothing it knows"))
    finally:  # what was shown is saved, whatever ends the program
        teacher(False, None)


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
    teacher = Teacher(start(), LABELS, LEARNT)
    print("hold to show %s, press for the next" % teacher.label)
    run(camera(), teacher, button())
