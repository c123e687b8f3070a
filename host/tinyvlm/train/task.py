# SPDX-License-Identifier: MIT
"""What a run trains on and validates with: counts of the shards, weights of samples, validation.

Never trained on are the classes of `labels.HELD_OUT` (`unseen`) and, of every data set, one image
in 50 by a hash of its id (`seen`).
"""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tinyvlm.files import write_atomic
from tinyvlm.train import labels, shards, space, streams, teacher_cache
from tinyvlm.train.config import DIMS, TrainConfig
from tinyvlm.train.distributed import World
from tinyvlm.train.labels import Classes
from tinyvlm.train.loader import Loader
from tinyvlm.train.loss import MatryoshkaLoss, top1
from tinyvlm.train.shards import Known
from tinyvlm.train.streams import Shard
from tinyvlm.train.student import to_input

log = logging.getLogger("tinyvlm")

REPEATS = 8  # at most so often is an image of a rare class shown in an epoch
VALIDATED = 4096  # at most so many images of a kind validate
SHOWN = 256  # images at once
FEW = 1 << 26  # bytes of all processes that those are drawn from, of data that do not fit


def make_index(config: TrainConfig, paths: list[Shard], world: World) -> dict:
    """What the shards hold, counted; kept in the run's index.json so that it is made once.

    samples, trained: images in all and for training; sets: {data set: trained};
    texts: {text: [images, trained]}; skipped: {reason: count}.
    """
    file = config.run / "index.json"
    if world.rank == 0:
        names = [[shards.stem(p), streams.size(p) or -1] for p in paths]
        if old_index(file).get("shards") != names:
            known = names_of(config)
            found = uncounted(config, paths, known)
            found = found or counted(config, paths, known) | {"shards": names}
            write_atomic(file, json.dumps(found).encode() + b"\n")
    world.barrier()
    return json.loads(file.read_text())


def names_of(config: TrainConfig) -> Known:
    """Ids and texts of a shard by its stem, as far as the teacher's cache has them. Each is read
    once."""
    cache = space.folder(config)
    return functools.cache(lambda name: teacher_cache.known(cache, name) if cache else None)


def counted(config: TrainConfig, paths: list[Shard], known: Known) -> dict:
    """The counts of `make_index`. What does not fit into memory is not read for it, if its names
    are known."""
    unknown = [p for p in paths if streams.is_stream(p) and known(shards.stem(p)) is None]
    if unknown:
        log.warning(
            f"counting reads {len(unknown)} of {len(paths)} streams once: a teacher's cache of"
            " them saves that"
        )
    log.info(f"counting what is in {len(paths)} shards (once: index.json keeps it)")
    index = shards.index(paths, config.memory_bytes, known)
    return count(index, {shards.stem(p): data_set(p) for p in paths})


def uncounted(config: TrainConfig, paths: list[Shard], known: Known) -> dict | None:
    """As many samples as --train-num-samples says, where reading streams would tell no more.

    So it is with a teacher that brings its own space: no text is looked at as a class name.
    """
    n, streamed = config.train_num_samples, any(map(streams.is_stream, paths))
    if not (n and streamed and space.folder(config)) or config.text_vectors:
        return None
    if all(known(shards.stem(p)) is not None for p in paths):
        return None
    return {"samples": n, "trained": n, "sets": {}, "texts": {}, "skipped": {}}


def old_index(file: Path) -> dict:
    """The index of an earlier start, {} if there is none that can be read."""
    try:
        old = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return old if isinstance(old, dict) else {}


def data_set(path: Shard) -> str:
    """Name of the data set of a shard: pets-000.tar is of pets, cc3m/00000.tar of cc3m."""
    name = shards.stem(path)
    return streams.folder(path) if name.isdigit() else name.rsplit("-", 1)[0]


def count(index: shards.Index, names: dict[str, str]) -> dict:
    """The counts of `make_index`; `names`: stem of a shard -> data set."""
    texts: dict[str, list[int]] = {text: [n, 0] for text, n in index.texts.items()}
    sets: Counter = Counter()
    for id, text in index.samples:
        if not labels.held_out_image(id, text):
            texts[text][1] += 1
            sets[names[id.split("/")[0]]] += 1
    if len(texts) > 10 * labels.MOST:  # captions: each comes about once, nobody asks how often
        often = sorted(texts.items(), key=lambda item: -item[1][0])
        texts = dict(often[: 10 * labels.MOST])
    return {
        "samples": len(index.samples),
        "trained": sum(sets.values()),
        "sets": dict(sets),
        "texts": texts,
        "skipped": dict(index.skipped),
    }


def repeats(index: dict, classes: Classes | None, config: TrainConfig) -> dict[str, float]:
    """How often an image of each class text is shown in an epoch; other texts: see `weight_of`.

    A class with n images is shown in proportion to n**balance, a rare image at most REPEATS times.
    """
    counts = {t: n for t, (_, n) in index["texts"].items() if n and t in classes.index}
    total = sum(counts.values()) * epoch_images(index, config) / index["trained"]
    want = {t: n**config.balance for t, n in counts.items()}
    for _ in range(2):  # cutting the rare ones leaves more for the others
        factor = total / sum(want.values())
        want = {t: min(factor * w, REPEATS * counts[t]) for t, w in want.items()}
    return {t: w / counts[t] for t, w in want.items()}


