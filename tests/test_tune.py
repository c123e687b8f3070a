# SPDX-License-Identifier: MIT
"""tinyvlm-tune as it is typed, on folders of made-up pictures and a small random encoder."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_eval import encoder_file
from test_report import LIGHT, browse  # noqa: F401
from tuning_photos import save_folders, world

import tinyvlm
from tinyvlm import eval as evaluation
from tinyvlm import tune
from tinyvlm.device import Vocab
from tinyvlm.measure import sorted_photos, tune_page
from tinyvlm.measure.answers import Answers
from tinyvlm.measure.tune_fit import Tuned
from tinyvlm.net import tvlm
from tinyvlm.shipped import model_path
from tinyvlm.words import tvp

COLOURS = {
    "red <1>": (165, 20, 20),
    "Grün": (10, 160, 30),
    "other": (150, 150, 150),
}
NAMES = ["red <1>", "Grün"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return encoder_file(tmp_path_factory.mktemp("model") / "small.tvlm", 1, "small")


@pytest.fixture
def photos(tmp_path):
    """photos/: six of each label and of none, and the current folder above it."""
    each = [(label, f"{i}.png", c) for label, c in COLOURS.items() for i in range(6)]
    save_folders(tmp_path / "photos", each)
    return tmp_path / "photos"


@pytest.fixture
def vocab(tmp_path, photos, model):
    """A vocabulary whose words lie near these photos, and a threshold that refuses nearly all."""
    found = [(path, label) for label in NAMES for path in sorted((photos / label).iterdir())]
    encoder = tinyvlm.Encoder(str(model))
    z = np.array([list(encoder.embed(tinyvlm.to_frame(path))) for path, _ in found], float)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    mean = [z[[label == name for _, label in found]].mean(axis=0) for name in NAMES]
    rows = np.stack(mean) - np.mean(mean, axis=0)
    p = tvp.Prototypes(
        NAMES,
        tvp.quantize(rows),
        tvlm.load(model).fingerprint,
        "small",
        threshold=0.9999,
        logit_scale=5.0,
        prefixes=[(16, 5.0, 0.9999)],
        none=[0.3, 0.3],
    )
    tvp.write(p, tmp_path / "pets.tvp")
    return tmp_path / "pets.tvp"


@pytest.fixture
def run(vocab, photos, model, capsys):
    """run(options...) -> (status, what was printed, what was said on stderr)."""

    def run(*options, vocab=vocab, photos=photos):
        arguments = [vocab, photos, "--model", model, "--workers", "1", *options]
        status = tune.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def test_it_measures_tunes_and_writes(run, vocab, tmp_path):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert "18 photos: 6 red <1>, 6 Grün; 6 that show none" in out
    assert "of 12 photos that show a label 0 are named right (0 %), 12 unknown, 0 wrong" in out
    right = [int(n) for n in re.findall(r"show a label (\d+) are named right", out)]
    assert len(right) == 2 and right[1] > 6
    assert re.search(r"threshold 1\.00 -> 0\.\d{2,3}, scale 5\.0 -> ", out)
    assert "6 of 6 photos that show none are called red <1>: pack what they show" in out
    made = tmp_path / "pets-tuned.tvp"
    assert f"{made}: {made.stat().st_size} bytes" in out
    assert Vocab(made.read_bytes()).threshold < 0.9
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "pets-tuned.tvp", "pets.tvp", "photos",
    ]  # fmt: skip


def test_one_is_said_as_one(run, vocab, photos):
    p = tvp.read(vocab)
    tvp.write(replace(p, labels=NAMES[:1], vectors=p.vectors[:1]), vocab)
    for path in photos.glob("*/*.png"):
        if path.name != "0.png" or path.parent.name == "Grün":
            path.unlink()
    (photos / "Grün").rmdir()
    (photos / "other" / "0.png").unlink()
    status, out, _ = run("--measure")
    assert status == 0 and "pets.tvp: 1 label, 48 dimensions" in out
    assert "photos: 1 photo: 1 red <1>; 0 that show none" in out


def test_one_answer_is_said_as_one(run, monkeypatch):
    monkeypatch.setattr(tune, "gained", lambda *_: (1, 0))
    assert "\n1 answer became right by tuning, 0 became wrong (held out)\n" in run()[1]


def test_measuring_alone_writes_nothing(run, tmp_path):
    status, out, _ = run("--measure")
    assert status == 0 and "held out" not in out and "worst mistakes:" in out
    assert not (tmp_path / "pets-tuned.tvp").exists()


@pytest.mark.parametrize("unknown", ["cautious", "balanced", "eager", "off"])
def test_unknown_is_what_the_file_was_packed_with(unknown, tmp_path):
    words = ["cat", "dog", "car", "tree"]
    made = tinyvlm.pack(words, model="nano", unknown=unknown, text_encoder="lexicon", dim=32)
    made.save(tmp_path / "v.tvp")
    p, model = tvp.read(tmp_path / "v.tvp"), model_path("nano")
    assert tune.packed_with(p, model) == unknown
    if unknown != "off":
        assert tune.packed_with(replace(p, threshold=0.777), model) == "balanced"


def test_nothing_better_is_written(run, vocab, tmp_path):
    run("--overwrite")
    before = vocab.read_bytes()
    good = tvp.from_bytes(before)
    assert good.threshold < 0.9
    status, out, _ = run("-o", tmp_path / "x.tvp")
    assert status == 0 and "nothing better than pets.tvp was found; no file is written" in out
    assert not (tmp_path / "x.tvp").exists() and vocab.read_bytes() == before


def test_the_page_of_a_file_that_stays_is_about_that_file(run, tmp_path):
    run("--overwrite")
    page = tmp_path / "page.html"
    assert run("-o", tmp_path / "x.tvp", "--report", page)[0] == 0
    text = page.read_text()
    assert "nothing better than pets.tvp was found" in text
    assert "<h2>Mistakes" in text and "since tuning" not in text and "tuned, held" not in text
    assert "<input" not in text  # nothing to choose


def test_only_what_changed_is_said():
    p, _ = world()
    q = replace(p, threshold=0.4, logit_scale=10.04)
    assert tune._changes(p, Tuned(q, 1, 0.0)) == [
        "threshold 0.95 -> 0.40",
        "1 photo shown to the labels",
    ]
    assert tune._changes(p, Tuned(p, 0, 0.0)) == []


def test_the_input_is_replaced_only_when_asked(run, vocab, model, photos, tmp_path):
    before = vocab.read_bytes()
    for options, what in (
        (["-o", vocab], "is the vocabulary; give another name with -o, or --overwrite"),
        (["--report", vocab], "is the vocabulary; give another name with --report"),
        (["-o", model], "is the encoder"),
        (["--overwrite", "-o", model], "is the encoder"),
        (["-o", photos / "other" / "1.png"], "is one of the photos"),
        (["-o", tmp_path / "a", "--report", tmp_path / "a"], "is the tuned vocabulary"),
        (["-o", photos], "a folder; give the name of a file"),
        (["-o", tmp_path / "none" / "a.tvp"], "no such folder; make it first"),
    ):
        status, out, err = run(*options)
        assert status == 2 and what in err and err.count("\n") == 1 and out == ""
    assert vocab.read_bytes() == before
    assert run("--overwrite")[0] == 0
    assert vocab.read_bytes() != before and not (tmp_path / "pets-tuned.tvp").exists()


def folder(name):
    return lambda photos: (photos / name).mkdir()


def file(name, content=b"no"):
    return lambda photos: (photos / name).write_bytes(content)


def copied(name, source, most=None):
    return lambda photos: (photos / name).write_bytes((photos / source).read_bytes()[:most])


@pytest.mark.parametrize(
    ("change", "status", "what"),
    [
        (folder("hamster"), 2, "hamster: pets.tvp has no label 'hamster'; it has red <1>, Grün;"),
        (folder("Grunn"), 2, "did you mean Grün?"),
        (folder("Unknown"), 0, "Unknown: no photos in it"),
        (file("x.png"), 0, "what is not in a folder of a label is left out: 1 file"),
        (folder("other/in"), 0, "in: a folder inside a label's is not looked into"),
        (file("other/x.jpg"), 0, "x.jpg: not a picture that Pillow can read; left out"),
        (file("other/x.HEIC"), 0, "x.HEIC: a HEIC picture, which Pillow cannot read"),
        (copied("other/x.png", "other/1.png", 999), 0, "x.png: damaged or cut off"),
        (copied("other/x.png", "Grün/1.png"), 0, "the same picture as"),
    ],
)
def test_one_sentence_for_what_is_wrong(run, photos, change, status, what):
    change(photos)
    found, _, err = run("--measure")
    assert found == status and what in err and err.count("\n") == 1
    assert err.startswith("tinyvlm-tune: ")


def test_folders_that_are_none(run, vocab, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "void" / "Grün").mkdir(parents=True)
    for swapped, what in (
        ({"photos": tmp_path / "nothing"}, "nothing: no such folder"),
        ({"photos": vocab}, "pets.tvp: not a folder"),
        ({"vocab": photos}, "photos: a folder; the vocabulary comes first"),
        ({"vocab": photos / "other" / "1.png"}, "not a tinyvlm vocabulary"),
        ({"photos": tmp_path / "empty"}, "empty: no folders in it; it needs one for each label"),
        ({"photos": tmp_path / "void"}, "no photos in any of its folders"),
    ):
        status, _, err = run(**swapped)
        assert status == 2 and what in err


@pytest.mark.parametrize("options", [["--shots", "-1"], ["--workers", "0"]])
def test_numbers_that_are_none(run, options):
    status, _, err = run(*options)
    assert status == 2 and f"{options[0]} {options[1]}: must be" in err


def test_another_encoder(vocab, photos, capsys):
    assert tune.main([str(vocab), str(photos)]) == 2
    assert "packed for encoder small" in capsys.readouterr().err
    assert tune.main([str(vocab), str(photos), "--model", "nano"]) == 2
    assert "nano.tvlm is nano (" in capsys.readouterr().err


def test_one_photo_is_measured_and_not_tuned_on(run, photos, tmp_path):
    for path in photos.glob("*/[1-9].png"):
        path.unlink()
    status, out, _ = run()
    assert status == 0 and "nothing was tuned" in out
    assert not (tmp_path / "pets-tuned.tvp").exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("guinea pig", "guinea pig"),
        ("Guinea_Pig", "guinea pig"),
        ("CAFE\u0301", "café"),
        ("other", ""),
        ("Unknown", ""),
        ("dog", None),
        ("tea_coffee", "tea/coffee"),  # no folder's name has a slash
    ],
)
def test_names_of_folders(name, label):
    assert sorted_photos.match(name, ["guinea pig", "café", "tea/coffee"]) == label


def test_a_label_that_is_called_other():
    assert sorted_photos.match("other", ["other", "cat"]) == "other"
    assert sorted_photos.match("unknown", ["other", "cat"]) == ""


def test_a_photo_is_seen_upright(tmp_path, model):
    """A phone's picture lies on its side, and EXIF says so."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50, 3)).astype(np.uint8)
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1).copy()).save(tmp_path / "a" / "2.png")
    found, _ = sorted_photos.find(tmp_path, ["a"], "v")
    photos, remarks = sorted_photos.embed(found, ["a"], model, 1)
    assert len(photos.paths) == 1 and "the same picture" in remarks[0]


