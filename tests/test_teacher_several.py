# SPDX-License-Identifier: MIT
"""Several CLIPs as one teacher: a cache each, read side by side, up to the packed words."""

import json

import numpy as np
import pytest
import tiny_clip
from tars import encoded, pair, write

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("safetensors", reason="safetensors is not installed (extra `train`)")

from tinyvlm.train import cache, export, main, teacher_cache  # noqa: E402
from tinyvlm.train.teacher_cache import Cached  # noqa: E402
from tinyvlm.words.encoders import create_text_encoder  # noqa: E402

N, WIDTH = 300, 150  # samples, dimensions of a CLIP: two have more than the 256 of a student


def rows(n, width, seed):
    x = np.random.default_rng(seed).normal(size=(n, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def folders(tmp_path):
    """Two teachers' vectors of some of the same images, in other orders."""
    for name, ids, width in (("a", "pqrs", 5), ("b", "trqp", 3)):
        (tmp_path / name).mkdir()
        image, text = rows(4, width, 1), rows(4, width, 2)
        image[ids.index("q")] = 0 if name == "b" else image[1]
        one = Cached(list(ids), image, text, [f"text {id}" for id in ids])
        teacher_cache.write(tmp_path / name, "0", one, f"open_clip:{name}/x")
    return tmp_path


def test_columns_lie_side_by_side(folders):
    a, b, both = (teacher_cache.read(folders / name, "0") for name in ("a", "b", f"a+{folders}/b"))
    assert both.ids == ["p", "q", "r"] and both.texts == ["text p", "text q", "text r"]
    assert both.image.shape == both.text.shape == (3, 8)
    assert np.allclose(np.linalg.norm(both.text.astype(float), axis=1), 1, atol=1e-3)
    want = [*a.image[0], *b.image[3]] / np.sqrt(2)
    assert np.allclose(both.image[0], want, atol=1e-3)
    assert not both.image[1].any(), "one of them did not judge it"
    cosine = both.text[0].astype(float) @ both.text[2]
    mean = (a.text[0].astype(float) @ a.text[2] + b.text[3].astype(float) @ b.text[1]) / 2
    assert np.isclose(cosine, mean, atol=2e-3)
    missing = teacher_cache.read(folders / f"a+{folders}/b", "7")
    assert missing.ids == [] and missing.row("image", None).shape == (8,)
    assert teacher_cache.name_in(folders / f"a+{folders}/b") == "open_clip:a/x+open_clip:b/x"
    assert teacher_cache.known(folders / "a", "0")[0] == ("p", "text p")


def test_only_clips_can_be_joined(folders):
    (folders / "c").mkdir()
    teacher_cache.write(folders / "c", "0", Cached(["p"], rows(1, 5, 3), None), "tflite:x")
    with pytest.raises(ValueError, match="only CLIPs"):
        teacher_cache.read(folders / f"a+{folders}/c", "0")
    with pytest.raises(ValueError, match="nowhere holds no teacher's vectors"):
        teacher_cache.read(folders / f"a+{folders}/nowhere", "0")


def test_a_folder_may_have_a_plus_in_its_name(folders):
    (folders / "a").rename(folders / "a+1")
    assert teacher_cache.read(folders / "a+1", "0").image.shape == (4, 5)


@pytest.mark.parametrize("place", ["tensor", "texts"])
def test_a_flipped_bit_is_found(folders, place):
    path = folders / "a" / "0.safetensors"
    raw = bytearray(path.read_bytes())
    at = len(raw) - 3 if place == "tensor" else raw.index(b"text r")
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="0.safetensors is damaged .*makes it anew"):
        teacher_cache.read(folders / "a", "0")


def test_from_two_clips_to_words(open_clip, tmp_path, capsys):
    """tinyvlm-train cache, twice; training with both; export; the words of both text towers."""
    tiny_clip.register(tmp_path, WIDTH)
    rng, files, names = np.random.default_rng(0), [], []
    for i in range(N):
        picture = encoded(rng.integers(0, 256, (40, 40, 3), np.uint8))
        files += pair(f"{i:03}", picture, f"a photo of number {i}")
    write(tmp_path / "web-000.tar", files)
    data = ["--train-data", f"{tmp_path}/web-000.tar"]
    for seed in range(2):
        torch.manual_seed(seed)
        weights = tmp_path / f"{seed}.pt"
        torch.save(open_clip.create_model(tiny_clip.NAME).state_dict(), weights)
        names.append(f"open_clip:{tiny_clip.NAME}/{weights}")
        where = ["--cache", f"{tmp_path}/soft{seed}", "--device", "cpu"]
        assert cache.main([*data, "--teacher", names[-1], *where]) == 0
    both = f"{tmp_path}/soft0+{tmp_path}/soft1"
    run = ["--config", "smoke", *data, "--teacher", both, "--logs-dir", str(tmp_path)]
    assert main.main([*run, "--epochs", "1"]) == 0
    row = json.loads((tmp_path / "smoke" / "results.jsonl").read_text())
    assert {"distill", "relation", "contrast"} == set(row["loss"])
    mine = tmp_path / "mine.tvlm"
    short = ["--qat-steps", "0", "--calibration-images", "64"]
    export.main(["--run", str(tmp_path / "smoke"), "--out", str(mine), *short])
    assert f"--text-encoder {'+'.join(names)}" in capsys.readouterr().out
    words = create_text_encoder("+".join(names), mine)
    parts = [tower.teacher_vector("cat", ("{}",)) for tower in (words, *words.more)]
    assert [len(part) for part in parts] == [2 * WIDTH, WIDTH]
    assert np.isclose(np.linalg.norm(parts[0]), 1, atol=1e-5)
    assert np.allclose(parts[0][WIDTH:] * np.sqrt(2), parts[1], atol=1e-5)
    assert words.encode("cat").vector.shape == (256,)
    with pytest.raises(ValueError, match="another text tower"):
        create_text_encoder(names[0], mine)
