# SPDX-License-Identifier: MIT
"""Students that start from pretrained bodies: the same features as a forward pass written down
from the file's own description, and blocks and channels left out."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from tinyvlm.train import align, checkpoint, pretrained  # noqa: E402
from tinyvlm.train.config import Bottleneck, StudentConfig  # noqa: E402
from tinyvlm.train.student import Student, to_input  # noqa: E402

WIDTHS = [(8, 0), (8, 16), (8, 16), (16, 16), (16, 24)]  # (out, expand) of a body in small


def body(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """A file of the form, with random numbers."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}

    def layer(name: str, out: int, channels: int, kernel: int) -> None:
        shape = (out, channels, kernel, kernel)
        arrays[f"{name}.weight"] = rng.normal(0, 1.5 / np.sqrt(channels * kernel), shape)
        for part in ("gamma", "variance"):
            arrays[f"{name}.bn.{part}"] = rng.uniform(0.5, 1.5, out)
        for part in ("beta", "mean"):
            arrays[f"{name}.bn.{part}"] = rng.normal(0, 0.5, out)

    layer("stem", 16, 3, 3)
    channels = 16
    for i, (out, expand) in enumerate(WIDTHS):
        if expand:
            layer(f"block{i}.expand", expand, channels, 1)
        layer(f"block{i}.depthwise", expand or channels, 1, 3)
        layer(f"block{i}.project", out, expand or channels, 1)
        channels = out
    layer("last", 40, channels, 1)
    arrays = {k: v.astype(np.float32) for k, v in arrays.items()}
    np.savez(path, **arrays)
    return arrays


def forward(arrays: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """Pooled features of one (H, W, 3) uint8 image, straight from the README of the weights."""
    a = {k: torch.tensor(v).double() for k, v in arrays.items()}

    def conv(x, name, stride=1, groups=1, relu=True):
        w = a[f"{name}.weight"]
        if w.shape[-1] == 3:  # stride 2 pads at the bottom and on the right only
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = F.conv2d(x, w, stride=stride, groups=groups)
        g, b, m, v = (
            a[f"{name}.bn.{k}"][:, None, None] for k in ("gamma", "beta", "mean", "variance")
        )
        x = (x - m) / torch.sqrt(v + 0.001) * g + b
        return x.clamp(0, 6) if relu else x

    x = torch.tensor(image).double().permute(2, 0, 1)[None] / 127.5 - 1
    x = conv(x, "stem", 2)
    i = 0
    while f"block{i}.project.weight" in a:
        y = conv(x, f"block{i}.expand") if f"block{i}.expand.weight" in a else x
        y = conv(y, f"block{i}.depthwise", 2 if i in (1, 3, 6, 13) else 1, y.shape[1])
        y = conv(y, f"block{i}.project", relu=False)
        x = x + y if y.shape == x.shape else y
        i += 1
    return conv(x, "last").mean((2, 3))[0].numpy()


def student_of(spec: str) -> Student:
    shape, _ = pretrained.load(spec)
    student = Student(shape)
    space = {}
    checkpoint.warm_start(spec, student, space)
    return student.eval()


@torch.no_grad()
def features(student: Student, image: np.ndarray) -> np.ndarray:
    return student.features(to_input(torch.tensor(image)[None])).mean((2, 3))[0].numpy()


def grey_border(rng: np.random.Generator) -> np.ndarray:
    """A picture whose last row and column are mid-grey, where both paddings mean the same."""
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    return image


def test_features_are_those_of_the_file(tmp_path):
    arrays = body(tmp_path / "body.npz")
    image = grey_border(np.random.default_rng(1))
    got = features(student_of(f"mobilenet_v2_0.35:{tmp_path}/body.npz"), image)
    # Padding is grey 128 here and 127.5 there: half a step in 127, in the last row and column.
    np.testing.assert_allclose(got, forward(arrays, image), rtol=0.02, atol=0.02)


SHARED = Path(__file__).parents[2] / "shared" / "data" / "pretrained"


@pytest.mark.skipif(not SHARED.exists(), reason="needs the pretrained bodies in ../shared/data")
def test_features_of_the_real_one_on_a_photo():
    skimage = pytest.importorskip("skimage")
    image = skimage.data.chelsea()[40:232, 120:312][::2, ::2].copy()
    path = SHARED / "mobilenet_v2_0.35_imagenet_backbone.npz"
    with np.load(path) as file:
        want = forward(dict(file), image)
    got = features(student_of(f"mobilenet_v2_0.35:{path}"), image)
    assert len(got) == 1280
    assert np.corrcoef(got, want)[0, 1] > 0.9999
    np.testing.assert_allclose(got, want, rtol=0.02, atol=0.02)


def test_a_smaller_student_keeps_the_blocks_most_like_its_own(tmp_path):
    body(tmp_path / "body.npz")
    small = (Bottleneck(8, 0, 2), Bottleneck(16, 16, 2), Bottleneck(12, 20, 1))
    student = Student(StudentConfig(32, 12, small, 24, relu6=True))
    said = checkpoint.warm_start(f"mobilenet_v2:{tmp_path}/body.npz", student, {})
    assert "(blocks 0, 3, 4)" in said
    before = student.state_dict()
    _, state = pretrained.load(f"mobilenet_v2:{tmp_path}/body.npz")
    kept = state["blocks.4.project.conv.weight"]
    rows = before["blocks.2.project.conv.weight"].flatten(1)
    assert rows.shape == (12, 20)
    flat = {tuple(np.sort(r)) for r in kept.flatten(1).numpy()}
    for row in rows.numpy():  # each is one of the file's rows with some columns left out
        assert any(set(row) <= set(whole) for whole in flat)


@pytest.mark.parametrize(
    ("shallow", "want"),
    [
        ([(8, 0), (8, 16), (16, 16), (16, 24)], [0, 1, 3, 4]),
        ([(8, 0), (16, 16)], [0, 3]),
        ([(8, 0), (16, 32)], None),  # more channels than any has
        ([(8, 0), (8, 8), (8, 8), (8, 8), (16, 8)], [0, 1, 2, 3, 4]),
    ],
)
def test_align(shallow, want):
    def blocks(rows):
        return tuple(Bottleneck(*row) for row in rows)

    assert align.align(blocks(WIDTHS), blocks(shallow)) == want


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_a_file_that_is_none_gets_one_sentence(tmp_path, content):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match="--init mobilenet_v2:") as error:
        pretrained.load(f"mobilenet_v2:{path}")
    assert "\n" not in str(error.value)
