# SPDX-License-Identifier: MIT
"""The measurements behind detect(): where the right answer is known by construction."""

import io
import json

import pytest
from PIL import Image
from tars import write

from tinyvlm.measure import boxed, localize
from tinyvlm.virtual.photos import photos


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
    first, second = (rows(part) for part in output.split("\n\n")[1:])
    assert output.startswith("8 pictures, 2 labels, 8 boxes, 0 of them small")
    assert first["detect"][1] >= 75 and first["detect"][2] > first["frame"][2]
    assert float(output.split("points into ")[1].split()[0]) > 75  # the warmest cell
    assert first["detect"][0] == second["detect"][0] < first["14"][0] / 9
    assert set(second) == {"frame", "14", "39", "detect"}
    assert second["39"][0] == pytest.approx(39 * second["frame"][0], abs=2)
    assert second["14"][2] >= second["frame"][2] == 0  # half the frame's side is a crop


def rows(lines):
    """Way -> its numbers, of a table that is printed."""
    found = {}
    for line in lines.splitlines()[1:]:
        way, *numbers = line.replace(" crops", "").split()
        if way in ("frame", "14", "39", "detect"):
            found[way] = [float(x) for x in numbers]
    return found


def boxes_shard(path, boxes):
    picture = io.BytesIO()
    Image.new("RGB", (40, 30)).save(picture, "PNG")
    text = json.dumps({"boxes": boxes}).encode()
    return write(path, [("a.png", picture.getvalue()), ("a.txt", b"x"), ("a.json", text)])


def test_several_boxes_in_a_photo(tmp_path):
    boxes = [
        {"label": "cup", "box_xyxy": [1.5, 2, 11.5, 12]},
        {"label": "dog", "box_xyxy": [0, 0, 40, 30]},
    ]
    [scene] = boxed.read(boxes_shard(tmp_path / "b-000.tar.gz", boxes), 9)
    assert scene.objects == (("cup", (1.5, 2, 10, 10)), ("dog", (0, 0, 40, 30)))


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000], ids=["cut off", "too deep"])
def test_a_json_beside_the_photos_that_is_none(tmp_path, text):
    path = write(tmp_path / "a.tar", [("a.png", b""), ("about.json", text)])
    with pytest.raises(ValueError, match=r"a\.tar: about\.json: not JSON"):
        boxed.read(path, 9)


@pytest.mark.parametrize(
    "box",
    [
        {"label": "cup"},
        {"label": "cup", "box_xyxy": [0, 0, 9]},
        {"box_xyxy": [0, 0, 9, 9]},
        {"label": "cup", "box_xyxy": [9, 0, 0, 9]},
        {"label": "cup", "box_xyxy": [0, 0, "a", 9]},
        "cup",
    ],
)
def test_bad_boxes_are_named(tmp_path, capsys, box):
    path = boxes_shard(tmp_path / "bad-000.tar.gz", [box])
    assert localize.main(["--data", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: a.json: in boxes" in error and error.count("\n") == 1


def test_a_shard_without_boxes_is_an_error(tmp_path, capsys):
    path = shard(tmp_path / "none-000.tar.gz", [(Image.new("RGB", (9, 9)), "dog", None)])
    assert localize.main(["--data", str(path)]) == 2
    assert capsys.readouterr().err == f"tools/localize.py: {path}: no photos with boxes in it\n"


def test_a_folder_without_shards_is_an_error(tmp_path, capsys):
    assert localize.main(["--composites", str(tmp_path)]) == 2
    assert "no tiny-imagenet" in capsys.readouterr().err
