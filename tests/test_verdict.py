# SPDX-License-Identifier: MIT
"""How often a maker is answered rightly, by default: on embeddings whose truth is known."""

import numpy as np
import pytest
import verdict as command
from made_photos import made_photos

from tinyvlm.device.vocab import Vocab
from tinyvlm.measure import held_out, verdict
from tinyvlm.shipped import DEFAULT_MODEL

EACH = 30  # photos of a class


@pytest.fixture(scope="module")
def photos():
    """Photos that are nearer to each other than to their word, as real ones are."""
    return made_photos(40, 60, EACH, 0.05, away=0.1)


def test_rates_are_shares_of_what_shows_a_label_and_of_what_shows_none():
    found = verdict.Answers(
        shows=np.array([1, 1, 1, 1, 0, 0], bool),
        named=np.array([1, 1, 0, 1, 0, 1], bool),
        hit=np.array([1, 0, 1, 1, 0, 0], bool),
        score=np.array([0.9, 0.6, 0.2, 0.5, 0.1, 0.7]),
    )
    assert found.rates() == {"right": 50, "unknown": 25, "wrong": 25, "named": 50}
    assert found.rates(0.55) == {"right": 25, "unknown": 50, "wrong": 25, "named": 50}
    assert found.rates(0) == {"right": 75, "unknown": 0, "wrong": 25, "named": 100}
    sure = verdict.Answers(*(np.ones(4, bool),) * 3, np.ones(4))
    assert sure.error(True) == 0 and sure.rates()["right"] == 100


def test_half_of_what_is_asked_shows_none_and_nothing_shown_is_asked(photos):
    for trial in verdict.draw(photos, 5, 4, most=20):
        shown = photos.label[trial.ask]
        assert (trial.classes[trial.right[trial.right >= 0]] == shown[trial.right >= 0]).all()
        assert not np.isin(shown[trial.right < 0], trial.classes).any()
        assert (trial.right < 0).sum() == (trial.right >= 0).sum() == 5 * verdict.ASKED
        assert [len(own) for own in trial.show] == [20] * 5
        assert not np.isin(trial.ask, np.concatenate(trial.show)).any()


def test_what_is_asked_are_the_answers_of_the_device_package(photos):
    [trial] = verdict.draw(photos, 3, 1)
    maker = verdict.Maker(photos, DEFAULT_MODEL)
    vocab = maker.vocab(trial.classes)
    assert isinstance(vocab, Vocab) and 0 < vocab.threshold < 1
    found = verdict.words(maker, [trial])
    for photo, named, hit in zip(trial.ask, found.named, found.hit, strict=True):
        [(label, _), *_] = vocab.match(photos.embeddings[photo].tobytes())
        assert named == (label != "unknown")
        if named:
            assert hit == (label == photos.classes[photos.label[photo]])


def test_showing_makes_it_better(photos):
    maker = verdict.Maker(photos, DEFAULT_MODEL)
    found = verdict.shown(maker, verdict.draw(photos, 10, 8, max(verdict.SHOTS)))
    right = [found[n].rates()["right"] for n in verdict.SHOTS]
    assert right[0] < right[3] <= right[-1] and right[-1] > 90


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
    assert (grown.shows == packed.shows).all()
    assert grown.rates()["named"] < packed.rates()["named"] + 15
