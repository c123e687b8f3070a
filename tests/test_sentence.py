# SPDX-License-Identifier: MIT
"""Any English phrase: the sentence encoder of the extra `words`, and the regression that ships."""

import numpy as np
import pytest

from tinyvlm import packit
from tinyvlm.shipped import DATA
from tinyvlm.words import encoders, sentence
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.sentence import Spelling

needs_extra = pytest.mark.skipif(
    not sentence.installed(), reason="the extra `words` is not installed"
)


@pytest.fixture(scope="module")
def text():
    return encoders.create_text_encoder("sentence")


def test_the_regression_is_small_and_of_the_lexicons_space():
    path = DATA / "sentence.npz"
    assert path.stat().st_size <= 2_000_000
    assert str(np.load(path)["space"]) == Lexicon.load(DATA / "lexicon.npz").space


def test_spelling_is_a_cosine_of_runs_of_letters():
    alike = Spelling(["cat", "cattle", "dog", "a black dog"])(["cat", "dog", "qwx"])
    assert np.isclose(alike[0, 0], 1) and np.isclose(alike[1, 2], 1)
    assert alike[0, 1] > alike[0, 2] and alike[1, 3] > alike[1, 0]
    assert alike[2].max() < 0.01  # only that a word begins and ends


def test_without_the_extra_the_lexicon_answers_and_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sentence, "NEEDED", ("no_such_package",))
    assert encoders.default_text_encoder() == "lexicon"
    with pytest.raises(ValueError, match=r"pip install -e .*\[words\]'"):
        encoders.create_text_encoder("sentence")


def test_an_unknown_word_says_how_to_get_every_phrase(tmp_path, capsys):
    (tmp_path / "v.txt").write_text("qwxzzv\n")
    given = ["--vocab", str(tmp_path / "v.txt"), "--text-encoder", "lexicon"]
    assert packit.main(given) == 2
    assert "[words]'" in capsys.readouterr().err


@needs_extra
def test_names_of_the_lexicon_keep_their_vectors(text):
    for name in ("cat", "the cats", "secateurs"):
        mine, theirs = text.encode(name), text.lexicon.encode(name)
        assert (mine.vector == theirs.vector).all() and mine.how == theirs.how


@needs_extra
@pytest.mark.parametrize(
    ("phrase", "near", "far"),
    [
        ("a man riding a brown horse on the beach", "horse", "computer keyboard"),
        ("steaming bowl of noodles with an egg", "bowl", "bus"),
        ("somebody soldering a tiny wire", "wire", "cow"),
    ],
)
def test_any_phrase_lies_near_what_it_is_about(text, phrase, near, far):
    made = text.encode(phrase)
    assert made.how == "estimated (sentence encoder)"
    assert np.isclose(np.linalg.norm(made.vector), 1, atol=1e-5)
    known = [text.encode(word).vector for word in (near, far)]
    assert made.vector @ known[0] > made.vector @ known[1] + 0.15


@needs_extra
def test_a_phrase_is_packed(tmp_path, capsys):
    (tmp_path / "v.txt").write_text("cat\na dog that jumps over a fence\n")
    assert packit.main(["--vocab", str(tmp_path / "v.txt")]) == 0
    assert "estimated (sentence encoder)" in capsys.readouterr().out


@needs_extra
def test_a_typing_error_is_told(text):
    assert "did you mean elephant" in text.encode("elefant").how


@needs_extra
@pytest.mark.parametrize("word", ["猫", "кошка", "γάτα μου"])
def test_what_is_not_english_by_its_letters_is_refused(word, tmp_path, capsys):
    (tmp_path / "v.txt").write_text(f"cat\n{word}\n", encoding="utf-8")
    given = ["--vocab", str(tmp_path / "v.txt"), "--text-encoder", "sentence"]
    assert packit.main(given) == 2
    problem, hint = capsys.readouterr().err.splitlines()
    assert f"v.txt:2: {word!r} is not English; write `{word}: the English for it`" in problem
    assert "`Katze: cat` shows Katze" in hint and "pip install" not in hint


@needs_extra
@pytest.mark.parametrize("word", ["crème brûlée", "123", "c++", "naïve Übermut"])
def test_accents_and_numbers_are_no_other_language(text, word):
    assert text.encode(word).how.startswith("estimated")


@needs_extra
def test_a_file_without_estimates_of_its_own_is_the_lexicons():
    fresh = encoders.create_text_encoder("sentence")
    fresh.encode("cat")
    assert fresh.name == "lexicon"
    fresh.encode("a dog that jumps over a fence")
    assert fresh.name == "sentence"


@needs_extra
def test_another_version_of_the_network_is_refused(text, monkeypatch):
    fresh = encoders.create_text_encoder("sentence")
    monkeypatch.setattr(fresh, "model", "0" * 64)
    with pytest.raises(ValueError, match="another version"):
        fresh.encode("a dog that jumps over a fence")
