# SPDX-License-Identifier: MIT
"""Where a process trains: its number among those of `torchrun`, and its device."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass
class Place:
    """Number `rank` of `world` processes, computing on `device`."""

    rank: int
    world: int
    device: torch.device

    def mean(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message."""
        if self.world > 1:
            flat = torch.cat([t.detach().flatten() for t in tensors])
            dist.all_reduce(flat)
            parts = (flat / self.world).split([t.numel() for t in tensors])
            for t, part in zip(tensors, parts, strict=True):
                t.copy_(part.view_as(t))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


def join(device: str) -> Place:
    """This process's place; the processes of `torchrun` find each other here."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "auto":
        device = str(torch.accelerator.current_accelerator() or "cpu")
    if device == "cuda" and world > 1:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        place = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as e:
        raise SystemExit(f"--device {device}: {str(e).splitlines()[0]}") from None
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Place(rank, world, place)


def leave() -> None:
    """The end of working together."""
    if dist.is_initialized():
        dist.destroy_process_group()
