# SPDX-License-Identifier: MIT
"""Learn the linear map from CLIP's 512 dimensions to 256 of which every prefix names things well.

    tinyvlm-train map --train-data 'shards/*.tar' --teacher CACHE \
        --text-vectors clip-vit-b-32-openai.npz --out map.npz
    tinyvlm-train --text-space map.npz ...

A PCA orders dimensions by variance; what a prefix needs is to tell words apart for the vectors
that images have.  So the map is trained on the teacher's image vectors (Matryoshka loss, Kusupati
et al., arXiv 2205.13147): at every prefix, a photo's distribution over words should be the one
that all 512 dimensions give, and its own class name should win; and words should have the
neighbours that they have in 512 dimensions.  It starts from the whitened PCA.

Classes and images that training holds out are not used; the table at the end is measured on them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinyvlm.train import labels, shards, teacher_cache, text
from tinyvlm.train.config import DIMS, Help
from tinyvlm.train.loss import prefix
from tinyvlm.train.streams import Shard
from tinyvlm.words.space import save_space

SCALE = 20.0  # logits per cosine in 512 dimensions: what "the distribution over words" means
WORDS = 0.5  # weight of the neighbours of words
LABELS = 1.0  # weight of the own class name
BATCH, LR = 1024, 3e-3


@dataclass
class Photos:
    """Image vectors (n, 512) centred as the teacher's are, weights (n,), class indices (n,)."""

    vectors: Tensor
    sure: Tensor
    label: Tensor  # -1: none

    def __getitem__(self, rows: Tensor) -> Photos:
        return Photos(self.vectors[rows], self.sure[rows], self.label[rows])


def read_photos(
    paths: list[Shard], names: dict[str, str], cache: Path, classes: labels.Classes
) -> tuple[Photos, Photos, Photos]:
    """(to train on, held-out images of trained classes, held-out classes); names: id -> text."""
    parts: tuple[list, list, list] = ([], [], [])
    for path in paths:
        cached = teacher_cache.read(cache, shards.stem(path))
        if not cached.ids or cached.image is None:
            continue
        for id, vector in zip(cached.ids, cached.image, strict=True):
            name = names.get(id, labels.UNLABELLED)
            if not vector.any():
                continue
            kind = 2 if labels.held_out(name) else 1 if labels.held_out_image(id, name) else 0
            parts[kind].append((vector, classes.index.get(name, -1)))
    out = []
    for rows in parts:
        vectors = torch.tensor(np.stack([v for v, _ in rows]).astype(np.float32))
        sure = vectors.norm(dim=1)
        label = torch.tensor([n for _, n in rows])
        out.append(Photos(vectors / sure[:, None], sure, label))
    return tuple(out)


