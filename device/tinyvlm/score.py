# SPDX-License-Identifier: MIT
"""Comparing embeddings with prototypes: by the engine, or in plain Python where there is none."""

try:
    from _tinyvlm import (
        crc32,
        largest,
        map_heat,
        map_mean,
        map_peaks,
        map_region,
        rank,
        score,
        score_at,
        top,
        weigh,
    )

    NATIVE = True
except ImportError:  # stock firmware, CircuitPython: slower, the same answers
    from .slow import (
        crc32,
        largest,
        map_heat,
        map_mean,
        map_peaks,
        map_region,
        rank,
        score,
        score_at,
        top,
        weigh,
    )

    NATIVE = False

__all__ = (
    "NATIVE",
    "crc32",
    "largest",
    "map_heat",
    "map_mean",
    "map_peaks",
    "map_region",
    "rank",
    "score",
    "score_at",
    "top",
    "weigh",
)
