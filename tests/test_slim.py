# SPDX-License-Identifier: MIT
"""A narrower student from a wider one: the channels that count stay, what fits is copied."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tinyvlm.train import slim  # noqa: E402
from tinyvlm.train.config import Bottleneck, Conv, StudentConfig  # noqa: E402
from tinyvlm.train.student import Student  # noqa: E402

WIDE = StudentConfig(
    32, 12, (Bottleneck(16, 0, 2), Bottleneck(20, 40, 2), Bottleneck(20, 48)), last=64
)
NARROW = StudentConfig(
    32, 8, (Bottleneck(12, 0, 2), Bottleneck(20, 28, 2), Bottleneck(20, 40)), last=48
)


def student(config: StudentConfig) -> Student:
    """A student whose batch norms are not all alike."""
    torch.manual_seed(3)
    model = Student(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".bn." in name:
                p.add_(torch.rand_like(p))
    return model


def test_channels_that_say_nothing_go_without_a_trace():
    wide, narrow = student(WIDE), Student(NARROW).eval()
    state = wide.state_dict()

    def silence(name: str, keep: int) -> None:
        """Only every third channel and so on: which ones must be found, not assumed."""
        count = len(state[name + ".bn.weight"])
        order = torch.randperm(count)[: count - keep]
        for part in ("weight", "bias"):
            state[f"{name}.bn.{part}"][order] = 0

    silence("blocks.0.depthwise", 8)  # the stem's 12 channels, of which 8 stay
    silence("blocks.0.project", 12)
    silence("blocks.1.depthwise", 28)
    silence("blocks.2.depthwise", 40)
    silence("last", 48)
    wide.load_state_dict(state)
    assert slim.is_narrower(state, narrow.state_dict())
    narrow.load_state_dict(slim.slim(state, narrow.state_dict()))
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(narrow(x), wide(x), atol=1e-4, rtol=1e-4)


def test_a_residual_chain_shrinks_alike():
    """Channels of the sums that say nothing, in all blocks that write them, go together."""
    blocks = (Bottleneck(20, 30, 2), Bottleneck(20, 40), Bottleneck(20, 40), Bottleneck(24, 36))
    wide = student(StudentConfig(32, 12, blocks, last=0))
    blocks = tuple(replace(b, out=14) if b.out == 20 else b for b in blocks)
    narrow = Student(StudentConfig(32, 12, blocks, last=0)).eval()
    state, order = wide.state_dict(), torch.randperm(20)[:6]
    for name in ("blocks.0.project", "blocks.1.project", "blocks.2.project"):
        for part in ("weight", "bias"):
            state[f"{name}.bn.{part}"][order] = 0
    narrow.load_state_dict(slim.slim(state, narrow.state_dict()))
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(narrow(x), wide(x), atol=1e-4, rtol=1e-4)


def test_the_same_shape_is_left_alone():
    state = student(WIDE).state_dict()
    assert not slim.is_narrower(state, Student(WIDE).state_dict())


@pytest.mark.parametrize(
    "other",
    [
        StudentConfig(32, 12, WIDE.blocks[:2], last=64),
        StudentConfig(32, 12, WIDE.blocks, last=96),
        StudentConfig(32, 4, (Conv(32), Conv(48, pool=2)), last=64, scheme="max78000"),
    ],
    ids=["fewer blocks", "wider", "no bottlenecks"],
)
def test_other_nets_are_not_slimmed(other):
    assert not slim.is_narrower(student(WIDE).state_dict(), Student(other).state_dict())
