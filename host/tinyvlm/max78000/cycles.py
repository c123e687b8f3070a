# SPDX-License-Identifier: MIT
"""How many clock cycles a layer takes.

A model, not a measurement: it equals the vendor's estimate, which others compared with silicon
(0.3 % for a network of eleven layers). At 50 MHz, 50,000 cycles are a millisecond.
"""

from __future__ import annotations

from .layers import Layer, Network

CLOCK_HZ = 50_000_000


def layer_cycles(layer: Layer) -> int:
    """Cycles of one layer."""
    (ph, pw), n, pad, k = layer.pool, layer.operands, layer.pad, layer.kernel
    (hp, wp), passes = layer.pooled, layer.in_passes
    if not layer.convolves and layer.out_passes > 1 and layer.pools:
        passes = 2 * layer.in_passes - 1
    if (
        n == 1 or layer.pool_first or not layer.pools
    ):  # a, d: cost of a padded and of a real input position
        a, d, times = 2 * passes * n, passes * n * (ph * pw + 1), 1
    else:
        a, d, times = 2 * passes, passes * (n * ph * pw + 1), passes
    if not layer.convolves:
        return hp * wp * (d + passes * layer.time_slots)
    ho, wo = layer.pooled if layer.flatten else layer.out_size
    before = 0
    if n > 1 and layer.pools and not layer.pool_first:
        rows, columns = (size + 2 * pad - k + 1 for size in (hp, wp))
        before = (rows * pad + columns * pad - pad * pad) * layer.words_at
    outputs = (layer.kernels + layer.lead) // (layer.in_passes * layer.pixels)
    inner = k - 1 - pad  # real rows, or columns, that come before the first output
    margin = pad * (a + 1)
    top = 2 * margin + times * wp * (a + 1)
    warm = 2 * margin + times * wp * (d + 1)
    row = margin + times * (inner * (d + 1) + (wo - pad) * d) + pad * a
    bottom = margin + times * (inner * (a + 1) + (wo - pad) * a) + pad * a
    out = passes * wo * outputs + (outputs if outputs == 1 and passes == 1 else 0)
    total = pad * top + inner * warm + (row + out) * (hp - inner) + pad * (bottom + out)
    return total + before + (layer.flatten and layer.flat_count >= 16)


def network_cycles(network: Network) -> int:
    """Cycles of one inference, from the start to the done flag."""
    return 1 + sum(layer_cycles(layer) for layer in network.layers)
