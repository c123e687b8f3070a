# SPDX-License-Identifier: MIT
"""How often a maker is answered rightly, by default: on embeddings whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
import verdict as command
from made_photos import made_photos

from tinyvlm.device.vocab import Vocab
from tinyvlm.measure import held_out, verdict
from tinyvlm.measure.answers import Answers, Rates, error, rates
from tinyvlm.shipped import DEFAULT_MODEL

EACH = 30  # photos of a class
PAGE = Path(__file__).parents[1] / "docs" / "vocabulary.md"


@pytest.fixture(scope="module")
def photos():
    """Photos that are nearer to each other than to their word, as real ones are."""
    return made_photos(40, 60, EACH, 0.05, away=0.1)


def test_rates_are_shares_of_what_shows_a_label_and_of_what_shows_none():
    target, best = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 1])
    named = np.array([1, 1, 0, 1, 0, 1], bool)
    sure = np.array([0.9, 0.6, 0.2, 0.5, 0.1, 0.7])
    score = np.where(named, sure, 1 - sure)
    found = Answers(["a", "b"], target, np.where(named, best, 2), best, score)
    assert rates(found).cent() == {"right": 50, "unknown": 25, "wrong": 25, "named": 50}
    for limit, cent in ((0.55, (25, 50, 25, 50)), (0, (75, 0, 25, 100))):
        assert tuple(rates(found, threshold=limit).cent().values()) == cent
    assert rates(found, found) == Rates(8, 4, 2, 2, 4, 2)
    certain = Answers(["a"], np.zeros(4, int), *[np.zeros(4, int)] * 2, np.ones(4))
    assert error(certain, every=True) == 0 and rates(certain).cent()["right"] == 100
    assert error(found, certain, every=False) == pytest.approx(100 * (0.1 + 0.6 + 0.8 + 0.5) / 8)
    assert error(found, certain, every=True) == pytest.approx(100 * (2.0 + 0.1 + 0.7) / 10)


def test_half_of_what_is_asked_shows_none_and_nothing_shown_is_asked(photos):
    for trial in verdict.draw(photos, 5, 4, most=20):
        shown = photos.label[trial.ask]
        shows = trial.right < 5
        assert (trial.classes[trial.right[shows]] == shown[shows]).all()
        assert not np.isin(shown[~shows], trial.classes).any()
        assert (~shows).sum() == shows.sum() == 5 * verdict.ASKED
        assert [len(own) for own in trial.show] == [20] * 5
        assert not np.isin(trial.ask, np.concatenate(trial.show)).any()


def test_what_is_asked_are_the_answers_of_the_device_package(photos):
    [trial] = verdict.draw(photos, 3, 1)
    maker = verdict.Maker(photos, DEFAULT_MODEL)
    vocab = maker.vocab(trial.classes)
    assert isinstance(vocab, Vocab) and 0 < vocab.threshold < 1
    [found] = verdict.words(maker, [trial])
    for i, photo in enumerate(trial.ask):
        [(label, score), *_] = vocab.match(photos.embeddings[photo].tobytes())
        assert label == found.name(found.said[i])
        assert score == pytest.approx(found.score[i], abs=1e-6)
        assert found.best[i] == np.argmax(vocab.cosines(photos.embeddings[photo].tobytes())[:3])


@pytest.mark.parametrize(("labels", "trials"), [(3, 12), (10, 6), (20, 3)])
def test_showing_makes_it_better(photos, labels, trials):
    maker = verdict.Maker(photos, DEFAULT_MODEL)
    found = verdict.shown(maker, verdict.draw(photos, labels, trials, max(verdict.SHOTS)))
    right = [rates(*found[n]).cent()["right"] for n in verdict.SHOTS]
    assert right[0] < right[3] <= right[-1] and right[-1] > 90


def test_the_curve_of_the_page_rises():
    """More photos of real things make no vocabulary worse: docs/vocabulary.md, "shots"."""
    text = PAGE.read_text("utf-8")
    part = text[text.index("<!-- begin: shots -->") : text.index("<!-- end: shots -->")]
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in part.splitlines()[3:]]
    assert {(pool, labels) for pool, labels, *_ in rows} >= {
        ("train", n) for n in ("3", "10", "20")
    }
    for *_, cells in ((*row[:3], row[3:]) for row in rows):
        right = [int(cell.split("/")[0]) for cell in cells if cell]
        assert right[-1] > right[0]
        assert all(r >= max(right[:i], default=0) - 3 for i, r in enumerate(right))  # of chance


def test_too_few_photos_to_show_are_an_error(photos):
    with pytest.raises(ValueError, match="0 classes are too few for vocabularies of 3 labels"):
        verdict.draw(photos, 3, 1, most=EACH)


def test_the_command_writes_its_tables(photos, tmp_path, monkeypatch, capsys):
    asked = []

    def gather(patterns, model, most, workers, cache, every):
        asked.append((list(patterns), every))
        return photos

    monkeypatch.setattr(held_out, "gather", gather)
    names = ("verdicts", "thresholds", "shots", "grown", "calibration")
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- begin: {n} -->\n<!-- end: {n} -->\n" for n in names))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}-000.tar").touch()
    arguments = ["--train", tmp_path / "a", "--eval", tmp_path / "b", "--trials", "2"]
    assert command.main([*map(str, arguments), "--markdown", str(page)]) == 0
    assert [every for _, every in asked] == [False, True]
    text = page.read_text()
    for name in names:
        part = text[text.index(f"<!-- begin: {name}") : text.index(f"<!-- end: {name}")]
        assert part.count("\n| train") + part.count("train:") > 0
    assert capsys.readouterr().out.count("eval: 1800 photos of 60 classes") == 1


def test_what_is_wrong_is_said(tmp_path, capsys):
    assert command.main(["--train", str(tmp_path), "--eval", str(tmp_path)]) == 2
    assert "no shards" in capsys.readouterr().err


def test_sentences_are_no_labels(tmp_path, monkeypatch):
    """Photos whose text is no name of the lexicon take no part."""
    names = ["cat", "dog", "a dog runs on the beach", "cat"]
    rows = np.zeros((4, 256), np.int8)
    monkeypatch.setattr(held_out, "_embedded", lambda *_: (names, rows, ["x"]))
    monkeypatch.setattr(held_out, "FEWEST", 2)
    found = held_out.gather([], DEFAULT_MODEL, 9, 1, None, True)
    assert found.classes == ["cat", "dog"] and found.label.tolist() == [0, 1, 0]


def test_a_vocabulary_that_grew_names_no_more_than_one_that_was_packed_so(photos):
    maker, trials = verdict.Maker(photos, DEFAULT_MODEL), verdict.draw(photos, 10, 6, most=10)
    grown, packed = verdict.grown(maker, trials, 1), verdict.words(maker, trials)
    found, like = rates(*grown), rates(*packed)
    assert (found.shown, found.none) == (like.shown, like.none)
    assert found.cent()["named"] < like.cent()["named"] + 15
