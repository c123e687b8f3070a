# SPDX-License-Identifier: MIT
"""The measures of tinyvlm-eval on numbers small enough to check by hand."""

import numpy as np
import pytest

from tinyvlm.measure import metrics, pointing


def test_cosines_are_of_the_prefix():
    prototypes = np.array([[3, 0], [0, 5], [4, 3]], np.int8)
    embeddings = np.array([[2, 0, 99], [0, 0, 99], [-7, 7, 99]], np.int8)
    half = 2**-0.5
    expected = [[1, 0, 0.8], [0, 0, 0], [-half, half, -0.2 * half]]
    assert metrics.cosines(embeddings, prototypes) == pytest.approx(np.array(expected))


def test_top():
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.3, 0.3], [0.2, 0.3, 0.3]])
    label = np.array([0, 2, 1, 2])
    assert [metrics.top(scores, label, k) for k in (1, 2, 3, 5)] == [50, 75, 100, 100]


def test_confusions():
    scores = np.eye(3)[[0, 1, 1, 2, 2, 1]]  # what is said
    label = np.array([0, 0, 0, 1, 2, 2])
    assert metrics.confusions(scores, label) == [(0, 1, 2), (1, 2, 1), (2, 1, 1)]


def test_retrieval():
    label = np.array([0, 1, 0, 1, 1])
    scores = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1]], float).T
    # word 0 ranks + - + - -: precisions 1 and 2/3; word 1 ranks - + - + +: 1/2, 2/4, 3/5
    found = metrics.retrieval(scores, label)
    assert found["precision1"] == 50
    assert found["precision5"] == found["precision10"] == 50  # of 5 photos: 2/5 and 3/5
    assert found["map"] == round(100 * ((1 + 2 / 3) / 2 + (1 / 2 + 2 / 4 + 3 / 5) / 3) / 2, 2)


def test_chance_of_retrieval_is_one_in_the_classes():
    rng = np.random.default_rng(0)
    label = rng.choice(4, 4000, p=[0.1, 0.2, 0.3, 0.4])
    found = [metrics.retrieval(rng.random((4000, 4)), label) for _ in range(20)]
    assert np.mean([f["precision10"] for f in found]) == pytest.approx(25, abs=2.5)
    assert np.mean([f["map"] for f in found]) == pytest.approx(25, abs=1)


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((64, 64), (0, 0, 63, 63), (0, 0, 1, 1)),
        ((64, 64), (32, 16, 47, 63), (0.5, 0.25, 0.75, 1)),
        ((128, 64), (0, 0, 63, 63), (0, 0, 0.5, 1)),  # 32 columns are cut off on either side
        ((64, 129), (0, 32, 63, 95), (0, 0, 1, 1)),
        ((128, 64), (0, 0, 31, 63), None),
        ((128, 64), (96, 0, 127, 63), None),
    ],
)
def test_boxes_in_the_seen_square(size, box, expected):
    assert pointing.in_square(box, *size) == expected


def test_the_best_cell_by_prefix():
    cells = np.zeros((3, 5, 3), np.int8)
    cells[0, 1] = 90, 0, 0  # cosine 1 with 1, 0
    cells[2, 4] = 60, 60, 60  # cosine 1 with 1, 1, 1
    cells[2, 3] = 2, 2, 2  # as near, but short: it says little
    prototypes = [np.array([7, -7]), np.array([2, 2, 2])]
    assert pointing.best_cells(cells, prototypes) == [1, 14]


def test_a_flat_map_points_to_the_middle():
    cells = np.full((3, 5, 2), 9, np.int8)
    assert pointing.best_cells(cells, [np.array([1, 1])]) == [7]
    assert pointing.best_cells(0 * cells, [np.array([1, 1])]) == [7]


def test_the_pointing_game():
    # a map of 2 x 2: centres at 1/4 and 3/4; the boxes: left half, lower right quarter
    boxes = [(0, 0, 0.5, 1), (0.5, 0.5, 1, 1)]
    best = np.array([[0, 1], [0, 3]])  # photos x prefixes
    assert pointing.score(best, boxes, (2, 2)) == {
        "hits": [50, 50],
        "centre": 50,  # the edge at 0.5 is the first pixel of the second box
        "random": 37.5,
    }
