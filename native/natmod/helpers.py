# SPDX-License-Identifier: MIT
"""Part of the native .mpy: what native code cannot ask of MicroPython, asked from Python."""

import gc
import time

_once = (0,)


def _pending():
    # The jump of a loop in bytecode is where MicroPython runs callbacks and raises Ctrl-C. The
    # jump from the end of `try` to behind it is another, where nobody would catch it: so return.
    try:
        for _ in _once:
            pass
        return None
    except BaseException as error:  # noqa: BLE001 - the engine stops, then raises it
        return error


# Takes more of the stack than the engine with _pending() does, on a PC even. It has no jump: a
# callback that is to find the encoder busy shall run inside of the frame.
def _down(to):
    to[0](to[1])


_bottom = (bool, 0)
for _ in range(12):
    _bottom = (_down, _bottom)


def _deeper():
    _down(_bottom)


def _free():
    gc.collect()
    return gc.mem_free()


_ticks = time.ticks_cpu
