# SPDX-License-Identifier: MIT
"""Gains: words that are near to every photo win less often, words that are near to none more."""

import json
import math

import numpy as np
import pytest

import tinyvlm
from tinyvlm.device.vocab import WORD
from tinyvlm.shipped import DATA, DEFAULT_MODEL, ENCODERS
from tinyvlm.words import background, gains, packing, tvp, vocabulary
from tinyvlm.words.space import normalize


def photos(count=600, dim=64, seed=0):
    """int8 embeddings that have much in one direction, as photos of one word have."""
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    rows[:, 0] += 4
    return np.rint(100 * normalize(rows)).astype(np.int8)


def unit(*at, dim=64):
    row = np.zeros(dim)
    row[list(at)] = 1
    return normalize(row)


def test_a_word_that_all_photos_are_near_to_counts_less():
    cohort = gains.make(photos(), normalize(np.random.default_rng(1).normal(size=(50, 64))))
    hub, plain = cohort.gains(np.stack([unit(0), unit(7)]))
    assert hub < 1 <= plain + 0.1 and hub < 0.8 * plain


def test_a_gain_is_the_root_of_usual_by_the_three_nearest_of_the_cohort():
    rows = np.zeros((5, 4), np.int8)
    rows[:, 0] = (90, 60, 30, 10, -50)
    cohort = gains.Cohort(rows, 30.0)
    [gain] = cohort.gains(np.array([[1.0, 0, 0, 0]]))
    assert gain == np.float32(math.sqrt(30 / 60))
    assert cohort.gains(np.array([[0, 1.0, 0, 0]])) == 2.0  # near to none: no more than twice
    assert gains.Cohort(rows, 1.0).gains(np.array([[1.0, 0, 0, 0]])) == 0.5


def test_the_usual_word_has_one():
    """Half of the words that `typical` is of have more, half less."""
    words = normalize(np.random.default_rng(2).normal(size=(101, 64)))
    found = gains.make(photos(), words).gains(words)
    assert (found > 1).sum() in (49, 50, 51) and np.median(found) == pytest.approx(1, abs=1e-3)


def test_no_chance_in_it_and_few_photos_are_the_cohort_themselves():
    some = photos(20)
    once, again = (gains.make(some, normalize(some.astype(float))) for _ in range(2))
    assert (once.rows == again.rows).all() and len(once.rows) == 20


def test_they_are_written_and_read():
    made = gains.make(photos(300), normalize(photos(9, seed=3).astype(float)))
    back = gains.from_json(json.loads(json.dumps(made.to_json())))
    assert (back.rows == made.rows).all() and back.typical == made.typical


@pytest.mark.parametrize("raw", [{}, {"rows": ["AAAA"], "typical": 1}, {"rows": [3], "typical": 1},
                                 {"rows": ["AA=="] * 9, "typical": 0}])  # fmt: skip
def test_what_is_none_is_refused_with_the_file(tmp_path, raw):
    found = json.loads(background.beside(DEFAULT_MODEL).read_text())
    (tmp_path / "x.background.json").write_text(json.dumps(found | {"cohort": raw}))
    with pytest.raises(ValueError, match=r"x\.background\.json: not made by tinyvlm\.background"):
        background.find(tmp_path / "x.tvlm", bytes.fromhex(found["fingerprint"]), 3)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_shipped_encoder_has_a_cohort(name):
    found = json.loads((DATA / f"{name}.background.json").read_text())
    cohort = gains.from_json(found["cohort"])
    assert cohort.rows.shape == (gains.COUNT, gains.DIM)


def pack(words, **more):
    entries = vocabulary.lines(words, "words")
    made = packing.prepare(entries, DEFAULT_MODEL, dim=64, text_encoder="lexicon", **more)
    return made.prototypes(64)


def test_a_packed_word_has_its_gain_in_its_own_list_as_in_any():
    first, second = pack(["dog", "teapot"]).learnt, pack(["cat", "teapot", "dog"]).learnt
    assert first[0] == second[2] and first[1] == second[1]
    assert all(known[:2] == (0, tvp.WORD) for known in second.values())
    assert tvp.WORD == WORD
    assert pack(["dog", "teapot"], unknown="off").learnt == first


def test_long_lists_have_none():
    words = [f"{colour} {thing}" for colour in ("red", "blue") for thing in _nouns(129)]
    assert not pack(words).learnt and len(pack(words[:256]).learnt) > 250


def _nouns(count):
    lexicon = packing.create_text_encoder("lexicon")
    return [name for name in lexicon.index if lexicon.kind(name) == "exact" and name.isalpha()][
        :count
    ]


def test_an_encoder_without_a_cohort_packs_as_before(tmp_path):
    found = json.loads(background.beside(DEFAULT_MODEL).read_text())
    del found["cohort"]
    (tmp_path / "mine.tvlm").write_bytes(DEFAULT_MODEL.read_bytes())
    (tmp_path / "mine.background.json").write_text(json.dumps(found))
    made = packing.prepare(
        vocabulary.lines(["cat"], "words"), tmp_path / "mine.tvlm", dim=64, text_encoder="lexicon"
    )
    assert not made.prototypes(64).learnt


def test_the_board_weighs_with_it_and_what_is_shown_goes_on_from_there(tmp_path):
    """Cosines are multiplied; shown often, a label has the gain of what was shown."""
    path = tmp_path / "x.tvp"
    p = pack(["cat", "dog", "bird"])
    tvp.write(p, path)
    vocab = tinyvlm.Vocab(path)
    embedding = photos(1, 256)[0]
    z = embedding[:64] / np.linalg.norm(embedding[:64].astype(float))
    want = [float(row @ z) * p.learnt[i][2] for i, row in enumerate(p.to_float()[:3])]
    assert list(vocab.cosines(embedding.tobytes()))[:3] == pytest.approx(want, abs=1e-6)
    bare = tinyvlm.Vocab(tvp.to_bytes(tvp.Prototypes(**{**vars(p), "learnt": {}})))
    for each in (vocab, bare):
        for _ in range(400):
            shots = each.learn("cat", embedding.tobytes())
    assert shots == 400
    found, other = (each._held.learnt[0][2] for each in (vocab, bare))
    assert found == pytest.approx(other, abs=0.01) and found == pytest.approx(1, abs=0.02)
    vocab.save(path)
    assert tvp.read(path).learnt[1] == pytest.approx(p.learnt[1])
    assert vocab._repr_html_().count("<td>400") == 1 and "<td>0" not in vocab._repr_html_()
