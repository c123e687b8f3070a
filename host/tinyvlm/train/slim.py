# SPDX-License-Identifier: MIT
"""A narrower student from a wider one: keep the channels that matter, copy their weights.

Same blocks, strides and kernels, fewer channels in places (network slimming without the sparsity
term, Liu et al., arXiv 1708.06519).  A channel counts as much as its batch norm lets through times
what the layers that read it take from it.  Channels that a residual sum carries are chosen once
for all blocks of the chain.  The result is a start for training (`--init`), not a finished
student; for a body without batch norms pretrained_slim.py looks at photos instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

State = dict[str, Tensor]


@dataclass
class Channels:
    """Channels that stand or fall together, in layers by their names: ConvBNs, and the head."""

    count: int
    want: int
    writers: list[str] = field(default_factory=list)  # make them
    each: list[str] = field(default_factory=list)  # depthwise layers that they pass
    readers: list[str] = field(default_factory=list)  # 1x1 convolutions


def weight_of(name: str) -> str:
    """The convolution's weight of a ConvBN or of the head."""
    return "head.weight" if name == "head" else name + ".conv.weight"


def is_narrower(wide: State, narrow: State) -> bool:
    """Is `narrow` the net `wide` with fewer channels in places (and Bottleneck blocks)?"""
    if wide.keys() != narrow.keys() or not any("depthwise" in k for k in wide):
        return False
    pairs = [(wide[k].shape, narrow[k].shape) for k in wide]
    fits = all(len(w) == len(n) and all(map(int.__le__, n, w)) for w, n in pairs)
    return fits and any(w != n for w, n in pairs)


def groups(wide: State, narrow: State) -> list[Channels]:
    """All channels of a net of Bottlenecks, and how many of them the narrow one keeps.

    A block with an expansion that ends with as many channels as it began with has a residual sum,
    or is treated so.
    A layer that reads another number of channels (blocks before it were left out, a new head)
    stays as it is.
    """

    def written_by(name: str) -> Channels:
        key = weight_of(name)
        found.append(Channels(len(wide[key]), len(narrow[key]), [name]))
        return found[-1]

    def read_by(name: str) -> None:
        key = weight_of(name)
        if key in wide and wide[key].shape[1] == stream.count:
            stream.readers.append(name)

    found: list[Channels] = []
    stream = written_by("stem")  # what the next block reads
    count = 1 + max(int(k.split(".")[1]) for k in wide if k.startswith("blocks."))
    for block in (f"blocks.{i}" for i in range(count)):
        expand, depthwise, project = (f"{block}.{n}" for n in ("expand", "depthwise", "project"))
        hidden, has_expand = stream, weight_of(expand) in wide
        if has_expand:
            read_by(expand)
            hidden = written_by(expand)
        hidden.each.append(depthwise)
        hidden.readers.append(project)
        sizes = len(wide[weight_of(project)]), len(narrow[weight_of(project)])
        if has_expand and sizes == (stream.count, stream.want):
            stream.writers.append(project)
        else:
            stream = written_by(project)
    if weight_of("last") in wide:
        read_by("last")
        stream = written_by("last")
    read_by("head")
    return found


def cut(state: State, channels: Channels, keep: Tensor) -> None:
    """Keep these channels alone (indices, ascending), in all layers that have them."""
    for name in channels.writers + channels.each:
        for key in [k for k in state if k.startswith(name + ".") and state[k].ndim]:
            state[key] = state[key][keep]
    for name in channels.readers:
        state[weight_of(name)] = state[weight_of(name)][:, keep]


def slim(wide: State, narrow: State) -> State:
    """State of `narrow` (a fresh student's state_dict, for its shapes) filled from `wide`."""
    state = dict(wide)
    for channels in groups(wide, narrow):
        if channels.want >= channels.count:
            continue
        last = channels.each or channels.writers  # the layers whose output is read
        lets = torch.stack([state[f"{name}.bn.weight"].square() for name in last]).sum(0)
        taken = [state[weight_of(r)].square().sum((0, 2, 3)) for r in channels.readers]
        worth = lets * torch.stack(taken).sum(0) if taken else lets
        cut(state, channels, worth.topk(channels.want).indices.sort().values)
    return state