def epoch_images(index: dict, config: TrainConfig) -> int:
    """Images an epoch, of all processes together."""
    return config.train_num_samples or index["trained"]


def weight_of(index: dict, classes: Classes | None, config: TrainConfig) -> Callable[[str], float]:
    """Expected repeats of a sample by its text."""
    table = repeats(index, classes, config) if classes else {}
    other = epoch_images(index, config) / index["trained"]
    if config.teacher == "labels":
        other = 0.0  # nothing to learn from it

    def weight(text: str) -> float:
        if (known := table.get(text)) is not None:
            return known
        return other * config.captions if len(text.split()) >= labels.FEWEST else other

    return weight


def target(texts: list[str], classes: Classes | None) -> Tensor:
    """(n,) class indices, -1 for none. A caption's is that of what it is of."""
    return torch.tensor([classes.of(t) if classes else -1 for t in texts])


# -- validation ----------------------------------------------------------------------------------


@dataclass
class Validation:
    """Images that are never trained on: batches (images, class, teacher, teacher_text).

    `names`: the classes to choose from, of `seen` and of `unseen`.
    """

    seen: list[tuple]
    unseen: list[tuple]
    names: tuple[Tensor, Tensor]


def load_validation(
    config: TrainConfig, paths: list[Shard], classes: Classes | None, world: World
) -> Validation:
    """This process's share of both kinds."""
    useful = classes.index if classes else {}

    def choice(unseen: bool) -> Tensor:
        indices = {n for text, n in useful.items() if labels.held_out(text) == unseen}
        return torch.tensor(sorted(indices), dtype=torch.long)

    # To fill all of the buffer with one image in 50 would take most of a large data set.
    memory = config.memory_bytes
    if not shards.fits(paths, memory):
        memory = min(memory, FEW // world.size)

    def some(unseen: bool) -> list[tuple]:
        if unseen and not len(choice(True)):  # nothing to name, as with captions: no pass for it
            return []

        def keep(id: str, text: str) -> bool:
            if config.teacher == "labels" and text not in useful:
                return False
            return labels.held_out_image(id, text) and labels.held_out(text) == unseen

        loader = Loader(
            paths,
            size=config.student.size,
            batch=SHOWN,
            seed=config.seed,
            epoch=0,
            rank=world.rank,
            world_size=world.size,
            workers=config.workers,
            keep=keep,
            augment="",
            teacher=space.folder(config),
            memory=memory,
        )
        batches = []
        for b in loader:
            # Names alone: what a caption is of may be none of the classes to choose from.
            label = torch.tensor([useful.get(t, -1) for t in b.texts])
            batches.append((b.images, label, b.teacher, b.teacher_text))
            if len(batches) * SHOWN * world.size >= VALIDATED:
                break
        return batches

    return Validation(some(False), some(True), (choice(False), choice(True)))


@torch.no_grad()
def validate(
    student: nn.Module, loss: MatryoshkaLoss, validation: Validation, world: World
) -> dict:
    """Per cent right at each prefix: `seen` and `unseen` classes, captions (`retrieval`); and
    the cosine to the teacher's embeddings (`teacher`)."""
    report: dict[str, Tensor] = {}

    def add(key: str, values: list[float], n: int) -> None:
        row = torch.tensor([*values, 1.0], device=world.device) * n
        report[key] = report.get(key, torch.zeros_like(row)) + row

    student.eval()
    kinds = (
        ("seen", validation.seen, validation.names[0]),
        ("unseen", validation.unseen, validation.names[1]),
    )
    for key, batches, choice in kinds:
        for images, label, image, text in batches:
            z = student(to_input(images.to(world.device))).float()
            if (has := label >= 0).any():
                names = loss.names()[choice.to(world.device)]
                right = torch.searchsorted(choice, label[has]).to(world.device)
                add(key, top1(z[has.to(world.device)], names, right, DIMS), int(has.sum()))
            if image is not None and key == "seen":
                point = loss.image(image.to(world.device))
                add("teacher", (1 - loss.distill(z, point)).tolist(), len(z))
            if text is not None and key == "seen" and (label < 0).any():
                own = torch.arange(len(z), device=world.device)
                add("retrieval", top1(z, loss.text(text.to(world.device)), own, DIMS), len(z))
    student.train()
    for key in ("seen", "unseen", "teacher", "retrieval"):
        if world.size > 1:  # all processes must ask for the same sums
            report.setdefault(key, torch.zeros(len(DIMS) + 1, device=world.device))
            dist.all_reduce(report[key])
    rows = {k: (v[:-1] / v[-1]).tolist() for k, v in report.items() if v[-1] > 0}
    return {k: [round(x, 3 if k == "teacher" else 1) for x in row] for k, row in rows.items()}
