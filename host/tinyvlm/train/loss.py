# SPDX-License-Identifier: MIT
"""The losses. Each is summed over prefixes, and every prefix is scaled to length 1 on its own.

    classify   cross entropy of the class name among all names
    distill    1 - cosine to the teacher's embedding of the image, weighed by its length
    relation   are the same images of the batch alike as for the teacher? (relational distillation)
    contrast   which caption belongs to which image, and the other way round (CLIP), among the
               batches of all processes

Teacher and text vectors come from CLIP's space: minus their centre, times `matrix`, they are in
the student's.  Images and texts have a centre each, which closes most of CLIP's gap between them.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from tinyvlm.train.config import DIMS, TrainConfig
from tinyvlm.train.labels import PEOPLE, Classes

FIRST_SCALE, MAX_SCALE = 15.0, 60.0  # logit factor of a prefix at the start, at most
RELATION = 0.1  # temperature of "alike"
SAME = 0.9  # cosine from which two names or captions are no wrong answer for each other
PERSONS = 0.5  # chance that a man is called a person
NEAR = 0.1  # temperature of the neighbourhood that a class target is softened with


class MatryoshkaLoss(nn.Module):
    """All losses on embeddings (n, dim), and what they are made from.

    matrix        (dim, d) the map from CLIP's space; trained too if `config.learn_matrix`
    centre        (d,) mean of text vectors
    image_centre  (d,) mean of the teacher's image vectors
    log_scale     (5,) logarithm of each prefix's logit factor
    """

    def __init__(
        self,
        config: TrainConfig,
        matrix: Tensor,
        centre: Tensor,
        image_centre: Tensor,
        classes: Classes | None = None,
    ):
        super().__init__()
        self.config = config
        self.matrix = nn.Parameter(matrix.clone(), requires_grad=config.learn_matrix)
        self.log_scale = nn.Parameter(torch.full((len(DIMS),), math.log(FIRST_SCALE)))
        self.register_buffer("centre", centre.clone())
        self.register_buffer("image_centre", image_centre.clone())
        weights = torch.tensor(config.prefix_weights)
        self.register_buffer("weights", weights / weights.sum(), persistent=False)
        self.classes = classes
        self.register_buffer("shift", None, persistent=False)  # of classes, from `blind.py`
        self._names: tuple | None = None
        if classes:
            self._prepare(classes)

    def _prepare(self, classes: Classes) -> None:
        """Targets: the name, softened towards names that CLIP's own text space holds close."""
        clip = torch.tensor(classes.vectors)
        names = F.normalize(clip - self.centre, dim=1)
        near, own = names @ names.T, torch.eye(len(names), dtype=torch.bool)
        held_out = torch.tensor(classes.held_out)
        ignore = torch.tensor(classes.ignore) | ((near > SAME) & ~own)
        soft = (near / NEAR).masked_fill(ignore, -torch.inf).softmax(1)
        target = self.config.smoothing * soft + (1 - self.config.smoothing) * own
        target[:, held_out] = 0  # names held out are no answers ...
        target /= target.sum(1, keepdim=True).clamp(min=1e-6)
        self.register_buffer("clip", clip, persistent=False)
        self.register_buffer("target", target, persistent=False)
        self.register_buffer("ignore", ignore | held_out, persistent=False)  # ... nor wrong ones
        hypernyms = torch.tensor(classes.hypernyms)
        self.register_buffer("hypernyms", hypernyms.float(), persistent=False)
        self.register_buffer("has_hypernym", hypernyms.any(1), persistent=False)
        rate = self.config.hypernyms
        chance = [max(rate, PERSONS) if n in PEOPLE else rate for n in classes.names]
        self.register_buffer("chance", torch.tensor(chance), persistent=False)

    # -- spaces ----------------------------------------------------------------------------------

    def space(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return dict(self.named_parameters()) | dict(
            centre=self.centre, image_centre=self.image_centre
        )

    def text(self, vectors: Tensor) -> Tensor:
        """Text vectors (n, d) in the student's space (n, dim), not normalised."""
        return (vectors - self.centre) @ self.matrix.T

    def image(self, vectors: Tensor) -> Tensor:
        """Teacher's image vectors in the student's space; the map does not learn from them."""
        return (vectors - self.image_centre) @ self.matrix.T.detach()

    def names(self) -> Tensor:
        """(classes, dim) class names in the student's space."""
        if self.matrix.requires_grad:
            return self.text(self.clip)
        version = self.matrix._version, self.matrix.device
        if self._names is None or self._names[0] != version:  # resuming changes the map
            self._names = version, self.text(self.clip)
        return self._names[1]

    def scales(self) -> Tensor:
        """The logit factor of each prefix."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    # -- losses, each (5,): one value a prefix ---------------------------------------------------

    def use_hypernyms(self, label: Tensor) -> Tensor:
        """Now and then call a thing by a hypernym of its name."""
        lift = torch.rand(len(label), device=label.device) < self.chance[label]
        rows = (lift & self.has_hypernym[label]).nonzero().squeeze(1)
        if not len(rows):
            return label
        words = torch.multinomial(self.hypernyms.index_select(0, label[rows]), 1).squeeze(1)
        return label.index_copy(0, rows, words)

    def classify(self, z: Tensor, label: Tensor) -> Tensor:
        """z (n, dim), label (n,) indices of classes."""
        target, ignore = self.target.index_select(0, label), self.ignore.index_select(0, label)
        names = self.names()
        losses = []
        for dim, scale in zip(DIMS, self.scales(), strict=True):
            logits = scale * prefix(z, dim) @ prefix(names, dim).T
            logp = logits.masked_fill(ignore, -1e4).log_softmax(1)
            losses.append(-(target * logp).sum(1).mean())
        return torch.stack(losses)

    def mend(self, point: Tensor, sure: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher's points (n, dim) of length 1 and how sure it is of each (n,), mended where it
        is blind for the class (label, -1 for none): see `blind.py`."""
        point = F.normalize(point, dim=1)
        if self.shift is None:
            return point, sure
        known = label.clamp(min=0)
        shift = self.shift.index_select(0, known) * (label >= 0)[:, None]
        blind = shift.any(1)
        return point + shift, torch.where(blind, sure.clamp(min=sure.mean()), sure)

    def distill(self, z: Tensor, point: Tensor, sure: Tensor | None = None) -> Tensor:
        """point (n, dim): the teacher's embeddings in the student's space; sure (n,): weights."""
        share = 1 / len(z) if sure is None else sure / sure.sum()
        return torch.stack(
            [(share * (1 - F.cosine_similarity(z[:, :d], point[:, :d]))).sum() for d in DIMS]
        )

    def distill_relations(self, z: Tensor, point: Tensor) -> Tensor:
        """Divergence of the student's "which image is this one like?" from the teacher's."""
        own = torch.eye(len(z), dtype=torch.bool, device=z.device)

        def alike(x: Tensor, dim: int) -> Tensor:
            x = prefix(x, dim)
            return (x @ x.T / RELATION).masked_fill(own, -1e4).log_softmax(1)

        want = alike(point, point.shape[1])
        divergence = [F.kl_div(alike(z, d), want, reduction="none", log_target=True) for d in DIMS]
        return torch.stack([each.sum(1).mean() for each in divergence])

    def contrast(self, z: Tensor, text: Tensor, everyone: Everyone | None = None) -> Tensor:
        """z, text (n, dim): images and their captions, in the student's space.

        everyone: those of all processes, this one's among them, which are wrong answers, too.
        """
        all_z, all_text, right = everyone or (z, text, torch.arange(len(z), device=z.device))
        full, one = prefix(all_text.detach(), text.shape[1]), prefix(text.detach(), text.shape[1])
        own = torch.zeros(len(z), len(all_z), dtype=torch.bool, device=z.device)
        own[torch.arange(len(z)), right] = True
        same = (one @ full.T > SAME) & ~own
        losses = []
        for dim, scale in zip(DIMS, self.scales(), strict=True):
            names = scale * prefix(z, dim) @ prefix(all_text, dim).T
            shows = scale * prefix(text, dim) @ prefix(all_z, dim).T
            both = [F.cross_entropy(x.masked_fill(same, -1e4), right) for x in (names, shows)]
            losses.append((both[0] + both[1]) / 2)
        return torch.stack(losses)

    def forward(
        self, z: Tensor, label: Tensor, image: Tensor | None = None, text: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, {"label", "distill", "relation", "contrast": (5,)} as far as there are any).

        z (n, dim); label (n,), -1 for none; image and text (n, d) from the teacher, zero for none.
        A loss on a part of the batch counts by that part.
        """
        # Nothing at all to learn from still has gradients, which is what DDP waits for.
        total, parts = 0.0 * (z.sum() + sum(p.sum() for p in self.parameters())), {}

        def add(name: str, losses: Tensor, rows: Tensor) -> None:
            nonlocal total
            share = rows.sum() / len(z)
            total = total + getattr(self.config, f"{name}_weight") * share * losses @ self.weights
            parts[name] = losses.detach()

        if self.classes:
            label = torch.where(label >= 0, self.use_hypernyms(label.clamp(min=0)), label)
        has = label >= 0
        if self.classes and self.config.label_weight and has.any():
            add("label", self.classify(z[has], label[has]), has)
        if image is not None and (has := image.abs().sum(1) > 0).sum() > 1:
            point, sure = self.mend(self.image(image[has]), image[has].norm(dim=1), label[has])
            if self.config.distill_weight:
                add("distill", self.distill(z[has], point, sure), has)
            if self.config.relation_weight:
                add("relation", self.distill_relations(z[has], point), has)
        gathers = self.gathers()
        if self.config.contrast_weight and (text is not None or gathers):
            if text is None:
                text = z.new_zeros(len(z), self.matrix.shape[1])
            has = text.abs().sum(1) > 0
            points = self.text(text)
            everyone = gather(z, points, has) if gathers else None
            if has.any() and len(everyone[0] if everyone else z[has]) > 1:
                add("contrast", self.contrast(z[has], points[has], everyone), has)
        return total, parts

    def gathers(self) -> bool:
        """Are other processes' captions compared with? Then all must ask for them at once."""
        return self.config.teacher != "labels" and dist.is_initialized()


# Of all processes: images and captions (m, dim), and which of them are this process's (n,).
Everyone = tuple[Tensor, Tensor, Tensor]


class _Gather(torch.autograd.Function):
    """The rows of all processes, one after the other; a row's gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(z: Tensor, text: Tensor, has: Tensor) -> Everyone:
    """Images and captions of all processes' batches (equally large) that have both.

    Gradients flow back to the process that each row is of (open_clip's --gather-with-grad with
    --local-loss), so the mean over the processes is the loss of one process with all the rows.
    """
    rows = _Gather.apply(torch.cat([z, text, has[:, None].to(z.dtype)], 1))
    there = rows[:, -1].detach() > 0
    mine = there.cumsum(0).chunk(dist.get_world_size())[dist.get_rank()][has] - 1
    return rows[there, : z.shape[1]], rows[there, z.shape[1] : -1], mine


def prefix(x: Tensor, dim: int) -> Tensor:
    """The first `dim` dimensions of each row, scaled to length 1."""
    return F.normalize(x[:, :dim], dim=1)


def top1(embedding: Tensor, text: Tensor, label: Tensor, dims: tuple[int, ...]) -> list[float]:
    """Zero-shot accuracy in per cent at each prefix; text (classes, dim), label indexes text."""
    hits = [(prefix(embedding, d) @ prefix(text, d).T).argmax(1) == label for d in dims]
    return [100.0 * hit.float().mean().item() for hit in hits]
