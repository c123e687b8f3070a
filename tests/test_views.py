# SPDX-License-Identifier: MIT
"""Views of photos for a teacher: shards with crops and mixtures, none of what is held out."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from tars import write

pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from tinyvlm.train import labels, shards, views  # noqa: E402

CLASSES = ("cat", "rocket", "umbrella")  # the last is one that is held out of training
COLOURS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 photos of one colour a class, every sixth of them too small, and one broken file."""
    folder = tmp_path_factory.mktemp("photos")
    files = [("broken.jpg", b"no picture"), ("broken.txt", b"cat")]
    for i in range(60):
        size = (90, 140) if i % 6 == 5 else (130, 110)
        file = io.BytesIO()
        Image.new("RGB", size, COLOURS[i % 3]).save(file, "JPEG")
        files.append((f"{i:03}.jpg", file.getvalue()))
        files.append((f"{i:03}.txt", CLASSES[i % 3].encode()))
    write(folder / "photos-000.tar", files)
    return folder


def make(folder, out, *more):
    assert views.main(["--train-data", f"{folder}/*.tar", "--out", str(out), *more]) == 0
    files = sorted(out.iterdir())
    return [sample for path in files for sample in shards.read(path, Counter())]


def test_views(folder, tmp_path, capsys):
    made = make(folder, tmp_path / "views", "--copies", "8")
    photos = sum(
        not labels.held_out_image(s.id, s.text) and views.large(s.blob, 100)
        for s in shards.read(folder / "photos-000.tar", Counter())
    )
    assert len(made) == 8 * photos
    assert f"{len(made)} views of {photos} photos in 1 shard" in capsys.readouterr().out
    assert not any(labels.held_out_image(s.id, s.text) for s in made)
    mixed = [s for s in made if s.text == labels.UNLABELLED]
    assert 0.3 < len(mixed) / len(made) < 0.7
    assert {s.text for s in made if s not in mixed} == {"cat", "rocket"}
    for sample in made:
        image = shards.decode(sample.blob, views.SIDE)
        assert image.size == (views.SIDE, views.SIDE)
        red, green, blue = np.asarray(image).reshape(-1, 3).mean(0)
        assert blue < 12  # nothing of the class that is held out
        if sample.text == "cat":
            assert red > 180 and green < 20
    both = [np.asarray(shards.decode(s.blob, 112)).mean((0, 1)) for s in mixed]
    assert any(min(red, green) > 45 for red, green, _ in both)


def test_the_seed_decides(folder, tmp_path):
    first, again = (make(folder, tmp_path / name) for name in "ab")
    other = make(folder, tmp_path / "c", "--seed", "2")
    assert [(s.id, s.blob) for s in first] == [(s.id, s.blob) for s in again]
    assert [s.blob for s in first] != [s.blob for s in other]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--copies", "0"], "--copies and --workers must be 1 or more"),
        (["--train-data", "nowhere.tar"], "no shard matches 'nowhere.tar'"),
    ],
)
def test_mistakes_get_one_sentence(folder, tmp_path, capsys, more, says):
    out = tmp_path / "views"
    assert views.main(["--train-data", f"{folder}/*.tar", "--out", str(out), *more]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not out.exists()
