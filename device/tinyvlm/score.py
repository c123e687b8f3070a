# SPDX-License-Identifier: MIT
"""Comparing embeddings with prototypes: by the engine, or in plain Python where there is none."""

try:
    from _tinyvlm import crc32, map_heat, map_mean, map_peaks, score, top

    NATIVE = True
except ImportError:  # stock firmware, CircuitPython: slower, the same answers
    from .slow import crc32, map_heat, map_mean, map_peaks, score, top

    NATIVE = False

__all__ = ("NATIVE", "crc32", "map_heat", "map_mean", "map_peaks", "score", "top")
