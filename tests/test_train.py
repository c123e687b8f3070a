# SPDX-License-Identifier: MIT
"""Training end to end on a handful of generated pictures: shards in, an encoder file out."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import _tinyvlm  # noqa: E402

from tinyvlm import reference, tvlm  # noqa: E402
from tinyvlm.train import data, export, labels, quantize, student, text, train  # noqa: E402

CLASSES = ("cat", "rocket", "coin", "umbrella")  # the last is one that training sets aside


def add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes of striped pictures in a shard, and a text table of random vectors."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "train").mkdir()
    (folder / "text").mkdir()
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "train" / "tiny-imagenet-000.tar.gz", "w:gz") as tar:
        for i in range(240):
            pixels = rng.integers(0, 90, (40 + i % 9, 60, 3)).astype(np.uint8)
            pixels[:: 2 + i % 4, :, i % 3] += 150
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "WEBP")
            add(tar, f"{i:05}.webp", file.getvalue())
            add(tar, f"{i:05}.txt", CLASSES[i % 4].encode())
    names = sorted({*CLASSES, *labels.ABOVE, *labels.held_out_names()})
    names += [f"thing {i}" for i in range(600 - len(names))]
    vectors = rng.normal(size=(606, 512)) + 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(
        folder / "text" / "clip-vit-b-32-openai.npz",
        emb=vectors.astype(np.float16),
        names=np.array(names + names[:6]),
        source=np.array(["lvis(detic)"] * 600 + ["8vision(knots)"] * 6),
    )
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """A run of as many steps as two short epochs have."""
    train.main(
        f"--data {folder} --cache {folder}/cache --out {folder}/run --epochs 2 --batch 12 "
        "--epoch-images 48 --small 24 --large 32 --threads 1".split()
    )
    return folder / "run"


def test_the_cache_holds_every_picture(folder, run):
    images = data.load(folder / "train", folder / "cache")
    assert len(images) == 240 and images.names == list(CLASSES)
    assert images.image(7).shape == (47, 60, 3)


def test_a_run_logs_and_leaves_a_checkpoint(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert [rows[0]["size"], rows[-1]["size"]] == [24, 32]
    assert sum(row["images"] for row in rows) == 2 * 48
    assert all(np.isfinite(row["loss"]).all() for row in rows)
    config, model, _ = export.load_run(run)
    assert config.epochs == 2 and isinstance(model, student.Student)


def test_the_exported_encoder_runs_and_agrees_with_the_float_student(folder, run, tmp_path):
    config, model, _ = export.load_run(run)
    images = data.load(folder / "train", folder / "cache")
    batch = np.concatenate([x for x, _ in data.eval_batches(images, np.arange(24), 32)])
    floats = student.to_input(torch.from_numpy(batch))
    with torch.no_grad():
        want = model(floats).numpy()
    nodes = quantize.fold(model)
    graph = quantize.to_graph(nodes, quantize.calibrate(nodes, [floats]), 32, {"name": "t"})
    got = reference.embed(graph, (batch.astype(np.int16) - 128).astype(np.int8)).astype(float)
    cosine = (got * want).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
    assert cosine.min() > 0.95
    path = tmp_path / "t.tvlm"
    tvlm.write(graph, path)
    engine = _tinyvlm.Encoder(path.read_bytes())
    assert engine.selftest() and engine.dim == 256
    out = bytearray(256)
    engine.embed(batch[3].tobytes(), 32, 32, _tinyvlm.RGB888, 0, out)
    assert (np.frombuffer(out, np.int8) == got[3]).all()


def test_the_text_space_is_linear_and_named_by_its_numbers(folder):
    table = text.load_table(folder / "text" / "clip-vit-b-32-openai.npz")
    space = text.whitened_pca(table, 256, 0.5)
    assert space.name.startswith("clip-vit-b-32-openai/")
    assert space.name != text.whitened_pca(table, 256, 0.25).name
    vectors = np.stack([table.vector["cat"], table.vector["rocket"]])
    projected = space.project(vectors)
    want = (vectors - space.centre) @ space.matrix.T
    cosine = (projected * want).sum(1) / np.linalg.norm(projected, axis=1)
    assert np.allclose(cosine, np.linalg.norm(want, axis=1), rtol=1e-4)


def test_what_is_evaluated_is_not_trained_on(folder):
    """No class set aside by the data is in the hand-written names of training."""
    unseen = {"koala", "orangutan", "chihuahua", "trolleybus", "dugong", "tarantula"}
    written = {*labels.ABOVE, *(n for names in labels.ABOVE.values() for n in names.split(", "))}
    assert not unseen & {name.strip(" ,") for name in written}