# -- tinyvlm-eval -----------------------------------------------------------------------------


def test_eval_takes_a_packed_vocabulary(vocab, photos, model, run, tmp_path, capsys):
    file = tmp_path / "out.json"
    argv = ["--data", f"mine={photos}", "--vocab", str(vocab), "--model", str(model)]
    assert evaluation.main([*argv, "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "pets.tvp, 2 labels at 48 dimensions, encoder small" in out
    assert re.search(r"\| mine +\| 12 +\| +0\.0 \| +100\.0 \| +0\.0 \| +6 \| +0\.0 \|", out)
    assert "called unknown (6 of 6)" in out
    assert evaluation.main(["--results", str(file)]) == 0
    assert capsys.readouterr().out == out
    assert evaluation.main([*argv[:-2]]) == 2
    assert "packed for encoder small" in capsys.readouterr().err
    os.rename(photos / "Grün", photos / "blue")
    os.rename(photos / "red <1>", photos / "green")
    assert evaluation.main(argv) == 2
    assert "no class of it is a label of pets.tvp" in capsys.readouterr().err


# -- the page ---------------------------------------------------------------------------------


@pytest.fixture
def page(run, tmp_path):
    status, out, _ = run("--report", tmp_path / "page.html")
    assert status == 0 and out.endswith(f"report: {tmp_path / 'page.html'}\n")
    return (tmp_path / "page.html").read_text()


def test_the_page_has_matrices_changes_and_pictures(page):
    assert page.startswith("<!doctype html>")
    assert "<script" not in page and "http" not in page and "url(" not in page
    assert "red &lt;1&gt;" in page and "red <1>" not in page
    assert "What changed" in page and "threshold 1.00 -&gt; 0." in page
    for title in ("Still wrong", "Wrong since tuning", "Right since tuning"):
        assert f"<h2>{title}: " in page
    figures = page.count("<figure>")
    assert figures == page.count("src='data:image/jpeg;base64,") > 0
    assert len(page) < 400_000


def test_a_matrix_of_many_labels_has_those_taken_for_others():
    """And not those that are called unknown, which fill no cell but the last."""
    labels = [f"label {i}" for i in range(60)]
    said = np.full(60, 60)
    said[[41, 50]] = 50, 7
    target = np.arange(60)
    answers = Answers(labels, target, said, said, np.zeros(60))
    shown = tune_page._shown([answers])
    assert {41, 50, 7} <= set(shown) and len(shown) == tune_page.CROWDED + 1 and shown[-1] == 60


def test_pictures_are_what_the_encoder_sees(tmp_path):
    """The centred square, upright."""
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = (250, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    import base64
    from io import BytesIO

    raw = base64.b64decode(tune_page.small(tmp_path / "x.png").partition(",")[2])
    seen = np.asarray(Image.open(BytesIO(raw)))
    assert seen.shape == (144, 144, 3) and seen[..., 0].min() > 200


@pytest.mark.parametrize("scheme", [0, 1])
def test_the_page_in_a_browser(browse, page, scheme):  # noqa: F811
    found = browse(page, scheme)
    assert found["tables"] == "m0 m1"  # each radio button shows its own
    assert found["least"] >= 4.5  # WCAG AA
    assert found["reached"] == 1 + 1 + 2  # the radio group, the matrix, the two other tables
    assert found["named"]


def test_the_page_on_a_narrow_screen(browse, page):  # noqa: F811
    assert browse(page, LIGHT, 520)["overflow"] <= 0
