# SPDX-License-Identifier: MIT
"""Turn a checkpoint into the integer graph, fine-tuned on its own int8 grid, and measure it.

    python -m tinyvlm.train.export --run runs/first --data ../shared/data --qat-steps 300

Written into --run: `graph.pkl` (a `tinyvlm.graph.Graph`), `report.json` (accuracies, provenance).
Validation uses the classes and images set aside from the training data; `--final` adds the four
evaluation sets, which nothing is ever chosen by.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from pathlib import Path

import numpy as np
import torch

from tinyvlm import graph
from tinyvlm.train import data, evaluate, labels, quantize, text
from tinyvlm.train.loss import MatryoshkaCE, top1
from tinyvlm.train.student import DIMS, Block, Student, StudentConfig, cost_table, to_input
from tinyvlm.train.train import Task, TrainConfig, make_loss, make_task


def load_run(run: Path) -> tuple[TrainConfig, Student, dict]:
    """Configuration, student and raw checkpoint of a training run."""
    state = torch.load(run / "last.pt", weights_only=False)
    raw = dict(state["config"])
    net = dict(raw.pop("student"))
    net["blocks"] = tuple(Block(**b) for b in net["blocks"])
    config = TrainConfig(student=StudentConfig(**net), **raw)
    model = Student(config.student).to(memory_format=torch.channels_last)
    model.load_state_dict(state["model"])
    return config, model.eval(), state


def text_space(state: dict, table: text.TextTable) -> text.TextSpace:
    """The run's text projection, rounded to the float16 that the lexicon stores."""
    matrix = state["loss"]["matrix"].numpy()
    rounded = (a.astype(np.float16).astype(np.float32) for a in (table.centre, matrix))
    return text.TextSpace(*rounded)


def centre_embeddings(
    model: Student, task: Task, config: TrainConfig, amount: float, count: int = 4096
) -> None:
    """Take `amount` of the mean embedding out of the head's bias.

    The mean over training images is what the student says about no image in particular: which
    names were frequent. Words it never saw should not have to compete with that.
    """
    seed = config.seed + 555
    order = data.epoch_order(task.images, task.train, count, config.balance, seed)[:count]
    embed = evaluate.float_embedder(model)
    batches = data.eval_batches(task.images, order, config.large)
    mean = np.concatenate([embed(x) for x, _ in batches]).mean(0)
    with torch.no_grad():
        model.head.bias -= amount * torch.from_numpy(mean)


def finetune(
    nodes: list[quantize.Node],
    quants: dict[str, graph.Quant],
    task: Task,
    loss: MatryoshkaCE,
    config: TrainConfig,
    steps: int,
    lr: float,
) -> None:
    """Quantization-aware fine-tuning: weights move, grids of activations stay."""
    params = [p for node in nodes for p in (node.w, node.b) if p is not None]
    optimizer = torch.optim.Adam(params, lr=lr)
    seed = config.seed + 777
    order = data.epoch_order(
        task.images, task.train, steps * config.batch + 9999, config.balance, seed
    )
    order = order[: steps * config.batch]
    batches = data.train_batches(task.images, order, config.large, config.batch, seed)
    total = 0.0
    for step, (images, ids) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        z = quantize.run(nodes, to_input(torch.from_numpy(images)), quants)
        value, _ = loss(z, torch.from_numpy(task.target[ids]))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        total += value.item()
        if (step + 1) % 50 == 0:
            print(f"int8 fine-tuning step {step + 1}/{steps} loss {total / 50:.4f}", flush=True)
            total = 0.0


def validate(embed: evaluate.Embed, task: Task, vectors: np.ndarray, size: int) -> dict:
    """Top-1 at each prefix on the parts of the training data that were set aside."""
    report = {}
    for key, ids in (("seen", task.seen), ("unseen", task.unseen)):
        classes, label = np.unique(task.target[ids], return_inverse=True)
        z = np.concatenate([embed(x) for x, _ in data.eval_batches(task.images, ids, size)])
        acc = top1(
            torch.from_numpy(z), torch.from_numpy(vectors[classes]), torch.from_numpy(label), DIMS
        )
        report[key] = {d: round(a, 2) for d, a in zip(DIMS, acc, strict=True)}
    return report


