# SPDX-License-Identifier: MIT
"""A narrower student from a wider one: keep the channels that matter, copy their weights.

Same blocks, strides and kernels, fewer channels in places (network slimming without the sparsity
term, Liu et al., arXiv 1708.06519).  A channel counts as much as its batch norm lets through times
what the next layer reads from it.  Channels that a residual sum carries keep their number.
The result is a start for training (`--init`), not a finished student.
"""

from __future__ import annotations

from torch import Tensor


def _reads(weight: Tensor) -> Tensor:
    """(in,) how much a convolution (out, in, k, k) takes from each input channel."""
    return weight.square().sum((0, 2, 3)).sqrt()


def _best(importance: Tensor, count: int) -> Tensor:
    """Numbers of the `count` most important channels, in ascending order."""
    return importance.topk(count).indices.sort().values


def is_narrower(wide: dict[str, Tensor], narrow: dict[str, Tensor]) -> bool:
    """Is `narrow` the net `wide` with fewer channels in places (and Bottleneck blocks)?"""
    if wide.keys() != narrow.keys() or not any("depthwise" in k for k in wide):
        return False
    pairs = [(wide[k].shape, narrow[k].shape) for k in wide]
    fits = all(len(w) == len(n) and all(map(int.__le__, n, w)) for w, n in pairs)
    return fits and any(w != n for w, n in pairs)


def slim(wide: dict[str, Tensor], narrow: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of `narrow` (a fresh student's state_dict, for its shapes) filled from `wide`."""
    state = {k: v.clone() for k, v in wide.items()}

    def rows(name: str, keep: Tensor) -> None:
        """Keep output channels of the ConvBN `name`."""
        for key in [k for k in state if k.startswith(name + ".") and state[k].ndim]:
            state[key] = state[key][keep]

    def columns(name: str, keep: Tensor) -> None:
        state[name] = state[name][:, keep]

    def scale(name: str) -> Tensor:
        return state[name + ".bn.weight"].abs()

    count = 1 + max(int(k.split(".")[1]) for k in wide if k.startswith("blocks."))
    before = "stem"  # ConvBN that makes the block's input
    for i in range(count):
        block = f"blocks.{i}"
        expand, depthwise, project = (f"{block}.{n}" for n in ("expand", "depthwise", "project"))
        has_expand = expand + ".conv.weight" in state
        inside = expand if has_expand else before
        if has_expand:
            want = narrow[expand + ".conv.weight"].shape[1]
            reads = _reads(state[expand + ".conv.weight"])
            if want < len(reads):
                keep = _best(scale(before) * reads, want)
                rows(before, keep)
                columns(expand + ".conv.weight", keep)
        hidden = narrow[depthwise + ".conv.weight"].shape[0]
        reads = _reads(state[project + ".conv.weight"])
        if hidden < len(reads):
            keep = _best(scale(depthwise) * reads, hidden)
            rows(inside, keep)
            rows(depthwise, keep)
            columns(project + ".conv.weight", keep)
        before = project
    want = narrow["last.conv.weight"].shape[1]
    reads = _reads(state["last.conv.weight"])
    if want < len(reads):
        keep = _best(scale(before) * reads, want)
        rows(before, keep)
        columns("last.conv.weight", keep)
    last = narrow["last.conv.weight"].shape[0]
    if last < len(state["last.conv.weight"]):
        importance = scale("last")
        headed = state["head.weight"].shape[1] == len(importance)  # a pretrained body has none
        keep = _best(importance * _reads(state["head.weight"]) if headed else importance, last)
        rows("last", keep)
        if headed:
            columns("head.weight", keep)
    # What a residual sum carries was left alone; if it should shrink, its tensors do not fit.
    return state
