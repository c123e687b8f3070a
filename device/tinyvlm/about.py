# SPDX-License-Identifier: MIT
"""What runs here: tinyvlm.info(), a table of layers and costs, and the known-answer test."""

import gc
import sys
import time
from array import array

from .encoder import loaded
from .frame import RGB888, Frame, as_frame

try:
    import uctypes
except ImportError:
    uctypes = None

try:
    import virt  # the virtual board counts instructions, its time means nothing
except ImportError:
    virt = None


class Info:
    """What runs here, as attributes and, printed, as a few lines.

    encoder: the Encoder; backend: name of the kernels; weights: bytes of the file; in_place:
    whether they are used where they lie (flash) or were read into RAM; aligned: whether they lie
    at whole words, which the fast kernels load at once; arena: bytes of RAM that a frame works in;
    heap_free, heap_used: bytes of Python's heap, None where that cannot be asked.
    """

    def __init__(self, encoder):
        engine = encoder._engine
        gc.collect()
        self.encoder = encoder
        self.backend = getattr(engine, "backend", "unknown")
        self.weights = encoder.file_size
        self.in_place = encoder.in_place
        self.aligned = not encoder.in_place or _address(encoder.path) % 4 == 0
        self.arena = encoder.arena
        self.heap_free = gc.mem_free() if hasattr(gc, "mem_free") else None
        self.heap_used = gc.mem_alloc() if hasattr(gc, "mem_alloc") else None

    def __repr__(self):
        encoder = self.encoder
        python = sys.implementation
        place = "in place" if self.in_place else "in RAM"
        if not self.aligned and self.backend.startswith("dsp"):
            place += ", unaligned, about 4 % slower"
        lines = [
            "tinyvlm on %s %s" % (python.name, ".".join(str(n) for n in python.version[:3])),
            "encoder   %s, %dx%d -> %d dimensions, %.1f M MAC"
            % (encoder.name, encoder.size, encoder.size, encoder.dim, encoder.macs / 1e6),
            "weights   %d bytes, %s: %s" % (self.weights, place, encoder.path),
            "arena     %d bytes" % self.arena,
            "kernels   %s" % self.backend,
        ]
        if self.heap_free is not None:
            lines.append("heap      %d bytes free, %d in use" % (self.heap_free, self.heap_used))
        return "\n".join(lines)


class Profile:
    """What every layer costs: a list of (name, output shape, cost), printed as a table.

    unit: of the costs, "instructions" on the virtual board, "us" elsewhere; total: their sum.
    The first entry is the frame intake.
    """

    def __init__(self, rows, unit):
        self.rows = rows
        self.unit = unit
        self.total = sum(row[2] for row in rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __repr__(self):
        counted = self.unit == "instructions"
        lines = ["%-24s %-12s %9s %6s" % ("layer", "output", "k instr." if counted else "us", "%")]
        for name, shape, cost in self.rows + [("total", None, self.total)]:
            shape = "%dx%dx%d" % shape if shape else ""
            share = 100 * cost / (self.total or 1)
            value = "%.1f" % (cost / 1e3) if counted else "%d" % cost
            lines.append("%-24s %-12s %9s %6.1f" % (name[:24], shape, value, share))
        return "\n".join(lines)


def info():
    """What runs here: encoder, where its weights live, arena, free memory. Print it."""
    return Info(loaded())


def profile(frame=None):
    """Run the encoder once and say what each layer costs: a Profile. Print it.

    frame: any; without one a grey frame of the encoder's own size is used, and the dense map's
    layer, which only detect() and heatmap() run, is left out.
    """
    encoder = loaded()
    engine, size = encoder._engine, encoder.size
    if not hasattr(engine, "profile"):
        raise RuntimeError("this engine cannot look into its layers; time classify() instead")
    if frame is None:
        frame = Frame(bytearray(b"\x80" * (size * size * 3)), size, size, RGB888)
    frame = as_frame(frame, size)
    ticks = array("I", bytes(4 * (engine.layers + 1)))
    engine.profile(frame.buffer, frame.width, frame.height, frame.format, frame.stride, ticks)
    unit, scale = _unit(engine)
    rows = [("intake", (size, size, 3), ticks[0] * scale)]
    for i in range(engine.layers):
        name, op, _, shape, _ = engine.layer(i)
        if ticks[i + 1]:
            rows.append((name or op, shape, ticks[i + 1] * scale))
    return Profile(rows, unit)


def selftest():
    """True, if this board computes what the encoder's file says it must.

    RuntimeError says how the embedding of the test image differs, or that the file has no test.
    """
    return loaded()._engine.selftest()


def _address(path):
    """Where a file of ROMFS lies; 0 if that cannot be asked."""
    if uctypes is None:
        return 0
    with open(path, "rb") as file:
        return uctypes.addressof(file)


def _unit(engine):
    """(unit, factor) of the engine's ticks."""
    if virt is not None and virt.instructions() is not None:
        return "instructions", 1
    if sys.implementation.name == "cpython":
        return "us", 1e-3  # the C extension counts ns
    if getattr(engine, "backend", "") == "python":
        return "us", 1
    start, us = time.ticks_cpu(), time.ticks_us()  # ticks_cpu: cycles, or what the port has
    while time.ticks_diff(time.ticks_us(), us) < 2000:
        pass
    ticks = time.ticks_diff(time.ticks_cpu(), start)
    return "us", time.ticks_diff(time.ticks_us(), us) / (ticks or 1)
