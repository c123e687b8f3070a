# SPDX-License-Identifier: MIT
"""A shipped encoder as the start of training embeds as the engine does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
skimage = pytest.importorskip("skimage.data")

import _tinyvlm  # noqa: E402
import nets  # noqa: E402
from PIL import Image  # noqa: E402

from tinyvlm.net import tvlm  # noqa: E402
from tinyvlm.shipped import DATA, ENCODERS  # noqa: E402
from tinyvlm.train import pretrained, pretrained_tvlm  # noqa: E402
from tinyvlm.train.student import Student, to_input  # noqa: E402

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def photo(name: str, size: int) -> np.ndarray:
    """The central square, uint8 (size, size, 3)."""
    image = Image.fromarray(getattr(skimage, name)())
    side, (width, height) = min(image.size), image.size
    left, top = (width - side) // 2, (height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", ENCODERS)
def test_embeddings_are_the_engines(name):
    path = DATA / f"{name}.tvlm"
    config, state = pretrained_tvlm.load(path)
    assert config.scheme == ("max78000" if name == "max78000" else "tflite")
    model = Student(config).eval()
    model.load_state_dict(state)
    engine = _tinyvlm.Encoder(path.read_bytes())
    cosines = []
    for each in PHOTOS:
        image, want = photo(each, config.size), np.empty(engine.dim, np.int8)
        engine.embed(image.tobytes(), config.size, config.size, _tinyvlm.RGB888, 0, want)
        with torch.no_grad():
            got = model(to_input(torch.tensor(image)[None]))[0].numpy()
        lengths = np.linalg.norm(want.astype(float)) * np.linalg.norm(got)
        cosines.append(got @ want / lengths)
    print(name, np.round(cosines, 4))
    assert np.mean(cosines) > 0.99 and min(cosines) > 0.97


def test_a_net_of_another_kind_is_named(tmp_path):
    build = nets.Builder(32)
    build.conv(8, 3, 2)
    build.conv(16, 3, 2)
    tvlm.write(build.finish(16), tmp_path / "other.tvlm")
    with pytest.raises(ValueError, match=r"other\.tvlm: layer conv1 is no global average pool"):
        pretrained_tvlm.load(tmp_path / "other.tvlm")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "cut.tvlm"
    path.write_bytes((DATA / "nano.tvlm").read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"cut\.tvlm: truncated"):
        pretrained_tvlm.load(path)


def test_batch_norms_of_an_int8_file_get_statistics_and_the_function_stays():
    shape, state = pretrained.load(str(DATA / "nano.tvlm"))
    student = Student(shape)
    student.load_state_dict(state, strict=False)
    images = torch.rand(64, 3, shape.size, shape.size, generator=torch.manual_seed(0)) * 2 - 1
    with torch.no_grad():
        before, loose = student.eval()(images), student.train()(images)
    student.load_state_dict(state, strict=False)  # training mode moved the statistics
    student.settle(images)
    with torch.no_grad():
        after, trained = student.eval()(images), student.train()(images)
    scale = before.abs().mean()
    assert (after - before).abs().max() < 1e-3 * scale
    assert (trained - before).abs().mean() < 0.05 * scale < (loose - before).abs().mean()
