# SPDX-License-Identifier: MIT
"""What the packer says about labels that will be confused."""

import re

import numpy as np
import pytest

from tinyvlm.shipped import DATA
from tinyvlm.words import lint
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import normalize
from tinyvlm.words.vocabulary import Entry


@pytest.fixture(scope="module")
def words():
    return Lexicon.load(DATA / "lexicon.npz")


def examine(words, labels, dim=64):
    return lint.examine(labels, np.stack([words.encode(label).vector for label in labels]), dim)


def random_vectors(count, seed=0):
    return normalize(np.random.default_rng(seed).normal(size=(count, 256)).astype(np.float32))


def test_close_is_what_fewer_than_one_in_a_thousand_pairs_of_words_are(words):
    assert 0.0002 < lint.share_above(words, lint.CLOSE, 64) < 0.001
    assert lint.share_above(words, lint.CLOSE, 16) > 0.005  # few numbers: many pairs are close


def test_every_pair_is_compared_in_blocks_as_at_once(monkeypatch):
    vectors = random_vectors(30)
    vectors[17] = normalize(vectors[3] + 0.3 * vectors[4])
    labels = [str(i) for i in range(30)]
    at_once = lint.examine(labels, vectors, 64)
    monkeypatch.setattr(lint, "BLOCK", 7)
    assert lint.examine(labels, vectors, 64) == at_once
    rows = normalize(vectors[:, :64])
    cosines = (rows @ rows.T)[np.triu_indices(30, 1)]
    want = np.sort(cosines)[::-1][: lint.NEAREST]
    assert np.allclose([at_once.at(pair, 64) for pair in at_once.pairs], want, atol=1e-6)
    assert (at_once.pairs[0].first, at_once.pairs[0].second) == ("3", "17")


def test_confused_pairs_are_counted_at_every_prefix_even_if_few_are_kept(monkeypatch):
    vectors = np.repeat(random_vectors(1), 12, axis=0)
    monkeypatch.setattr(lint, "MOST", 20)
    found = lint.examine([str(i) for i in range(12)], vectors, 64)
    assert found.confused == dict.fromkeys(lint.DIMS, 66)
    assert len(found.pairs) == 20


def test_equal_pairs_stand_in_the_order_of_the_list_whatever_is_added_first():
    vectors = np.repeat(random_vectors(40), 2, axis=0)
    labels = [str(i) for i in range(80)]
    for dim in (16, 50, 64, 256):
        found = lint.examine(labels, vectors, dim)
        assert [(p.first, p.second) for p in found.warnings if found.at(p, dim) == 1] == [
            (str(i), str(i + 1)) for i in range(0, 80, 2)
        ]


def test_the_suggested_dimension_keeps_apart_what_the_full_vectors_keep_apart():
    far = np.zeros((2, 256), np.float32)
    far[:, :40] = 1  # equal at 16 and at 32, apart from 64 on
    far[0, 40:64], far[1, 40:64] = 3, -3
    found = lint.examine(["a", "b"], normalize(far), 64)
    assert found.suggested == 64
    assert found.confused == {16: 1, 32: 1, 64: 0, 128: 0, 256: 0}
    same = np.repeat(random_vectors(1), 2, axis=0)  # nothing can be done
    assert lint.examine(["a", "b"], same, 64).suggested == 16


def test_all_is_well_in_one_line(words):
    found = examine(words, ["cat", "banana", "car"])
    [line] = lint.summary(found)
    assert line.startswith("nearest: ") and "none likely confused" in line
    assert "--dim 16 would do" in line
    assert lint.summary(examine(words, ["cat"])) == []


def test_warnings_say_which_dimension_helps_or_that_none_does(words):
    lines = lint.summary(examine(words, ["bicycle", "motorcycle", "sofa", "couch"]))
    assert lines[0] == "likely confused, cosine 0.7 or more:"
    text = "\n".join(lines)
    assert re.search(r"bicycle and motorcycle 0\.7\d; 0\.\d\d with --dim \d+", text)
    assert "sofa and couch" in text and "use one label for both" in text


def test_many_warnings_are_cut():
    vectors = np.repeat(random_vectors(1), 9, axis=0)
    lines = lint.summary(lint.examine([str(i) for i in range(9)], vectors, 64))
    assert len(lines) == 1 + lint.SHOWN + 1
    assert lines[-1] == f"  ... and {36 - lint.SHOWN} more; --explain lists them"


def test_table_and_origins(words):
    labels = ["cat", "dog", "mug"]
    found = examine(words, labels, dim=32)
    lines = lint.table(found, {16: 1, 32: 2, 64: 3, 128: 4, 256: 5})
    assert lines[0].split() == ["cosine", "at", "16", "32*", "64", "128", "256"]
    assert lines[1].startswith("cat, dog ")
    assert lines[-2].split() == ["bytes", "1", "2", "3", "4", "5"]
    vectors = np.stack([words.encode(label).vector for label in labels])
    entries = [Entry(label, (label,), 1) for label in labels]
    told = lint.origins(entries, ["exact"] * 3, vectors, [1, 1, 0.875], words)
    assert told[2].startswith("mug  exact; gain 0.88; near it: ") and "cup" in told[2]


@pytest.mark.parametrize(
    ("labels", "last"),
    [
        (["cat", "banana"], "*: packed; the smallest that keeps all apart: --dim 16"),
        (
            ["sofa", "couch", "banana"],
            "*: packed; the smallest that keeps apart what 256 dimensions do: --dim 16; "
            "1 pair stays likely confused",
        ),
    ],
)
def test_what_is_never_apart_is_not_called_apart(words, labels, last):
    found = examine(words, labels)
    assert lint.table(found, dict.fromkeys(found.dims, 1))[-1] == last


def test_a_dimension_of_ones_own_choice_is_among_the_prefixes():
    assert lint.prefixes(48, 256) == (16, 32, 48, 64, 128, 256)
    assert lint.prefixes(8, 8) == (8,)
