# SPDX-License-Identifier: MIT
"""tinyvlm-eval on a shard and a folder made here; the numbers are checked by hand."""

import io
import json
import tarfile

import numpy as np
import pytest

import tinyvlm
from tinyvlm import eval as evaluation
from tinyvlm.photos import photos

NAMES = {"chelsea": "cat", "rocket": "rocket", "coffee": "cup", "motorcycle": "motorcycle"}


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("eval") / "four-000.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for photo in photos():
            if photo.name not in NAMES:
                continue
            file = io.BytesIO()
            photo.image().resize((120, 100)).save(file, "PNG")
            for kind, content in (
                ("png", file.getvalue()),
                ("txt", NAMES[photo.name].encode()),
                ("json", b"{}"),
            ):
                info = tarfile.TarInfo(f"{photo.name}.{kind}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def test_a_shard(shard, capsys):
    assert evaluation.main(["--data", str(shard), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["photos"], report["classes"], report["chance"]) == (4, 4, 25.0)
    assert [row["dim"] for row in report["rows"]] == [16, 32, 64, 128, 256]
    assert all(0 <= row["int8_top1"] <= 100 for row in report["rows"])
    assert all(row["int8_top5"] == 100 for row in report["rows"])  # there are only four


def test_a_folder_gives_the_same_numbers(shard, tmp_path, capsys):
    with tarfile.open(shard) as tar:
        for name, label in NAMES.items():
            (tmp_path / label).mkdir()
            (tmp_path / label / "a.png").write_bytes(tar.extractfile(f"{name}.png").read())
    evaluation.main(["--data", str(shard), "--json"])
    first = json.loads(capsys.readouterr().out)
    evaluation.main(["--data", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["rows"] == first["rows"]


def test_embeddings_are_those_of_classify(shard):
    embeddings, names = evaluation.embed_all([shard], evaluation.pack.DEFAULT_MODEL)
    for (label, image), got, name in zip(evaluation.photos(shard), embeddings, names, strict=True):
        assert label == name
        assert (np.array(tinyvlm.embed(image), np.int8) == got).all()


def test_accuracy_by_hand():
    prototypes = np.eye(6, dtype=np.int8) * 9
    embeddings = np.array([[9, 1, 0, 0, 0, 0, 7], [0, 1, 9, 0, 0, 0, 7]], np.int8)
    assert evaluation.accuracy(embeddings, prototypes, np.array([0, 1])) == (50, 100)


def test_what_is_wrong_is_said(tmp_path, capsys):
    assert evaluation.main(["--data", str(tmp_path / "no.tar")]) == 2
    assert "no.tar: no such file" in capsys.readouterr().err
    assert evaluation.main(["--data", str(tmp_path)]) == 2
    assert "no photos with class names" in capsys.readouterr().err
