# SPDX-License-Identifier: MIT
"""Teachers, and the cache of their vectors. CLIP models are tiny and random: no downloads."""

import io
import logging
import re

import numpy as np
import pytest
import tiny_clip
from PIL import Image
from tars import encoded, pair, write

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("safetensors", reason="safetensors is not installed (extra `train`)")

from tinyvlm.train import cache, labels, shards, teacher, teacher_cache  # noqa: E402
from tinyvlm.train.teachers import create_teacher  # noqa: E402

CLIP = f"open_clip:{tiny_clip.NAME}/random"
COUNTS = {"a-000.tar": 20, "a-001.tar.gz": 9, "b-000.tar": 5}
NAMES = ["background", "tench, Tinca tinca", "koala, koala bear", "teapot", "tractor", "banana"]


def picture(number, side=40, kind="WEBP"):
    rng = np.random.default_rng(number)
    return encoded(rng.integers(0, 256, (side, side + 9, 3), np.uint8), kind)


@pytest.fixture(scope="module")
def open_clip(open_clip, tmp_path_factory):
    """With a small model more."""
    tiny_clip.register(tmp_path_factory.mktemp("models"), 24)
    return open_clip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three shards; in the first a picture that is none."""
    folder = tmp_path_factory.mktemp("data")
    for name, count in COUNTS.items():
        files = []
        for i in range(count):
            files += pair(f"{i:02}", picture(i), f"thing {i % 3}")
        if name == "a-000.tar":
            files[4] = ("02.webp", b"no picture")
        write(folder / name, files)
    return f"{folder}/*.tar*"


def run(data, folder, *more):
    options = ["--train-data", data, "--cache", str(folder), "--teacher", CLIP, "--device", "cpu"]
    return cache.main([*options, "--batch-size", "8", *more])


def contents(folder):
    """All that is in the files (the order of metadata in them is not fixed)."""
    read = {path.name: teacher_cache.read(folder, path.stem) for path in folder.iterdir()}
    return {k: (c.ids, c.image.tobytes(), c.text.tobytes()) for k, c in read.items()}


# -- open_clip -----------------------------------------------------------------------------------


def test_a_clip_teacher_makes_unit_vectors_as_open_clip_does(open_clip):
    one = create_teacher(CLIP)
    assert one.name == CLIP and one.dim == 24
    photo = Image.open(io.BytesIO(picture(1)))
    image, text = one.image(torch.stack([one.prepare(photo)] * 2)), one.text(["a cat", "dog"])
    assert image.shape == text.shape == (2, 24)
    assert np.allclose(np.linalg.norm([*image, *text], axis=1), 1, atol=1e-5)
    transform = open_clip.image_transform(one.model.visual.image_size, is_train=False)
    with torch.no_grad():
        want = one.model.encode_image(transform(photo)[None], normalize=True)[0].numpy()
    assert np.allclose(image[0], want, atol=1e-5)
    again = create_teacher(CLIP)
    assert (again.text(["a cat", "dog"]) == text).all()


def test_bf16_is_near_fp32(open_clip):
    full, half = (create_teacher(CLIP, precision=p) for p in ("fp32", "amp_bf16"))
    a, b = full.text(["a cat"]), half.text(["a cat"])
    assert (a != b).any() and np.allclose(a, b, atol=0.03)


@pytest.mark.parametrize(
    "spec, says",
    [
        ("clip", "must be open_clip:MODEL/TAG, tflite:FILE or efficientnet-lite2"),
        ("efficientnet-lite2:small", "or efficientnet-lite2.:PIXELS., 64 pixels or more"),
        ("efficientnet-lite2:63", "64 pixels or more"),
        ("open_clip:ViT-B-32", "must be open_clip:MODEL/TAG"),
        ("open_clip:NoSuch/openai", "no model NoSuch"),
        ("open_clip:ViT-B-32/nonsense", "no ViT-B-32/nonsense; its tags: openai"),
        ("tflite:nowhere.tflite", "--text-vectors"),
    ],
)
def test_teachers_that_are_none(open_clip, spec, says):
    with pytest.raises(ValueError, match=says):
        create_teacher(spec)


def test_weights_from_a_file(open_clip, tmp_path):
    one = create_teacher(CLIP)
    torch.save(one.model.state_dict(), tmp_path / "w.pt")
    two = create_teacher(f"open_clip:tiny-of-tests/{tmp_path}/w.pt")
    assert (one.text(["a cat"]) == two.text(["a cat"])).all()
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="do not load"):
        create_teacher(f"open_clip:tiny-of-tests/{tmp_path}/w.pt")


# -- the cache -----------------------------------------------------------------------------------


def test_a_cache_holds_every_sample(open_clip, data, tmp_path, capsys, caplog):
    with caplog.at_level(logging.WARNING):
        assert run(data, tmp_path) == 0
    out = capsys.readouterr().out
    assert f"{CLIP}: shards cached: 3, images: 33, 1 bad image" in out
    assert re.search(
        r"^about \d+ images more in 2 shards will take about 0:\d\d:\d\d and", out, re.M
    )
    assert "a-000/02" in caplog.text
    one = create_teacher(CLIP)
    for path in shards.expand(data):
        cached = teacher_cache.read(tmp_path, shards.stem(path))
        samples = [s for s in shards.read(path, shards.Counter()) if s.id != "a-000/02"]
        assert cached.ids == [s.id for s in samples]
        assert cached.image.shape == cached.text.shape == (len(samples), 24)
        photo = one.prepare(shards.decode(samples[-1].blob, 32))
        assert np.allclose(cached.image[-1], one.image(photo[None])[0], atol=1e-3)
        assert np.allclose(cached.text, one.text([s.text for s in samples]), atol=1e-3)
    none = teacher_cache.read(tmp_path, "other-000")
    assert none.ids == [] and none.row("image", None).shape == (24,)


def test_the_forecast_goes_by_the_sizes_of_the_shards(tmp_path):
    files = [tmp_path / f"{i}.tar" for i in range(3)]
    for file, size in zip(files, (1000, 3000, 2000), strict=True):
        file.write_bytes(b"x" * size)
    (tmp_path / "0.safetensors").write_bytes(b"x" * 400_000)
    said = cache.forecast(files[0], files[1:], 200, 30.0, tmp_path, 2)
    assert said.startswith("about 1,000 images more in 2 shards will take about 0:01:15 and 2 MB")
    streams = ["https://host/1.tar", "https://host/2.tar"]
    said = cache.forecast("https://host/0.tar", streams, 200, 30.0, tmp_path, 1)
    assert said.startswith("about 400 images more in 2 shards will take about 0:01:00 and 1 MB")


def test_an_interrupted_run_goes_on_to_the_same_files(
    open_clip, data, tmp_path, capsys, monkeypatch
):
    assert run(data, tmp_path / "whole") == 0
    seen = []
    image = teacher.OpenClip.image

    def stop(self, batch):
        seen.append(len(batch))
        if sum(seen) > 22:  # in the middle of the second shard
            raise KeyboardInterrupt
        return image(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(teacher.OpenClip, "image", stop)
        assert run(data, tmp_path / "parts") == 130
    assert list(contents(tmp_path / "parts")) == ["a-000.safetensors"]
    assert "same command goes on" in capsys.readouterr().err
    assert run(data, tmp_path / "parts") == 0
    assert "1 of 3 shards are done already" in capsys.readouterr().out
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_processes_deal_out_the_shards(open_clip, data, tmp_path, monkeypatch):
    assert run(data, tmp_path / "one") == 0
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert run(data, tmp_path / "two") == 0
        if rank == "0":
            names = {"a-000.safetensors", "b-000.safetensors"}
            assert set(contents(tmp_path / "two")) == names
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_workers_change_nothing(open_clip, data, tmp_path):
    assert run(data, tmp_path / "0") == run(data, tmp_path / "2", "--workers", "2") == 0
    assert contents(tmp_path / "0") == contents(tmp_path / "2")


def test_another_teachers_cache_is_refused(open_clip, data, tmp_path, capsys):
    cached = teacher_cache.Cached(["x/0"], np.ones((1, 3)), None)
    teacher_cache.write(tmp_path, "x", cached, "open_clip:ViT-L-14/openai")
    assert run(data, tmp_path) == 2
    error = capsys.readouterr().err
    assert "holds vectors of open_clip:ViT-L-14/openai, not of " + CLIP in error


@pytest.mark.parametrize(
    "more, says",
    [
        (["--train-data", "nowhere/*.tar"], "no shard matches"),
        (["--device", "abacus"], "--device abacus"),
        (["--teacher", "labels"], "must be open_clip"),
    ],
)
def test_mistakes_get_a_sentence(open_clip, data, tmp_path, capsys, more, says):
    assert run(data, tmp_path / "new", *more) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("more", [("--batch-size", "0"), ("--workers", "-1")])
def test_numbers_out_of_range(tmp_path, capsys, more):
    with pytest.raises(SystemExit, match="2"):
        cache.main(["--train-data", "x.tar", "--cache", str(tmp_path), *more])
    assert "--batch-size must be 1 or more, --workers not negative" in capsys.readouterr().err


def test_a_row_does_not_hold_its_whole_shard():
    rows = np.arange(12, dtype=np.float16).reshape(4, 3)
    row = teacher_cache.Cached(list("abcd"), rows, None).row("image", 2)
    assert (row == rows[2]).all() and row.base is None


def test_a_damaged_file_is_named(tmp_path):
    teacher_cache.file(tmp_path, "a").write_bytes(b"\x00" * 20)
    with pytest.raises(ValueError, match="a.safetensors is not a file of teacher's vectors"):
        teacher_cache.read(tmp_path, "a")


def test_a_bad_shard_is_tried_again(open_clip, data, tmp_path, capsys):
    (tmp_path / "bad.tar").write_bytes(b"<html>")
    pattern = f"{data}::{tmp_path}/bad.tar"
    for files, done in ((3, 34 - 1), (0, 0)):
        assert run(pattern, tmp_path / "out") == 0
        out = capsys.readouterr().out
        assert f"shards cached: {files}, images: {done}" in out and "1 bad shard" in out
    assert not teacher_cache.file(tmp_path / "out", "bad").exists()


# -- soft labels ---------------------------------------------------------------------------------


class Net:
    """An interpreter whose scores are the mean brightness of six stripes of the picture."""

    def get_input_details(self):
        return [{"index": 0}]

    def get_output_details(self):
        return [{"index": 1, "quantization": (1 / 256, 0)}]

    def set_tensor(self, index, value):
        assert value.shape == (1, 224, 224, 3) and value.dtype == np.uint8
        self.seen = value[0]

    def invoke(self):
        self.scores = [part.mean() for part in np.array_split(self.seen, 6, axis=1)]

    def get_tensor(self, index):
        return np.array([self.scores], np.uint8)


@pytest.fixture
def vectors(tmp_path):
    """CLIP's table of names as far as it matters."""
    rng = np.random.default_rng(0)
    emb = rng.normal(size=(len(NAMES), 512)) + 1
    emb /= np.linalg.norm(emb, axis=1, keepdims=True)
    names = np.array([*NAMES[1:], "banana"])
    sources = np.array(["imagenet(nayer)"] * 5 + ["8vision(knots)"])
    path = tmp_path / "vectors.npz"
    np.savez(path, emb=emb.astype(np.float16), names=names, source=sources)
    return path


