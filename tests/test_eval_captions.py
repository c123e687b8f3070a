# SPDX-License-Identifier: MIT
"""Image-text retrieval of tinyvlm-eval: the measure by hand, and the command on made captions."""

import json

import numpy as np
import pytest
from test_eval_sets import model, run, shard  # noqa: F401

from tinyvlm.measure import metrics
from tinyvlm.train.lexicon import caption_vectors
from tinyvlm.words.encoders import create_text_encoder

CAPTIONS = [["A dog on grass", "A brown dog"], ["A red car"], ["A cat", "A cat on a chair"]]


def test_recall_by_hand():
    # photos x captions; captions 0 and 1 are of photo 0, 2 of photo 1, 3 of photo 2
    scores = np.array([[0.1, 0.9, 0.5, 0.2], [0.9, 0.3, 0.8, 0.1], [0.9, 0.8, 0.7, 0.1]])
    found = metrics.recall(scores, np.array([0, 0, 1, 2]))
    assert found["to_text"] == {"r1": 33.33, "r5": 100, "r10": 100}
    # caption 0 -> photo 1, no; 1 -> 0, yes; 2 -> 1, yes; 3 -> 0, no
    assert found["to_image"] == {"r1": 50, "r5": 100, "r10": 100}
    assert found["chance_to_image"] == {"r1": 33.33, "r5": 100, "r10": 100}
    assert found["chance_to_text"]["r1"] == round(100 * (2 / 4 + 1 / 4 + 1 / 4) / 3, 2)


def test_chance_of_recall():
    rng, owner = np.random.default_rng(0), np.repeat(np.arange(40), 5)
    found = [metrics.recall(rng.random((40, 200)), owner) for _ in range(200)]
    for task in ("to_text", "to_image"):
        for k in ("r1", "r5", "r10"):
            mean = np.mean([f[task][k] for f in found])
            assert mean == pytest.approx(found[0][f"chance_{task}"][k], abs=1.5)


def test_the_command(run, tmp_path):  # noqa: F811
    data = shard(tmp_path / "told-000.tar", [(c[0], {"captions": c}) for c in CAPTIONS])
    _, results, _ = run("--data", data)
    [report] = results["captions"]
    assert results["reports"] == []
    assert (report["set"], report["by"], report["captions"]) == ("told", "lexicon", 5)
    assert [row["dim"] for row in report["rows"]] == [16, 32, 48]
    for row in report["rows"]:
        for task in ("to_text", "to_image"):
            assert 0 <= row[task]["r1"] <= row[task]["r5"] == row[task]["r10"] == 100


def test_captions_that_the_lexicon_cannot_encode(run, tmp_path):  # noqa: F811
    odd = [["A dog", "xylqz"], ["A red car"], ["qqzzk"]]
    data = shard(tmp_path / "odd-000.tar", [(c[0], {"captions": c}) for c in odd])
    _, results, err = run("--data", data)
    [report] = results["captions"]
    assert (report["photos"], report["captions"], report["missing"]) == (2, 2, 2)
    assert "odd: 2 of 4 captions have no vector by lexicon, left out; --caption-vectors" in err


@pytest.fixture
def told(tmp_path):
    return shard(tmp_path / "told-000.tar", [(c[0], {"captions": c}) for c in CAPTIONS])


def vectors(path, captions, width=512):
    emb = np.random.default_rng(1).normal(size=(len(captions), width))
    np.savez(path, captions=captions, emb=emb / np.linalg.norm(emb, axis=1, keepdims=True))
    return path


