# SPDX-License-Identifier: MIT
"""Train a student on class-labelled photos against CLIP's text vectors of the class names.

    python -m tinyvlm.train.train --data ../shared/data --out runs/first --minutes 40

Written to --out: `log.jsonl` (one line an epoch), `last.pt` (checkpoint, `--resume` continues it).
On several cores it is fastest with one process a core:

    torchrun --nproc-per-node 2 -m tinyvlm.train.train ...

With --minutes the learning rate follows the clock and the run ends on time whatever the machine;
without it the run makes exactly --epochs epochs and depends on --seed alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tinyvlm.train import data, labels, text
from tinyvlm.train.config import read
from tinyvlm.train.loss import MatryoshkaCE, top1
from tinyvlm.train.student import DIMS, Student, StudentConfig, to_input


@dataclass
class TrainConfig:
    """Everything that decides a run."""

    epochs: int = 20
    minutes: float = 0.0  # 0: by epochs
    batch: int = 192  # of all processes together
    lr: float = 3e-3
    weight_decay: float = 0.02
    warmup: float = 0.03  # part of the run
    small: int = 64  # image side for most of the run ...
    large: int = 96  # ... and at its end
    large_from: float = 0.8  # part of the run after which sides are large
    balance: float = 0.5  # a class with n images is drawn in proportion to n**balance
    epoch_images: int = 80_000
    alpha: float = 0.5  # whitening of the text space
    learn_matrix: bool = False  # train the 512 -> 256 map too ...
    matrix_rate: float = 0.01  # ... at this part of lr: much more, and unseen words get worse
    smoothing: float = 0.1
    hypernyms: float = 0.25
    last: int = 0  # channels of the last 1x1; 0: as in `student`
    teacher: float = 0.0  # weight of the soft-label teacher's points (teacher.py)
    seed: int = 1
    student: StudentConfig = field(default_factory=lambda: read("base", "--model")["student"])


@dataclass
class Task:
    """Images and class numbers: what to train on and what to watch."""

    images: data.ImageSet
    names: list[str]  # text name of each class number
    target: np.ndarray  # (images,) class number of each image, -1: none
    train: np.ndarray  # image numbers
    seen: np.ndarray  # image numbers of a 2 % validation part, Tiny-ImageNet classes
    unseen: np.ndarray  # image numbers of the classes set aside


def make_task(images: data.ImageSet, seed: int) -> Task:
    """Map data set classes to text names; set classes and images aside."""
    plain = [labels.text_name(n) for n in images.names]
    held = labels.held_out_names()
    used = sorted({n for n in plain if n != data.UNLABELLED} | set(labels.ABOVE))
    index = {n: i for i, n in enumerate(used)}
    target = np.array([index.get(n, -1) for n in plain])[images.label]
    aside = np.array([n in held for n in plain])[images.label]
    tiny = images.part == images.parts.index("tiny-imagenet")
    rng = np.random.default_rng(seed)
    val = rng.uniform(size=len(images)) < 0.02
    return Task(
        images,
        used,
        target,
        np.flatnonzero((target >= 0) & ~aside & ~val),
        np.flatnonzero(tiny & ~aside & val),
        np.flatnonzero(tiny & aside)[::3],
    )


def make_loss(task: Task, table: text.TextTable, space: text.TextSpace, config: TrainConfig):
    """The loss over the class names of `task` that are not set aside."""
    clip = np.stack([table.vector[table.find(n)] for n in task.names]) - table.centre
    above, ignore = labels.related(task.names)
    kwargs = dict(learn_matrix=config.learn_matrix, smoothing=config.smoothing)
    loss = MatryoshkaCE(
        clip, space.matrix, DIMS, above, ignore, hypernyms=config.hypernyms, **kwargs
    )
    # Names set aside are in no logits: mask them for every target.
    held = torch.tensor([n in labels.held_out_names() for n in task.names])
    loss.ignore |= held[None, :]
    loss.target[:, held] = 0
    loss.target /= loss.target.sum(1, keepdim=True).clamp(min=1e-6)
    return loss


@torch.no_grad()
def embed(model: nn.Module, images: data.ImageSet, ids: np.ndarray, size: int) -> Tensor:
    """(len(ids), dim) embeddings of centre crops."""
    model.eval()
    parts = [model(to_input(torch.from_numpy(x))) for x, _ in data.eval_batches(images, ids, size)]
    model.train()
    return torch.cat(parts)


def watch(model: nn.Module, loss: MatryoshkaCE, task: Task, size: int) -> dict[str, list[float]]:
    """Accuracy in per cent at each prefix: seen classes (images aside) and classes set aside."""
    text_all, report = loss.text().detach(), {}
    for key, ids in (("seen", task.seen), ("unseen", task.unseen)):
        classes, label = np.unique(task.target[ids], return_inverse=True)
        z = embed(model, task.images, ids, size)
        acc = top1(z, text_all[torch.from_numpy(classes)], torch.from_numpy(label), DIMS)
        report[key] = [round(a, 1) for a in acc]
    return report


def learning_rate(progress: float, config: TrainConfig) -> float:
    """Linear warm-up, then cosine to 1 % of the peak; progress in 0..1."""
    if progress < config.warmup:
        return config.lr * (progress + 1e-3) / (config.warmup + 1e-3)
    p = (progress - config.warmup) / (1 - config.warmup)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(p, 1.0))))


def make_optimizer(model: nn.Module, loss: nn.Module, config: TrainConfig):
    """AdamW; no decay on vectors; the text projection moves at its own, low rate."""
    params = list(model.parameters())
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in params if p.ndim <= 1] + [loss.log_scale], "weight_decay": 0.0},
    ]
    if config.learn_matrix:
        groups.append({"params": [loss.matrix], "weight_decay": 0.0, "rate": config.matrix_rate})
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98))


def share(tensors: list[Tensor], world: int) -> None:
    """Replace tensors by their mean over all processes, in one message."""
    if world > 1:
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        parts = (flat / world).split([t.numel() for t in tensors])
        for t, part in zip(tensors, parts, strict=True):
            t.copy_(part.view_as(t))


def warm_start(model: nn.Module, path: Path) -> None:
    """Take what fits from another run's checkpoint: tensors of the same name and shape."""
    state = torch.load(path, weights_only=False)["model"]
    own = model.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    model.load_state_dict(fits, strict=False)
    print(f"{len(fits)} of {len(own)} tensors from {path}", flush=True)


