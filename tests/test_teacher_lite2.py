# SPDX-License-Identifier: MIT
"""The teacher efficientnet-lite2: what it makes of the features of a classifier made up here."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from tinyvlm.train import teacher_lite2  # noqa: E402
from tinyvlm.train.teacher_lite2 import Lite2  # noqa: E402
from tinyvlm.train.teachers import create_teacher  # noqa: E402
from tinyvlm.words.space import normalize  # noqa: E402

CLASSES, WIDTH = 120, 32


@pytest.fixture
def teacher(monkeypatch):
    """Class i's weight row is a turned copy of its name, so that features name themselves."""
    monkeypatch.setattr(teacher_lite2, "FEATURES", WIDTH)
    rng = np.random.default_rng(0)
    names = normalize(rng.normal(size=(CLASSES, 512)).astype(np.float32))
    names[7] = 0  # held out
    turn = rng.normal(size=(512, WIDTH)).astype(np.float32) / np.sqrt(512)
    weight = 3 * normalize(normalize(rng.normal(size=(CLASSES, 512))) @ turn).astype(np.float32)
    bias = np.zeros(CLASSES, np.float32)
    name_map = teacher_lite2.learn_name_map(weight, names)
    return Lite2("made up", None, weight, bias, names, name_map)


def test_a_sure_photo_points_at_its_name_and_is_as_long_as_it_is_sure(teacher):
    features = np.stack([9 * teacher.weight[3], 0.02 * teacher.weight[3]])
    sure, unsure = teacher.vectors(features)
    assert (normalize(sure[None]) @ teacher.names.T).argmax() == 3
    assert 0.99 < np.linalg.norm(sure) <= 1.001
    assert np.linalg.norm(unsure) < 0.1


def test_a_class_held_out_is_never_named(teacher):
    p, sure = teacher.probabilities(9 * teacher.weight[[7]])
    assert p[0, 7] == 0 and sure[0] > 0.99
    assert (p > 0).sum() <= teacher_lite2.TOP


def test_image_map_is_a_ridge_from_features_to_image_vectors():
    rng = np.random.default_rng(1)
    features = rng.normal(2, 1, (400, 16))
    vectors = (features @ rng.normal(size=(16, 512)) + 5).astype(np.float32)
    mean, image_map = teacher_lite2.learn_image_map(features, vectors)
    found = (features - mean) @ image_map
    want = vectors - vectors.mean(0)
    cosine = (normalize(found) * normalize(want)).sum(1)
    assert cosine.min() > 0.98


@pytest.mark.parametrize(("size", "judged"), [((24, 40), True), ((23, 300), False)])
def test_small_photos_are_left_out(teacher, size, judged):
    picture = teacher.prepare(Image.new("RGB", size))
    assert (picture is not None) == judged
    if judged:
        assert picture.shape == (224, 224, 3)


def test_a_name_says_how_many_pixels_it_looks_at(monkeypatch):
    """Vectors of another size are other vectors: the name that a cache keeps tells them apart."""
    weight = np.random.default_rng(0).normal(size=(CLASSES, teacher_lite2.FEATURES))
    names = np.eye(CLASSES, 512, dtype=np.float32)
    asked = []
    monkeypatch.setattr(teacher_lite2, "name_vectors", lambda *_: names)
    monkeypatch.setattr(
        teacher_lite2, "load", lambda precision, side: (asked.append(side), weight, weight[:, 0])
    )
    small = create_teacher("efficientnet-lite2:192", text_vectors=Path("names.npz"))
    usual = create_teacher("efficientnet-lite2", text_vectors=Path("names.npz"))
    assert asked == [192, 224]
    assert small.name == "efficientnet-lite2:192:a+1.5b"
    assert usual.name == "efficientnet-lite2:a+1.5b"
    assert small.prepare(Image.new("RGB", (40, 30))).shape == (192, 192, 3)


def test_pairs_need_a_table_and_shards(tmp_path, teacher):
    with pytest.raises(ValueError, match="pairs.npz and shards"):
        teacher_lite2.read_pairs(tmp_path, teacher)


def test_without_text_vectors_it_says_what_to_name():
    with pytest.raises(ValueError, match="--text-vectors"):
        create_teacher("efficientnet-lite2")
