# SPDX-License-Identifier: MIT
"""Matryoshka cross entropy: every prefix of the embedding must name the image on its own.

For each prefix length d the image's first d numbers and the first d numbers of all projected class
names are scaled to length 1; their cosines times a learned factor are the logits.  The target is
the name, softened towards names that CLIP's own text space holds to be close, so that the student
learns the neighbourhood of a word and not the word alone.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MatryoshkaCE(nn.Module):
    """Cross entropy against class-name vectors at each of `dims`.

    clip:    (classes, 512) CLIP vectors minus the centre
    matrix:  (dim, 512) the text projection; trained too if `learn_matrix`
    above:   (classes, classes) bool, above[i, j]: j is a word above i ("dog" above "basenji")
    ignore:  (classes, classes) bool, ignore[i, j]: j is no wrong answer when i is right
    """

    def __init__(
        self,
        clip: np.ndarray,
        matrix: np.ndarray,
        dims: tuple[int, ...],
        above: np.ndarray,
        ignore: np.ndarray,
        learn_matrix: bool = False,
        smoothing: float = 0.1,
        hypernyms: float = 0.25,
        max_scale: float = 60.0,
    ):
        super().__init__()
        self.dims, self.hypernyms, self.max_scale = dims, hypernyms, max_scale
        self.register_buffer("clip", torch.tensor(clip))
        self.matrix = nn.Parameter(torch.tensor(matrix), requires_grad=learn_matrix)
        self.log_scale = nn.Parameter(torch.full((len(dims),), float(np.log(15.0))))
        unit = F.normalize(self.clip, dim=1)
        near = unit @ unit.T
        same = (near > 0.9) & ~torch.eye(len(near), dtype=torch.bool)
        ignore = torch.tensor(ignore) | same
        soft = (near / 0.1).masked_fill(ignore, -torch.inf).softmax(1)
        self.register_buffer("target", smoothing * soft + (1 - smoothing) * torch.eye(len(near)))
        self.register_buffer("ignore", ignore)
        self.register_buffer("above", torch.tensor(above))

    def text(self) -> Tensor:
        """(classes, dim) projected class names, not normalised."""
        return self.clip @ self.matrix.T

    def scales(self) -> Tensor:
        """The logit factor of each prefix."""
        return self.log_scale.exp().clamp(max=self.max_scale)

    def raise_labels(self, label: Tensor) -> Tensor:
        """Now and then call a thing by a word above its own name."""
        above = self.above[label].float()
        lift = (above.sum(1) > 0) & (torch.rand(len(label)) < self.hypernyms)
        if not lift.any():
            return label
        label = label.clone()
        label[lift] = torch.multinomial(above[lift], 1).squeeze(1)
        return label

    def distill(self, embedding: Tensor, point: Tensor) -> Tensor:
        """1 - cosine to a teacher's points (n, 512) in the centred text space, over prefixes.

        A row of zeros is an image without a teacher.
        """
        has = point.abs().sum(1) > 0
        if not has.any():
            return embedding.sum() * 0.0
        z, t = embedding[has], point[has] @ self.matrix.T.detach()
        cosines = [F.cosine_similarity(z[:, :dim], t[:, :dim], dim=1) for dim in self.dims]
        return sum((1 - c).sum() for c in cosines) / (len(self.dims) * len(point))

    def forward(self, embedding: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, per-prefix losses) of embeddings (n, dim) with class numbers (n,)."""
        label = self.raise_labels(label)
        target, ignore, text = self.target[label], self.ignore[label], self.text()
        losses = []
        for dim, scale in zip(self.dims, self.scales(), strict=True):
            z = F.normalize(embedding[:, :dim], dim=1)
            logits = scale * z @ F.normalize(text[:, :dim], dim=1).T
            logp = logits.masked_fill(ignore, -1e4).log_softmax(1)
            losses.append(-(target * logp).sum(1).mean())
        losses = torch.stack(losses)
        return losses.mean(), losses.detach()


def top1(embedding: Tensor, text: Tensor, label: Tensor, dims: tuple[int, ...]) -> list[float]:
    """Zero-shot accuracy in per cent at each prefix; text (classes, dim), label indexes text."""
    out = []
    for dim in dims:
        z = F.normalize(embedding[:, :dim], dim=1) @ F.normalize(text[:, :dim], dim=1).T
        out.append(100.0 * (z.argmax(1) == label).float().mean().item())
    return out
