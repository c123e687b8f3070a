# SPDX-License-Identifier: MIT
"""The classes that a teacher is blind for, and how its points of their images are mended.

A classifier has points near the names that it was trained on alone. ImageNet has no class for
people, flowers or trees: it takes persons for jerseys, and the mean cosine between its points of
1,362 photos of a man and CLIP's name "man" is 0.02, where 0.5 is usual. A student that follows it
learns jerseys, whatever the label says. So all points of such a class are moved by one vector,
which takes their mean to the class's name; how they differ from each other stays.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinyvlm.train import labels, shards, space, teacher_cache
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.loss import MatryoshkaLoss

log = logging.getLogger("tinyvlm")

FEW = 10  # images; a mean of fewer says little about a class


def shifts(config: TrainConfig, loss: MatryoshkaLoss, paths: list[Path]) -> Tensor | None:
    """(classes, dim): what is added to the teacher's unit points of each class, mostly zeros.

    `config.mend`: the mean cosine to its name below which the teacher is blind for a class.
    """
    classes, folder = loss.classes, space.folder(config)
    if not config.mend or classes is None or folder is None:
        return None
    keep = shards.fits(paths, config.memory_bytes)
    names = F.normalize(loss.names().detach(), dim=1)
    total, count = torch.zeros_like(names), torch.zeros(len(names))
    for path in paths:
        cached = teacher_cache.read(folder, shards.stem(path))
        if cached.image is None or not len(cached.image):
            continue
        texts = cached.texts
        if texts is None:
            known = {s.id: s.text for s in shards.samples(path, Counter(), keep)}
            texts = [known.get(id, "") for id in cached.ids]
        pairs = [
            (row, classes.of(text))
            for row, (id, text) in enumerate(zip(cached.ids, texts, strict=True))
            if text and not labels.held_out_image(id, text)
        ]
        pairs = [(row, label) for row, label in pairs if label >= 0]
        if not pairs:
            continue
        row, label = (torch.tensor(column) for column in zip(*pairs, strict=True))
        vectors = torch.tensor(cached.image[row.numpy()].astype(np.float32))
        points = F.normalize(loss.image(vectors), dim=1)
        total.index_add_(0, label, points)
        count.index_add_(0, label, torch.ones(len(label)))
    mean = total / count.clamp(min=1)[:, None]
    own = (mean * names).sum(1)
    blind = (count >= FEW) & (own < config.mend)
    if blind.any():
        some = sorted((-int(count[i]), classes.names[i]) for i in blind.nonzero().flatten())
        log.info(
            f"the teacher is blind for {len(some)} classes of {sum(-n for n, _ in some)} images,"
            f" such as {', '.join(name for _, name in some[:8])}: mended"
        )
    return torch.where(blind[:, None], names - mean, 0.0)
