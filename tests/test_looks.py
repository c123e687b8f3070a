# SPDX-License-Identifier: MIT
"""Several looks at a photo: what each sees, and that averages of them are measured as they are."""

from dataclasses import replace

import numpy as np
import pytest
import verdict as command
from made_photos import made_photos
from PIL import Image

import tinyvlm
from tinyvlm.measure import calibrate, held_out, looks
from tinyvlm.measure.looks import LOOKS, Look
from tinyvlm.shipped import DEFAULT_MODEL


@pytest.mark.parametrize("size", [(20, 20), (30, 20), (20, 31)])
@pytest.mark.parametrize(
    ("look", "part"),
    [
        (Look(), (0, 0, 20)),
        (Look(0.8), (2, 2, 16)),
        (Look(0.85, 0, 0), (0, 0, 17)),
        (Look(0.85, 1, 1), (3, 3, 17)),
        (Look(0.85, 1, 0), (3, 0, 17)),
        (Look(0.01), (9, 9, 1)),
    ],
)
def test_a_look_is_a_part_of_the_seen_square(size, look, part):
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    square = pixels[(height - 20) // 2 :, (width - 20) // 2 :][:20, :20]
    x, y, side = part
    seen = square[y : y + side, x : x + side]
    assert (np.asarray(look(Image.fromarray(pixels))) == seen).all()
    mirrored = replace(look, mirrored=True)
    assert (np.asarray(mirrored(Image.fromarray(pixels))) == seen[:, ::-1]).all()


def test_photos_are_embedded_once_a_look(tmp_path, monkeypatch):
    folder, rng = tmp_path / "set", np.random.default_rng(1)
    (folder / "cat").mkdir(parents=True)
    pictures = [rng.integers(0, 256, (24, 20, 3), np.uint8) for _ in range(3)]
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / "cat" / f"{i}.png")
    (folder / "cat" / "1.png").write_bytes(b"\x89PNG, but not quite")  # is left out in every look
    monkeypatch.setattr(held_out, "FEWEST", 1)
    seen = looks.LOOKS[:3]
    found = held_out.gather([str(folder)], DEFAULT_MODEL, 9, 2, None, True, seen)
    assert found.embeddings.shape == (2, 3, 256) and found.label.tolist() == [0, 0]
    for pixels, rows in zip(pictures[::2], found.embeddings, strict=True):
        for look, row in zip(seen, rows, strict=True):
            assert tinyvlm.embed(look(Image.fromarray(pixels))).tolist() == row.tolist()


@pytest.fixture
def photos(monkeypatch):
    """Photos at which each look sees something else; of every third class unseen in training."""
    found = made_photos(12, 120, 4, 0.0)
    noisy = made_photos(12, 120, 4 * len(LOOKS), 0.35).embeddings
    unseen = set(found.classes[::3])
    monkeypatch.setattr(calibrate.known, "held_out", lambda name: name in unseen)
    monkeypatch.setattr(calibrate, "FRAMES", 1600)
    return replace(found, embeddings=noisy.reshape(len(found.label), len(LOOKS), -1))


def test_unseen_are_only_classes_that_no_training_has_seen(photos):
    trials = calibrate.draw(photos, calibrate.UNSEEN, 10)
    shown = {*photos.label[trials.photos].ravel(), *trials.classes.ravel()}
    assert all(calibrate.known.held_out(photos.classes[i]) for i in shown)
    assert trials.classes.shape[1] == 10


def test_what_looks_are_worth(photos):
    heads, *rows = looks.table(photos, (64, 128))
    assert [row[0] for row in rows[:2]] == ["the frame", "the frame, 128 dimensions"]
    assert {len(row) for row in rows} == {len(heads)} == {2 + 2 * len(looks.HEADS)}
    cents = {row[0]: [float(cell) for cell in row[2:]] for row in rows}
    for right, unknown, wrong, best in [*(c[:4] for c in cents.values()), cents["all five"][4:]]:
        assert right + unknown + wrong == pytest.approx(100, abs=0.2) and right <= best
    runs = {row[0]: int(row[1]) for row in rows}
    assert runs["the frame"] == 1 and runs["all five"] == 5
    for at in (0, 4):  # independent noise: five looks see through it
        assert cents["the frame"][at] + 5 < cents["all five"][at]


def test_the_command_prints_them(photos, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(held_out, "gather", lambda *given: asked.append(given) or photos)
    (tmp_path / "a-000.tar").touch()
    page = tmp_path / "page.md"
    page.write_text("<!-- begin: looks -->\n<!-- end: looks -->\n")
    arguments = ["--train", str(tmp_path), "--looks", "--markdown", str(page)]
    assert command.main(arguments) == 0, capsys.readouterr().err
    assert asked[0][-2:] == (False, looks.LOOKS)  # what training holds out, in all looks
    assert "| all five " in page.read_text() and "480 photos of 120" in capsys.readouterr().out
    assert command.main(["--train", str(tmp_path)]) == 2
    assert "--eval" in capsys.readouterr().err
