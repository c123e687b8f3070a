# SPDX-License-Identifier: MIT
"""The processes of `torchrun`: which of them this one is, and the device it trains on."""

from __future__ import annotations

import gc
import importlib
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

# Process 0 counts the images of all shards while the others wait: minutes for millions of images,
# and more from slow disks. NCCL would give up after 10.
PATIENCE = timedelta(hours=3)


@dataclass
class World:
    """Process `rank` of `size`, computing on `device`."""

    rank: int
    size: int
    device: torch.device

    def add(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their sum over all processes, in one message."""
        if self.size > 1:
            flat = torch.cat([t.detach().flatten() for t in tensors]).to(self.device)
            dist.all_reduce(flat)
            parts = flat.split([t.numel() for t in tensors])
            for t, part in zip(tensors, parts, strict=True):
                t.copy_(part.view_as(t))

    def mean(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message."""
        self.add(tensors)
        for t in tensors:
            t.div_(self.size)

    def sum(self, count: int) -> int:
        """A count, of all processes together."""
        if self.size == 1:
            return count
        both = torch.tensor([count], device=self.device)
        dist.all_reduce(both)
        return int(both.item())

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


def default_device() -> str:
    """The accelerator that is in this machine, or cpu. A torch built for CUDA names one anyway."""
    there = torch.accelerator.is_available()
    return str(torch.accelerator.current_accelerator()) if there else "cpu"


def place(device: str) -> torch.device:
    """The device of this process: `torchrun` gives each its own GPU. ValueError: there is none."""
    if device == "auto":
        device = default_device()
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as e:
        raise ValueError(f"--device {device}: {str(e).splitlines()[0]}") from None


def ranks() -> tuple[int, int]:
    """(number of this process, how many there are)."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def join(device: str) -> World:
    """This process among all; the processes of `torchrun` find each other here."""
    rank, size = ranks()
    try:
        where = place(device)
    except ValueError as e:
        raise SystemExit(str(e)) from None
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if size > 1 and not dist.is_initialized():
        # Default arguments in there would hold the group for ever, see leave(); DDP imports it.
        importlib.import_module("torch.distributed.nn.functional")
        backend = "nccl" if where.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    return World(rank, size, where)


def leave() -> None:
    """The end of working together, and of gloo's threads.

    They end when nobody holds the group: a DistributedDataParallel does, until it is collected.
    One that lives on while the interpreter ends can abort the process ("terminate called without
    an active exception").
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()
