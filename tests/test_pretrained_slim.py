# SPDX-License-Identifier: MIT
"""A body that says things twice loses nothing when it is slimmed by looking at photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import tars  # noqa: E402

from tinyvlm.train import checkpoint, pretrained, pretrained_slim, slim  # noqa: E402
from tinyvlm.train.config import Bottleneck, StudentConfig  # noqa: E402
from tinyvlm.train.student import Student  # noqa: E402

SHAPE = StudentConfig(
    32,
    8,
    (Bottleneck(6, 0), Bottleneck(12, 24, 2, 5), Bottleneck(12, 24), Bottleneck(20, 32, 2)),
    last=0,
    dim=16,
    relu6=True,
)


def body(shape: StudentConfig) -> Student:
    torch.manual_seed(5)
    model = Student(shape).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".bn." in name:
                p.add_(0.5 * torch.rand_like(p))
    return model


def batches(count: int = 3) -> list[torch.Tensor]:
    torch.manual_seed(6)
    return [torch.rand(16, 3, 32, 32) * 2 - 1 for _ in range(count)]


def state_of(model: Student) -> dict[str, torch.Tensor]:
    return {k: v for k, v in model.state_dict().items() if not k.startswith("head")}


def pooled(model: Student, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.features(x).mean((2, 3))


def repeat(state: dict, writer: str, each: str | None) -> None:
    """The second half of these channels becomes a copy of the first."""
    for name in filter(None, (writer, each)):
        for key, value in state.items():
            if key.startswith(name + ".") and value.ndim:
                half = len(value) // 2
                value[half : 2 * half] = value[:half]


def test_what_is_said_twice_goes_without_a_trace():
    model = body(SHAPE)
    state = model.state_dict()
    repeat(state, "stem", "blocks.0.depthwise")
    repeat(state, "blocks.1.expand", "blocks.1.depthwise")
    repeat(state, "blocks.3.expand", "blocks.3.depthwise")
    for i in (1, 2):  # a residual chain
        repeat(state, f"blocks.{i}.project", None)
    blocks = list(SHAPE.blocks)
    blocks[1], blocks[2] = replace(blocks[1], out=6, expand=12), replace(blocks[2], out=6)
    blocks[3] = replace(blocks[3], expand=16)
    narrow = replace(SHAPE, stem=4, blocks=tuple(blocks))
    slim, kept = pretrained_slim.start((SHAPE, state_of(model)), narrow, batches())
    assert kept == [0, 1, 2, 3]
    x = batches(4)[-1]  # which it has not seen
    want = pooled(model, x)
    error = (pooled(slim, x) - want).norm() / (want - want.mean(0)).norm()
    assert error < 0.02  # of the damping


def test_features_turn_to_their_principal_components():
    """What can be read from them linearly stays, as far as so few directions hold it."""
    model = body(SHAPE)
    narrow = replace(SHAPE, blocks=(*SHAPE.blocks[:3], replace(SHAPE.blocks[3], out=10)))
    slim, _ = pretrained_slim.start((SHAPE, state_of(model)), narrow, batches())
    x = torch.cat(batches())
    want, got = pooled(model, x), pooled(slim, x)
    want, got = want - want.mean(0), got - got.mean(0)
    top = torch.linalg.svdvals(want)[:10].square().sum()
    torch.testing.assert_close(got.square().sum(), top, rtol=1e-3, atol=0)
    left = want - got @ torch.linalg.lstsq(got, want).solution
    torch.testing.assert_close(left.square().sum(), want.square().sum() - top, rtol=0.01, atol=0)


def test_the_command_makes_a_start(tmp_path, monkeypatch, capsys):
    model = body(SHAPE)
    monkeypatch.setitem(pretrained.READERS, "own", lambda path: (SHAPE, state_of(model)))
    rng, files = np.random.default_rng(0), []
    for i in range(12):
        picture = tars.encoded(rng.integers(0, 256, (40, 36, 3), np.uint8))
        files += tars.pair(str(i), picture, "noise")
    shard = tars.write(tmp_path / "noise-000.tar", files)
    narrow = replace(SHAPE, blocks=tuple(replace(b, expand=b.expand // 2) for b in SHAPE.blocks))
    config = tmp_path / "narrow.json"
    config.write_text(checkpoint.json.dumps({"student": checkpoint.asdict(narrow)}))
    (tmp_path / "body").write_text("")
    pretrained_slim.main(
        ["--init", f"own:{tmp_path / 'body'}", "--model", str(config), "--photos", "10"]
        + ["--train-data", str(shard), "--out", str(tmp_path / "start.safetensors")]
    )
    assert "blocks 0, 1, 2, 3 of own:" in capsys.readouterr().out
    student = Student(narrow)
    checkpoint.warm_start(str(tmp_path / "start.safetensors"), student, {})
    own = student.state_dict()
    made = checkpoint.read(tmp_path / "start.safetensors")[0]
    for key, value in checkpoint.student_state(made).items():
        assert torch.equal(own[key], value)


def test_another_shape_is_refused():
    narrow = replace(SHAPE, blocks=(*SHAPE.blocks, Bottleneck(20, 40)))
    with pytest.raises(ValueError, match="no block of the body"):
        pretrained_slim.start((SHAPE, state_of(body(SHAPE))), narrow, batches(1))


def test_a_head_is_kept_and_corrected():
    """Of a body that has one: its features, too, go by what the head misses least."""
    wide = body(replace(SHAPE, last=24))
    fewer = [replace(block, expand=block.expand * 3 // 4) for block in SHAPE.blocks]
    narrow = replace(SHAPE, last=18, blocks=tuple(fewer))
    student, _ = pretrained_slim.start((wide.config, wide.state_dict()), narrow, batches())
    cut = Student(narrow).eval()
    cut.load_state_dict(slim.slim(wide.state_dict(), cut.state_dict()))
    cosines = []
    for model in (student, cut):
        with torch.no_grad():
            got, want = (net(batches()[0]) for net in (model, wide))
            got, want = got - want.mean(0), want - want.mean(0)  # what tells images apart
            cosines.append(torch.cosine_similarity(got, want).mean().item())
    print(f"cosine with the wide net: {cosines[0]:.3f}, by its batch norms alone {cosines[1]:.3f}")
    assert cosines[0] > 0.9 and cosines[0] > cosines[1]


def test_a_head_of_other_dimensions_is_none_for_the_start():
    state = body(replace(SHAPE, last=24)).state_dict()
    assert pretrained_slim.fitting(state, SHAPE.dim) is state
    assert state.keys() - pretrained_slim.fitting(state, 8).keys() == {"head.weight", "head.bias"}
