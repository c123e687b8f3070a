# SPDX-License-Identifier: MIT
"""Which blocks of a deeper net a shallower one keeps.

A student that leaves blocks of a pretrained body out starts from the blocks that are most like its
own: the same order, as many channels or more, the same kernel (`--init`; slim.py cuts channels).
"""

from __future__ import annotations

import re

from torch import Tensor

from tinyvlm.train.config import Bottleneck

STRIDE = 0.1  # what a different stride costs, in units of "all channels lost"


def likeness(deep: Bottleneck, shallow: Bottleneck) -> float | None:
    """Share of channels that `shallow` keeps of `deep`, 0 to 2; None: it cannot start from it."""
    if deep.kernel != shallow.kernel or bool(deep.expand) != bool(shallow.expand):
        return None
    if deep.out < shallow.out or deep.expand < shallow.expand:
        return None
    kept = shallow.out / deep.out + (shallow.expand / deep.expand if deep.expand else 1.0)
    return kept - STRIDE * (deep.stride != shallow.stride)


def align(deep: tuple[Bottleneck, ...], shallow: tuple[Bottleneck, ...]) -> list[int] | None:
    """For each block of `shallow` the index of one of `deep`, ascending; None if there is no way.

    Of all ways the one that keeps the most channels; of equal ones the one with early blocks.
    """
    # best[j]: (score, indices) of the first blocks of `shallow` within the first j of `deep`.
    best: list[tuple[float, list[int]] | None] = [(0.0, [])] * (len(deep) + 1)
    for block in shallow:
        row: list[tuple[float, list[int]] | None] = [None]
        for j, other in enumerate(deep):
            found, score = row[j], likeness(other, block)
            if score is not None and best[j] is not None:
                total = best[j][0] + score
                if found is None or total > found[0] + 1e-9:
                    found = total, [*best[j][1], j]
            row.append(found)
        best = row
    return best[-1][1] if best[-1] else None


def take(state: dict[str, Tensor], kept: list[int]) -> dict[str, Tensor]:
    """The state of a net with the blocks `kept` alone, numbered anew."""
    new = {old: i for i, old in enumerate(kept)}
    out = {}
    for key, value in state.items():
        found = re.match(r"blocks\.(\d+)\.(.*)", key)
        if not found:
            out[key] = value
        elif int(found[1]) in new:
            out[f"blocks.{new[int(found[1])]}.{found[2]}"] = value
    return out