def train(
    config: TrainConfig,
    task: Task,
    loss: MatryoshkaCE,
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    teacher: Path | None = None,
) -> Student:
    """The loop. Returns the trained student."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.manual_seed(config.seed)
    model = Student(config.student).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, loss, config)
    epoch, step, spent = 0, 0, 0.0
    if init:
        warm_start(model, init)
    points = None
    if teacher:
        with np.load(teacher) as file:
            points = {key: file[key] for key in ("index", "vector")}
    if resume and (out / "last.pt").exists():
        state = torch.load(out / "last.pt", weights_only=False)
        model.load_state_dict(state["model"])
        loss.load_state_dict(state["loss"])
        optimizer.load_state_dict(state["optimizer"])
        epoch, step, spent = state["epoch"], state["step"], state["spent"]
    steps = config.epochs * (config.epoch_images // config.batch)
    torch.manual_seed(config.seed + 100 * epoch + rank)
    start, progress = time.monotonic() - spent, 0.0
    clock = torch.full((1,), spent / 60)  # minutes, the mean over the processes
    params = [p for group in optimizer.param_groups for p in group["params"]]
    statistics = [b for b in model.buffers() if b.is_floating_point()]
    while progress < 1:
        seed = config.seed * 1000 + epoch
        order = data.epoch_order(
            task.images, task.train, config.epoch_images, config.balance, seed
        )
        order = order[: len(order) // world * world][rank::world]
        size = config.large if progress >= config.large_from else config.small
        sums, count, began = np.zeros(len(DIMS)), 0, time.monotonic()
        batches = data.train_batches(
            task.images, order, size, config.batch // world, seed * world + rank
        )
        for images, ids in batches:
            progress = clock.item() / config.minutes if config.minutes else step / steps
            if progress >= 1 or (size != config.large and progress >= config.large_from):
                break
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(progress, config) * group.get("rate", 1.0)
            label = torch.from_numpy(task.target[ids])
            z = model(to_input(torch.from_numpy(images)))
            total, each = loss(z, label)
            if points is not None:
                row = points["index"][ids]
                point = points["vector"][row].astype(np.float32) * (row >= 0)[:, None]
                total = total + config.teacher * loss.distill(z, torch.from_numpy(point))
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            spent = time.monotonic() - start
            clock.fill_(spent / 60)
            share([p.grad for p in params] + [clock], world)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            sums, count, step = sums + each.numpy(), count + 1, step + 1
            if step % 100 == 0 and rank == 0:
                print(f"step {step} {progress:.3f} loss {sums.mean() / count:.3f}", flush=True)
        epoch += 1
        if not config.minutes:
            progress = step / steps
        if not count:
            continue
        share(statistics, world)
        if rank:
            continue
        row = {
            "epoch": epoch,
            "progress": round(progress, 3),
            "size": size,
            "images": count * config.batch,
            "seconds": round(time.monotonic() - began),
            "loss": [round(float(s), 3) for s in sums / count],
            "scale": [round(s, 1) for s in loss.scales().tolist()],
            **watch(model, loss, task, size),
        }
        print(json.dumps(row), flush=True)
        with open(out / "log.jsonl", "a") as f:
            f.write(json.dumps(row) + "\n")
        torch.save(
            {
                "model": model.state_dict(),
                "loss": loss.state_dict(),
                "optimizer": optimizer.state_dict(),
                "config": asdict(config),
                "epoch": epoch,
                "step": step,
                "spent": spent,
            },
            out / "last.pt",
        )
    return model


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"), help="data folder")
    p.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded images")
    p.add_argument("--out", type=Path, default=Path("runs/first"))
    p.add_argument("--resume", action="store_true")
    p.add_argument("--init", type=Path, help="start from the student of this checkpoint")
    p.add_argument("--threads", type=int, default=0, help="torch threads (0: torch decides)")
    for key, value in asdict(TrainConfig()).items():
        if isinstance(value, bool):
            p.add_argument("--" + key.replace("_", "-"), action="store_true")
        elif isinstance(value, int | float):
            p.add_argument("--" + key.replace("_", "-"), type=type(value), default=value)
    return p.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    known = {k: v for k, v in vars(args).items() if k in TrainConfig.__dataclass_fields__}
    config = TrainConfig(**known)
    if config.last:
        config.student = replace(config.student, last=config.last)
    if args.threads:
        torch.set_num_threads(args.threads)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("gloo")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(json.dumps(asdict(config), indent=1))
    images = data.load(args.data / "train", args.cache)
    task = make_task(images, config.seed)
    table = text.load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    text.add_estimates(table, task.names)
    space = text.whitened_pca(table, config.student.dim, config.alpha)
    loss = make_loss(task, table, space, config)
    print(f"{len(task.train)} images, {len(task.names)} names, text space {space.name}")
    teacher = args.cache / "teacher.npz" if config.teacher else None
    train(config, task, loss, args.out, args.resume, args.init, teacher)


if __name__ == "__main__":
    main()
