# SPDX-License-Identifier: MIT
"""tinyvlm-try on real photos, and on a webcam that is not there."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinyvlm
from tinyvlm import annotate, packit, picture, tryit
from tinyvlm.virtual.photos import photos

TOP = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def vocab(tmp_path_factory):
    words = tmp_path_factory.mktemp("vocab") / "things.txt"
    words.write_text("flower\nmotorcycle\ntemple\n")
    assert packit.main(["--vocab", str(words), "--unknown", "off", "--quiet"]) == 0
    return words.with_suffix(".tvp")


@pytest.fixture
def flower(tmp_path):
    [photo] = [photo for photo in photos() if photo.name == "dahlia"]
    photo.image().resize((160, 120)).save(tmp_path / "dahlia.png")
    return tmp_path / "dahlia.png"


def test_a_photo_gets_a_picture_beside_it(vocab, flower, capsys):
    assert tryit.main(["--vocab", str(vocab), str(flower)]) == 0
    [line] = capsys.readouterr().out.splitlines()
    written = flower.with_name("dahlia.png.tinyvlm.png")
    assert line.startswith(f"{flower}: flower ") and line.endswith(f"-> {written}")
    with Image.open(written) as image:
        assert image.size == (480, 360)  # enlarged until its text can be read
        plain = Image.open(flower).convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
        changed = np.abs(np.asarray(image, int) - np.asarray(plain, int)).max(axis=2) > 60
    assert changed[:60, :200].sum() > 300  # the list of scores


def test_boxes_are_those_of_detect_and_the_heat_that_of_the_best_label(vocab, flower, capsys):
    assert tryit.main(["--vocab", str(vocab), str(flower), "--heatmap"]) == 0
    text = capsys.readouterr().out
    found = tinyvlm.detect(flower, tinyvlm.Vocab(vocab))
    assert found
    for _, _, box in found:
        assert " at {},{} {}x{}".format(*box) in text
    [(label, _, box), *_] = found
    with Image.open(flower.with_name("dahlia.png.tinyvlm.png")) as image:
        colour = tuple(bytes.fromhex(annotate.COLOURS[0][1:]))
        x, y = 3 * (box[0] + box[2] / 2), 3 * (box[1] + box[3])  # the lower edge, times three
        assert label == "flower"
        rows = {min(int(y) + k, image.height - 1) for k in (-3, -2, -1, 0)}  # it may end there
        assert colour in [image.getpixel((int(x), row)) for row in rows]


def test_the_scores_are_the_better_of_classify_and_detect(vocab, flower, capsys):
    tryit.main(["--vocab", str(vocab), str(flower), "--top", "2"])
    text, words = capsys.readouterr().out, tinyvlm.Vocab(str(vocab))
    boxes = {label: score for label, score, _ in tinyvlm.detect(flower, words)}
    for label, score in tinyvlm.classify(flower, words, 2):
        assert f"{label} {max(score, boxes.get(label, 0)):.2f}" in text


def test_the_encoder_is_that_of_the_vocabulary(flower, tmp_path, capsys):
    words = tinyvlm.pack(["cat", "flower"], model="nano", text_encoder="lexicon")
    words.save(tmp_path / "nano.tvp")
    vocab = str(tmp_path / "nano.tvp")
    assert tryit.main(["--vocab", vocab, str(flower)]) == 0
    assert tryit.main(["--vocab", vocab, str(flower), "--model", "base"]) == 2
    assert "was packed for encoder nano" in capsys.readouterr().err


def test_a_folder_is_read_once_and_what_was_written_is_left_out(vocab, flower, tmp_path, capsys):
    for _ in range(2):
        assert tryit.main(["--vocab", str(vocab), str(tmp_path)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_equal_names_from_two_folders_do_not_overwrite(vocab, flower, tmp_path, capsys):
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "x.png").write_bytes(flower.read_bytes())
    out = tmp_path / "out"
    folders = [str(tmp_path / name) for name in ("a", "b")]
    assert tryit.main(["--vocab", str(vocab), *folders, "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["x.png-2.tinyvlm.png", "x.png.tinyvlm.png"]


def test_boxes_are_drawn_in_pixels_of_the_picture():
    image = Image.new("RGB", (240, 120), "white")
    shown = annotate.annotate(image, [], [("cat", 0.9, (100, 40, 60, 50))], ["cat"])
    assert shown.size == (480, 240)
    colour = tuple(bytes.fromhex(annotate.COLOURS[0][1:]))
    for x, y in ((200, 130), (320, 130), (260, 180)):  # left, right, lower edge, times two
        assert shown.getpixel((x, y)) == colour
    assert shown.getpixel((260, 130)) == (255, 255, 255)


def test_labels_of_boxes_and_the_list_of_scores_do_not_hide_each_other():
    image = Image.new("RGB", (240, 240), "white")
    labels, scores = ["cat", "dog"], [("cat", 0.9), ("dog", 0.8)]

    def areas(*corners):
        boxes = [(*found, (*at, 60, 50)) for found, at in zip(scores, corners, strict=True)]
        shown = np.asarray(annotate.annotate(image, scores, boxes, labels))
        colours = [tuple(bytes.fromhex(c[1:])) for c in annotate.COLOURS[:2]]
        return [int((shown == colour).all(axis=2).sum()) for colour in colours]

    for near, apart in zip(areas((2, 16), (6, 20)), areas((2, 100), (100, 100)), strict=True):
        assert near > 0.85 * apart  # only outlines cross it


def test_the_heat_lies_over_the_square_that_was_seen():
    image = Image.new("RGB", (640, 480), "white")
    shown = annotate.annotate(image, [], [], [], [[0, 0], [0, 1]])
    assert shown.getpixel((40, 470)) == (255, 255, 255)  # left of the square
    assert shown.getpixel((100, 20)) == (255, 255, 255)  # a cold cell
    red, green, blue = shown.getpixel((540, 460))
    assert red == 255 and blue < green < 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give pictures or folders of them, or --camera N"),
        (["x.png", "--camera", "0"], "give pictures or folders of them, or --camera N"),
        (["nothing.png"], "nothing.png: no such file or directory"),
        (["text.png"], "text.png: no picture"),
        (["empty"], "empty: no pictures (.jpg"),
        (["text.png", "--out", "none"], "none: no such folder; make it first"),
        (["text.png", "--model", "none.tvlm"], "none.tvlm: no such file"),
        (["text.png", "--top", "0"], "--top 0: must be 1 or more"),
        (["text.png", "--threshold", "7"], "threshold 7.0: a score is 0 ... 1"),
    ],
)
def test_what_is_wrong_is_said(vocab, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert tryit.main(["--vocab", str(vocab), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "text.png"]
    tinyvlm.load()  # the default encoder again


def test_a_bad_picture_does_not_keep_others_from_being_shown(vocab, flower, tmp_path, capsys):
    (tmp_path / "a.png").write_text("no picture")
    assert tryit.main(["--vocab", str(vocab), str(tmp_path)]) == 2
    both = capsys.readouterr()
    assert "a.png: no picture" in both.err and "dahlia.png: flower" in both.out


def test_half_a_picture_is_called_damaged(vocab, flower, tmp_path, capsys):
    Image.open(flower).save(tmp_path / "half.jpg")
    content = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    assert tryit.main(["--vocab", str(vocab), str(tmp_path / "half.jpg")]) == 2
    assert "half.jpg: damaged or cut off" in capsys.readouterr().err


def test_a_picture_of_more_pixels_than_the_engine_takes(vocab, flower):
    small = Image.open(flower).convert("RGB")  # 160x120
    large = small.resize((9600, 7200), Image.Resampling.NEAREST)
    words = tinyvlm.Vocab(vocab)
    scores, boxes = tryit.look(large, words, 1, None)
    assert scores[0][0] == "flower" and boxes
    for (_, _, there), (_, _, here) in zip(
        boxes, tryit.look(small, words, 1, None)[1], strict=True
    ):
        assert np.abs(np.array(there) / 60 - here).max() <= 2


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "LA", "P"])
def test_what_is_seen_is_what_a_viewer_shows(flower, mode):
    """16 bits are not white, and what is transparent does not count."""
    gray = Image.open(flower).convert("L")
    if mode == "I;16":
        odd, want = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257), gray
    elif mode == "P":
        odd = want = Image.open(flower).convert("P")
    else:
        mask = Image.new("L", gray.size, 0)
        mask.paste(255, (20, 20, 90, 90))
        odd = gray.convert(mode[:-1])
        odd.putalpha(mask)
        want = Image.composite(gray, Image.new("L", gray.size, 255), mask)
    seen = np.asarray(picture.rgb(odd), int)
    assert np.abs(seen - np.asarray(want.convert("RGB"), int)).max() <= 1
    frame = tinyvlm.to_frame(odd)
    assert bytes(frame.buffer) == seen.astype(np.uint8).tobytes()


def webcam(frames, error=None, opened=True):
    """A stand-in for OpenCV: the calls that tinyvlm-try makes."""

    class Capture:
        def __init__(self, number):
            self.left = list(frames)

        def isOpened(self):
            return opened

        def read(self):
            return (True, self.left.pop(0)) if self.left else (False, None)

        def release(self):
            module.released = True

    class CvError(Exception):
        pass

    def imshow(title, pixels):
        if error:
            raise CvError(error)
        module.shown.append(pixels)

    module = types.SimpleNamespace(
        VideoCapture=Capture, imshow=imshow, waitKey=lambda ms: ord("q"), error=CvError,
        shown=[], released=False,
    )  # fmt: skip
    return module


def test_a_webcam_in_a_window_until_q(vocab, flower, monkeypatch):
    bgr = np.asarray(Image.open(flower))[:, :, ::-1]
    camera = webcam([bgr, bgr])
    monkeypatch.setitem(sys.modules, "cv2", camera)
    assert tryit.main(["--vocab", str(vocab), "--camera", "0"]) == 0
    assert len(camera.shown) == 1 and camera.shown[0].shape == (360, 480, 3) and camera.released


def test_a_webcam_into_files(vocab, flower, monkeypatch, tmp_path, capsys):
    bgr = np.asarray(Image.open(flower))[:, :, ::-1]
    monkeypatch.setitem(sys.modules, "cv2", webcam([bgr, bgr, bgr]))
    arguments = ["--camera", "0", "--out", str(tmp_path), "--frames", "2"]
    assert tryit.main(["--vocab", str(vocab), *arguments]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["flower"] * 2
    assert (tmp_path / "camera-0002.tinyvlm.png").exists()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, "--camera needs OpenCV: pip install opencv-python"),
        (webcam([], opened=False), "--camera 0: cannot be opened"),
        (webcam([]), "--camera 0: gave no picture"),
        (webcam([np.zeros((9, 9, 3), np.uint8)], "no window"), "cannot open a window"),
    ],
)
def test_what_is_wrong_with_a_webcam_is_said(vocab, monkeypatch, capsys, module, message):
    monkeypatch.setitem(sys.modules, "cv2", module)
    assert tryit.main(["--vocab", str(vocab), "--camera", "0"]) == 2
    assert message in capsys.readouterr().err


def test_the_launcher_in_a_checkout(vocab, flower):
    done = subprocess.run(
        [sys.executable, TOP / "host" / "tinyvlm-try", flower, "--vocab", vocab],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "flower" in done.stdout
