# SPDX-License-Identifier: MIT
"""`make demo`, as it is typed: real photos named on the virtual board."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tinyvlm.demo import parse
from tinyvlm.photos import photos

TOP = Path(__file__).resolve().parents[1]


def test_demo(firmware):
    done = subprocess.run(
        [sys.executable, "-m", "tinyvlm.demo"],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert "$ mpremote connect /dev/pts/" in done.stdout
    assert str(TOP) not in done.stdout  # commands are shown as a user types them
    answers = parse(done.stdout.splitlines())
    assert set(answers) == {photo.name for photo in photos()}
    assert all(len(found) == 3 for found in answers.values())
    right, total = map(int, re.search(r"(\d+) of (\d+) photos right", done.stdout).groups())
    assert right >= total / 2
    with Image.open(TOP / "build" / "demo.png") as picture:
        assert picture.width > 800


def test_every_photo_has_a_word_in_the_list():
    words = (TOP / "device" / "examples" / "things.txt").read_text()
    labels = {line.split(":")[0].strip() for line in words.splitlines() if line[:1] != "#"}
    assert len(labels) >= 12
    assert {photo.shows for photo in photos()} <= labels
