# SPDX-License-Identifier: MIT
"""tinyvlm-train export --run logs/base --out base.tvlm: a trained run as the file for the device.

The newest checkpoint is folded, calibrated, fine-tuned in int8 and written.  Of the int8 nets
before and after fine-tuning the better one is taken, by the images and classes held out of
training.  Beside it, in the folder of the run: `report.json` (where the model comes from, what it
needs, float and int8 validation) and `qat.jsonl` (the fine-tuning).  Evaluation sets are not read
here: `tinyvlm-eval` does that.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tinyvlm.net import cost, graph, tvlm
from tinyvlm.net.plan import plan as make_plan
from tinyvlm.train import (
    average,
    checkpoint,
    integer,
    labels,
    quantize,
    shards,
    space,
    task,
    text,
)
from tinyvlm.train.config import DIMS, Help, TrainConfig
from tinyvlm.train.distributed import World, join
from tinyvlm.train.loader import Loader
from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.streams import Shard
from tinyvlm.train.student import to_input
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.space import TextMap, save_space, space_beside

LOG_EVERY = 25  # steps of fine-tuning
BATCH = 128  # images at a time when nothing is learnt
HITS = ("seen", "unseen", "retrieval")  # what `task.validate` gives in per cent


class Int8(nn.Module):
    """An integer graph in the place of a student: its embeddings of (n, 3, H, W) in [-1, 1)."""

    def __init__(self, net: graph.Graph):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        pixels = (x * 128.0).to(torch.int8).permute(0, 2, 3, 1)
        return integer.run(self.net, pixels).float()


@dataclass
class Data:
    """What a run was trained on, and how to validate what comes out of it."""

    config: TrainConfig
    paths: list[Shard]
    index: dict
    classes: labels.Classes | None
    loss: MatryoshkaLoss
    validation: task.Validation
    world: World

    def loader(self, epoch: int, batch: int, augment: bool) -> Loader:
        """Training images, weighted as in training; epochs as training never had them."""
        return Loader(
            self.paths,
            size=self.config.student.size,
            batch=batch,
            seed=self.config.seed,
            epoch=self.config.epochs + epoch,
            workers=self.config.workers,
            weight=task.weight_of(self.index, self.classes, self.config),
            keep=lambda id, text: not labels.held_out_image(id, text),
            augment=self.config.augment if augment else "",
            teacher=space.folder(self.config) if augment else None,
            memory=self.config.memory_bytes,
        )

    def validate(self, student: nn.Module) -> dict[str, list[float]]:
        """`task.validate`: per cent right on what is held out of training, at each prefix."""
        report = task.validate(student, self.loss, self.validation, self.world)
        student.eval()
        return report


def text_space(point: checkpoint.Checkpoint, config: TrainConfig) -> TextMap:
    """The map from CLIP's text space to the student's, in the float16 that a lexicon stores."""
    return text.stored_map(point.centre, point.matrix, space.text_encoder(config))


def load_data(point: checkpoint.Checkpoint, config: TrainConfig) -> Data:
    """Shards, classes and loss of a run, its text space as it will be used."""
    try:
        paths = shards.expand(config.train_data)
    except ValueError as e:
        raise SystemExit(f"--train-data: {e}") from None
    space.check(config)
    world = join(config.device)
    if world.device.type == "mps":
        world = join("cpu")  # Apple's GPUs have no float64, which the engine's integers need
    index = task.make_index(config, paths, world)
    loss, classes = space.make_loss(config, index, paths, world)
    tensors, _ = checkpoint.read(point.path)
    rounded = text_space(point, config)
    matrix = torch.tensor(np.ascontiguousarray(rounded.projection.T))
    tensors |= {"matrix": matrix, "centre": torch.tensor(rounded.centre)}
    with torch.no_grad():
        for key, own in loss.space().items():
            own.copy_(tensors[key])
    loss = loss.requires_grad_(False).to(world.device)
    validation = task.load_validation(config, paths, classes, world)
    return Data(config, paths, index, classes, loss, validation, world)


# -- int8 ----------------------------------------------------------------------------------------


def finetune(
    nodes: list[quantize.Node],
    quants: dict[str, graph.Quant],
    data: Data,
    steps: int,
    lr: float,
    tell: Callable[[dict], None],
) -> None:
    """Train on in int8 with the losses of the run: weights move, activations keep their scales."""
    params = [p for node in nodes for p in (node.w, node.b) if p is not None]
    optimizer = torch.optim.Adam(params, lr=lr)
    torch.manual_seed(data.config.seed)
    device, began = data.world.device, time.monotonic()
    done, total = 0, 0.0
    while done < steps:
        before = done
        for batch in data.loader(1 + done, data.config.batch_size, True):
            rate = lr * (1 - done / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            label = task.target(batch.texts, data.classes)
            images, *rest = (
                x if x is None else x.to(device)
                for x in (batch.images, label, batch.teacher, batch.teacher_text)
            )
            value, _ = data.loss(quantize.run_int8(nodes, images, quants), *rest)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            done, total = done + 1, total + value.item()
            if done % LOG_EVERY == 0 or done == steps:
                seconds = round(time.monotonic() - began, 1)
                mean = total / (done % LOG_EVERY or LOG_EVERY)
                tell({"step": done, "loss": round(mean, 4), "lr": rate, "seconds": seconds})
                total = 0.0
            if done == steps:
                break
        if done == before:
            raise SystemExit("the data have no whole batch to fine-tune with: use more shards")


def shares(label: Tensor) -> Tensor:
    """(n,): how much each image counts where every class counts once, -1 (none) not at all.

    Without any class all count alike.
    """
    known = label >= 0
    if not known.any():
        return torch.full(label.shape, 1 / len(label))
    count = torch.bincount(label[known])
    return known / count[label.clamp(min=0)].clamp(min=1) / (count > 0).sum()


@torch.no_grad()
def centre(
    embed: Callable[[Tensor], Tensor],
    images: list[Tensor],
    share: Tensor,
    head: nn.Parameter,
    part: float,
):
    """Take `part` of the mean embedding out of the head's bias; share: of each image, from above.

    The mean over training images is what the student says about no image in particular.  Words it
    never saw should not have to compete with that.  Every class counts once: people are on one
    image in seven, and a mean with so many of them takes "person" from all others, too.
    """
    seen = torch.cat([embed(x) for x in images])
    head -= part * share.to(seen) @ seen


def finish(
    nodes: list[quantize.Node],
    quants: dict[str, graph.Quant],
    images: list[Tensor],
    share: Tensor,
    part: float,
    info: dict,
) -> graph.Graph:
    """The graph of the nodes, centred; they stay as they are."""
    nodes = copy.deepcopy(nodes)
    centre(lambda x: quantize.run_int8(nodes, x, quants), images, share, nodes[-1].b, part)
    moved = quantize.calibrate(nodes, images[:4])
    outputs = (quantize.EMBEDDING, quantize.DENSE)
    quants = quants | {name: moved[name] for name in outputs}
    return quantize.to_graph(nodes, quants, images[0].shape[1], info)


def score(scores: dict[str, list[float]]) -> float:
    """One figure to choose by: the mean over prefixes of what is right in per cent."""
    rows = [scores[key] for key in HITS if key in scores] or [scores["teacher"]]
    return float(np.mean(rows))


# -- report --------------------------------------------------------------------------------------


def provenance(point: checkpoint.Checkpoint, data: Data) -> dict:
    """What the model was trained on and for how long, as JSON values."""
    file = data.config.run / "results.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [row for row in map(json.loads, lines) if row["epoch"] <= point.epoch]
    classes = data.classes
    return {
        "data_sets": data.index["sets"],
        "images": data.index["trained"],
        "class_names": len(set(classes.index.values())) if classes else 0,
        "held_out_classes": sorted(labels.HELD_OUT),
        "epochs": point.epoch,
        "images_shown": sum(row["images"] for row in rows),
        "minutes": round(sum(row["seconds"] for row in rows) / 60, 1),
        "seed": point.config.seed,
    }


def needs(net: graph.Graph, size: int) -> dict:
    """What the file will take of a device."""
    plan = make_plan(net)
    # The dense map has the weights of the embedding.
    own = (x for x in net.layers if hasattr(x, "weights") and not net.is_dense(x.name))
    try:
        cycles = round(cost.cycles(net, plan))
    except KeyError:  # a layer that the cost model has not measured
        cycles = None
    return {
        "file_bytes": size,
        "arena_bytes": plan.arena_size,
        "weights": sum(x.weights.size for x in own),
        "macs": sum(net.macs().values()),
        "cycles": cycles,
    }


def make(args: argparse.Namespace) -> dict:
    """Export as the options say; returns the report."""
    point = checkpoint.load(args.run)
    given = {
        key: getattr(args, key) for key in ("train_data", "text_vectors", "teacher", "device")
    }
    given = {key: value for key, value in given.items() if value}
    run = args.run.resolve()
    config = replace(point.config, **given, logs=str(run.parent), name=run.name)
    data = load_data(point, config)
    device = data.world.device
    if args.part < 1:
        average.between(point.model, config, data.loss.space(), data.paths, args.part)
    model = point.model.to(device)
    count = -(-args.calibration_images // BATCH)
    batches = list(islice(data.loader(0, BATCH, False), count))
    if not batches:
        raise SystemExit("--train-data has no image to calibrate with")
    images = [batch.images.to(device) for batch in batches]
    share = shares(torch.cat([task.target(batch.texts, data.classes) for batch in batches]))
    scales = dict(zip(DIMS, (round(s, 2) for s in data.loss.scales().tolist()), strict=True))
    words = text_space(point, config)
    info = {
        "name": args.name or args.out.stem,
        "text_space": words.name,
        "text_encoder": space.text_encoder(config),
        "logit_scale": {str(dim): scale for dim, scale in scales.items()},
        **({"scheme": config.student.scheme} if config.student.scheme != "tflite" else {}),
    }
    source = provenance(point, data)
    info |= {k: source[k] for k in ("data_sets", "images", "epochs", "minutes", "seed")}

    nodes = quantize.fold(model)
    if args.equalize:
        quantize.equalize(nodes, images, args.equalize)
    quants = quantize.calibrate(nodes, images)
    with torch.no_grad():
        centre(lambda x: model(to_input(x)), images, share, model.head.bias, args.centre)
    validation = {"float": data.validate(model)}
    say(f"float: {validation['float']}")

    def candidate(name: str) -> graph.Graph:
        net = finish(nodes, quants, images, share, args.centre, info)
        validation[name] = data.validate(Int8(net))
        say(f"{name}: {validation[name]}")
        return net

    nets = {"int8": candidate("int8")}
    began = time.monotonic()
    if args.qat_steps:
        with open(args.run / "qat.jsonl", "w") as file:

            def tell(row: dict) -> None:
                print(json.dumps(row), file=file, flush=True)
                say(f"int8 step {row['step']} of {args.qat_steps}: loss {row['loss']:.4f}")

            finetune(nodes, quants, data, args.qat_steps, args.qat_lr, tell)
        nets["fine-tuned"] = candidate("fine-tuned")
    chosen = max(nets, key=lambda name: score(validation[name]))
    report = {
        **info,
        **source,
        **needs(nets[chosen], tvlm.write(nets[chosen], args.out)),
        "validation": validation,
        "chosen": chosen,
        "int8_loss": {
            key: [round(a - b, 3) for a, b in zip(row, validation[chosen][key], strict=True)]
            for key, row in validation["float"].items()
        },
        "qat_minutes": round((time.monotonic() - began) / 60, 1),
        "export": {k: v for k, v in vars(args).items() if isinstance(v, int | float)},
        "config": asdict(point.config),
    }
    beside = space_beside(args.out)
    if words.name == create_text_encoder("lexicon").space:
        beside.unlink(missing_ok=True)  # of another run
    else:
        save_space(words, beside)
        say(f"{beside}: its own text space, for --text-encoder {info['text_encoder']}")
    (args.run / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def say(line: str) -> None:
    print(line, flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="tinyvlm-train export",
        formatter_class=Help,
        description="Write the int8 encoder of a training run.",
    )
    p.add_argument("--run", type=Path, required=True, help="folder of the run")
    p.add_argument("--out", type=Path, required=True, metavar="FILE.tvlm", help="file to write")
    p.add_argument("--name", default="", help="name of the encoder (default: of the file)")
    p.add_argument(
        "--part", type=float, default=1.0, help="of the way from --init to the run (1: all of it)"
    )
    p.add_argument("--qat-steps", type=int, default=300, help="steps of fine-tuning in int8")
    p.add_argument("--qat-lr", type=float, default=1e-4, help="learning rate of its first step")
    p.add_argument("--centre", type=float, default=0.5, help="part of the mean embedding to drop")
    p.add_argument("--equalize", type=float, default=0.5, help="0: leave channels, 1: all alike")
    p.add_argument("--calibration-images", type=int, default=2048, help="to choose scales by")
    for flag in ("train-data", "text-vectors", "teacher", "device"):
        p.add_argument(f"--{flag}", default="", help="if it is not where training had it")
    args = p.parse_args(argv)
    if not (args.run / checkpoint.FOLDER).is_dir():
        p.error(f"--run {args.run}: no checkpoint in there; train first, or name another folder")
    if args.out.suffix != ".tvlm" or not args.out.parent.is_dir():
        p.error(f"--out {args.out}: name a file that ends in .tvlm, in a folder that exists")
    if args.qat_steps < 0 or args.qat_lr <= 0 or args.calibration_images < 1:
        p.error("--qat-steps must not be negative, --qat-lr and --calibration-images more than 0")
    if not all(0 <= value <= 1 for value in (args.centre, args.equalize, args.part)):
        p.error("--centre, --equalize and --part must be between 0 and 1")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    report = make(args)
    worst = max((max(row) for key, row in report["int8_loss"].items() if key in HITS), default=0)
    say(
        f"{args.out}: {report['file_bytes']} bytes, {report['arena_bytes']} of RAM,"
        f" {report['macs'] / 1e6:.2f} M MACs; at most {worst:.1f} points below float"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
