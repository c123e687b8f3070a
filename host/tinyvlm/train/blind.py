# SPDX-License-Identifier: MIT
"""The classes that a teacher is blind for, and how its points of their images are mended.

A classifier has points near the names that it was trained on alone. ImageNet has no class for
people, flowers or trees: it takes persons for jerseys, and the mean cosine between its points of
1,362 photos of a man and CLIP's name "man" is 0.02, where 0.5 is usual. A student that follows it
learns jerseys, whatever the label says. Of dishes it knows a few: the mean point of 37 of 50 is
nearest to "paella", at a cosine of 0.4 to the dish's own name.

So all points of such a class are moved by one vector, which takes their mean to the class's name;
how they differ from each other stays. "Man" and "person" are far apart in CLIP's space, at a
cosine of 0.44: photos of a man go half the way between.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinyvlm.train import labels, shards, space, task, teacher_cache
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.distributed import World
from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.streams import Shard

log = logging.getLogger("tinyvlm")

FEW = 10  # images; a mean of fewer says little about a class
NEAR = 5  # the nearest names, of which the class's own is one unless the teacher is blind for it


def shifts(
    config: TrainConfig, loss: MatryoshkaLoss, paths: list[Shard], world: World
) -> Tensor | None:
    """(classes, dim): what is added to the teacher's unit points of each class, mostly zeros.

    The processes deal out the shards, whose vectors and captions take minutes for millions.
    `config.mend`: the mean cosine to its name below which the teacher is blind for a class. It is
    so, too, for a class whose mean point is nearer to NEAR other names than to its own.
    """
    classes, folder = loss.classes, space.folder(config)
    if not config.mend or classes is None or folder is None:
        return None
    keep = shards.fits(paths, config.memory_bytes)
    names = F.normalize(loss.names().detach(), dim=1)
    total, count = torch.zeros_like(names), torch.zeros(len(names))
    for path in paths[world.rank :: world.size]:
        cached = teacher_cache.read(folder, shards.stem(path))
        if cached.image is None or not len(cached.image):
            continue
        texts = cached.texts
        if texts is None:
            known = {s.id: s.text for s in shards.samples(path, Counter(), keep)}
            texts = [known.get(id, "") for id in cached.ids]
        trained = [not labels.held_out_image(*row) for row in zip(cached.ids, texts, strict=True)]
        label = task.target(texts, classes)
        vectors = torch.from_numpy(cached.image.astype(np.float32))
        rows = torch.tensor(trained) & (label >= 0) & vectors.any(1)  # zeros: not judged
        total.index_add_(0, label[rows], F.normalize(loss.image(vectors[rows]), dim=1))
        count += torch.bincount(label[rows], minlength=len(names))
    world.add([total, count])
    mean = total / count.clamp(min=1)[:, None]
    own = (mean * names).sum(1, keepdim=True)
    nearer = (mean @ names.T > own).sum(1)
    blind = (count >= FEW) & ((own[:, 0] < config.mend) | (nearer >= NEAR))
    if blind.any():
        some = sorted((-int(count[i]), classes.names[i]) for i in blind.nonzero().flatten())
        log.info(
            f"the teacher is blind for {len(some)} classes of {sum(-n for n, _ in some)} images,"
            f" such as {', '.join(name for _, name in some[:8])}: mended"
        )
    if labels.PERSON in classes.names:
        people = torch.tensor([name in labels.PEOPLE for name in classes.names])
        between = F.normalize(names + names[classes.names.index(labels.PERSON)], dim=1)
        names = torch.where(people[:, None], between, names)
    return torch.where(blind[:, None], names - mean, 0.0)