def provenance(config: TrainConfig, state: dict, task: Task, log: list[dict]) -> dict:
    """What the model was trained on and how, as JSON values."""
    images = task.images
    parts = np.bincount(images.part[task.train], minlength=len(images.parts))
    costs = cost_table(config.student, config.large)
    return {
        "model": f"inverted residuals, {config.large}x{config.large}x3 to {config.student.dim}",
        "macs": sum(row[2] for row in costs),
        "weights": sum(row[3] for row in costs),
        "text_encoder": text.TEXT_ENCODER,
        "data_sets": {images.parts[i]: int(n) for i, n in enumerate(parts) if n},
        "images": len(task.train),
        "class_names": len(set(task.target[task.train].tolist())),
        "held_out_classes": sorted(labels.HELD_OUT),
        "images_shown": sum(row["images"] for row in log),
        "epochs": round(sum(row["images"] for row in log) / len(task.train), 2),
        "minutes": round(sum(row["seconds"] for row in log) / 60, 1),
        "machine": "2 CPU cores, shared",
        "seed": config.seed,
        "config": state["config"],
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", type=Path, default=Path("runs/first"))
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--name", default="first-light")
    p.add_argument("--qat-steps", type=int, default=300)
    p.add_argument("--qat-lr", type=float, default=1e-4)
    p.add_argument("--equalize", type=float, default=0.5)
    p.add_argument("--centre", type=float, default=0.75, help="part of the mean embedding to drop")
    p.add_argument("--calibration-images", type=int, default=1024)
    p.add_argument("--final", action="store_true", help="measure on the evaluation sets too")
    args = p.parse_args()

    config, model, state = load_run(args.run)
    images = data.load(args.data / "train", args.cache)
    task = make_task(images, config.seed)
    if args.centre:
        centre_embeddings(model, task, config, args.centre)
    table = text.load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    text.add_estimates(table, task.names)
    space = text_space(state, table)
    loss = make_loss(task, table, space, config)
    loss.log_scale.data.copy_(state["loss"]["log_scale"])
    vectors = space.project(np.stack([table.vector[table.find(n)] for n in task.names]))
    log = [json.loads(line) for line in (args.run / "log.jsonl").read_text().splitlines()]
    report = provenance(config, state, task, log)
    report["text_space"] = space.name
    report["validation"] = {
        "float": validate(evaluate.float_embedder(model), task, vectors, config.large)
    }
    print(json.dumps(report["validation"]), flush=True)

    nodes = quantize.fold(model)
    pick = np.random.default_rng(5).choice(task.train, args.calibration_images, replace=False)
    batches = [
        to_input(torch.from_numpy(x)) for x, _ in data.eval_batches(images, pick, config.large)
    ]
    if args.equalize:
        quantize.equalize(nodes, batches, args.equalize)
    quants = quantize.calibrate(nodes, batches)
    scales = dict(zip(map(str, DIMS), (round(s, 2) for s in loss.scales().tolist()), strict=True))
    info = {
        "logit_scale": scales,
        "name": args.name,
        "text_space": space.name,
        "text_encoder": text.TEXT_ENCODER,
    }
    g = quantize.to_graph(nodes, quants, config.large, info)
    report["validation"]["int8 before fine-tuning"] = validate(
        evaluate.int8_embedder(g), task, vectors, config.large
    )
    print(json.dumps(report["validation"]), flush=True)
    if args.qat_steps:
        began = time.monotonic()
        finetune(nodes, quants, task, loss, config, args.qat_steps, args.qat_lr)
        g = quantize.to_graph(nodes, quants, config.large, info)
        report["qat"] = {
            "steps": args.qat_steps,
            "minutes": round((time.monotonic() - began) / 60, 1),
        }
        report["validation"]["int8"] = validate(
            evaluate.int8_embedder(g), task, vectors, config.large
        )
        print(json.dumps(report["validation"]), flush=True)
    if args.final:
        report["evaluation"] = {
            kind: evaluate.score_all(embed, args.data, args.cache, table, space)
            for kind, embed in (
                ("float", evaluate.float_embedder(model)),
                ("int8", evaluate.int8_embedder(g)),
            )
        }
        print(json.dumps(report["evaluation"]), flush=True)
    g.info |= {k: report[k] for k in ("data_sets", "images", "epochs", "minutes", "seed")}
    with open(args.run / "graph.pkl", "wb") as f:
        pickle.dump(g, f)
    (args.run / "report.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
