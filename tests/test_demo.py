# SPDX-License-Identifier: MIT
"""`make demo`, as it is typed: real photos named on the virtual board."""

import re
from pathlib import Path

from PIL import Image

from tinyvlm.virtual.demo import parse
from tinyvlm.virtual.photos import photos

TOP = Path(__file__).resolve().parents[1]


def test_demo(demo):
    print(demo)
    assert "$ mpremote connect /dev/pts/" in demo
    assert str(TOP) not in demo  # commands are shown as a user types them
    answers = parse(demo.splitlines())
    assert set(answers) == {photo.name for photo in photos()}
    assert all(len(found) == 3 for found in answers.values())
    right, total = map(int, re.search(r"(\d+) of (\d+) photos right", demo).groups())
    assert right >= 0.75 * total
    with Image.open(TOP / "build" / "demo.png") as picture:
        assert picture.width > 800


def test_every_photo_has_a_word_in_the_list():
    words = (TOP / "device" / "examples" / "things.txt").read_text()
    labels = {line.split(":")[0].strip() for line in words.splitlines() if line[:1] != "#"}
    assert len(labels) >= 12
    assert {photo.shows for photo in photos()} <= labels
