# SPDX-License-Identifier: MIT
"""Choosing and estimating words, on a WordNet of a few lines and made-up vectors."""

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("scipy", reason="scipy is not installed (extra `lexicon`)")

from tinyvlm.train import text  # noqa: E402
from tinyvlm.train.lexicon import estimate, kinds, measure, wordnet, words  # noqa: E402
from tinyvlm.words.space import normalize  # noqa: E402

# offset, kind, words, pointers (hypernyms @, instance @i, usage ;u), gloss: see wndb(5)
NOUNS = """\
00000001 03 n 01 entity 0 000 | all there is
00000002 03 n 01 artifact 0 001 @ 00000001 n 0000 | a made thing
00000003 06 n 02 cutlery 0 eating_utensil 0 001 @ 00000002 n 0000 | tools for eating; "silver"
00000004 06 n 01 spoon 0 001 @ 00000003 n 0000 | a utensil with a bowl
00000005 06 n 01 fork 0 001 @ 00000003 n 0000 | a utensil with prongs
00000006 09 n 01 fork 0 001 @ 00000001 n 0000 | a branching
00000007 06 n 01 Excalibur 0 001 @i 00000002 n 0000 | a sword
00000008 06 n 01 sordid_spork 0 002 @ 00000004 n 0000 ;u 00000009 n 0000 | a bad word
00000009 10 n 01 obscenity 0 001 @ 00000001 n 0000 | a word not to use
"""
INDEX = """\
cutlery n 1 1 @ 1 0 00000003
eating_utensil n 1 1 @ 1 0 00000003
excalibur n 1 1 @ 1 0 00000007
fork n 2 1 @ 2 1 00000005 00000006
sordid_spork n 1 1 @ 1 0 00000008
spoon n 1 1 @ 1 1 00000004
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordnet")
    (folder / "data.noun").write_text("  1 a licence\n" + NOUNS)
    (folder / "index.noun").write_text("  1 a licence\n" + INDEX)
    (folder / "cntlist.rev").write_text("fork%1:06:00:: 1 9\nfork%2:30:00:: 1 5\n")
    (folder / "noun.exc").write_text("spoonen spoon\n")
    return wordnet.read(folder)


def test_wordnet(net):
    assert net.synsets[3].words == ("cutlery", "eating utensil")
    assert net.synsets[3].kind == "artifact" and net.synsets[7].instance
    assert net.senses["fork"] == [(5, 9.5), (6, 0.5)]
    assert net.ancestors(4) == {4: 0, 3: 1, 2: 2, 1: 3}
    assert net.lookup("big wooden spoons") == net.lookup("spoonen") == [(4, 0.5)]
    assert net.lookup("qwxz") == []
    assert net.one("fork", "cognition") == 6


def test_no_wordnet_says_what_to_install(tmp_path):
    with pytest.raises(FileNotFoundError, match="apt-get install wordnet"):
        wordnet.read(tmp_path)


def test_words_are_visible_decent_and_common(net, monkeypatch):
    for roots in ("ALSO", "NEVER", "PERSONS"):
        monkeypatch.setattr(words, roots, ())
    monkeypatch.setattr(words, "EXTRA", "Wi-Fi router, spoon")
    for part in ("FOOD", "FLOWERS", "MAKERS"):
        monkeypatch.setattr(words, part, "")
    rare = len  # long words
    assert words.choose(net, rare, 9) == ["fork", "spoon", "wi fi router"]
    chosen = words.choose(net, lambda word: 1, 9)
    assert chosen == ["cutlery", "eating utensil", "fork", "spoon", "wi fi router"]
    assert words.choose(net, lambda word: 1, 3) == ["fork", "spoon", "wi fi router"]


def features(x, bags):
    bag = estimate.Bag(bags[:40])
    unit = normalize(x)
    return estimate.Features(unit, unit, bag.rows(bags), bag.rows(bags))


def test_regression_finds_vectors_it_has_not_seen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype("f")
    y = normalize(x @ rng.normal(size=(8, 16)) / 8 + 1).astype("f")
    known = features(x, [Counter(a=1 + i % 3, b=1) for i in range(60)])
    made = estimate.Regression(known.take(slice(40)), y[:40])(known.take(slice(40, 60)))
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    centred = normalize(made - y[:40].mean(0)) @ normalize(y[40:] - y[:40].mean(0)).T
    assert (centred.argmax(1) == np.arange(20)).mean() > 0.8


def test_rare_letters_count_more_and_unknown_ones_only_in_the_length():
    bag = estimate.Bag([Counter("ab"), Counter("ac"), Counter("ad")])
    ab, ax = bag.rows([Counter("ab"), Counter("ax")]).toarray()
    assert ab[bag.column["b"]] > ab[bag.column["a"]] > 0
    assert np.isclose(np.linalg.norm(ab), 1) and 0 < np.linalg.norm(ax) < 0.5


def test_letters_mark_the_ends_of_words():
    assert letters_of("cat") >= {"<", "<c", "cat", "at>", "<cat"}
    assert "tc" not in letters_of("cat cat")


def letters_of(name):
    return set(estimate.letters(name))


def test_interval():
    low, high = measure.interval(356, 400)
    assert (round(low, 1), round(high, 1)) == (85.6, 91.7)


def test_the_map_is_named_by_what_is_stored():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=4).astype("f"), rng.normal(size=(2, 4)).astype("f")
    stored = text.stored_map(*parts)
    again = text.stored_map(stored.centre, stored.projection.T)
    assert stored.name == again.name != text.text_map(*parts).name


def test_estimates_are_moved_to_their_kinds_and_no_farther():
    kind = normalize(np.array([[1.0, 0, 0], [1, 0, 0]]))
    made = normalize(np.array([[0.0, 1, 0], [1, 1, 0]]))
    moved = kinds.toward(made, kind)
    cosines = (moved * kind).sum(1)
    assert np.allclose(np.linalg.norm(moved, axis=1), 1)
    assert cosines[0] == pytest.approx(kinds.LEAST)  # from the side
    assert (made * kind).sum(1)[1] < cosines[1] < 0.9  # near already: a little nearer


def test_kinds_are_names_of_the_lexicon():
    from tinyvlm.shipped import DATA
    from tinyvlm.words.lexicon import Lexicon

    known = Lexicon.load(DATA / "lexicon.npz").index
    assert not [kind for of in kinds.read().values() for kind in of if kind not in known]
