# SPDX-License-Identifier: MIT
"""Work for several processes that know each other, as in training."""

import torch
import torch.distributed as dist


def run(work, size, folder, *arguments):
    """What work(rank, size, *arguments) returns in each of `size` processes, which gloo joins.

    work: a function of a module; tensors, or lists and dictionaries of them, go through `folder`.
    """
    torch.multiprocessing.spawn(_process, (size, folder, work, arguments), nprocs=size)
    return [torch.load(folder / f"{rank}-{size}.pt") for rank in range(size)]


def _process(rank, size, folder, work, arguments):
    store = f"file://{folder}/store-{size}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    torch.save(work(rank, size, *arguments), folder / f"{rank}-{size}.pt")
    dist.barrier()
    dist.destroy_process_group()
