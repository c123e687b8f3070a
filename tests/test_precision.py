# SPDX-License-Identifier: MIT
"""Average precision against values worked out by hand."""

import pytest
from PIL import Image

from tinyvlm.measure.boxed import Scene, inside, intersection, overlap
from tinyvlm.measure.precision import Detection, mean_average_precision, suppress

PICTURE = Image.new("RGB", (120, 60))
LARGE, OTHER, TINY = (0, 0, 40, 40), (60, 0, 40, 40), (110, 50, 5, 5)


def test_boxes():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 5, 5)) == 0
    assert intersection((0, 0, 10, 10), (20, 2, 5, 5))[2:] == (0, 5)
    assert inside((9.9, 0), (0, 0, 10, 10)) and not inside((10, 0), (0, 0, 10, 10))


def test_what_a_scene_knows():
    scene = Scene(PICTURE, (("dog", LARGE), ("dog", TINY), ("cat", OTHER)))
    assert scene.labels == ["cat", "dog"]
    assert scene.square == (30, 0, 60, 60)
    assert scene.boxes("dog") == [(30, 0, 10, 40)]  # the other one is not seen
    assert scene.boxes("cat") == [(60, 0, 30, 40)]
    assert scene.small(TINY) and not scene.small(LARGE)


@pytest.mark.parametrize(
    "found, expected",
    [
        ([], 0),
        ([("dog", 0.9, LARGE), ("dog", 0.8, OTHER)], 1),
        ([("dog", 0.9, LARGE)], 1 / 2),  # one of two boxes
        ([("dog", 0.9, TINY), ("dog", 0.8, LARGE)], 1 / 4),  # at half the precision
        ([("dog", 0.9, LARGE), ("dog", 0.8, LARGE), ("dog", 0.7, OTHER)], (1 + 2 / 3) / 2),
        ([("dog", 0.5, LARGE), ("dog", 0.9, OTHER), ("dog", 0.1, TINY)], 1),  # wrong ones last
        ([("cat", 0.9, LARGE)], 0),
    ],
)
def test_average_precision_of_one_label(found, expected):
    scene = Scene(PICTURE, (("dog", LARGE), ("dog", OTHER)))
    found = [Detection(*item) for item in found]
    assert mean_average_precision([scene], [found], 0.5) == pytest.approx(expected)


def test_the_mean_is_over_labels_and_pictures_are_apart():
    scenes = [Scene(PICTURE, (("dog", LARGE),)), Scene(PICTURE, (("cat", LARGE),))]
    right = [[Detection("dog", 1, LARGE)], []]
    assert mean_average_precision(scenes, right, 0.5) == 0.5
    assert mean_average_precision(scenes, right[::-1], 0.5) == 0


@pytest.mark.parametrize("iou, expected", [(0.3, 1), (0.5, 0)])
def test_the_overlap_that_is_asked_for(iou, expected):
    scene = Scene(PICTURE, (("dog", LARGE),))
    shifted = [[Detection("dog", 1, (20, 0, 40, 40))]]  # a third in common
    assert mean_average_precision([scene], shifted, iou) == expected


def test_sizes_apart():
    """What is of the other size is neither missed nor wrong."""
    scene = Scene(PICTURE, (("dog", LARGE), ("dog", TINY)))
    found = [[Detection("dog", 0.9, LARGE), Detection("dog", 0.8, (0, 50, 5, 5))]]
    large = mean_average_precision([scene], found, 0.5, lambda s, box: not s.small(box))
    small = mean_average_precision([scene], found, 0.5, lambda s, box: s.small(box))
    assert (large, small) == (1, 0)
    found[0][1] = Detection("dog", 0.8, TINY)
    assert mean_average_precision([scene], found, 0.5, lambda s, box: s.small(box)) == 1


def test_one_of_several_alike_is_kept():
    near = (2, 0, 40, 40)
    found = [Detection("dog", 0.5, LARGE), Detection("dog", 0.6, near), Detection("cat", 1, near)]
    assert suppress([*found, Detection("dog", 0.1, OTHER)], 0.5) == [
        found[2],
        found[1],
        Detection("dog", 0.1, OTHER),
    ]
