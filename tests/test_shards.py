# SPDX-License-Identifier: MIT
"""Shards in, batches out: order, sharing among processes, weights, and broken files."""

import gzip
import io
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tars import encoded, pair, write

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("webdataset", reason="webdataset is not installed (extra `train`)")

import sheet  # noqa: E402

from tinyvlm.train import augment, shards, teacher_cache  # noqa: E402
from tinyvlm.train.loader import Loader  # noqa: E402

SIZE = 16


def picture(number, kind="WEBP", side=20):
    """A picture whose colours tell its number."""
    rng = np.random.default_rng(number)
    ramp = np.linspace(0, 1, side + 4)[:, None] * rng.integers(40, 250, 3)
    return encoded(np.repeat(ramp[None].astype(np.uint8), side, 0), kind)


def samples(n, first=0):
    for i in range(first, first + n):
        yield from pair(f"{i:03}", picture(i), f"thing {i % 3}\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """100 samples in three shards of different sizes."""
    folder = tmp_path_factory.mktemp("shards")
    write(folder / "a-000.tar", samples(60))
    write(folder / "a-001.tar.gz", samples(30))
    write(folder / "b-000.tar", samples(10))
    return folder


@pytest.fixture(scope="module")
def paths(folder):
    return shards.expand(f"{folder}/*.tar*")


def load(paths, **options):
    """All batches, and the loader."""
    loader = Loader(paths, **{"size": SIZE, "batch": 8, "seed": 1, "epoch": 0, **options})
    return list(loader), loader


def ids(batches):
    return [id for batch in batches for id in batch.ids]


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("a-{000..000}.tar", ["a-000.tar"]),
        ("{a,b}-000.tar", ["a-000.tar", "b-000.tar"]),
        ("*.tar*", ["a-000.tar", "a-001.tar.gz", "b-000.tar"]),
        ("{a,b}-*.tar", ["a-000.tar", "b-000.tar"]),
        ("b-000.tar::FOLDER/a-000.tar::FOLDER/*-000.tar", ["b-000.tar", "a-000.tar"]),
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),  # holes: the loader counts
    ],
)
def test_patterns(folder, pattern, names):
    found = shards.expand(f"{folder}/{pattern.replace('FOLDER', str(folder))}")
    assert [path.name for path in found] == names


@pytest.mark.parametrize(
    "pattern, says",
    [
        ("c-*.tar", "no shard matches"),
        ("c-{0..9}.tar", "no shard matches"),
        ("a-{000..001.tar", "no shard matches|not closed"),
        (".", "not a shard"),
        ("photos", "is a folder: docs/training.md says how"),
        ("a-000.tar::FOLDER/other/a-000.tar", "two shards are called a-000"),
    ],
)
def test_patterns_that_name_nothing(folder, pattern, says):
    (folder / "other").mkdir(exist_ok=True)
    (folder / "photos" / "dog").mkdir(parents=True, exist_ok=True)
    (folder / "other" / "a-000.tar").touch()
    with pytest.raises(ValueError, match=says):
        shards.expand(f"{folder}/{pattern.replace('FOLDER', str(folder))}")


def test_a_folder_of_photos_becomes_a_shard_as_the_docs_say(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs/training.md").read_text()
    code = text[text.index("```python") + len("```python") : text.index("```\n\nA shard may")]
    for name in ("a dog/1.jpg", "a dog/2.v2.png", "cat/1.jpg", "cat/notes.txt"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a list") if name.endswith("txt") else Image.new("RGB", (9, 9)).save(path)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    skipped = Counter()
    found = list(shards.read(tmp_path / "mine.tar", skipped))
    assert [sample.text for sample in found] == ["a dog", "a dog", "cat"] and not skipped
    assert len({sample.id for sample in found}) == 3


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_range_keeps_its_zeros(first, more):
    pattern = f"/dev/null::/x/{{{first:05}..{first + more:05}}}.tar"
    with pytest.raises(ValueError, match="no shard matches '/x/"):
        shards.expand(pattern)
    import braceexpand

    names = list(braceexpand.braceexpand(pattern.split("::")[1]))
    assert names == [f"/x/{i:05}.tar" for i in range(first, first + more + 1)]


# -- order and sharing ---------------------------------------------------------------------------


def test_the_index_tells_what_is_there(paths):
    index = shards.index(paths)
    assert len(index.samples) == 100 and not index.skipped
    assert index.samples[0] == ("a-000/000", "thing 0")
    assert index.texts == {"thing 0": 34, "thing 1": 33, "thing 2": 33}


def test_an_epoch_shows_everything_once(paths):
    batches, _ = load(paths)
    assert len(batches) == 100 // 8
    assert len(set(ids(batches))) == 96
    first = batches[0]
    assert first.images.shape == (8, SIZE, SIZE, 3) and first.images.dtype == torch.uint8
    assert {id.split("/")[0] for id in first.ids} > {"a-000"}, "shards are not mixed"
    texts = dict(shards.index(paths).samples)
    assert all(texts[i] == t for b in batches for i, t in zip(b.ids, b.texts, strict=True))
    assert first.teacher is None and first.teacher_text is None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_seed_gives_the_same_epoch_whatever_the_workers(paths, workers):
    one, _ = load(paths)
    two, _ = load(paths[::-1], workers=workers)
    assert ids(one) == ids(two)
    assert all((a.images == b.images).all() for a, b in zip(one, two, strict=True))


def test_epochs_and_seeds_differ(paths):
    orders = [ids(load(paths, seed=s, epoch=e)[0]) for s, e in ((1, 0), (1, 1), (2, 0))]
    assert len({tuple(order) for order in orders}) == 3
    views = []
    for epoch in (0, 1):
        batches, _ = load(paths, epoch=epoch, keep=lambda id, _: id < "a-000/008")
        views.append({i: x for b in batches for i, x in zip(b.ids, b.images, strict=True)})
    assert any((views[0][i] != views[1][i]).any() for i in views[0])


def test_a_small_buffer_still_shuffles(paths, monkeypatch):
    monkeypatch.setattr(shards, "MEMORY", 20 * len(picture(0)))
    batches, _ = load(paths)
    order = ids(batches)
    assert len(set(order)) == 96 and order != sorted(order)
    assert order == ids(load(paths)[0])


def test_a_loader_with_a_small_buffer_reads_no_more_than_it_must(paths, monkeypatch):
    opened = []
    read = shards.samples
    monkeypatch.setattr(shards, "samples", lambda path, *a: opened.append(path) or read(path, *a))
    for memory, whole in ((0, True), (20 * len(picture(0)), False)):
        opened.clear()
        loader = Loader(paths, size=SIZE, batch=4, seed=1, epoch=0, memory=memory)
        next(iter(loader))
        assert (len(opened) == len(paths)) == whole


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_samples_and_see_equally_many_batches(paths, world_size):
    ranks = [load(paths, rank=r, world_size=world_size, batch=4) for r in range(world_size)]
    seen = [ids(batches) for batches, _ in ranks]
    assert {len(batches) for batches, _ in ranks} == {100 // (4 * world_size)}
    assert sum(map(len, seen)) == len(set().union(*seen))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """160 samples in eight shards of 20."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(8):
        write(folder / f"{i:05}.tar", samples(20, 20 * i))
    return shards.expand(f"{folder}/{{00000..00007}}.tar")


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("epoch", [0, 1])
def test_data_larger_than_memory_are_dealt_out(many, world_size, epoch, monkeypatch):
    """Every shard is read once in all, whatever the number of ranks, and all is seen once."""
    monkeypatch.setattr(shards, "MEMORY", 30 * len(picture(0)))
    steps = 160 // (5 * world_size)
    more = dict(world_size=world_size, batch=5, epoch=epoch, length=steps)
    ranks = [load(many, rank=r, **more) for r in range(world_size)]
    assert {len(batches) for batches, _ in ranks} == {steps}
    reads = sum((loader.reads for _, loader in ranks), Counter())
    assert reads == {f"{i:05}": 1 for i in range(8)}
    seen = Counter(id for batches, _ in ranks for id in ids(batches))
    assert len(seen) == 160 and set(seen.values()) == {1}
    again, _ = load(many, rank=0, workers=2, **more)
    assert ids(again) == ids(ranks[0][0])


def test_a_rank_whose_shards_end_early_begins_again(paths, monkeypatch):
    monkeypatch.setattr(shards, "MEMORY", 20 * len(picture(0)))
    ranks = [load(paths, rank=r, world_size=3, batch=8, length=4) for r in range(3)]
    assert [len(batches) for batches, _ in ranks] == [4, 4, 4]
    small = min(ranks, key=lambda made: len(set(ids(made[0]))))
    assert small[1].reads == {"b-000": 4}  # 10 samples for 32 places
    first, second = (dict(zip(b.ids, b.images, strict=True)) for b in small[0][:2])
    both = first.keys() & second.keys()
    assert both and all((first[i] != second[i]).any() for i in both), "the same view twice"


def test_evaluation_sees_everything_and_nothing_is_changed(paths):
    batches, _ = load(paths, augment="")
    assert len(batches) == 13
    assert len(batches[-1].ids) == 4 and len(set(ids(batches))) == 100
    i = batches[0].ids[0]
    want = augment.centre(shards.decode(picture(int(i[-3:])), SIZE), SIZE)
    assert (batches[0].images[0].numpy() == np.asarray(want)).all()


def test_evaluation_of_large_data_deals_shards_out_too(many, monkeypatch):
    monkeypatch.setattr(shards, "MEMORY", 30 * len(picture(0)))
    ranks = [load(many, rank=r, world_size=3, augment="") for r in range(3)]
    assert sum((loader.reads for _, loader in ranks), Counter()) == {
        f"{i:05}": 1 for i in range(8)
    }
    seen = Counter(id for batches, _ in ranks for id in ids(batches))
    assert len(seen) == 160 and set(seen.values()) == {1}


# -- weights -------------------------------------------------------------------------------------


def test_weights_say_how_often_and_keep_picks(paths):
    weight = {"thing 0": 2.0, "thing 1": 0.0, "thing 2": 0.5}.get
    count = Counter()
    for epoch in range(4):
        batches, _ = load(paths, weight=weight, epoch=epoch, augment="")
        count.update(t for b in batches for t in b.texts)
    assert count["thing 0"] == 2 * 34 * 4 and count["thing 1"] == 0
    assert 45 <= count["thing 2"] <= 87  # 66 expected
    batches, _ = load(paths, keep=lambda id, text: id.startswith("b-") and text == "thing 0")
    assert batches == []


def test_repeats_are_seen_differently(paths):
    batches, _ = load(paths, weight=lambda _: 8.0, keep=lambda i, _: i == "a-000/000")
    assert batches[0].ids == ["a-000/000"] * 8
    assert len({x.numpy().tobytes() for x in batches[0].images}) > 4


@given(st.text(), st.floats(0, 5), st.integers(0, 9))
def test_times_stay_near_the_weight(id, weight, epoch):
    n = shards.times(weight, 1, epoch, id)
    assert n in (int(weight), int(weight) + 1) and n == shards.times(weight, 1, epoch, id)


def test_a_weight_is_right_on_average_and_new_each_epoch():
    ids = [f"s/{i:05}" for i in range(4000)]
    drawn = np.array([[shards.times(0.3, 1, e, i) for i in ids] for e in (0, 1)])
    assert abs(drawn.mean() - 0.3) < 0.02
    assert abs((drawn[0] & drawn[1]).mean() - 0.09) < 0.02, "epochs depend on each other"


# -- broken files --------------------------------------------------------------------------------


def truncated(folder):
    path = write(folder / "bad.tar.gz", samples(20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut(folder):
    path = write(folder / "bad.tar", samples(20))
    path.write_bytes(path.read_bytes()[: 512 * 21 + 300])


BROKEN = {
    "truncated gzip": truncated,
    "truncated tar": cut,
    "no tar": lambda folder: (folder / "bad.tar").write_bytes(b"<html>404</html>" * 99),
    "empty": lambda folder: (folder / "bad.tar").write_bytes(b""),
    "gzip of no tar": lambda folder: (folder / "bad.tar.gz").write_bytes(
        gzip.compress(b"x" * 999)
    ),
    "a folder": lambda folder: (folder / "bad.tar").mkdir(),
    "missing": lambda folder: None,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bad_shard_is_skipped_and_said_once(tmp_path, kind, caplog, monkeypatch):
    monkeypatch.setattr(shards, "MEMORY", 9999)  # read again in every epoch
    write(tmp_path / "good.tar", samples(16))
    BROKEN[kind](tmp_path)
    pattern = f"{tmp_path}/*.tar*" if kind != "missing" else f"{tmp_path}/{{good,bad}}.tar"
    paths = shards.expand(pattern)
    for epoch in (0, 1):
        batches, loader = load(paths, epoch=epoch)
        assert loader.skipped["bad shard"] == 1
        assert len({i for i in ids(batches) if i.startswith("good/")}) > 8
    assert shards.index(paths).skipped["bad shard"] == 1
    assert sum("bad" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_samples_are_skipped_and_counted(tmp_path, workers, caplog, monkeypatch):
    monkeypatch.setattr(shards, "_said", set())
    files = list(samples(20))
    files[6] = ("003.webp", b"RIFF not a picture")
    files[10] = ("005.webp", files[10][1][:40])
    files += [("x.webp", picture(1)), ("y.txt", b"no picture"), ("z.webp", picture(2))]
    files += [("z.txt", b"\xff\xfe"), ("README", b"?")]
    paths = [write(tmp_path / "s.tar", files)]
    batches, loader = load(paths, batch=10, workers=workers)
    assert loader.skipped == {"no text": 2, "no image": 1, "bad image": 2}
    assert [len(b.ids) for b in batches] == [10, 10], "batches keep their size"
    assert not {"s/003", "s/005"} & set(ids(batches))
    batches, _ = load(paths, batch=20, augment="")
    assert [len(b.ids) for b in batches] == [18]
    said = [r.getMessage() for r in caplog.records]
    assert sum("no text" in m for m in said) == 1 and sum("not an image" in m for m in said) == 1


def test_pictures_of_which_none_is_one(tmp_path):
    files = [(f"{i}.{kind}", b"cat") for i in range(9) for kind in ("jpg", "txt")]
    with pytest.raises(ValueError, match="no image of a whole batch"):
        load([write(tmp_path / "s.tar", files)])


def test_kinds_of_pictures_and_captions(tmp_path):
    files = [
        ("a.jpg", picture(0, "JPEG", 300)),
        ("a.json", json.dumps({"caption": "a cat", "url": "x"}).encode()),
        ("b.png", picture(1, "PNG")),
        ("b.json", json.dumps({"box_xyxy": [0, 0, 1, 1]}).encode()),
        ("b.txt", b" dog \n"),
        ("c.JPEG", picture(2, "JPEG")),
        ("c.json", json.dumps({"label": 7}).encode()),
        ("dir/d.webp", picture(3)),
        ("dir/d.txt", "süß".encode()),
        ("e.webp", picture(4)),
        ("e.json", b'["no", "fields"]'),
        ("f.webp", picture(5)),
        ("f.json", b"[" * 100_000),
    ]
    paths = [write(tmp_path / "s.tar", files)]
    index = shards.index(paths)
    want = [("s/a", "a cat"), ("s/b", "dog"), ("s/c", "7"), ("s/dir/d", "süß")]
    assert index.samples == want and index.skipped == {"no text": 2}
    assert sorted(ids(load(paths, batch=3, augment="")[0])) == [id for id, _ in want]


def test_names_and_captions_that_are_not_utf_8(tmp_path, caplog, monkeypatch):
    """A name is escaped, a caption is none: ids are drawn from, hashed and written."""
    monkeypatch.setattr(shards, "_said", set())
    files = [file for i in range(4) for file in pair(f"{i}\udcff", picture(i), "cat")]
    files += [("lone.webp", picture(5)), ("lone.json", b'{"caption": "\\ud800"}')]
    paths = [write(tmp_path / "s.tar", files)]
    batches, loader = load(paths, batch=4)
    assert sorted(ids(batches)) == [f"s/{i}\\xff" for i in range(4)]
    assert loader.skipped == {"no text": 1}


def test_a_shard_that_changes_is_read_again(tmp_path):
    path = write(tmp_path / "s.tar", samples(8))
    assert len(load([path])[0]) == 1
    write(path, samples(24))
    assert len(load([path])[0]) == 3


# -- a teacher's vectors -------------------------------------------------------------------------


def test_vectors_are_joined_by_id(paths, tmp_path):
    known = [f"a-000/{i:03}" for i in range(40)]
    image = np.arange(40, dtype=np.float16)[:, None] + np.zeros((1, 5), np.float16)
    cached = teacher_cache.Cached(known[::-1], image[::-1], -image[::-1])
    teacher_cache.write(tmp_path, "a-000", cached, "t")
    batches, loader = load(paths, teacher=tmp_path)
    assert loader.skipped == {"no teacher vector": 60}
    for batch in batches:
        assert batch.teacher.shape == (8, 5) and batch.teacher.dtype == torch.float32
        for id, row, text in zip(batch.ids, batch.teacher, batch.teacher_text, strict=True):
            want = float(id[-3:]) if id in known else 0.0
            assert (row == want).all() and (text == -want).all()


def test_a_folder_without_vectors(paths, tmp_path):
    with pytest.raises(ValueError, match="holds no teacher's vectors"):
        load(paths, teacher=tmp_path)


# -- views ---------------------------------------------------------------------------------------


def test_every_view_has_the_size_and_follows_the_seed():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    other = Image.new("RGB", (30, 30), "red")
    for seed in range(300):
        size, much = (16, 33, 64)[seed % 3], ("mild", "strong")[seed % 2]
        rngs = [random.Random(seed) for _ in "12"]
        one, two = (
            augment.augment(photo, augment.draw(size, rng, much), rng, other, much) for rng in rngs
        )
        assert one.size == (size, size) and one.mode == "RGB"
        assert one.tobytes() == two.tobytes()


def test_a_turned_view_has_no_empty_corners():
    white = Image.new("RGB", (60, 60), "white")
    turned = [augment.draw(64, random.Random(seed), "strong") for seed in range(60)]
    turned = [view for view in turned if view.angle]
    assert len(turned) > 5
    for view in turned:
        large = augment.crop(white, view)
        shown = augment.turn(large, view.side, view.angle)
        assert shown.size == (view.side,) * 2 and shown.getextrema() == ((255, 255),) * 3


@given(st.integers(8, 700), st.integers(8, 700), st.integers(4, 120), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_a_decoded_part_has_the_pixels_that_a_view_needs(w, h, size, seed):
    """At most what was decoded without looking at the view, a picture of twice its size."""
    view = augment.draw(size, random.Random(seed), ("mild", "strong")[seed % 2])
    least = view.needs(w, h)
    assert least[0] / w == pytest.approx(least[1] / h)
    assert size <= min(least) * 1.001 and min(least) <= 2 * size * 1.001
    left, top, right, bottom = view.box(w, h)
    assert 0 <= left < right <= w * 1.001 and 0 <= top < bottom <= h * 1.001
    part = min(right - left, bottom - top) * least[0] / w
    twice = 2 if view.filter == Image.BOX else 1
    assert part > 0.999 * twice * (view.few or view.large) or min(least) > 0.999 * 2 * size


def test_a_small_picture_is_decoded_as_it_is():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8))
    file = io.BytesIO()
    image.save(file, "JPEG")
    for seed in range(20):
        needs = augment.draw(64, random.Random(seed)).needs
        assert shards.decode(file.getvalue(), 64, needs).size == (90, 70)


def test_what_decoding_smaller_changes_is_less_than_what_scalers_differ_by():
    """A photo's views out of a JPEG at half its size and out of the whole; grey levels."""
    import skimage.data

    photo = Image.fromarray(skimage.data.astronaut()).resize((256, 256), Image.BILINEAR)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=95)
    whole, halved, changed, scalers = shards.decode(file.getvalue(), 256), 0, [], []
    for seed in range(60):
        view = augment.draw(96, random.Random(seed))
        image = shards.decode(file.getvalue(), 96, view.needs)
        if image.size == whole.size:
            continue
        halved += 1
        changed.append(apart(augment.crop(whole, view), augment.crop(image, view)))
        if not view.few:
            both = [replace(view, filter=f) for f in (Image.BILINEAR, Image.BICUBIC)]
            scalers.append(apart(*(augment.crop(whole, view) for view in both)))
    assert halved > 30 and np.mean(changed) < np.mean(scalers)


def apart(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def test_a_sheet_of_views(folder, tmp_path):
    sheet.main([str(folder / "a-000.tar"), "--sheet", str(tmp_path / "s.png"), "--size", "16"])
    assert Image.open(tmp_path / "s.png").size == (15 * 18, 16 * 18)
    with pytest.raises(SystemExit):
        sheet.main([str(Path("/nowhere/x.tar")), "--sheet", str(tmp_path / "t.png")])