def learn(
    photos: Photos, names: Tensor, words: Tensor, ignore: Tensor, start: Tensor, steps: int
) -> Tensor:
    """The map (256, 512).

    names (c, 512): class names; words (w, 512): other words to tell photos apart by; both centred.
    ignore (c, c): names that are no wrong answer for each other.
    """
    torch.manual_seed(0)
    matrix = torch.nn.Parameter(start.clone())
    log_scale = torch.nn.Parameter(torch.full((len(DIMS),), 15.0).log())
    optimizer = torch.optim.Adam([matrix, log_scale], lr=LR)
    all_words = torch.cat([names, words])
    full = F.normalize(all_words, dim=1)
    count = torch.bincount(photos.label[photos.label >= 0], minlength=len(names)).float()
    # Rare classes come more often than they are: in proportion to the root of their images.
    chance = torch.where(photos.label >= 0, count[photos.label].clamp(min=1).rsqrt(), 0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * (1 - step / steps)
        batch = photos[torch.multinomial(chance, BATCH, replacement=True)]
        some = torch.randint(len(all_words), (BATCH // 2,))
        with torch.no_grad():
            want = (SCALE * F.normalize(batch.vectors, dim=1) @ full.T).softmax(1)
            own = torch.arange(len(all_words))[None] == some[:, None]
            near = (SCALE * full[some] @ full.T).masked_fill(own, -1e4).softmax(1)
        z, t = batch.vectors @ matrix.T, all_words @ matrix.T
        has = batch.label >= 0
        wrong = ignore[batch.label[has]]
        total = 0.0
        for dim, scale in zip(DIMS, log_scale.exp(), strict=True):
            u = prefix(t, dim)
            logits = scale * prefix(z, dim) @ u.T
            kl = (want * (want.clamp(min=1e-9).log() - logits.log_softmax(1))).sum(1)
            total = total + (kl * batch.sure).sum() / batch.sure.sum()
            named = logits[has][:, : len(names)].masked_fill(wrong, -1e4)
            total = total + LABELS * F.cross_entropy(named, batch.label[has])
            alike = (scale * u[some] @ u.T).masked_fill(own, -1e4).log_softmax(1)
            total = total + WORDS * (near * (near.clamp(min=1e-9).log() - alike)).sum(1).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} of {steps}: loss {total.item() / len(DIMS):.4f}", flush=True)
    with torch.no_grad():  # typical length 1, as the PCA has it
        matrix /= (all_words @ matrix.T).square().sum(1).mean().sqrt()
    return matrix.detach()


def accuracy(matrix: Tensor, photos: Photos, names: Tensor, choice: Tensor) -> list[float]:
    """Per cent of photos nearest to their own class name among `choice`, at each prefix."""
    photos = photos[torch.isin(photos.label, choice)]
    right = torch.searchsorted(choice, photos.label)
    z, t = photos.vectors @ matrix.T, names[choice] @ matrix.T
    dims = [d for d in DIMS if d <= len(matrix)]
    return [
        round(100 * ((prefix(z, d) @ prefix(t, d).T).argmax(1) == right).float().mean().item(), 1)
        for d in dims
    ]


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="tinyvlm-train map",
        formatter_class=Help,
        description="Learn the map from CLIP's 512 dimensions to the encoder's 256.",
    )
    p.add_argument("--train-data", required=True, help="shards: braces, globs, joined by ::")
    p.add_argument("--teacher", type=Path, required=True, help="folder of `tinyvlm-train cache`")
    p.add_argument(
        "--text-vectors", type=Path, required=True, help="CLIP's vectors of names (.npz)"
    )
    p.add_argument("--out", type=Path, required=True, help="map to write (.npz)")
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--alpha", type=float, default=0.25, help="whitening of the PCA to start from")
    p.add_argument("--dim", type=int, default=DIMS[-1], help=argparse.SUPPRESS)
    args = p.parse_args(argv)
    try:
        paths = shards.expand(args.train_data)
        table = text.load_table(args.text_vectors)
        index = shards.index(paths)
        texts = index.texts
        if len(texts) > labels.MOST:  # captions among them name no class
            texts = [t for t in texts if table.find(labels.text_name(t)) is not None]
        classes = labels.find_classes(texts, table)
        trained, seen, unseen = read_photos(paths, dict(index.samples), args.teacher, classes)
    except (ValueError, OSError) as error:
        print(f"tinyvlm-train map: {error}", file=sys.stderr)
        return 2
    pca = text.whitened_pca(table, args.dim, args.alpha)
    centre = torch.tensor(pca.centre)
    start = torch.tensor(np.ascontiguousarray(pca.projection.T))
    names = torch.tensor(classes.vectors) - centre
    held_out = torch.tensor(classes.held_out)
    known = {n for n, held in zip(classes.names, classes.held_out, strict=True) if not held}
    words = torch.tensor(np.stack([v for n, v in table.rows if n not in known])) - centre
    near = F.normalize(names, dim=1) @ F.normalize(names, dim=1).T > 0.9
    ignore = torch.tensor(classes.ignore) | (near & ~torch.eye(len(names), dtype=torch.bool))
    ignore |= held_out[None]
    matrix = learn(trained, names, words, ignore, start, args.steps)
    used = torch.unique(trained.label[trained.label >= 0])
    used = used[~held_out[used]]
    full = torch.eye(names.shape[1])
    print(f"{'':22s}" + "".join(f"{d:7d}" for d in DIMS) + "    512")
    rows = (("images", seen, used), ("classes", unseen, torch.unique(unseen.label)))
    for kind, photos, choice in rows:
        choice = choice[choice >= 0]
        top = accuracy(full, photos, names, choice)[-1]
        whole = photos[torch.isin(photos.label, choice)]
        z, t = F.normalize(whole.vectors, dim=1), F.normalize(names[choice], dim=1)
        right = torch.searchsorted(choice, whole.label)
        top = round(100 * ((z @ t.T).argmax(1) == right).float().mean().item(), 1)
        for name, m in (("PCA", start), ("learned", matrix)):
            found = accuracy(m, photos, names, choice)
            print(
                f"held-out {kind:8s}{name:>8s} "
                + "".join(f"{x:7.1f}" for x in found)
                + f"{top:7.1f}"
            )
    space = text.stored_map(pca.centre, matrix.numpy())
    save_space(space, args.out)
    print(f"{args.out}: {space.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
