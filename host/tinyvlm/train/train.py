# SPDX-License-Identifier: MIT
"""The training loop.

    tinyvlm-train --train-data 'shards/*.tar' --model base
    torchrun --nproc-per-node 2 -m tinyvlm.train.main ...      # on CPUs fastest: a process a core

A run depends on its options and the number of processes alone: killed at any time and resumed, it
ends with the same weights.  Steps are counted, never time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tinyvlm.train import blind, checkpoint, labels, pretrained, run, shards, space, task
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.distributed import World, join
from tinyvlm.train.loader import Batch, Loader
from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.progress import Progress
from tinyvlm.train.step import Inputs, Net, backward
from tinyvlm.train.streams import Shard
from tinyvlm.train.student import Student, cost_table, to_input

SETTLING = 256  # images that give a body its batch norms' statistics, if it has none
# The processes' batch statistics are averaged once an epoch. The option has a new name.
NAMES = ("forward_sync_buffers", "broadcast_buffers")
BUFFERS = next(n for n in NAMES if n in signature(DistributedDataParallel).parameters)

log = logging.getLogger("tinyvlm")


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to 1 % of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / (config.warmup + 1)
    p = (step - config.warmup) / max(steps - config.warmup, 1)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(p, 1.0))))


def make_optimizer(student: nn.Module, loss: MatryoshkaLoss, config: TrainConfig):
    """AdamW; no decay on vectors; the body (all before `last`) and the map from CLIP's space move
    at rates of their own."""
    groups = []
    for parts, rate in ((("stem", "blocks"), config.body_rate), (("last", "head"), 1.0)):
        named = student.named_parameters()
        params = [p for name, p in named if name.split(".")[0] in parts and p.requires_grad]
        for flat, decay in ((False, config.wd), (True, 0.0)):
            some = [p for p in params if (p.ndim <= 1) == flat]
            groups.append({"params": some, "weight_decay": decay, "rate": rate})
    groups[-1]["params"].append(loss.log_scale)
    if config.learn_matrix:
        groups.append({"params": [loss.matrix], "weight_decay": 0.0, "rate": config.matrix_rate})
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98))


def side(epoch: int, config: TrainConfig) -> int:
    """Image side in this epoch (from 0); the last one has the model's at least."""
    small, large = config.sizes()
    first_large = round(config.large_from * config.epochs)
    return large if epoch >= min(first_large, config.epochs - 1) else small


def begin(config: TrainConfig, world: World, index: dict, paths: list[Shard]):
    """(student, loss, classes) before the first step, on the device."""
    torch.manual_seed(config.seed)
    loss, classes = space.make_loss(config, index, paths, world)
    loss.shift = blind.shifts(config, loss, paths, world)
    student = Student(config.student).to(memory_format=torch.channels_last)
    cost = cost_table(config.student)
    named = len(set(classes.index.values())) if classes else 0  # hypernyms come along, uncounted
    log.info(
        f"{index['trained']} of {index['samples']} images for training,"
        f" {named} class names, skipped {index['skipped']};"
        f" {config.model}: {sum(row[2] for row in cost) / 1e6:.2f} M MACs,"
        f" {sum(row[3] for row in cost) / 1e3:.0f} K weights; {world.size} x {world.device}"
    )
    if config.init:
        log.info(f"starting from {start(config, student, loss.space(), paths)}")
    student.freeze(config.freeze)
    return student.to(world.device), loss.to(world.device), classes


def start(
    config: TrainConfig, student: Student, space: dict[str, Tensor], paths: list[Shard]
) -> str:
    """Give a student what --init has of it; space: as checkpoint.warm_start(). Says how much."""
    taken = checkpoint.warm_start(config.init, student, space)
    if pretrained.kind_of(config.init) in pretrained.FOLDED:
        student.settle(to_input(some_images(config, paths)))
    return taken


def some_images(config: TrainConfig, paths: list[Shard]) -> Tensor:
    """(SETTLING, size, size, 3) uint8 training views, the same for every process."""
    loader = Loader(
        paths,
        size=config.student.size,
        batch=SETTLING,
        seed=config.seed,
        epoch=0,
        keep=lambda id, text: not labels.held_out_image(id, text),
        augment=config.augment,
        memory=1 << 24,
    )
    return next(iter(loader)).images


def training_images(
    config: TrainConfig,
    world: World,
    paths: list[Shard],
    epoch: int,
    steps: int,
    weight: Callable[[str], float],
) -> Loader:
    """What this process shows in an epoch (from 0) of so many steps."""
    return Loader(
        paths,
        size=side(epoch, config),
        batch=config.batch_size,
        seed=config.seed,
        epoch=epoch,
        rank=world.rank,
        world_size=world.size,
        workers=config.workers,
        weight=weight,
        keep=lambda id, text: not labels.held_out_image(id, text),
        augment=config.augment,
        teacher=space.folder(config),
        memory=config.memory_bytes,
        length=steps * config.accum_freq,
    )


