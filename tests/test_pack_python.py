# SPDX-License-Identifier: MIT
"""Packing in Python, and what a vocabulary and frames are in a notebook."""

import copy
import io
import os
import pickle
from array import array
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tinyvlm
from tinyvlm import packit
from tinyvlm.annotate import COLOURS
from tinyvlm.virtual.photos import photos
from tinyvlm.words import tvp

SQUARE = tinyvlm.Frame(bytes(range(256)) * 48, 64, 64, "RGB888")
WORDS = ["cat", "dog: dog, puppy", "Meerschwein <3>: guinea pig"]


@pytest.fixture(scope="module")
def pets():
    return tinyvlm.pack(WORDS, text_encoder="lexicon")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dim": 16, "bits": 4},
        {"unknown": "off"},
        {"unknown": "eager", "model": "nano"},
        {"background": ["tree", "car"]},
    ],
)
def test_it_is_what_the_command_makes(tmp_path, options):
    (tmp_path / "v.txt").write_text("\n".join(WORDS))
    arguments = ["--vocab", str(tmp_path / "v.txt"), "--text-encoder", "lexicon", "--quiet"]
    for name, value in options.items():
        if name == "background":
            value = tmp_path / "b.txt"
            value.write_text("\n".join(options[name]))
        arguments += [f"--{name}", str(value)]
    assert packit.main(arguments) == 0
    made = tinyvlm.pack(WORDS, text_encoder="lexicon", **options)
    made.save(tmp_path / "mine.tvp")
    assert (tmp_path / "mine.tvp").read_bytes() == (tmp_path / "v.tvp").read_bytes()


def test_a_vocabulary_is_a_collection_of_labels(pets):
    assert len(pets) == 3 and list(pets) == ["cat", "dog", "Meerschwein <3>"]
    assert "dog" in pets and "puppy" not in pets and 3 not in pets


def test_many_labels_are_one_too():
    words = tinyvlm.pack([f"w{i}: cat" for i in range(300)], text_encoder="lexicon")
    assert "w299" in words and "w300" not in words and list(words)[299] == "w299"


def test_it_answers(pets):
    scores = tinyvlm.classify(SQUARE, pets)
    assert all(label in pets or label == "unknown" for label, _ in scores)


def test_it_is_for_the_encoder_that_is_loaded():
    try:
        nano = tinyvlm.load("nano")
        assert tinyvlm.pack(["cat"], text_encoder="lexicon").fingerprint == nano.fingerprint
    finally:
        tinyvlm.load()


USES = {
    "classify": lambda vocab: tinyvlm.classify(SQUARE, vocab),
    "classify_into": lambda vocab: tinyvlm.classify_into(SQUARE, vocab, array("f", bytes(4))),
    "detect": lambda vocab: tinyvlm.detect(SQUARE, vocab),
    "heatmap": lambda vocab: tinyvlm.heatmap(SQUARE, "cat", vocab),
    "add": lambda vocab: vocab.add("cat", SQUARE),
}


@pytest.mark.parametrize("use", USES)
def test_a_vocabulary_of_another_encoder_says_what_to_load(use):
    nano = tinyvlm.pack(["cat"], text_encoder="lexicon", model="nano")
    try:
        tinyvlm.load("base")
        with pytest.raises(ValueError) as error:
            USES[use](nano)
        assert 'encoder nano, base is loaded; tinyvlm.load("nano") first' in str(error.value)
        assert "board" not in str(error.value)
        tinyvlm.load("nano")
        USES[use](nano)
    finally:
        tinyvlm.load()


@pytest.mark.parametrize("use", USES)
def test_what_is_loaded_without_a_word_is_the_encoder_of_the_vocabulary(use, monkeypatch):
    monkeypatch.setattr(tinyvlm.device.encoder, "_default", None)
    USES[use](tinyvlm.pack(["cat"], text_encoder="lexicon", model="nano"))
    assert tinyvlm.device.encoder.default().name == "nano"


