# SPDX-License-Identifier: MIT
# What virtual/count.py runs on the virtual board: sent to its prompt as it is, used line by line.
import array
import binascii
import gc

import _tinyvlm  # noqa: F401 - count.py asks for its backends
import uctypes
import virt

import tinyvlm

address, size = [m[1:3] for m in virt.memory() if m[0] == "arena"][0]
arena = uctypes.bytearray_at(address, size)
paint = bytes([0xA5]) * 1024


def read(name):
    return memoryview(open("/rom/" + name, "rb"))


def high_water(run):
    # Bytes of the arena that a frame writes: what is left of the paint is behind them.
    top = 0
    for i in range(0, size, 1024):
        arena[i : i + 1024] = paint
    run()
    for i in range(0, size, 1024):
        if arena[i : i + 1024] != paint:
            top = i
    while top + 1 < size and arena[top : top + 1024] != paint[: size - top]:
        top += 1
    return top


def hexed(buffer):
    return binascii.hexlify(buffer).decode()


def open_encoder(name, backend):
    global core, core_size, vocab, out, times, dense
    core = vocab = out = times = dense = None
    gc.collect()
    own = ".cmsis-nn" if backend == "cmsis-nn" else ""  # it runs a file of its own
    path = "/rom/%s%s.tvlm" % (name, own)
    core_size = len(read(path[5:]))
    core = tinyvlm.load(path)._engine
    core.backend = backend
    vocab = tinyvlm.Vocab("/rom/%s.tvp" % name)
    out, times = bytearray(core.dim), array.array("I", [0] * (core.layers + 1))
    dense = bytearray(core.map[0] * core.map[1] * core.dim) if core.map else b""


def run_without(*frame):
    core.embed(*frame, out)


def run(*frame):
    if dense:
        core.embed_map(*frame, out, dense)
    else:
        core.embed(*frame, out)


def between_marks(f, *args):
    virt.instructions()
    f(*args)
    virt.instructions()
