# SPDX-License-Identifier: MIT
"""The page packs word lists as tinyvlm-pack does (web/words, docs/page.md)."""

import numpy as np
import pytest
import web_lexicon
import word_lists
from conftest import vitest

from tinyvlm.shipped import DATA
from tinyvlm.words import tvlx
from tinyvlm.words.lexicon import Lexicon


def test_the_page_packs_what_tinyvlm_pack_does(web, tmp_path):
    """Equal files of 200 lists, equal refusals, and what the page cannot pack it says."""
    word_lists.main(tmp_path)
    report = vitest("words", tmp_path, TINYVLM_WORD_LISTS=tmp_path)
    assert report["numPassedTests"] > 500 and not report["numPendingTests"]


def test_the_page_has_a_lexicon_that_fits():
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    count, data = web_lexicon.fitting(lexicon, web_lexicon.BYTES)
    assert 0.98 * web_lexicon.BYTES < len(data) <= web_lexicon.BYTES
    assert count > 5000


def test_everyday_names_come_first():
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    names = list(lexicon.index)
    order = web_lexicon.by_use(lexicon)
    assert sorted(order) == list(range(len(names)))
    place = {names[row]: i for i, row in enumerate(order)}
    estimated = [place[name] for name in names if lexicon.kind(name) == "estimated"]
    assert place["cat"] < min(estimated) <= place["air fryer"] < place["chatterbox"]
    assert min(estimated) == (lexicon.kinds < 2).sum()


def test_the_nearest_name_that_is_there():
    vectors = np.array([[9, 1], [1, 9], [8, 2], [2, 7]], np.int8)
    here = np.array([True, True, False, False])
    assert tvlx.nearest(vectors, here).tolist() == [0, 1]
    assert tvlx.nearest(vectors, np.ones(4, bool)).tolist() == []


@pytest.mark.parametrize(
    "names, coded",
    [
        (["cat", "cats", "cow"], b"\0cat\n\3s\n\1ow\n"),
        (["a", "a b"], b"\0a\n\1 b\n"),
    ],
)
def test_names_are_front_coded(names, coded):
    assert tvlx.front_coded(names) == coded