def test_real_vectors_of_captions(run, told, tmp_path):  # noqa: F811
    """They go through the map of the text space; a table that lacks one is not mixed in."""
    every = [c for some in CAPTIONS for c in some]
    table = vectors(tmp_path / "clip.npz", every)
    _, results, _ = run("--data", told, "--caption-vectors", table)
    [report] = results["captions"]
    assert (report["by"], report["captions"], report["missing"]) == ("clip.npz", 5, 0)
    part = vectors(tmp_path / "part.npz", every[1:])
    _, results, err = run("--data", told, "--caption-vectors", part)
    assert results["captions"][0]["by"] == "lexicon"
    assert "part.npz lacks 1 of 5 captions; all of them are encoded by lexicon" in err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "not a table of caption vectors ("),
        (lambda path: np.savez(path, names=["a"], emb=np.zeros((2, 512))), "differ in length"),
        (
            lambda path: vectors(path, [c for some in CAPTIONS for c in some], 8),
            "vectors of 8 dimensions, the text space takes 512",
        ),
    ],
)
def test_bad_tables(run, told, tmp_path, make, message):  # noqa: F811
    make(tmp_path / "bad.npz")
    status, _, err = run("--data", told, "--caption-vectors", tmp_path / "bad.npz")
    assert status == 2 and message in err and str(tmp_path / "bad.npz") in err


def test_the_projection_is_that_of_words(run, tmp_path):  # noqa: F811
    """CLIP's own vectors of names, as `--caption-vectors`, rank like the lexicon's names."""
    text = create_text_encoder("lexicon")
    names = ["cat", "dog", "car", "tree", "cup"]
    data = shard(tmp_path / "n-000.tar", [(n, {"captions": [n]}) for n in names])
    # vectors whose projection is the lexicon's own: a point of the map's preimage
    space = text.text_space
    wanted = np.stack([text.encode(n).vector for n in names])
    preimage = wanted @ np.linalg.pinv(space.projection) + space.centre
    np.savez(tmp_path / "same.npz", names=names, emb=preimage.astype(np.float32))
    _, plain, _ = run("--data", data)
    _, mapped, _ = run("--data", data, "--caption-vectors", tmp_path / "same.npz")
    assert json.dumps(plain["captions"][0]["rows"]) == json.dumps(mapped["captions"][0]["rows"])


def test_estimated_vectors():
    """A smooth map from sentences to vectors is found again on sentences that were left out."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.tanh(x @ rng.normal(size=(6, 20))) + 2
    y = (y / np.linalg.norm(y, axis=1, keepdims=True)).astype(np.float32)
    none = x[:0], y[:0]
    photo, other = np.arange(300) // 5, y[rng.permutation(300)]
    assert caption_vectors.agreement(caption_vectors.left_out(x, y, photo, none), y) > 0.9
    made = caption_vectors.left_out(x, other, photo, none)
    assert abs(caption_vectors.agreement(made, other)) < 0.3


def test_estimates_need_captions(tmp_path, capsys):
    known = vectors(tmp_path / "known.npz", ["a dog"])
    data = shard(tmp_path / "names.tar", [("cat", None)])
    argv = ["--captions", str(data), "--known", str(known), "-o", str(tmp_path / "out.npz")]
    assert caption_vectors.main(argv) == 2
    assert "names.tar: no captions in it" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()


def test_how_well_captions_find_images(tmp_path):
    """Images that are their captions' own vectors are found by these, not by others."""
    rng, captions = np.random.default_rng(4), [f"a {n}" for n in ("cat", "dog", "car", "cup")]
    truth = rng.normal(size=(4, 512)).astype(np.float32)
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    np.savez(tmp_path / "images.npz", keys=["d", "c", "b", "a", "z"], emb=truth[[3, 2, 1, 0, 0]])
    np.savez(tmp_path / "known.npz", image=["a", "b", "c", "d"])
    files = tmp_path / "images.npz", tmp_path / "known.npz"
    lines = caption_vectors.with_images(*files, [*captions[:3], "xylqz"], truth, -truth)
    assert lines[0] == "R@1 / R@5 / R@10 of 4 captions among 4 real image vectors:"
    assert lines[1] == "  real: 100.0 / 100.0 / 100.0 %"
    assert lines[2].startswith("  estimated: 0.0 / ")
    assert lines[3].startswith("  composed by the lexicon: ")
