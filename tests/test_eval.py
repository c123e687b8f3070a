# SPDX-License-Identifier: MIT
"""tinyvlm-eval, as it is typed, on shards and folders made here and a small random encoder."""

import io
import json
import subprocess
import sys
from array import array
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tars import write

from tinyvlm import eval as evaluation
from tinyvlm.device import Encoder, Frame, slow
from tinyvlm.measure import labelled
from tinyvlm.net import intake, reference, tvlm
from tinyvlm.net.samples import Builder
from tinyvlm.virtual.photos import photos
from tinyvlm.words.encoders import create_text_encoder

CLASSES = ("cat", "cup", "dog", "rocket")  # sorted, as the command numbers them
DIMS = (16, 32, 48)


def encoder_file(path, seed, name):
    """A random encoder of 48 dimensions with a 6 x 6 map, in the lexicon's text space."""
    build = Builder(24, seed)
    build.conv(8, 3, 2)
    build.residual(8, 2, 3, 2)
    build.conv(16)
    graph = build.finish(48, dense=True)
    graph.info = {"name": name, "text_space": create_text_encoder("lexicon").space}
    tvlm.write(graph, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return encoder_file(tmp_path_factory.mktemp("model") / "small.tvlm", 1, "small")


@pytest.fixture(scope="module")
def samples():
    """(key, class, pixels, box or None): 24 blocky photos of many shapes, half with a box."""
    rng, found = np.random.default_rng(5), []
    for i in range(24):
        h, w = (int(x) for x in rng.integers(20, 60, 2))
        coarse = rng.integers(0, 256, (-(-h // 8), -(-w // 8), 3), np.uint8)
        pixels = coarse.repeat(8, 0).repeat(8, 1)[:h, :w]
        x0, y0 = int(rng.integers(0, w // 2)), int(rng.integers(0, h // 2))
        box = [x0, y0, int(rng.integers(x0, w)), int(rng.integers(y0, h))]
        found.append((f"p{i:02}", CLASSES[rng.integers(4)], pixels, box if i % 2 else None))
    return found


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def files_of(samples):
    for key, name, pixels, box in samples:
        yield f"{key}.png", png(pixels)
        yield f"{key}.txt", f"{name}\n".encode()
        if box:
            yield f"{key}.json", json.dumps({"box_xyxy": box}).encode()


@pytest.fixture(scope="module")
def shards(tmp_path_factory, samples):
    """A folder with the photos in pets-000.tar.gz and pets-001.tar."""
    folder = tmp_path_factory.mktemp("shards")
    write(folder / "pets-000.tar.gz", files_of(samples[:10]))
    write(folder / "pets-001.tar", files_of(samples[10:]))
    return folder


@pytest.fixture(scope="module")
def report(shards, model, tmp_path_factory):
    """The one report of `tinyvlm-eval --json FILE` on the shards."""
    file = tmp_path_factory.mktemp("json") / "out.json"
    argv = ["--data", str(shards), "--model", str(model), "--dim", "32", "--json", str(file)]
    assert evaluation.main(argv) == 0
    results = json.loads(file.read_text())
    assert (results["software"], results["text_encoder"]) == ("tinyvlm 0.2.0", "lexicon")
    return results["reports"][0]


@pytest.fixture(scope="module")
def cosine(samples, model):
    """Cosines (photos, classes) at a prefix of int8 prototypes, photo by photo as a board does."""
    encoder, text = Encoder(str(model)), create_text_encoder("lexicon")
    words = np.stack([text.encode(name).vector for name in CLASSES])

    def at(dim):
        peak = np.abs(words[:, :dim]).max(1, keepdims=True)
        rows = np.rint(words[:, :dim] / peak * 127)
        found = []
        for _, _, pixels, _ in samples:
            h, w, _ = pixels.shape
            frame = Frame(pixels.tobytes(), w, h, "RGB888")
            z = np.array(encoder.embed_into(frame, array("b", bytes(48)))[:dim], float)
            found.append([z @ p / np.linalg.norm(z) / np.linalg.norm(p) for p in rows])
        return np.array(found), rows

    return at


def test_what_was_measured_on_what(report, samples, model):
    assert report["data"] == ["pets-000.tar.gz", "pets-001.tar"]
    assert (report["set"], report["photos"], report["classes"]) == ("pets", 24, 4)
    assert (report["chance"], report["skipped"]) == (25.0, 0)
    assert (report["encoder"], report["file"]) == ("small", "small.tvlm")
    assert report["fingerprint"] == tvlm.load(model).fingerprint.hex()
    assert report["text_space"] == create_text_encoder("lexicon").space
    assert tuple(row["dim"] for row in report["rows"]) == DIMS


def test_accuracy_and_confusions(report, samples, cosine):
    label = np.array([CLASSES.index(name) for _, name, _, _ in samples])
    for row in report["rows"]:
        scores, _ = cosine(row["dim"])
        assert row["int8_top1"] == round(100 * (scores.argmax(1) == label).mean(), 2)
        assert row["int8_top5"] == 100  # there are only four
        assert all(0 <= row[key] <= 100 for key in ("float_top1", "int4_top1"))
    said = cosine(32)[0].argmax(1)
    wrong = Counter((CLASSES[a], CLASSES[b]) for a, b in zip(label, said, strict=True) if a != b)
    assert report["confusions"]["dim"] == 32
    pairs = report["confusions"]["pairs"]
    assert {(p["true"], p["said"]): p["photos"] for p in pairs} == wrong
    assert [p["photos"] for p in pairs] == sorted(wrong.values(), reverse=True)
    assert all(p["of"] == (label == CLASSES.index(p["true"])).sum() for p in pairs)


def test_retrieval(report, samples, cosine):
    label = np.array([CLASSES.index(name) for _, name, _, _ in samples])
    for row in report["rows"]:
        scores, _ = cosine(row["dim"])
        first, tenth, average = [], [], []
        for c in range(4):
            relevant = [label[i] == c for i in sorted(range(24), key=lambda i: -scores[i, c])]  # noqa: B023
            first.append(relevant[0])
            tenth.append(sum(relevant[:10]) / 10)
            ranks = [rank for rank, hit in enumerate(relevant, 1) if hit]
            average.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
        assert row["precision1"] == round(100 * np.mean(first), 2)
        assert row["precision10"] == round(100 * np.mean(tenth), 2)
        assert row["map"] == pytest.approx(100 * np.mean(average), abs=0.006)


def test_pointing(report, samples, model, cosine):
    """Against the numpy reference and boxes from plain Python, and cells found pixel by pixel."""
    graph = tvlm.read(model)
    boxed = [sample for sample in samples if sample[3]]
    hits, centre, share = dict.fromkeys(DIMS, 0), 0, []
    counted = 0
    for _, name, pixels, (x0, y0, x1, y1) in boxed:
        h, w, _ = pixels.shape
        side = min(h, w)
        left, top = (w - side) // 2, (h - side) // 2
        if x1 < left or x0 >= left + side or y1 < top or y0 >= top + side:
            continue  # the box lies outside of what the encoder sees
        counted += 1

        def inside(row, column, cells=6, left=left, top=top, side=side, box=(x0, y0, x1, y1)):
            x, y = left + side * (column + 0.5) / cells, top + side * (row + 0.5) / cells
            return box[0] <= int(x) <= box[2] and box[1] <= int(y) <= box[3]

        image = intake.frame_to_input(pixels, w, h, size=24)
        cells = reference.run(graph, image)["dense"].astype(float)
        assert cells.shape == (6, 6, 48)
        for dim in DIMS:
            word = cosine(dim)[1][CLASSES.index(name)]
            lengths = np.linalg.norm(cells[..., :dim], axis=-1)
            # cosine x length / mean length
            heat = cells[..., :dim] @ word / np.linalg.norm(word) / lengths.mean()
            box = [0, 0, 0, 0]
            slow.map_region(array("f", heat.ravel().tolist()), 6, 6, 60000, bytearray(36), box)
            x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
            hits[dim] += inside(int(y // 10000), int(x // 10000))
        centre += inside(0, 0, cells=1)
        share.append(np.mean([inside(r, c) for r in range(6) for c in range(6)]))
    assert 0 < counted <= 12
    for row in report["rows"]:
        assert row["pointing"] == round(100 * hits[row["dim"]] / counted, 2)
    assert report["pointing"] == {
        "boxes": counted,
        "cells": [6, 6],
        "centre": round(100 * centre / counted, 2),
        "random": round(100 * np.mean(share), 2),
    }


def test_workers_and_folders_change_nothing(report, samples, model, tmp_path, capsys):
    for key, name, pixels, box in samples:
        (tmp_path / "pets" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name / f"{key}.png").write_bytes(png(pixels))
        if box:
            file = tmp_path / "pets" / name / f"{key}.json"
            file.write_text(json.dumps({"box_xyxy": box}))
    argv = ["--data", str(tmp_path / "pets"), "--model", str(model), "--dim", "32", "--json"]
    for workers in ("1", "3"):
        capsys.readouterr()
        assert evaluation.main([*argv, "--workers", workers]) == 0
        again = json.loads(capsys.readouterr().out)["reports"][0]
        assert again["data"] == ["pets"]
        assert {**again, "data": 0} == {**report, "data": 0}


def test_several_sets_and_models(shards, model, tmp_path, capsys):
    other = encoder_file(tmp_path / "other.tvlm", 2, "other")
    one, two = shards / "pets-000.tar.gz", shards / "pets-001.tar"
    argv = ["--data", f"first={one}", f"{shards}/pets-0*.tar", f"first={two}"]
    argv += ["--model", str(model), str(other), "--plots", str(tmp_path / "plots")]
    assert evaluation.main(argv) == 0
    out, err = capsys.readouterr()
    assert out.count("| first: 24 photos, 4 classes ") == 3  # two tables and the summary
    assert out.count("| pets: 14 photos, 4 classes ") == 3
    assert "small on first, taken for another at 48 dimensions: " in out
    assert "other on pets, taken for another at 48 dimensions: " in out
    assert "100%" in err and "24/24" in err  # progress
    for file, words in (
        ("accuracy-dimension.svg", ("dimensions used (int8 prototypes)", "small", "other")),
        ("accuracy-bytes.svg", ("bytes per label", "small, float32", "other, int4")),
    ):
        image = ElementTree.parse(tmp_path / "plots" / file)
        texts = {"".join(text.itertext()).strip() for text in image.iter() if "text" in text.tag}
        sets = ("first", "pets", "14 photos, 4 classes", "chance", "top-1 accuracy (%)")
        assert {*words, *sets} <= texts


def test_the_table(report, shards, model, capsys):
    assert evaluation.main(["--data", str(shards), "--model", str(model), "--table"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith(f"small (small.tvlm, {report['fingerprint']}), words by lexicon")
    head, rule, *body = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    assert head == ["set", "measure", "chance", "16", "32", "48"]
    assert [len(set(cell) - {"-", ":"}) for cell in rule] == [0] * 6
    assert [cells[1] for cells in body] == [
        "top-1, float prototypes",
        "top-1, int8",
        "top-1, int4",
        "top-5, int8",
        "retrieval, precision@1",
        "retrieval, precision@5",
        "retrieval, precision@10",
        "retrieval, mean average precision",
        f"pointing, {report['pointing']['boxes']} boxes; "
        f"always the centre: {report['pointing']['centre']:.1f}",
    ]
    keys = [key for key in report["rows"][0] if key != "dim"]
    for key, cells in zip(keys, body, strict=True):
        assert cells[3:] == [f"{row[key]:.1f}" for row in report["rows"]]
    assert len({len(line) for line in lines[2:]}) == 1  # aligned


def test_words_for_class_names(samples, model, tmp_path, capsys):
    files = [("a.png", png(samples[0][2])), ("a.txt", b"Meerschwein")]
    files += [("b.png", png(samples[1][2])), ("b.json", b'{"label": "cat"}')]
    shard = write(tmp_path / "two.tar", files)
    argv = ["--data", str(shard), "--model", str(model), "--json"]
    assert evaluation.main(argv) == 2
    err = capsys.readouterr().err
    assert "two: 1 of 2 classes (1 of 2 photos) have no vector and leave nothing to choose" in err
    assert "give words for them with --vocab LIST.txt" in err
    assert "'Meerschwein' is not in the lexicon" in err
    assert "photo/s" not in err  # said before the work, not after it
    (tmp_path / "words.txt").write_text("Meerschwein: guinea pig\n")
    assert evaluation.main([*argv, "--vocab", str(tmp_path / "words.txt")]) == 0
    got = json.loads(capsys.readouterr().out)["reports"][0]
    assert (got["classes"], got["photos"], got["pointing"]) == (2, 2, None)
    assert got["rows"][0]["pointing"] is None


def test_photos_that_cannot_be_read_are_left_out(samples, model, tmp_path, capsys):
    files = [("a.png", png(samples[0][2])), ("a.txt", b"cat")]
    files += [("b.png", b"broken"), ("b.txt", b"dog"), ("c.png", png(samples[1][2]))]
    shard = write(tmp_path / "bad.tar", files)
    argv = ["--data", str(shard), "--model", str(model), "--json"]
    assert evaluation.main(argv) == 0
    out, err = capsys.readouterr()
    assert f"bad: 2 photos left out; {shard}: b: cannot identify image" in err
    assert json.loads(out)["reports"][0]["skipped"] == 2
    write(shard, files[2:4])
    assert evaluation.main(argv) == 2
    assert "bad: no photo in it can be read; the first: " in capsys.readouterr().err


def truncated(folder, samples):
    file = write(folder / "cut.tar.gz", files_of(samples))
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])


def test_a_name_in_a_tar_that_is_not_utf_8(samples, tmp_path):
    """It can be printed and written: in what is said of it, too."""
    files = [(f"\udcff{name}", content) for name, content in files_of(samples)]
    found = list(labelled.read(write(tmp_path / "a.tar", files), pixels=False))
    assert found and all("\\xff" in sample.where.encode().decode() for sample in found)


@pytest.mark.parametrize(
    ("make", "data", "message"),
    [
        (None, "no.tar", "no.tar: no such file or directory"),
        (None, ".", "no photos with class names in it; a folder has CLASS/PHOTO.jpg"),
        (truncated, "cut.tar.gz", "cut.tar.gz: not a readable .tar ("),
        (
            {"x.tar": b"nothing"},
            "x.tar",
            "x.tar: not a readable .tar (file could not be opened successfully); copy it again\n",
        ),
        ({"cat/a.png": b"", "cat/a.json": b"{"}, ".", "a.json: not JSON ("),
        (
            {"cat/a.png": b"", "cat/a.json": b'{"box_xyxy": [1, 2, 3]}'},
            ".",
            "a.json: box_xyxy must be [x0, y0, x1, y1] in pixels, it is [1, 2, 3]",
        ),
        (
            {"cat/a.png": b"", "cat/a.json": b'{"box_xyxy": [5, 2, 3, 4]}'},
            ".",
            "a.json: box_xyxy [5, 2, 3, 4] is inside out",
        ),
    ],
)
def test_bad_data(make, data, message, samples, model, tmp_path, capsys):
    if callable(make):
        make(tmp_path, samples)
    for name, content in make.items() if isinstance(make, dict) else ():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert evaluation.main(["--data", str(tmp_path / data), "--model", str(model)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "BROKEN"], "not a tinyvlm encoder (.tvlm)"),
        (["--model", "no.tvlm"], "no.tvlm: no such file or directory"),
        (["--model", "SMALL", "SMALL"], "--model: the same file is given twice"),
        (["--model", "STRANGER"], "was trained with another CLIP than lexicon has ("),
        (["--dim", "0"], "--dim 0: must be 1 or more"),
        (["--workers", "0"], "--workers 0: must be 1 or more"),
        (["--json", "no/such/out.json"], "no/such: no such folder; make it first"),
        (["--text-encoder", "guess"], "text encoder 'guess': use `lexicon`, `sentence` or"),
    ],
)
def test_bad_options(options, message, shards, model, tmp_path, capsys):
    (tmp_path / "BROKEN").write_bytes(b"TVPR and more")
    graph = tvlm.read(model)
    graph.info = {"name": "stranger", "text_space": "another"}
    tvlm.write(graph, tmp_path / "STRANGER")
    files = {"SMALL": model, "BROKEN": tmp_path / "BROKEN", "STRANGER": tmp_path / "STRANGER"}
    options = [str(files.get(option, option)) for option in options]
    assert evaluation.main(["--data", str(shards), *options]) == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib(shards, model, tmp_path):
    """The command itself, in a Python that has no matplotlib."""
    code = "import sys; sys.modules['matplotlib'] = None; from tinyvlm.eval import main; main()"
    argv = ["--data", shards, "--model", model, "--plots", tmp_path]
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
    assert "the plots need matplotlib" in done.stderr and "[plots]'" in done.stderr
    assert "Traceback" not in done.stderr and "photo/s" not in done.stderr


def test_the_encoder_that_ships(tmp_path, capsys):
    names = {"chelsea": "cat", "rocket": "rocket", "coffee": "cup", "motorcycle": "motorcycle"}
    for photo in photos():
        if name := names.get(photo.name):
            (tmp_path / name).mkdir()
            photo.image().resize((120, 100)).save(tmp_path / name / "a.png")
    assert evaluation.main(["--data", str(tmp_path), "--json"]) == 0
    got = json.loads(capsys.readouterr().out)["reports"][0]
    assert [row["dim"] for row in got["rows"]] == [16, 32, 64, 128, 256]
    assert (got["photos"], got["chance"], got["confusions"]["dim"]) == (4, 25.0, 64)


def test_names_of_sets(tmp_path):
    for name in (
        "cifar10-test-000.tar.gz",
        "cifar10-test-001.tar.gz",
        "pacs.v2.tar",
        "3-x.tar",
        "pacs.txt",
    ):
        (tmp_path / name).touch()
    found = labelled.sets([str(tmp_path), f"mine={tmp_path}/pacs*"])
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "3-x": ["3-x.tar"],
        "cifar10-test": ["cifar10-test-000.tar.gz", "cifar10-test-001.tar.gz"],
        "pacs": ["pacs.v2.tar"],
        "mine": ["pacs.v2.tar"],
    }
