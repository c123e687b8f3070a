# SPDX-License-Identifier: MIT
"""How tinyvlm-eval tells the sets of a folder apart: names, captions, boxes, unseen classes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tars import write

from tinyvlm import eval as evaluation
from tinyvlm.measure import overlap, published
from tinyvlm.net import tvlm
from tinyvlm.net.samples import Builder
from tinyvlm.shipped import DATA
from tinyvlm.words.encoders import create_text_encoder

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data here")


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def shard(path, samples):
    """samples: (text or None, fields of the .json or None)."""
    files = []
    for i, (text, fields) in enumerate(samples):
        files.append((f"k{i:02}.png", png(i)))
        if text is not None:
            files.append((f"k{i:02}.txt", text.encode()))
        if fields is not None:
            files.append((f"k{i:02}.json", json.dumps(fields).encode()))
    return write(path, files)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    build = Builder(24, 1)
    build.conv(8, 3, 2)
    build.conv(16, 3, 2)
    graph = build.finish(48)
    graph.info = {"name": "small", "text_space": create_text_encoder("lexicon").space}
    path = tmp_path_factory.mktemp("model") / "small.tvlm"
    tvlm.write(graph, path)
    return path


@pytest.fixture
def run(model, capsys):
    """Arguments -> (exit status, results, stderr) of tinyvlm-eval --json."""

    def command(*argv):
        capsys.readouterr()
        status = evaluation.main(["--model", str(model), "--json", *map(str, argv)])
        out, err = capsys.readouterr()
        return status, json.loads(out) if status == 0 else None, err

    return command


def test_a_folder_of_all_kinds(run, tmp_path):
    shard(tmp_path / "things-000.tar", [("cat", None), ("dog", None), ("cup", None)])
    sentences = ["A dog in the grass", "A brown dog"]
    told = [("A dog", {"captions": sentences}), ("A cat", {"captions": ["A cat"]})]
    shard(tmp_path / "told-000.tar", told)
    boxes = [
        {"label": "cat", "box_xyxy": [0, 0, 5, 5]},
        {"label": "dog", "box_xyxy": [1, 1, 9, 9]},
    ]
    shard(tmp_path / "many-000.tar", [("cat, dog", {"boxes": boxes})])
    status, results, err = run("--data", tmp_path)
    assert status == 0
    assert [report["set"] for report in results["reports"]] == ["things"]
    assert [(r["set"], r["photos"], r["captions"]) for r in results["captions"]] == [
        ("told", 2, 3)
    ]
    assert "many: 2 boxes with labels of their own" in err and "measures detect()" in err
    status, _, err = run("--data", tmp_path / "many-000.tar")
    assert status == 2 and "nothing is left to evaluate" in err


def test_classes_without_a_vector_are_left_out_and_counted(run, tmp_path):
    names = ["cat", "dog", "xylqz", "cat", "qqzzk"]
    shard(tmp_path / "mixed-000.tar", [(name, None) for name in names])
    shard(tmp_path / "strange-000.tar", [("xylqz", None), ("qqzzk", None)])
    status, results, err = run("--data", tmp_path)
    [report] = results["reports"]
    assert status == 0
    assert (report["classes"], report["photos"], report["chance"]) == (2, 3, 50.0)
    assert report["missing"] == ["qqzzk", "xylqz"]
    assert "mixed: 2 of 4 classes (2 of 5 photos) have no vector and are left out; give" in err
    assert "strange: 2 of 2 classes (2 of 2 photos) have no vector and leave nothing to" in err
    (tmp_path / "words.txt").write_text("xylqz: cup\nqqzzk: tree\n")
    _, results, err = run("--data", tmp_path, "--vocab", tmp_path / "words.txt")
    assert [report["classes"] for report in results["reports"]] == [4, 2]
    assert "no vector" not in err


def test_a_table_says_how_many_classes_are_left_out(model, tmp_path, capsys):
    shard(tmp_path / "mixed-000.tar", [("cat", None), ("dog", None), ("xylqz", None)])
    argv = ["--data", str(tmp_path), "--model", str(model), "--table"]
    assert evaluation.main(argv) == 0
    assert "| mixed: 2 photos, 2 of 3 classes " in capsys.readouterr().out


WHOLE = {"food-64px": 4}
APART = WHOLE | {"food-64px (not in training)": 2}


@pytest.mark.parametrize(
    ("file", "unseen", "sets"),
    [
        ("food-unseen-classes.json", ["cat", "dog"], APART),
        ("food-64px-unseen-classes.json", ["cat", "dog"], APART),
        ("foo-unseen-classes.json", ["cat", "dog"], WHOLE),  # of another set
        ("food-unseen-classes.json", ["cat", "dog", "cup", "tree"], WHOLE),  # all
        ("food-unseen-classes.json", ["goat"], WHOLE),  # none
    ],
)
def test_classes_in_no_training_set_are_reported_apart(run, tmp_path, file, unseen, sets):
    names = ["cat", "dog", "cup", "tree", "cat"]
    shard(tmp_path / "food-64px-000.tar", [(name, None) for name in names])
    (tmp_path / file).write_text(json.dumps(unseen))
    _, results, _ = run("--data", tmp_path)
    assert {report["set"]: report["classes"] for report in results["reports"]} == sets
    for report in results["reports"]:
        assert report["chance"] == round(100 / report["classes"], 2)
    if len(sets) > 1:
        assert [report["photos"] for report in results["reports"]] == [5, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a-unseen-classes.json: not JSON ("),
        ("[" * 100_000, "a-unseen-classes.json: not JSON ("),
        ('{"cat": 1}', "a-unseen-classes.json: must be a list of class names"),
    ],
)
def test_bad_lists_of_unseen_classes(run, tmp_path, text, message):
    shard(tmp_path / "a-000.tar", [("cat", None), ("dog", None)])
    (tmp_path / "a-unseen-classes.json").write_text(text)
    status, _, err = run("--data", tmp_path)
    assert status == 2 and message in err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"captions": "a dog"}, "captions must be a list of sentences"),
        ({"captions": [1]}, "captions must be a list of sentences"),
        ({"boxes": {"label": "dog"}}, "boxes must be a list"),
    ],
)
def test_bad_captions_and_boxes(run, tmp_path, fields, message):
    shard(tmp_path / "a.tar", [("cat", fields)])
    status, _, err = run("--data", tmp_path)
    assert status == 2 and f"k00.json: {message}" in err


LABELS = ["background", "tabby, tabby cat", "Eskimo dog, husky", "espresso maker", "goose"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("husky", "named"),
        ("Eskimo_dog", "named"),
        ("geese", "named"),
        ("dog", "within"),
        ("cats", "within"),
        ("maker", "within"),
        ("espresso", "outside"),  # the first word of a name is another thing
        ("background", "outside"),
    ],
)
def test_names_among_imagenets(tmp_path, name, kind):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    found = overlap.compare([name], overlap.read(tmp_path / "labels.txt"))
    assert getattr(found, kind) == [name]


def test_the_counts_are_in_the_report(run, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    data = shard(tmp_path / "a.tar", [("husky", None), ("dog", None), ("cup", None)])
    argv = ["--data", data, "--imagenet-labels", tmp_path / "labels.txt"]
    _, results, _ = run(*argv)
    assert results["reports"][0]["imagenet"] == {"named": 1, "within": 1, "outside": ["cup"]}
    assert overlap.main(list(map(str, argv))) == 0
    said = capsys.readouterr().out
    assert "a: 3 classes, 1 named in labels.txt, 1 within a longer name, 1 not: cup" in said
    (tmp_path / "labels.txt").write_text("background\n")
    assert overlap.main(list(map(str, argv))) == 2
    assert "no class names in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "classes", "figure"),
    [
        ("cifar10-test", 10, 89.8),
        ("cifar10-test", 9, None),  # a class is left out: another task
        ("cifar100-test", 100, None),
        ("food101-64px", 101, 84.0),
        ("food101-64px (not in training)", 51, None),
        ("flowers102", 102, 66.7),
        ("pacs-photo", 7, None),
    ],
)
def test_published_figures(name, classes, figure):
    assert published.clip(name, classes) == figure


@needs_shared
def test_the_evaluation_data():
    """What is in ../shared/data/eval, without decoding a photo."""
    from tinyvlm.measure import eval_sets, labelled

    found = labelled.sets([str(SHARED / "eval")])
    every = {name: eval_sets.index(name, paths) for name, paths in found.items()}
    assert {name for name, labels in every.items() if labels.captions} == {
        "flickr8k-test",
        "coco-mini-captions",
    }
    assert every["flickr8k-test"].captions == 1134  # one photo has four
    assert {name: s.boxes for name, s in every.items() if s.boxes} == {"coco-mini-boxes": 520}
    food = every["food101-64px"]
    assert len(food.unseen) == 51 and food.unseen < set(food.classes)
    assert every["tiny-imagenet-unseen"].unseen == set(every["tiny-imagenet-unseen"].classes)
    known = overlap.read(SHARED / "teacher" / "imagenet_labels.txt")
    seen = overlap.compare(every["tiny-imagenet-seen-val"].classes, known)
    assert len(seen.named) > 150
    words = eval_sets.encode(food, create_text_encoder("lexicon"), tvlm.load(DATA / "base.tvlm"))
    assert len(words.classes) + len(words.missing) == 101 and len(words.classes) >= 80
