# SPDX-License-Identifier: MIT
"""The engine in plain Python, for firmware without ours: slow, and equal to it to the last bit.

`Encoder` has the interface of the C module's (native/modtinyvlm.c). It runs on MicroPython,
CircuitPython and CPython, layer by layer; the file's plan of the arena is the C engine's and not
used. A tensor is a list of planes, one a channel: bytes, number + 128. So no large block of
memory is asked for, and a plane's pixels are lanes of one long integer (lanes.py). Weights are
read in place.
"""

import gc
import time

from . import pure_ops
from .pure_file import File
from .pure_intake import Intake, NoiseIntake
from .rows import check_items

__all__ = ("Encoder", "heap")

_ticks = getattr(time, "ticks_us", None) or (lambda: time.monotonic_ns() // 1000)


class Encoder:
    """An open encoder file: `Encoder(data)`, data being a buffer that stays unchanged.

    ValueError says what is wrong with the file. `arena`: bytes that a frame takes at its peak,
    counted as planes and lanes; Python's own needs come on top.
    """

    backend = "python"

    def __init__(self, data):
        self._file = file = File(data)
        self.size, self.dim, self.map = file.size, file.dim, file.map
        self.fingerprint, self.macs, self.info = file.fingerprint, file.macs, file.info
        self.layers = file.count
        self.arena = self._peak()

    def embed(self, buffer, width, height, format, stride, out):
        """Write the embedding of a frame into `out`, int8: the dimensions it has room for."""
        self._need("the embedding", out, 1)
        self._run(Intake(buffer, width, height, format, stride, self.size), out)

    def embed_map(self, buffer, width, height, format, stride, out, map_out):
        """As embed, and the map of embeddings into `map_out`: h x w x as many dimensions."""
        if self.map is None:
            raise ValueError("this encoder has no dense map")
        self._need("the embedding", out, 1)
        self._need("the map", map_out, self.map[0] * self.map[1] * min(len(out), self.dim))
        self._run(Intake(buffer, width, height, format, stride, self.size), out, map_out)

    def profile(self, buffer, width, height, format, stride, times):
        """Write what a frame takes into `times`, an array('I') of layers + 1: us, intake first."""
        if len(times) < self.layers + 1:
            raise ValueError("the profile needs %d values" % (self.layers + 1))
        intake = Intake(buffer, width, height, format, stride, self.size)
        self._run(intake, bytearray(self.dim), None, times)

    def selftest(self):
        """True, or RuntimeError if the embedding of the known-answer image is another one."""
        if self._file.test is None:
            raise RuntimeError("the file has no known-answer test")
        seed, want = self._file.test
        got = bytearray(self.dim)
        self._run(NoiseIntake(seed, self.size), got)
        wrong = [i for i in range(self.dim) if got[i] != want[i]]
        if wrong:
            first = wrong[0]
            raise RuntimeError(
                "the embedding of the test image differs from the file's: %d of %d dimensions, "
                "the first is dimension %d, %d instead of %d"
                % (len(wrong), self.dim, first, _signed(got[first]), _signed(want[first]))
            )
        return True

    def layer(self, index):
        """(name, operation, (h, w, c) in, (h, w, c) out, multiply-accumulates)."""
        if not 0 <= index < self.layers:
            raise IndexError("layer %d of %d" % (index, self.layers))
        at = self._file.layer(index)
        shapes = (at.in_h, at.in_w, at.in_c), (at.out_h, at.out_w, at.out_c)
        return (self._file.layer_name(index), at.name) + shapes + (at.macs,)

    @staticmethod
    def _need(what, buffer, size):
        check_items(what, buffer, 1)
        if len(buffer) < size:
            message = "%s needs %d byte%s, the buffer has %d"
            raise ValueError(message % (what, size, "" if size == 1 else "s", len(buffer)))

    def _last_reads(self, dense):
        # By the index of a layer (-1: the image), the last one that reads its output.
        last = {}
        for i, sources in enumerate(self._file.reads):
            if dense or not self._file.layer(i).dense:
                for source in sources:
                    last[source] = i
        return last

    def _peak(self):
        file, last = self._file, self._last_reads(True)
        alive, most = {-1: 3 * self.size * self.size}, 0
        for i in range(file.count):
            layer = file.layer(i)
            alive[i] = layer.out_h * layer.out_w * layer.out_c
            most = max(most, sum(alive.values()) + pure_ops.work(layer))
            alive = {k: v for k, v in alive.items() if last.get(k, -1) > i}
        return most

    def _run(self, intake, out, map_out=None, times=None):
        file, before, dim = self._file, _ticks(), min(len(out), self.dim)
        last = self._last_reads(map_out is not None)
        tensors = {-1: intake.planes()}
        for i in range(file.count):
            layer = file.layer(i)
            if times is not None:
                now = _ticks()  # of the intake, then of the layer before
                times[i], before = now - before & 0x3FFFFFFF, now
            if layer.dense and map_out is None:
                continue
            alone = i in (file.embed_layer, file.dense_layer) and i not in last  # nothing reads it
            most = dim if alone else layer.out_c
            planes = pure_ops.run(layer, file.data, [tensors[k] for k in file.reads[i]], most)
            if i == file.embed_layer:
                for c in range(dim):
                    _store(out, c, planes[c][0])
            if i == file.dense_layer:
                for c in range(dim):
                    for pixel, value in enumerate(planes[c]):
                        _store(map_out, pixel * dim + c, value)
            tensors[i] = planes
            for source in [k for k in tensors if last.get(k, -1) <= i]:
                del tensors[source]
        if times is not None:
            times[self.layers] = _ticks() - before & 0x3FFFFFFF


def heap():
    """(free bytes, largest free block), for messages that say why something does not fit."""
    gc.collect()
    if not hasattr(gc, "mem_free"):  # a PC
        return 0, 0
    low, high = 0, gc.mem_free()
    while high - low > 1024:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
        gc.collect()
    return gc.mem_free(), low


def _signed(byte):
    return byte - 256 if byte > 127 else byte


def _store(out, index, value):
    # Buffers of bytes and of signed numbers look different to Python.
    try:
        out[index] = value - 128
    except (ValueError, OverflowError):
        out[index] = value ^ 128
