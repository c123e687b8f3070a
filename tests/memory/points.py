# SPDX-License-Identifier: MIT
"""Every allocation of every call fails: on MicroPython's unix port, and on CPython.

The n-th allocation of a call fails, that one alone, and all from there on; for every n that the
call has. It must end in MemoryError with everything as before, or as if nothing had failed; and
the same call, with memory again, does what it does when none ever failed.

tools/memory.py writes given.py beside it, and makes `failing`: failing.c, or failing_pc.c.
"""

import gc
import os
import sys
from array import array

import failing
from given import BOTH, DEVICE, ENCODER, OTHER, VOCABULARY

if DEVICE:
    sys.path.append(DEVICE)
    import tinyvlm
    from tinyvlm import encoder as encoders
else:
    from tinyvlm import device as tinyvlm
    from tinyvlm.device import encoder as encoders


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def got(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


class World:
    """What a program has: an encoder, a vocabulary with one label shown, files, a smoother."""

    def __init__(self):
        for path in ("v.tvp", "v.tvp.new", "w.tvp", "w.tvp.new"):
            try:
                os.remove(path)
            except OSError:
                pass
        put("v.tvp", VOCABULARY)
        tinyvlm.load("e.tvlm")
        self.encoder = encoders.default()
        self.vocab = tinyvlm.Vocab("v.tvp")
        self.vocab.threshold = 0
        self.vocab.learn("shown", NEAR)
        self.out = bytearray(self.encoder.dim)
        self.scores = array("f", [0] * len(self.vocab))
        self.smoother = tinyvlm.Smoother()
        self.smoother([("cat", 0.9), ("dog", 0.8)])

    def seen(self):
        """All that can be asked, of the encoder by a run of it."""
        v, s = self.vocab, self.smoother
        now = encoders.default()
        return [
            now and bytes(now.embed(FRAME)),
            list(v.labels),
            bytes(v.prototypes()[0]),
            v.dim,
            v.threshold,
            list(v.cosines(NEAR)),
            v.match(NEAR, 9),
            sorted(s.scores.items()),
            sorted(s.seen),
            s.changed,
            got("v.tvp"),
            got("w.tvp"),
        ]


PIXELS = bytes([(i * i * 7 + i // 5) & 255 for i in range(3 * 20 * 17)])
FRAME = tinyvlm.Frame(PIXELS, 20, 17, tinyvlm.RGB888)
NEAR = bytes([(37 * i + 11) & 255 for i in range(16)])
FOUND = [("cat", 0.9), ("cow", 0.7), ("dog", 0.1, (0, 0, 1, 1))]


def setting(name, value):
    def call(w):
        setattr(w.vocab, name, value)

    return call


def engine_of(w):
    return w.encoder._engine


def embedded(w):
    w.encoder.embed_into(FRAME, w.out)
    return bytes(w.out)


CALLS = {
    "load()": lambda w: tinyvlm.load("e.tvlm").name,
    "load() of what is damaged": lambda w: said(tinyvlm.load, "bad.tvlm"),
    "Encoder()": lambda w: repr(tinyvlm.Encoder("e.tvlm")),
    "Vocab() of a file": lambda w: list(tinyvlm.Vocab("v.tvp").labels),
    "Vocab() of bytes": lambda w: repr(tinyvlm.Vocab(VOCABULARY)),
    "Vocab() of what is damaged": lambda w: said(tinyvlm.Vocab, VOCABULARY[:-1]),
    "Frame()": lambda w: repr(tinyvlm.Frame(PIXELS, 20, 17, "RGB888")),
    "Frame.open()": lambda w: bytes(tinyvlm.Frame.open("p.ppm").buffer),
    "embed()": lambda w: bytes(tinyvlm.embed(FRAME)),
    "embed_into()": embedded,
    "classify()": lambda w: tinyvlm.classify(FRAME, w.vocab, 9),
    "classify_into()": lambda w: (tinyvlm.classify_into(FRAME, w.vocab, w.scores), list(w.scores)),
    "detect()": lambda w: tinyvlm.detect(FRAME, w.vocab, 0),
    "heatmap()": lambda w: repr(tinyvlm.heatmap(FRAME, 1, w.vocab)),
    "profile()": lambda w: len(tinyvlm.profile(FRAME)),
    "selftest()": lambda w: tinyvlm.selftest(),
    "info()": lambda w: tinyvlm.info().arena,
    "match()": lambda w: w.vocab.match(NEAR, 9),
    "match_into()": lambda w: (w.vocab.match_into(NEAR, w.scores), list(w.scores)),
    "cosines()": lambda w: list(w.vocab.cosines(NEAR)),
    "labels": lambda w: list(w.vocab),
    "dim": setting("dim", 9),
    "threshold": setting("threshold", 0.25),
    "add()": lambda w: w.vocab.add("new", FRAME),
    "add() to a word": lambda w: w.vocab.add("cow ü", FRAME),
    "learn()": lambda w: w.vocab.learn("shown", PIXELS[:16]),
    "remove()": lambda w: w.vocab.remove("cat"),
    "save()": lambda w: w.vocab.save(),
    "save() elsewhere": lambda w: w.vocab.save("w.tvp"),
    "Smoother()": lambda w: w.smoother(FOUND),
    "reset()": lambda w: w.smoother.reset(),
    "layer()": lambda w: [engine_of(w).layer(i) for i in range(engine_of(w).layers)],
    "attributes": lambda w: [
        getattr(engine_of(w), name) for name in "map fingerprint info backend".split()
    ],
}
CHANGES = ("add()", "learn()", "remove()", "save()")
INTERRUPTED = "Encoder() embed_into() embed() classify() detect() heatmap() profile() selftest()"
INTERRUPTED += " match() add() learn() remove() save()"
# CPython has its own C in these; the Python is the same.
ON_CPYTHON = "Encoder() embed_into() heatmap() profile() selftest() match() match_into() learn()"
ON_CPYTHON += " save() layer() attributes"
# Says beforehand that nothing is loaded if it fails: the old one makes room.
UNLOADS = ("load()", "load() of what is damaged")


def said(call, *args):
    try:
        call(*args)
    except ValueError:  # MicroPython cuts its text short where there is no room for it
        return "ValueError"


def points(name, once):
    """How many allocations of a call failed."""
    call, n = CALLS[name], 1
    w = World()
    old = w.seen()
    want = call(w)
    new = w.seen()
    while True:
        w = World()
        gc.collect()
        ended, result = False, None
        failing.at(n, once)
        try:
            result = call(w)
            ended = True
        except MemoryError:
            pass
        finally:
            asked = failing.off()
        where = name, n, once
        now = w.seen()
        if ended:
            assert result == want, (where, result)
            assert now == new, where
        elif name in UNLOADS:
            assert now[0] in (None, old[0]) and now[1:] == old[1:], where
        else:
            assert now == old, (where, [i for i in range(len(now)) if now[i] != old[i]])
        if once:  # without any memory nothing can be cleared away; half a file is never used
            assert got("v.tvp.new") is None and got("w.tvp.new") is None, where
        if asked < n:
            return n - 1
        if not ended:
            assert call(w) == want, where
            assert w.seen() == new, where
        n += 1


def interrupts(name):
    """How often Ctrl-C came: at every hook of a frame, and wherever else callbacks may run.

    A callback comes again each time that it can, and at the n-th presses it.
    """
    call, n, ended = CALLS[name], 0, False
    w = World()
    old, want = w.seen(), call(w)
    new = w.seen()
    while not ended:
        left, stop = [n], [False]

        def again(_, left=left, stop=stop):
            if stop[0]:
                return
            stop[0] = left[0] == 0
            if stop[0]:
                failing.throw()
            else:
                left[0] -= 1
                micropython.schedule(again, None)

        w = World()
        try:
            micropython.schedule(again, None)
            result = call(w)
            ended, stop[0] = not stop[0], True
            for _ in range(9):  # what is still waiting runs here
                pass
            assert result == want, (name, n)
        except KeyboardInterrupt:
            pass
        now = w.seen()
        assert now in ((new,) if ended else (old, new)), (name, n)
        if name not in CHANGES:
            assert call(w) == want, (name, n)
        n += 1
    return n - 1


put("e.tvlm", ENCODER)
put("bad.tvlm", OTHER)
put("p.ppm", b"P6 20 17 255\n" + PIXELS)
total = {}
if hasattr(gc, "freeze"):
    gc.freeze()  # what is there now is not looked at, at each of many collections
for name in sorted(CALLS) if DEVICE else ON_CPYTHON.split():
    total[name] = points(name, True) + (points(name, False) if BOTH else 0)
pressed = {}
if DEVICE:
    import micropython

    for name in INTERRUPTED.split():
        pressed[name] = interrupts(name)
print((total, pressed))