def inputs(batch: Batch, classes: labels.Classes | None, world: World) -> Inputs:
    """What the net takes, on its device."""
    label = task.target(batch.texts, classes)
    columns = (batch.images, label, batch.teacher, batch.teacher_text)
    return tuple(x if x is None else x.to(world.device, non_blocking=True) for x in columns)


def train(config: TrainConfig) -> Student:
    """Make the run that `config` describes. Returns the trained student."""
    try:
        paths = shards.expand(config.train_data)
    except ValueError as e:
        raise SystemExit(f"--train-data: {e}") from None
    space.check(config)
    if config.init and not (pretrained.kind_of(config.init) or Path(config.init).exists()):
        raise SystemExit(f"--init {config.init}: there is no such run or checkpoint")
    world = join(config.device)
    run.open_run(config, world)
    reporter = run.Reporter(config, world)
    index = task.make_index(config, paths, world)
    per_step = config.step_images * world.size
    epoch_steps = task.epoch_images(index, config) // per_step
    if not epoch_steps:
        raise SystemExit(
            f"{task.epoch_images(index, config)} images to train on are fewer than the"
            f" {per_step} of a step; skipped: {index['skipped'] or 'none'}"
        )
    student, loss, classes = begin(config, world, index, paths)
    optimizer = make_optimizer(student, loss, config)
    epoch, step = 0, 0
    if config.resume:
        path = checkpoint.find(config.run, config.resume)
        epoch, step, before = checkpoint.resume(path, student, loss.space(), optimizer)
        log.info(f"going on after epoch {epoch} of {path}")
        run.tell_changes(before, config)
        run.write_options(config, world)
        run.trim_results(config.run, epoch, world)
    student.set_grad_checkpointing(config.grad_checkpointing)
    forward = torch.compile(student) if config.torchcompile else student
    net: nn.Module = Net(forward, loss, config.precision == "amp_bf16")
    if world.size > 1:
        net = DistributedDataParallel(net, **{BUFFERS: False}, gradient_as_bucket_view=True)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    statistics = [b for b in student.buffers() if b.is_floating_point()]
    weight, validation = task.weight_of(index, classes, config), None
    while epoch < config.epochs:
        torch.manual_seed((config.seed * 1000 + epoch) * world.size + world.rank)
        loader = training_images(config, world, paths, epoch, epoch_steps, weight)
        progress = Progress(config, world, epoch, epoch_steps)
        for batches in progress.batches(loader):
            # Epochs differ by a few steps; the learning rate goes by their expected number.
            at = epoch * epoch_steps + progress.done
            rate = learning_rate(at, epoch_steps * config.epochs, config)
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("rate", 1.0)
            optimizer.zero_grad(set_to_none=True)
            total, parts = backward(net, [inputs(b, classes, world) for b in batches])
            nn.utils.clip_grad_norm_(params, config.grad_clip_norm)
            optimizer.step()
            progress.step(total, parts, rate)
        if not progress.done:
            raise SystemExit("this epoch has no whole batch: lower --batch-size")
        step += progress.done
        epoch += 1
        world.mean(statistics)
        row = {"epoch": epoch, "step": step, "size": side(epoch - 1, config)}
        row |= progress.row() | {"lr": rate, "loss": progress.losses()}
        row["scale"] = [round(s, 1) for s in loss.scales().tolist()]
        row["skipped"] = skipped(loader, world)
        row["shards_read"] = world.sum(loader.reads.total())
        every = config.zeroshot_frequency
        if every and (epoch % every == 0 or epoch == config.epochs):
            validation = validation or task.load_validation(config, paths, classes, world)
            row |= task.validate(student, loss, validation, world)
        if world.rank == 0:
            run.report(row, config.run, reporter)
            checkpoint.save(config.run, config, student, loss.space(), optimizer, epoch, step)
        world.barrier()
    reporter.close()
    return student.eval()


def skipped(loader: Loader, world: World) -> dict[str, int]:
    """Counts of an epoch, of all processes together.

    Each decodes its own images; shards are read by all processes, or dealt out to them.
    """
    reasons = shards.REASONS if loader.dealt else ("bad image",)
    counts = Counter(loader.skipped) | Counter({r: world.sum(loader.skipped[r]) for r in reasons})
    return {k: n for k, n in sorted(counts.items()) if n}
