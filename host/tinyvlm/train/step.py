# SPDX-License-Identifier: MIT
"""The gradients of a step: of one batch, or of several that count as one large batch.

With open_clip's --accum-freq n, n batches are embedded without gradients, the loss is taken of
all of them at once - so captions are compared among all, as in a batch of n times the size - and
its gradients at the embeddings go through the student batch by batch. They are those of the large
batch, but for batch norm, whose statistics are a batch's own, as they are a process's own.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.student import still, to_input

# images (n, size, size, 3) uint8; class (n,); the teacher's image and text vectors (n, d) or None
Inputs = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


class Net(nn.Module):
    """Student and loss as one module, which is what DistributedDataParallel wants."""

    def __init__(self, student: nn.Module, loss: MatryoshkaLoss, amp: bool):
        super().__init__()
        self.student, self.loss, self.amp = student, loss, amp

    def embed(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16) if self.amp else nullcontext():
            return self.student(to_input(images)).float()

    def learned(self) -> list[nn.Parameter]:
        """The loss's own parameters."""
        return [p for p in self.loss.parameters() if p.requires_grad]

    def forward(self, *inputs: Tensor | None, gradients: list[Tensor] | None = None):
        """(loss, its parts); or with `gradients` (of embeddings and of `learned`) known already,
        a number that has them."""
        z = self.embed(inputs[0])
        if gradients is None:
            return self.loss(z, *inputs[1:])
        pairs = zip([z, *self.learned()], gradients, strict=True)
        return sum((value * gradient).sum() for value, gradient in pairs)


def backward(net: nn.Module, batches: list[Inputs]) -> tuple[Tensor, dict[str, Tensor]]:
    """Leave the gradients of all batches together in the parameters; (loss, its parts)."""
    if len(batches) == 1:
        total, parts = net(*batches[0])
        total.backward()
        return total.detach(), parts
    plain: Net = net.module if isinstance(net, DistributedDataParallel) else net
    with torch.no_grad():
        z = torch.cat([plain.embed(images) for images, *_ in batches])
    columns = zip(*(rest for _, *rest in batches), strict=True)
    rest = [None if x[0] is None else torch.cat(x) for x in columns]
    total, parts = plain.loss(z.requires_grad_(), *rest)
    at_z, *own = torch.autograd.grad(total, [z, *plain.learned()])
    own = [gradient / len(batches) for gradient in own]  # every batch brings its part
    for number, (batch, rows) in enumerate(
        zip(batches, at_z.split([len(images) for images, *_ in batches]), strict=True), 1
    ):
        # The processes exchange gradients once, with the last batch.
        alone = net is not plain and number < len(batches)
        with net.no_sync() if alone else nullcontext(), still(plain.student):
            net(*batch, gradients=[rows, *own]).backward()
    return total.detach(), parts
