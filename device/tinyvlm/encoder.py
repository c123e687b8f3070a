# SPDX-License-Identifier: MIT
"""The image encoder: a `.tvlm` file, run by the engine. Its weights stay where they are."""

import gc
import json
import os
from array import array

from .frame import as_frame
from .tvp import named

try:
    import _tinyvlm
except ImportError:
    _tinyvlm = None
if _tinyvlm is None:  # firmware without our C: the same results from plain Python, slowly
    from . import pure as _tinyvlm
try:  # firmware for a MAX78000: encoders that have a plan for its accelerator run there
    from _tinyvlm_max78000 import Encoder as _Accelerated
    from _tinyvlm_max78000 import has_plan as _has_plan
except ImportError:
    _has_plan = None

# Where `load()` looks, in this order: ROMFS first, because weights are used in place there.
_PLACES = ("/rom", "/rom/lib", "", "/lib", "/flash", "/sd")

_default = None


class Encoder:
    """An image encoder: `Encoder("base.tvlm")`. Most programs only need tinyvlm.load().

    size: side of the image it wants; dim: dimensions of an embedding; in_place: True when the
    weights are used from memory-mapped flash. ValueError for a damaged file, MemoryError if it is
    too large for this board.

    Reentrancy and lifetimes: an Encoder has one arena, so it runs one frame at a time: whoever
    asks meanwhile, from another thread or a callback, gets RuntimeError; an Encoder for each
    thread is the way. classify() and detect() keep what they work with apart from each other's;
    what embed() returns is the next call's, too.
    """

    def __init__(self, path):
        self.path = path
        self._engine, self.file_size, self.in_place = _engine(path)
        self.info = _object(path, self._engine.info)
        self.name = str(self.info.get("name", path))
        self.size = self._engine.size
        self.dim = self._engine.dim
        self.arena = self._engine.arena
        self.macs = self._engine.macs
        self.fingerprint = self._engine.fingerprint
        self._embedding = array("b", bytes(self.dim))
        self._spare = {}  # more of these by their size, and what detect() works in: taken ...
        self._work = []  # ... and given back

    def __repr__(self):
        return "Encoder(%s: %dx%d -> %d, %.1f M MAC, %d KB %s, arena %d KB)" % (
            self.name,
            self.size,
            self.size,
            self.dim,
            self.macs / 1e6,
            self.file_size // 1024,
            "in place" if self.in_place else "in RAM",
            (self.arena + 1023) // 1024,
        )

    def embed_into(self, frame, out):
        """Write the embedding of a frame into `out` (int8 buffer of `dim`); no allocation.

        A shorter buffer gets the first dimensions, and the others are not computed.
        """
        f = as_frame(frame, self.size)
        self._engine.embed(f.buffer, f.width, f.height, f.format, f.stride, out)
        return out

    def embed(self, frame):
        """The embedding of a frame, in a buffer that the next call uses again."""
        return self.embed_into(frame, self._embedding)

    def classify(self, frame, vocab, top=3):
        """As tinyvlm.classify, with this encoder."""
        self.check(vocab)
        embedding = self._take(vocab.dim)
        found = vocab.match(self.embed_into(frame, embedding), top)
        self._give(embedding)
        return found

    def _take(self, dim):
        """A buffer for that much of an embedding, which nobody else has until it is given back."""
        dim = min(dim, self.dim)  # a damaged file wants more: what compares refuses it
        try:
            return self._spare[dim].pop()
        except KeyError:
            self._spare[dim] = []
        except IndexError:
            pass
        return array("b", bytes(dim))

    def _give(self, embedding):
        self._spare[len(embedding)].append(embedding)

    def check(self, vocab):
        """ValueError if the vocabulary was packed for another encoder."""
        try:
            same = vocab.fingerprint == self.fingerprint
        except AttributeError:
            raise TypeError(
                "a vocabulary must be a tinyvlm.Vocab, made by tinyvlm.Vocab('pets.tvp'), not %s"
                % type(vocab).__name__
            ) from None
        if not same:
            raise ValueError(
                "%s was packed for encoder %s (%s), %s (%s) is loaded; load() the file of the "
                "first, or pack the words again with --model for the second"
                % (
                    vocab.path,
                    vocab.encoder,
                    _hex(vocab.fingerprint),
                    self.name,
                    _hex(self.fingerprint),
                )
            )


