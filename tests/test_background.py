# SPDX-License-Identifier: MIT
"""Fitting what makes a frame unknown: on embeddings whose truth is known."""

import json

import numpy as np
import pytest
from made_photos import made_photos
from PIL import Image

from tinyvlm import background as command
from tinyvlm.device.vocab import Vocab
from tinyvlm.measure import calibrate, held_out
from tinyvlm.shipped import DATA
from tinyvlm.words import background, gains, tvp
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import normalize


@pytest.fixture(scope="module")
def photos():
    """Photos whose embeddings are their word's vector and noise."""
    return made_photos(12, 200, 4, 0.06)


@pytest.fixture(scope="module")
def found(photos):
    patch = pytest.MonkeyPatch()
    patch.setattr(calibrate, "FRAMES", 1600)
    patch.setattr(calibrate, "SIZES", (1, 3, 10))
    yield calibrate.choose(photos, gains.make(photos.embeddings, photos.vectors))
    patch.undo()


def test_trials_show_a_label_or_none_of_them(photos):
    trials = calibrate.draw(photos, 0, 5)
    shown = photos.label[trials.photos]
    for classes, frames, right in zip(trials.classes, shown, trials.right, strict=True):
        none = right == 5
        assert none.sum() == calibrate.EACH // 2
        assert (classes[right[~none]] == frames[~none]).all()
        assert not np.isin(frames[none], classes).any()
        assert not photos.ignore[np.ix_(classes, frames[none])].any()


def test_a_label_is_drawn_once(photos):
    for ids in calibrate.draw(photos, 0, 20, themed=True).classes:
        assert len(set(ids)) == len(ids)


def test_the_two_halves_share_no_class(photos):
    halves = [calibrate.draw(photos, half, 10) for half in (0, 1)]
    seen = [set(photos.label[half.photos].ravel()) | set(half.classes.ravel()) for half in halves]
    assert seen[0] and seen[1] and not seen[0] & seen[1]


def test_lists_of_a_theme_are_asked_about_what_is_like_their_labels(photos):
    """A list of dishes sees other dishes; nothing of it is drawn where no theme is asked for."""

    def alike(trials):
        rows = normalize(photos.vectors)
        classes, none = trials.classes, trials.right == 10
        shown = photos.label[trials.photos]
        others = [
            (rows[frames[some]] @ rows[ids].T).max(axis=1).mean()
            for ids, frames, some in zip(classes, shown, none, strict=True)
        ]
        return np.array([np.triu(rows[ids] @ rows[ids].T, 1).sum() for ids in classes]), others

    (random, others), (themed, cousins) = (
        alike(calibrate.draw(photos, 0, 10, themed=themed)) for themed in (False, True)
    )
    half = len(themed) // 2  # the share of the theme rises
    assert themed[half:].mean() > 2 * max(random.mean(), themed[:half].mean())
    assert np.mean(cousins[half:]) > max(np.mean(others), np.mean(cousins[:half]))


def test_each_half_of_the_classes_is_chosen_on_and_measured_on(photos, monkeypatch):
    monkeypatch.setattr(calibrate, "FRAMES", 400)
    themed, plain = (
        [calibrate.draw(photos, half, 3, themed=theme) for half in (0, 1)]
        for theme in (True, False)
    )
    there = calibrate.reached(photos, themed, plain, 64, 20.0)
    assert there == calibrate.reached(photos, themed[::-1], plain[::-1], 64, 20.0)
    alone = [calibrate.fit(calibrate.Scores(photos, some, 64)) for some in themed]
    scale, none = np.mean(alone, axis=0)
    assert (there["logit_scale"], there["none"]) == (round(scale, 2), round(none, 3))


def test_what_is_fitted_is_the_likeliest():
    photos = made_photos(12, 200, 4, 0.2)
    scores = calibrate.Scores(photos, calibrate.draw(photos, 0, 5), 64)
    scale, none = calibrate.fit(scores)
    best = scores.loss(scale, none)
    for factor, more in ((1.05, 0), (0.95, 0), (1, 0.01), (1, -0.01)):
        assert scores.loss(factor * scale, none + more) > best
    plain = calibrate.fit_scale(scores)
    assert scores.loss(plain, None) < min(scores.loss(f * plain, None) for f in (0.95, 1.05))