def test_soft_labels_are_points_in_text_space(vectors):
    classes = teacher.class_vectors(NAMES, vectors, ["Koala"])
    used = np.abs(classes).sum(1) > 0
    # Without a vector, held out by the user, and two by this package.
    assert {"teapot", "tractor"} <= labels.held_out_names()
    assert [n for n, u in zip(NAMES, used, strict=True) if u] == [NAMES[1], "banana"]
    soft = teacher.SoftLabels("tflite:x", Net(), classes)
    stripes = np.repeat(np.array([10, 128, 200, 90, 50, 64], np.uint8), 30)
    photo = Image.fromarray(np.broadcast_to(stripes[None, :, None], (180, 180, 3)).copy())
    batch = torch.stack([soft.prepare(photo)])
    assert batch.shape == (1, 224, 224, 3) and batch.dtype == torch.uint8
    scores = np.array([10, 128, 200, 90, 50, 64]) / 256
    # Bicubic resizing rounds stripes off at their edges.
    assert np.allclose(soft.image(batch)[0], scores @ classes, atol=0.02)
    assert soft.text(["cat"]) is None
    assert soft.prepare(photo.resize((99, 300))) is None


def test_small_photos_get_rows_of_zeros(vectors, tmp_path, monkeypatch, capsys):
    files = []
    for i, side in enumerate((64, 120, 99, 100)):
        files += pair(str(i), picture(i, side), "a photo")
    write(tmp_path / "s.tar", files)
    soft = teacher.SoftLabels("tflite:x", Net(), teacher.class_vectors(NAMES, vectors, []))
    monkeypatch.setattr(cache, "create_teacher", lambda *a: soft)
    options = ["--train-data", f"{tmp_path}/s.tar", "--cache", f"{tmp_path}/c"]
    assert cache.main(options) == 0
    cached = teacher_cache.read(tmp_path / "c", "s")
    assert list(cached.image.any(1)) == [False, True, False, True] and cached.text is None


def test_names_without_vectors(vectors):
    with pytest.raises(ValueError, match="has a vector of none"):
        teacher.class_vectors(["background", "xyz"], vectors, [])
