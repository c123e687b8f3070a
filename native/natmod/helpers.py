# SPDX-License-Identifier: MIT
"""Part of the native .mpy: what native code cannot ask of MicroPython, asked from Python."""

import gc
import time

_once = (0,)


def _pending():
    # The jump of a loop in bytecode is where MicroPython runs callbacks and raises Ctrl-C.
    try:
        for _ in _once:
            pass
    except BaseException as error:  # noqa: BLE001 - the engine stops, then raises it
        return error


def _free():
    gc.collect()
    return gc.mem_free()


_ticks = time.ticks_cpu