def load(path=None):
    """Load the encoder that embed() and classify() use, and return it.

    Without a path: the first *.tvlm in ROMFS, else on the file system; with OpenMV's ml or
    ESP-VISION's tflite, the first *.tflite of ours. OSError if there is none.
    """
    global _default
    _default = None  # the old one's memory is free before the new one is opened
    gc.collect()
    _default = Encoder(_find() if path is None else path)
    return _default


def default():
    """The encoder that load() loaded last, or None."""
    return _default


def loaded():
    """The encoder that load() loaded last; loads the first one if there is none."""
    return _default or load()


def embed(frame):
    """The embedding of a frame: a new array('b') of `dim` values. Any prefix of it is one too."""
    return loaded().embed(frame)[:]


def classify(frame, vocab, top=3):
    """What is in the frame? A list of (label, score), best first, at most `top` of them.

    frame: a tinyvlm.Frame, or a buffer of exactly the encoder's size in RGB888 or GRAY8.
    Scores are probabilities. Labels under vocab.threshold are left out; [("unknown", p)] if none
    is left or "none of them" is nearest. Allocates the list and nothing else.
    """
    return loaded().classify(frame, vocab, top)


def classify_into(frame, vocab, scores):
    """As classify(), for loops that must not allocate: returns the best label's index, or -1.

    scores: array('f') of len(vocab), made once; every label's probability is written into it. -1
    stands for "unknown". With the engine and a tinyvlm.Frame made once, nothing is allocated.
    """
    encoder = loaded()
    encoder.check(vocab)
    embedding = encoder._take(vocab.dim)
    best = vocab.match_into(encoder.embed_into(frame, embedding), scores)
    encoder._give(embedding)
    return best


def _find():
    kinds = (".tvlm",)
    if _tinyvlm.__name__ != "_tinyvlm":  # a firmware's own Model is much faster than we would be
        from .openmv import is_ours, runtime

        if runtime():
            kinds = (".tflite", ".tvlm")
    for kind in kinds:
        for place in _PLACES:
            try:
                names = os.listdir(place or ".")
            except OSError:
                continue
            for name in sorted(names):
                path = place + "/" + name if place else name
                if name.endswith(kind) and (kind != ".tflite" or is_ours(path)):
                    return path
    raise OSError(
        "no encoder (*.tvlm) on this board; put one into ROMFS with `mpremote romfs deploy DIR`"
        if len(kinds) == 1
        else "no encoder (*.tflite) on this camera; copy one with `tinyvlm-deploy --openmv`"
    )


def _engine(path):
    """(engine, bytes of the file, whether they are used in place)."""
    if not isinstance(path, str):
        raise TypeError(
            "an encoder is read from a .tvlm file; its path is a str, not %s" % type(path).__name__
        )
    try:
        if path.endswith(".tflite"):
            from .openmv import Engine

            engine = Engine(path)
            return engine, engine.file_size, engine.in_place
        data, size, in_place = _open(path)
        planned = _has_plan is not None and _has_plan(data)
        return (_Accelerated if planned else _tinyvlm.Encoder)(data), size, in_place
    except ValueError as error:
        raise ValueError("%s: %s" % (path, error)) from None
    except OSError as error:
        if error.errno == 2:
            raise named(error, path) from None
        raise


def _object(path, text):
    try:
        found = json.loads(text)
    except (ValueError, RuntimeError):  # the second if it is too deep
        found = None
    if not isinstance(found, dict):
        raise ValueError("%s: INFO is not a JSON object; export the encoder again" % path)
    return found


def _open(path):
    """(content, its bytes, whether it is used in place): ROMFS files are memory-mapped.

    The content is the open file itself if the accelerator can take the weights out of it.
    """
    file = open(path, "rb")  # noqa: SIM115
    try:
        data = memoryview(file)
        return data, len(data), True
    except TypeError:
        size = file.seek(0, 2)
    if _has_plan is not None and _has_plan(file):
        return file, size, False
    with file:
        file.seek(0)
        gc.collect()
        try:
            data = bytearray(size)
        except MemoryError:
            if not hasattr(_tinyvlm, "heap"):  # a PC
                raise
            raise MemoryError(
                "%s needs %d bytes of RAM, have %d, largest block %d; put it into ROMFS, where "
                "its weights are used in place: mpremote romfs deploy DIR"
                % ((path, size) + _tinyvlm.heap())
            ) from None
        file.readinto(data)
        return data, size, False


def _hex(raw):
    return "".join("%02x" % byte for byte in raw)
