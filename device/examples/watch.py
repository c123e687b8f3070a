# SPDX-License-Identifier: MIT
"""Watch the camera while other things go on: asyncio, with a task that gets the news.

    mpremote run watch.py

A frame takes as long as it takes, tens of milliseconds; between two frames others have their turn.
"""

import asyncio

import tinyvlm


class Watcher:
    """What is seen, for other tasks: `await watcher.news()` gives [(label, score, box), ...].

    frames: any iterable of frames; vocab: a Vocab; pause_ms: time for others between two frames.
    """

    def __init__(self, frames, vocab, pause_ms=10):
        self.frames = frames
        self.vocab = vocab
        self.pause = pause_ms / 1000
        self.smooth = tinyvlm.Smoother()
        self.ended = False
        self._found = []
        self._event = asyncio.Event()

    async def run(self):
        """Look at every frame, until they end."""
        try:
            for frame in self.frames:
                found = tinyvlm.detect(frame, self.vocab)
                steady = [label for label, _ in self.smooth(found)]
                if self.smooth.changed:
                    self._found = [item for item in found if item[0] in steady]
                    self._event.set()
                await asyncio.sleep(self.pause)
        finally:  # who waits learns of the end, whatever it was
            self.ended = True
            self._found = []
            self._event.set()

    async def news(self):
        """Wait until other labels are seen than before."""
        await self._event.wait()
        self._event.clear()
        return self._found


async def main(frames, vocab):
    watcher = Watcher(frames, vocab)
    task = asyncio.create_task(watcher.run())
    while not watcher.ended:
        for label, score, box in await watcher.news():
            print("%s %.2f at %s" % (label, score, box))
    await task


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
    asyncio.run(main(camera(), tinyvlm.Vocab("pets.tvp")))
