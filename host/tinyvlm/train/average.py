# SPDX-License-Identifier: MIT
"""Weights on the way from where a run began to where it has come to.

A run that goes on from a good student gains on what it is shown and loses on other things; weights
in between have most of the gain and little of the loss (Wortsman et al., "Robust fine-tuning of
zero-shot models", arXiv 2109.01903, section 3).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tinyvlm.train import checkpoint, pretrained
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.student import Student


@torch.no_grad()
def between(
    model: Student,
    config: TrainConfig,
    space: dict[str, Tensor],
    images: Callable[[], Tensor],
    part: float,
) -> None:
    """Take the student of a run back to `part` (0 ... 1) of the way from its --init.

    space: as checkpoint.warm_start() needs it; images: gives those that the run began with,
    (n, 3, H, W).
    SystemExit if the run began from nothing.
    """
    if not config.init:
        raise SystemExit(f"--part {part}: this run has no --init, there is no way to go back on")
    began = Student(config.student)
    checkpoint.warm_start(config.init, began, {k: v.clone() for k, v in space.items()})
    if pretrained.kind_of(config.init) in pretrained.FOLDED:
        began.settle(images())
    first = began.state_dict()
    for key, last in model.state_dict().items():
        if last.is_floating_point():
            last.lerp_(first[key].to(last.device), 1 - part)
