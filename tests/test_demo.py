# SPDX-License-Identifier: MIT
"""`make demo`, as it is typed: real photos named on the virtual board."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tinyvlm.virtual import steps
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
    assert right > total / 2  # eight photos measure no encoder; chance is one in 18
    commands = [line for line in demo.splitlines() if line.startswith("$ ")]
    assert len(commands) == 4 and all(re.search(r"\d\.\d s$", line) for line in commands)
    log = (TOP / "build" / "demo.log").read_text().rpartition("/examples/detect.py\n")[2]
    assert len(re.findall(r"^camera +\S", log, re.M)) == len(photos())  # not the files
    with Image.open(TOP / "build" / "demo.png") as picture:
        assert picture.width > 800


def test_every_photo_has_a_word_in_the_list():
    words = (TOP / "device" / "examples" / "things.txt").read_text()
    labels = {line.split(":")[0].strip() for line in words.splitlines() if line[:1] != "#"}
    assert len(labels) >= 12
    assert {photo.shows for photo in photos()} <= labels


@pytest.mark.parametrize("status", [0, 3])
def test_a_step_is_one_line_and_shows_what_failed(status, tmp_path):
    log = tmp_path / "build" / "demo.log"
    code = f"print('how it went'); raise SystemExit({status})"
    command = [sys.executable, steps.__file__, log, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status
    assert re.fullmatch(r"\$ .* \d+\.\d s\n", done.stdout)
    assert ("how it went" in done.stderr) == (status != 0)
    assert "\nhow it went\n" in log.read_text()
