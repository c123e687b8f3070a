# SPDX-License-Identifier: MIT
"""Weights on the way from where a run began to where it has come to.

A run that goes on from a good student gains on what it is shown and loses on other things; weights
in between have most of the gain and little of the loss (Wortsman et al., "Robust fine-tuning of
zero-shot models", arXiv 2109.01903, section 3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from tinyvlm.train.config import TrainConfig
from tinyvlm.train.streams import Shard
from tinyvlm.train.student import Student
from tinyvlm.train.train import start


@torch.no_grad()
def between(
    model: Student,
    config: TrainConfig,
    space: dict[str, Tensor],
    paths: list[Shard],
    part: float,
) -> None:
    """Take the student of a run back to `part` (0 ... 1) of the way from its --init.

    space: as checkpoint.warm_start() needs it; paths: what it was trained on.
    SystemExit if the run began from nothing.
    """
    if not config.init:
        raise SystemExit(f"--part {part}: this run has no --init, there is no way to go back on")
    began = Student(config.student)
    start(config, began, {k: v.clone() for k, v in space.items()}, paths)
    first = began.state_dict()
    for key, last in model.state_dict().items():
        if last.is_floating_point():
            last.lerp_(first[key].to(last.device), 1 - part)