def test_scores_and_verdicts_are_those_of_the_device_package(photos):
    limit, scale, none = 0.4, 12.0, 0.3
    drawn = calibrate.draw(photos, 0, 5)
    trial = calibrate.Trials(drawn.classes[:1], drawn.photos[:1], drawn.right[:1])
    scores = calibrate.Scores(photos, trial, dim=64)
    [classes] = trial.classes
    packed = tvp.Prototypes(
        [photos.classes[i] for i in classes], tvp.quantize(photos.vectors[classes][:, :64]),
        b"12345678", "x", logit_scale=scale, threshold=limit, none=[none],
    )  # fmt: skip
    vocab, best = Vocab(tvp.to_bytes(packed)), scores.probabilities(scale, none)[:, :5].max(axis=1)
    named = []
    for photo, want in zip(trial.photos[0], best, strict=True):
        [(label, score), *_] = vocab.match(photos.embeddings[photo].tobytes())
        named.append(label != "unknown")
        assert score == pytest.approx(want if named[-1] else 1 - want, abs=0.02)  # 8 bits
    shows, named = trial.right[0] < 5, np.array(named)
    found = calibrate.rates(scores, scale, none)
    at = int(np.argmin(abs(calibrate.LIMITS - limit)))
    assert found["unknown"][at] == pytest.approx(1 - np.mean(named[shows]))
    assert found["named"][at] == pytest.approx(np.mean(named[~shows]))


def test_what_is_chosen_is_calibrated_and_the_knob_turns_one_way(found):
    for at in found["sizes"].values():
        for row in at["dims"].values():
            assert row["error"] < 10 and row["off"]["error"] < 15  # made-up photos
            knob = [row[name] for name in background.KNOB]
            for name, more in (("right", 1), ("unknown", -1), ("wrong", 1), ("named", 1)):
                shares = [each[name] for each in knob] + [row["off"][name]]
                assert shares == sorted(shares, reverse=more < 0)
            for each in (*knob, row["off"]):
                assert each["right"] + each["unknown"] + each["wrong"] == pytest.approx(
                    100, abs=0.2
                )
            assert row["off"]["unknown"] == 0 and row["off"]["named"] == 100
    near, far = (found["pairs"]["64"][k] for k in (2, 0))
    assert far > 95 and (near is None or near <= far)


def test_there_is_no_chance_in_it(photos):
    once, again = (calibrate.draw(photos, 1, 3).photos for _ in range(2))
    assert (once == again).all()
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    words = calibrate.central_words(lexicon, 8)
    assert words == calibrate.central_words(lexicon, 8) and len(set(words)) == 8


def test_from_photos_to_a_file(tmp_path, monkeypatch, capsys):
    """The whole command on pictures of nothing: a file that tinyvlm-pack takes."""
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    names = [n for n in lexicon.index if lexicon.kind(n) == "exact" and n.isalpha()][::30][:30]
    for k, name in enumerate(names):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(2):
            Image.effect_noise((16, 16), 20 + 3 * k + i).save(tmp_path / "set" / name / f"{i}.png")
    monkeypatch.setattr(calibrate, "SIZES", (2, 500))  # the latter is too many
    monkeypatch.setattr(held_out, "FEWEST", 30)
    monkeypatch.setattr(calibrate, "FRAMES", 200)
    output, cache = tmp_path / "x.json", tmp_path / "cache.npz"
    arguments = ["--data", str(tmp_path / "set"), "--all", "-o", str(output), "--workers", "1"]
    arguments += ["--cache", str(cache), "--plot", str(tmp_path / "x.svg")]
    assert command.main(arguments) == 0, capsys.readouterr().err
    text = capsys.readouterr().out
    assert "60 photos of 30 classes" in text and f"{output}: what makes a frame unknown" in text
    assert "<svg" in (tmp_path / "x.svg").read_text()
    first = json.loads(output.read_text())
    monkeypatch.setattr(held_out, "embed_all", None)  # the second time the cache is used
    assert command.main(arguments) == 0
    assert json.loads(output.read_text()) == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none-*.tar"], "none-*.tar: no such file or directory"),
        (["--data", "set"], "no photos that training holds out; give training shards, or --all"),
        (["--data", "set", "--all"], "1 classes with photos"),
        (["--data", "set", "--per-class", "0"], "--per-class 0: must be 1 or more"),
        (["--data", "set", "--model", "no.tvlm"], "no.tvlm: no such file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(tmp_path / "set" / "cat" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert command.main([*arguments, "-o", "x.json"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("threshold", "said"), [(0.28, "0.28"), (np.float32(0.305), "0.305"), (1, "1.00")]
)
def test_a_threshold_is_said_as_it_is(threshold, said):
    assert background.said(threshold) == said