def test_an_encoder_that_does_not_ship_is_told_without_a_board(pets, tmp_path):
    pets.save(tmp_path / "pets.tvp")
    mine = replace(tvp.read(tmp_path / "pets.tvp"), fingerprint=b"of mine.", encoder="mine")
    with pytest.raises(ValueError) as error:
        tinyvlm.classify(SQUARE, tinyvlm.Vocab(tvp.to_bytes(mine)))
    assert "encoder mine" in str(error.value) and "load() the file" in str(error.value)
    assert "board" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "options", "what"),
    [
        ([], {}, "words: no labels in it"),
        ("pets.txt", {}, "words: give a list, such as"),
        ({"Katze": "cat"}, {}, 'words: give a list, such as ["cat", "dog: puppy"], not'),
        (["cat", 3], {}, "words: 3 is no word or phrase"),
        (["cat", 0], {}, "words: 0 is no word or phrase"),
        (["cat", " "], {}, "words: ' ' is no word or phrase"),
        (["cat", "d\ud800g"], {}, r"words: 'd\ud800g' is no word or phrase"),
        (["cat\ndog"], {}, r"'cat\ndog' is no word or phrase"),
        (["cat", "Cat"], {}, "words:2: 'Cat' stands in line 1 already"),
        (["cat", "qqqqqqx"], {}, "words:2: "),
        (["cat"], {"dim": 0}, "dim 0: base has 1 ... 256 dimensions"),
        (["cat"], {"bits": 3}, "bits 3: use 8, 4"),
        (["cat"], {"unknown": "bold"}, "unknown 'bold': use cautious, balanced, eager, off"),
        (["cat"], {"unknown": "off", "background": ["car"]}, "background needs unknown"),
        (["cat"], {"background": "car"}, "background: give a list"),
        (["cat"], {"text_encoder": "none"}, "text encoder 'none'"),
    ],
)
def test_what_is_wrong_is_said(words, options, what):
    with pytest.raises(ValueError) as error:
        tinyvlm.pack(words, **{"text_encoder": "lexicon", "model": "base", **options})
    assert what in str(error.value) and "--" not in str(error.value).replace("--text-encoder", "")


def test_opening_words_says_how_to_pack_them():
    with pytest.raises(TypeError, match=r"tinyvlm\.pack\(\['cat'\]\) makes one of words"):
        tinyvlm.Vocab(["cat"])


def through_pickle(vocab):
    return pickle.loads(pickle.dumps(vocab))


