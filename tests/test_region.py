# SPDX-License-Identifier: MIT
"""Regions and boxes of heat, by C and by plain Python; how a heat map is drawn;
what detect() finds."""

from array import array

import _tinyvlm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyvlm
from tinyvlm.device import slow
from tinyvlm.device.locate import Heatmap
from tinyvlm.virtual.photos import photos

ENGINES = (_tinyvlm, slow)


def regions(heat, side):
    """(mask, box) of a heat map, equal on both engines."""
    height, width = heat.shape
    found = []
    for engine in ENGINES:
        mask, box = bytearray(heat.size), array("H", bytes(8))
        engine.map_region(
            array("f", heat.astype(np.float32).ravel().tolist()), height, width, side, mask, box
        )
        found.append((np.frombuffer(bytes(mask), np.uint8).reshape(heat.shape), tuple(box)))
    assert np.array_equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]
    return found[0]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 400), st.integers(0, 9999))
def test_a_box_is_in_the_square_and_its_cells_are_connected(height, width, side, seed):
    mask, (x, y, w, h) = regions(np.random.default_rng(seed).normal(size=(height, width)), side)
    assert w >= 1 and h >= 1 and x + w <= side and y + h <= side
    ndimage = pytest.importorskip("scipy.ndimage")
    assert ndimage.label(mask)[1] == 1


def snake(size):
    """A path of one cell's width through every second row."""
    heat = np.full((size, size), -9.0)
    heat[::2] = 9
    for number, row in enumerate(range(1, size - 1, 2)):
        heat[row, -1 if number % 2 == 0 else 0] = 9
    return heat


@pytest.mark.parametrize("turn", range(4))
def test_a_winding_path_is_one_region(turn):
    """However it winds: a sweep over all cells for every turn took 3 seconds."""
    heat = np.rot90(snake(255), turn)
    mask, _ = regions(heat, 960)
    assert np.array_equal(mask == 1, heat > 0)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ((-0.5, -0.1, -0.3, -0.2), ["    ", "    "]),  # it is not there
        ((-1, -1, -1, -1), ["    ", "    "]),
        ((0, 0, 0, 0), ["    ", "    "]),
        ((-1, 1, 0, 0.5), ["  @@", "  ++"]),
        ((0.25, 0.25, 0.25, 0.25), ["@@@@", "@@@@"]),
    ],
)
def test_a_heat_map_is_drawn(values, drawn):
    lines = repr(Heatmap("cat", (0, 0, 8, 8), 2, 2, values)).split("\n")
    assert lines[1:] == [f"|{line}|" for line in drawn]


THINGS = "cat flower coffee motorcycle rocket temple coins person tree sky plate wall".split()


@pytest.fixture(scope="module")
def seen():
    """Photos as arrays, and vocabularies of few and of more labels than are looked at."""
    tinyvlm.load("nano")
    vocabs = [
        tinyvlm.pack(THINGS[:count], text_encoder="lexicon", unknown=unknown)
        for count in (1, 3, 12)
        for unknown in ("balanced", "off")
    ]
    yield [np.asarray(photo.image().resize((120, 90))) for photo in photos()], vocabs
    tinyvlm.load()


@given(st.data(), st.floats(0.01, 0.99))
def test_what_a_frame_is_called_is_found_in_it(seen, data, limit):
    pictures, vocabs = seen
    side = data.draw(st.integers(30, 90))
    x, y = data.draw(st.integers(0, 120 - side)), data.draw(st.integers(0, 90 - side))
    part = data.draw(st.sampled_from(pictures))[y : y + side, x : x + side]
    vocab = data.draw(st.sampled_from(vocabs))
    vocab.threshold = limit
    [(label, score)] = tinyvlm.classify(part, vocab, 1)
    found = tinyvlm.detect(part, vocab)
    scores = {label: score for label, score, _ in found}
    assert label == "unknown" or scores[label] >= score - 1e-6
    assert len(scores) == len(found) and all(s >= limit - 1e-6 for s in scores.values())
    assert [s for _, s, _ in found] == sorted(scores.values(), reverse=True)
