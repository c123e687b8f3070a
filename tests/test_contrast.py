# SPDX-License-Identifier: MIT
"""Several processes' contrastive loss is that of one process with all their images."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import processes  # noqa: E402
from torch import nn  # noqa: E402

from tinyvlm.train import config  # noqa: E402
from tinyvlm.train.loss import MatryoshkaLoss  # noqa: E402

BATCH, WIDTH, DIM = 16, 24, 256


def batch():
    """Images and captions; some rows have no caption, and two captions are the same."""
    made = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, WIDTH, generator=made)
    text = torch.randn(BATCH, 40, generator=made)
    text[[2, 9, 12]] = 0
    text[14] = text[3]
    return images, text


def gradients(rank, size):
    """(loss, gradient of the student, of the map) of a share of the batch."""
    options = config.parse(["--train-data", "x", "--model", "smoke", "--learn-matrix"])
    options = replace(options, teacher="cache")
    torch.manual_seed(0)
    matrix = torch.randn(DIM, 40) / 6
    loss = MatryoshkaLoss(options, matrix, torch.zeros(40), torch.zeros(40))
    student = nn.Linear(WIDTH, DIM)
    images, text = (x[rank * BATCH // size : (rank + 1) * BATCH // size] for x in batch())
    none = torch.full((len(images),), -1)
    total, parts = loss(student(images), none, None, text)
    assert set(parts) == {"contrast"}
    total.backward()
    return [total.detach(), student.weight.grad, loss.matrix.grad]


def process(rank, size):
    found = gradients(rank, size)
    for value in found:  # as DistributedDataParallel does with gradients
        torch.distributed.all_reduce(value)
        value /= size
    return found


@pytest.mark.parametrize("size", [2, 4])
def test_processes_share_their_captions(size, tmp_path):
    several, one = processes.run(process, size, tmp_path)[0], gradients(0, 1)
    for a, b in zip(several, one, strict=True):
        assert b.abs().max() > 0 and torch.allclose(a, b, rtol=1e-4, atol=1e-6)
