# SPDX-License-Identifier: MIT
"""The measurements behind detect() and add(): where the right answer is known by construction."""

import io
import json

import fewshot
import numpy as np
import pytest
from PIL import Image
from tars import write

from tinyvlm.measure import localize
from tinyvlm.measure.fewshot import PHOTOS, accuracy
from tinyvlm.virtual.photos import photos
from tinyvlm.words.space import normalize


def shard(path, samples):
    """A shard with (image, name, box) samples."""
    files = []
    for number, (image, name, box) in enumerate(samples):
        picture = io.BytesIO()
        image.save(picture, "PNG")
        files.append((f"{number:03d}.png", picture.getvalue()))
        files.append((f"{number:03d}.txt", name.encode()))
        if box:
            files.append((f"{number:03d}.json", json.dumps({"box_xyxy": box}).encode()))
    return write(path, files)


def test_overlap_of_boxes():
    assert localize.overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert localize.overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert localize.overlap((0, 0, 10, 10), (10, 0, 5, 5)) == 0
    assert localize.inside((9.9, 0), (0, 0, 10, 10)) and not localize.inside(
        (10, 0), (0, 0, 10, 10)
    )


def test_photos_on_grey_are_pointed_at(tmp_path, capsys):
    """Two photos that the encoder knows well, each in a corner of a grey frame."""
    pictures = {p.name: p.image() for p in photos()}
    samples = []
    for name, word in (("motorcycle", "motorcycle"), ("rocket", "rocket")):
        for x, y in ((0, 0), (56, 56), (0, 56), (56, 0)):
            canvas = Image.new("RGB", (120, 120), (128, 128, 128))
            image = pictures[name]
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            crop = image.crop((left, top, left + side, top + side)).resize((64, 64))
            canvas.paste(crop, (x, y))
            samples.append((canvas, word, [x, y, x + 63, y + 63]))
    samples.append((canvas, "no box", None))
    path = shard(tmp_path / "grey-000.tar.gz", samples)
    assert localize.main(["--data", str(path)]) == 0
    output = capsys.readouterr().out
    print(output)
    lines = output.splitlines()
    assert lines[0].startswith("8 boxes, 2 labels")
    rule, pointing, iou, _ = lines[-2].split()
    assert float(lines[-1].split()[-1]) >= 75  # the warmest cell
    assert rule == "detect" and float(pointing) >= 75
    centre = lines[-4].split()
    assert centre[0] == "centre" and float(iou) > float(centre[2])


def test_clusters_are_learnt_from_one_photo():
    rng = np.random.default_rng(0)
    middles = normalize(rng.normal(size=(4, 16)))
    label = np.repeat(np.arange(4), PHOTOS)
    near = normalize(middles[label] + 0.01 * rng.normal(size=(len(label), 16)))
    shown, mixed = accuracy(near, label, middles, 1, (1.0, 0.01), seed=1)
    assert shown == 1 and mixed[0] == 1
    assert mixed[1] < 0.9  # nothing shown can win with such a gain


@pytest.mark.parametrize("module", [localize, fewshot])
def test_a_folder_without_shards_is_an_error(module, tmp_path, capsys):
    option = "--composites" if module is localize else "--data"
    assert module.main([option, str(tmp_path)]) == 2
    assert "no tiny-imagenet" in capsys.readouterr().err