@pytest.mark.parametrize("made", [through_pickle, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("labels", [3, 300])
def test_copies_and_pickles(tmp_path, made, labels):
    """All that a vocabulary is, what it learnt and what was set; nothing is shared."""
    words = tinyvlm.pack([f"w{i}: cat" for i in range(labels)], text_encoder="lexicon")
    words.save(tmp_path / "words.tvp")
    one, shown = tinyvlm.Vocab(tmp_path / "words.tvp"), bytes(range(64))
    one.match(shown)
    if labels == 3:  # the labels of the others stay where they are, in the file
        one.learn("mug", shown)
    one.dim, one.threshold = 32, 0.3
    two = made(one)
    assert type(two) is tinyvlm.Vocab and repr(two) == repr(one)
    assert (two.path, two.dim, two.threshold) == (one.path, 32, 0.3)
    two.dim = 16
    assert one.match(shown) == made(one).match(shown)
    one.dim = two.dim = 64
    for vocab in (one, two):
        assert vocab.learn("mug", bytes(range(9, 73))) == (2 if labels == 3 else 1)
    assert b"".join(two._pieces()) == b"".join(one._pieces())
    two.remove("mug")
    assert "mug" in one and "mug" not in two


def test_saving_what_came_from_no_file(pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="came from no file"):
        pets.save()
    assert not list(tmp_path.iterdir())


def test_saving_where_it_cannot_be_names_the_folder(pets, tmp_path):
    path = tmp_path / "no folder" / "pets.tvp"
    with pytest.raises(FileNotFoundError) as error:
        pets.save(path)
    assert error.value.filename == str(path.parent)


def test_saving_keeps_links_and_what_is_no_file(pets, tmp_path):
    """As root, a rename over /dev/null would take it from everybody."""
    (tmp_path / "link.tvp").symlink_to("pets.tvp")
    size = pets.save(tmp_path / "link.tvp")
    assert (tmp_path / "link.tvp").is_symlink()
    assert (tmp_path / "pets.tvp").stat().st_size == size
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        assert pets.save(tmp_path / "pipe") == size
        assert (tmp_path / "pipe").is_fifo() and len(os.read(end, 9999)) == size
    finally:
        os.close(end)
    with pytest.raises(IsADirectoryError):
        pets.save(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"link.tvp", "pets.tvp", "pipe"}
    assert not tmp_path.with_name(f"{tmp_path.name}.new").exists()


def test_saving_where_no_path_is_meant(pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (-1, ["pets.tvp"], pets):
        with pytest.raises(TypeError):
            pets.save(path)
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_in_a_notebook(pets):
    vocab = tinyvlm.pack(WORDS, text_encoder="lexicon")
    vocab.add("cat", tinyvlm.Frame(bytes(range(256)) * 48, 64, 64, "RGB888"))
    page = vocab._repr_html_()
    assert "<td>cat<td>1" in page and "Meerschwein &lt;3&gt;<td>" in page and "<3>" not in page


def test_a_frame_of_an_array_of_rows():
    """OpenCV's pictures: their order of colours can only be said by a Frame."""
    pixels = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)
    expected = tinyvlm.embed(np.ascontiguousarray(pixels[:, :, ::-1]))
    frame = tinyvlm.Frame(pixels, 16, 12, tinyvlm.BGR888)
    assert tinyvlm.embed(frame) == expected
    pixels[:] = pixels[:, :, ::-1].copy()  # not copied: the next picture in the same array
    assert tinyvlm.embed(tinyvlm.Frame(pixels, 16, 12, "RGB888")) == expected
    assert tinyvlm.embed(frame) != expected
    words = pixels[:, :, :2].copy().view("<u2")[:, :, 0]  # one number a pixel, as an array('H')
    expected = tinyvlm.embed(tinyvlm.Frame(words.tobytes(), 16, 12, "RGB565_LE"))
    assert tinyvlm.embed(tinyvlm.Frame(words, 16, 12, "RGB565_LE")) == expected
    with pytest.raises(ValueError, match="needs 624 bytes, the buffer has 576"):
        tinyvlm.Frame(pixels, 16, 13, "RGB888")
    with pytest.raises(ValueError, match="floats; give the pixels as uint8"):
        tinyvlm.Frame(pixels.astype("float32"), 16, 12, "RGB888")
    with pytest.raises(ValueError, match=r"numpy\.ascontiguousarray"):
        tinyvlm.Frame(pixels[:, ::2], 8, 12, "RGB888")


@pytest.mark.parametrize("format", ["GRAY8", "RGB565_LE", "RGB565_BE", "RGB888", "BGR888", "YUYV"])
def test_a_frame_in_a_notebook(format):
    frame = tinyvlm.Frame(bytes(range(240)), 8, 10, format)
    image = Image.open(io.BytesIO(frame._repr_png_()))
    assert image.size == (8, 10)
    if format == "RGB888":
        assert image.tobytes() == bytes(range(240))


def test_a_heat_map_in_a_notebook(pets):
    frame = tinyvlm.Frame(bytes(range(256)) * 48, 64, 64, "RGB888")
    heat = tinyvlm.heatmap(frame, "cat", pets)
    image = np.asarray(Image.open(io.BytesIO(heat._repr_png_()))).astype(int)
    assert image.shape == (480, 480, 3)
    cells = np.array(heat.values).reshape(heat.height, heat.width)
    tint = image[..., 0] - image[..., 2]  # orange
    blocks = tint.reshape(heat.height, 480 // heat.height, heat.width, -1).mean((1, 3))
    assert np.corrcoef(blocks.ravel(), cells.clip(0).ravel())[0, 1] > 0.8


@pytest.fixture(params=["path", "image", "array", "frame", "buffer"])
def cat(request, tmp_path):
    """A photo, as it may be given."""
    photo = next(photo for photo in photos() if photo.name == "chelsea").image()
    if request.param == "path":
        photo.save(tmp_path / "cat.png")
        return tmp_path / "cat.png"
    if request.param == "buffer":  # of the encoder's size
        return photo.resize((96, 96)).tobytes()
    made = {"image": lambda image: image, "array": np.asarray, "frame": tinyvlm.to_frame}
    return made[request.param](photo)


def shown(answer):
    return np.asarray(Image.open(io.BytesIO(answer._repr_png_()))).astype(int)


def test_answers_in_a_notebook(pets, cat):
    """Lists as ever; a notebook shows the picture, with boxes or with scores."""
    boxes, scores = tinyvlm.detect(cat, pets), tinyvlm.classify(cat, pets)
    assert boxes == list(boxes) and repr(boxes).startswith("[('cat', 0.")
    assert scores == list(scores) and scores[0][0] == "cat"
    boxed, said = shown(boxes), shown(scores)
    assert max(boxed.shape) >= 480 and boxed.shape == said.shape
    colour = tuple(bytes.fromhex(COLOURS[0][1:]))  # of the first label
    assert (boxed == colour).all(-1).any() and not (said == colour).all(-1).any()
    assert abs(boxed - said).max() > 100
    nothing = shown(tinyvlm.detect(cat, pets, 1))
    assert nothing.shape == boxed.shape and not (nothing == colour).all(-1).any()


def test_a_picture_that_is_gone_is_not_shown(pets, tmp_path):
    photos()[0].image().save(tmp_path / "photo.png")
    found = tinyvlm.detect(tmp_path / "photo.png", pets)
    (tmp_path / "photo.png").unlink()
    assert found._repr_png_() is None


# -- Frame.open -------------------------------------------------------------------------------

PIXELS = bytes(range(18))
GOOD = {
    "plain": b"P6\n3 2\n255\n" + PIXELS,
    "comment": b"P6 # made by\n# an editor\n3\t2\r\n255\n" + PIXELS,
    "blank first": b"P6 3 2 255 \n" + PIXELS[1:],  # one white space, then pixels
    "gray": b"P5\n6 3\n255\n" + PIXELS,
}


@pytest.mark.parametrize("name", GOOD)
def test_ppm_as_pillow_reads_it(tmp_path, name):
    """What the boards' reader sees is what Pillow sees."""
    (tmp_path / "x.ppm").write_bytes(GOOD[name])
    board = tinyvlm.device.Frame.open(str(tmp_path / "x.ppm"))
    here = tinyvlm.Frame.open(tmp_path / "x.ppm")
    assert (board.width, board.height) == (here.width, here.height)
    rgb = np.frombuffer(here.buffer, np.uint8).reshape(here.height, here.width, 3)
    mine = np.frombuffer(board.buffer, np.uint8).reshape(here.height, here.width, -1)
    assert (rgb == mine).all()


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "x.ppm: no binary PPM or PGM file of 8 bits"),
        (b"P3\n3 2\n255\n1 2 3", "no binary PPM"),
        (b"P6\n3 2\n65535\n" + PIXELS * 2, "no binary PPM"),
        (b"P6\n3 x\n255\n" + PIXELS, "no binary PPM"),
        (b"P6\n3 2\n255\n" + PIXELS[1:], "needs 18 bytes, the buffer has 17"),
        (b"\xff\xd8\xff\xe0" + PIXELS, "no binary PPM"),
    ],
)
def test_what_is_no_ppm(tmp_path, raw, what):
    (tmp_path / "x.ppm").write_bytes(raw)
    with pytest.raises(ValueError, match=what):
        tinyvlm.device.Frame.open(str(tmp_path / "x.ppm"))


def test_the_pc_opens_any_picture(tmp_path):
    Image.new("RGB", (5, 4), "red").save(tmp_path / "x.png")
    assert repr(tinyvlm.Frame.open(tmp_path / "x.png")) == "Frame(5x4 RGB888)"
    (tmp_path / "no.jpg").write_text("no")
    with pytest.raises(ValueError, match="not a picture that Pillow can read"):
        tinyvlm.Frame.open(tmp_path / "no.jpg")
    with pytest.raises(FileNotFoundError):
        tinyvlm.Frame.open(tmp_path / "nothing.jpg")


def test_a_picture_that_would_fill_the_memory(tmp_path):
    """Pillow stops at 179 million pixels; the sentence is ours."""
    Image.new("1", (20_000, 10_000)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="x.png: too many pixels; make it smaller first"):
        tinyvlm.Frame.open(tmp_path / "x.png")
