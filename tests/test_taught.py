# SPDX-License-Identifier: MIT
"""Words that photos of training were shown to: moved as a board moves them, and measured."""

from dataclasses import replace

import numpy as np
import pytest
import verdict as command
from made_photos import made_photos
from PIL import Image

from tinyvlm.measure import calibrate, held_out, taught
from tinyvlm.measure import verdict as trials
from tinyvlm.measure.answers import opened
from tinyvlm.shipped import DEFAULT_MODEL


@pytest.fixture
def photos(monkeypatch):
    """Photos beside their words, all of a class in one direction; of every third class unseen."""
    found = made_photos(12, 120, 20, 0.05, away=0.2)
    unseen = set(found.classes[::3])
    monkeypatch.setattr(calibrate.known, "held_out", lambda name: name in unseen)
    monkeypatch.setattr(calibrate, "FRAMES", 1600)
    return found


def split(photos):
    """(those that are asked, those that training saw: of the classes that are not unseen)."""
    new = np.array([calibrate.known.held_out(name) for name in photos.classes])[photos.label]
    odd = np.arange(len(photos.label)) % 2 == 1
    return [
        replace(photos, embeddings=photos.embeddings[mine], label=photos.label[mine])
        for mine in (~odd | new, odd & ~new)
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_a_word_is_moved_as_showing_moves_it(photos, count):
    asked, trained = split(photos)
    trained = replace(trained, classes=[*trained.classes[:50], *["no class"] * 70])
    found, factors = taught.shown(asked, trained, count)
    packed = trials.Maker(asked, DEFAULT_MODEL, dim=256).prototypes([1, 2])
    vocab = opened(replace(packed, learnt={}))  # words alone, without their gains
    for number, label in enumerate(list(vocab.labels)):
        for row in trained.embeddings[trained.label == 1 + number][:count]:
            vocab.learn(label, row.tobytes())
    probe = asked.embeddings[::37].astype(np.float32)
    probe /= np.linalg.norm(probe, axis=1, keepdims=True)
    for at, row in enumerate(probe):
        board = np.array(vocab.cosines(asked.embeddings[::37][at].tobytes()))[:2]
        assert board == pytest.approx(row @ found.vectors[[1, 2]].T * factors[[1, 2]], abs=0.02)
    assert found.vectors[50:] == pytest.approx(asked.vectors[50:], abs=1e-6)  # had no photos
    assert (factors[50:] == 1).all() and ((factors[:50] < 1) == (count > 0)).sum() > 30


def test_moving_helps_words_with_photos_and_no_others(photos):
    heads, *rows = taught.table(*split(photos), (0, 5))
    before, after = ([float(cell) for cell in row[1:]] for row in rows)
    assert len(before) == len(heads) - 1 == 8
    assert after[0] > before[0] + 5
    assert after[7] == before[7]  # without a threshold, of words without photos


def test_what_training_saw_is_what_it_does_not_hold_out(tmp_path, monkeypatch):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    for i in range(4):
        Image.new("L", (16, 16), 60 * i).save(tmp_path / "set" / "cat" / f"{i}.png")
    monkeypatch.setattr(held_out.known, "held_out_image", lambda id, name: "1.png" in id)
    monkeypatch.setattr(held_out, "FEWEST", 1)
    cache = tmp_path / "cache.npz"  # is of one of the two, and says which

    def count(**what):
        given = ([str(tmp_path / "set")], DEFAULT_MODEL, 9, 1, cache, False)
        return len(held_out.gather(*given, **what).label)

    assert (count(), count(trained=True), count()) == (1, 3, 1)


def test_the_command_prints_it(photos, tmp_path, monkeypatch, capsys):
    asked, trained = split(photos)
    monkeypatch.setattr(
        held_out, "gather", lambda *_, trained=False, t=trained: t if trained else asked
    )
    monkeypatch.setattr(taught, "COUNTS", (0, 5))
    (tmp_path / "a-000.tar").touch()
    page = tmp_path / "page.md"
    page.write_text("<!-- begin: taught -->\n<!-- end: taught -->\n")
    arguments = ["--train", str(tmp_path), "--taught", "--markdown", str(page)]
    for more, pools in (([], {"train"}), (["--eval", str(tmp_path)], {"train", "eval"})):
        assert command.main([*arguments, *more]) == 0, capsys.readouterr().err
        lines = [line.split() for line in page.read_text().splitlines() if line.startswith("| ")]
        assert {line[1] for line in lines[2:]} == pools
        assert [line[3] for line in lines[2:]] == ["0", "5"] * len(pools)
        assert "; shown: " in capsys.readouterr().out
