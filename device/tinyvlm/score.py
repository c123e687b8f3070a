# SPDX-License-Identifier: MIT
"""Comparing embeddings with prototypes: by the engine, or in plain Python where there is none."""

try:
    import _tinyvlm as _engine

    NATIVE = hasattr(_engine, "best")  # an engine older than this package has not all of it
except ImportError:  # stock firmware, CircuitPython
    NATIVE = False
if not NATIVE:
    from . import slow as _engine  # slower, the same answers

best = _engine.best
crc32 = _engine.crc32
largest = _engine.largest
map_heat = _engine.map_heat
map_mean = _engine.map_mean
map_peaks = _engine.map_peaks
map_region = _engine.map_region
rank = _engine.rank
score = _engine.score
weigh = _engine.weigh
