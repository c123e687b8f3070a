# SPDX-License-Identifier: MIT
"""The training command on a handful of generated pictures: shards in, checkpoints out."""

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tars import pair, write

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import processes  # noqa: E402
import stripes  # noqa: E402

from tinyvlm.shipped import DATA  # noqa: E402
from tinyvlm.train import (  # noqa: E402
    blind,
    checkpoint,
    config,
    labels,
    main,
    shards,
    space,
    student,
    task,
    teacher_cache,
    text,
)
from tinyvlm.train.distributed import World, join  # noqa: E402
from tinyvlm.train.loss import MatryoshkaLoss  # noqa: E402
from tinyvlm.train.progress import Progress  # noqa: E402
from tinyvlm.words.encoders import create_text_encoder  # noqa: E402

HOST = Path(__file__).parents[1] / "host"
ALONE = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOST)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes of striped pictures in two shards, and a text table of random vectors."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for shard in range(2):
        write(folder / f"stripes-{shard:03}.tar.gz", stripes.samples(120, rng))
    stripes.text_table(folder / "names.npz", rng)
    return folder


def options(folder, logs, name, *more):
    """Command line of a smoke run."""
    return [
        *("--config", "smoke", "--train-data", f"{folder}/stripes-{{000..001}}.tar.gz"),
        *("--text-vectors", f"{folder}/names.npz", "--logs-dir", str(logs), "--name", name, *more),
    ]


def start(arguments, launcher=()):
    """The command as a process of its own, with one thread."""
    command = [sys.executable, *launcher, "-m", "tinyvlm.train.main", *arguments]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen(command, env=ALONE, **pipes)


def results(run):
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def refusal(arguments):
    """(exit code, what it says) of a command that refuses."""
    process = start(arguments)
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished smoke run."""
    logs = tmp_path_factory.mktemp("logs")
    threads, before = torch.get_num_threads(), time.process_time()
    torch.set_num_threads(1)  # with more, those that wait count, too
    assert main.main(options(folder, logs, "first", "--report-to", "")) == 0
    torch.set_num_threads(threads)
    assert time.process_time() - before < 120
    return logs / "first"


def test_the_loss_falls(run):
    rows = results(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [rows[0]["size"], rows[-1]["size"]] == [32, 48]
    first, last = (np.mean(row["loss"]["label"]) for row in (rows[0], rows[-1]))
    assert last < 0.8 * first
    assert all(len(row[key]) == 5 for row in rows for key in ("seen", "unseen"))


def test_a_run_says_what_it_is(run):
    settings = json.loads((run / "config.json").read_text())
    assert settings["epochs"] == 4 and settings["student"]["size"] == 48
    assert "epochs: 4" in (run / "params.txt").read_text()
    assert '"epoch": 4' in (run / "out.log").read_text()
    index = json.loads((run / "index.json").read_text())
    assert index["samples"] == 240 and index["sets"] == {"stripes": index["trained"]}
    assert index["texts"]["umbrella"] == [60, 0]  # held out
    names = len(index["texts"])  # without the hypernyms that come along
    assert f"images for training, {names} class names," in (run / "out.log").read_text()
    assert 160 < index["trained"] < 180
    assert config.parse(["--config", str(run / "config.json")]).student == student_of("smoke")


def test_the_log_is_open_clips(run):
    lines = [line for line in (run / "out.log").read_text().splitlines() if "Train Epoch" in line]
    for epoch in "1234":
        first, *_, last = [line for line in lines if f"Train Epoch: {epoch} [" in line]
        assert first != last and "(100%)" in last
        for name in ("Data (t): ", "Batch (t): ", "/s/cpu LR: ", " Label: ", " Loss: ", " ETA: "):
            assert name in first
    assert lines[-1].endswith("ETA: 0:00:00")


def test_a_loss_that_is_no_number_ends_the_run(folder, tmp_path):
    options_ = options(folder, tmp_path, "steep", "--epochs", "3", "--log-every-n-steps", "1")
    with pytest.raises(SystemExit, match="the loss is nan at step .* lower --lr") as stop:
        main.main([*options_, "--lr", "1e30", "--warmup", "0", "--grad-clip-norm", "1e30"])
    assert "epoch_" not in str(stop.value)  # no epoch was finished
    rest = [*options_[:-2], "--name", "gentle", "--log-every-n-steps", "1"]
    assert main.main([*rest, "--epochs", "1"]) == 0
    with pytest.raises(SystemExit, match="last good checkpoint is .*epoch_latest.safetensors"):
        main.main([*rest, "--resume", "latest", "--lr", "1e30", "--grad-clip-norm", "1e30"])


def test_figures_go_to_tensorboard_and_wandb(folder, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra `train`)")
    logged, ended = [], []
    wandb = SimpleNamespace(init=lambda **how: wandb, log=lambda row, step: logged.append(row))
    wandb.finish = lambda: ended.append(threading.active_count())
    before = threading.active_count()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    more = ("--epochs", "1", "--report-to", "tensorboard,wandb")
    assert main.main(options(folder, tmp_path, "shown", *more)) == 0
    assert list((tmp_path / "shown" / "tensorboard").glob("events.*"))
    assert {"label/16", "seen/256", "images_per_second"} < set(logged[0])
    assert ended == [before], "a thread of tensorboard is left"


@pytest.mark.parametrize("loss, ends", [(0.5, False), (float("nan"), True)])
def test_a_short_epoch_ends_with_a_line_too(caplog, monkeypatch, tmp_path, loss, ends):
    """Epochs differ by a few steps: this one has three of the five that are expected."""
    options_ = ["--train-data", "x", "--model", "smoke", "--logs", str(tmp_path)]
    epoch = Progress(config.parse(options_), World(0, 1, torch.device("cpu")), 0, 5)
    monkeypatch.setattr(logging.getLogger("tinyvlm"), "propagate", True)
    caplog.set_level(logging.INFO, "tinyvlm")
    with pytest.raises(SystemExit, match="nan at step 3") if ends else nullcontext():
        for batches in epoch.batches(number for number in range(3)):
            total = torch.tensor(loss if batches == [2] else 1.0)
            epoch.step(total, {"label": torch.ones(5)}, 0.1)
        assert "(60%)" in caplog.messages[-1] and "Loss: 0.500 (0.833)" in caplog.messages[-1]


def test_a_loss_that_only_some_batches_have_is_their_mean(tmp_path):
    options_ = ["--train-data", "x", "--model", "smoke", "--logs", str(tmp_path)]
    epoch = Progress(config.parse(options_), World(0, 1, torch.device("cpu")), 0, 4)
    for label, distill in ((1.0, None), (2.0, 0.5), (3.0, 0.25), (6.0, None)):
        parts = {"label": torch.tensor([label])}
        parts |= {} if distill is None else {"distill": torch.tensor([distill])}
        epoch.step(torch.tensor(label), parts, 0.1)
    assert epoch.losses() == {"label": [3.0], "distill": [0.375]}


def student_of(name):
    return config.parse(["--train-data", "x", "--model", name]).student


def test_a_checkpoint_has_the_student_and_its_space(run):
    for which in ("latest", "4"):
        c = checkpoint.load(run, which)
        assert (c.epoch, c.config.epochs, c.student) == (4, 4, student_of("smoke"))
        assert c.matrix.shape == (256, 512) and c.centre.shape == (512,)
        assert c.log_scale.shape == (5,) and not c.model.training
        assert c.model(torch.zeros(2, 3, 48, 48)).shape == (2, 256)
    with pytest.raises(SystemExit, match="no checkpoint .*epoch_9"):
        checkpoint.load(run, "9")


def test_a_checkpoint_is_good_or_is_not_written(run, tmp_path):
    """The loss looked well, and the step after it ruined the weights: at the end of an epoch."""
    good = checkpoint.load(run)
    space = {k: torch.zeros(3) for k in checkpoint.SPACE}
    optimizer = torch.optim.AdamW(good.model.parameters())
    shutil.copytree(run, tmp_path / "ruined")
    before = sorted((tmp_path / "ruined").rglob("*"))
    good.model.head.weight.data[0, 0] = float("nan")
    with pytest.raises(SystemExit, match="head.weight is not finite after epoch 5.*epoch_latest"):
        checkpoint.save(tmp_path / "ruined", good.config, good.model, space, optimizer, 5, 9)
    assert sorted((tmp_path / "ruined").rglob("*")) == before
    assert checkpoint.load(tmp_path / "ruined").epoch == 4


def test_a_killed_run_resumes_to_the_same_weights(folder, tmp_path):
    """SIGKILL in the middle of an epoch, then --resume latest: equal tensors."""
    more = ("--train-num-samples", "500", "--learn-matrix", "--zeroshot-frequency", "0")
    whole = start(options(folder, tmp_path, "whole", *more))
    halved = start(options(folder, tmp_path, "halved", *more))
    until = time.monotonic() + 300
    while not (tmp_path / "halved" / "checkpoints" / "epoch_2.safetensors").exists():
        assert halved.poll() is None and time.monotonic() < until, halved.stdout.read()
        time.sleep(0.02)
    time.sleep(0.2)
    halved.send_signal(signal.SIGKILL)
    assert halved.wait() == -signal.SIGKILL
    assert len(results(tmp_path / "halved")) < 4
    halved = start(options(folder, tmp_path, "halved", *more, "--resume", "latest"))
    said, _ = halved.communicate(timeout=300)
    assert halved.returncode == 0 and "going on after epoch" in said, said
    whole.communicate(timeout=300)
    for file in ("epoch_latest", "optimizer_4"):
        a, b = (
            checkpoint.read(tmp_path / name / "checkpoints" / f"{file}.safetensors")[0]
            for name in ("whole", "halved")
        )
        assert a.keys() == b.keys() and len(a) > 30
        assert [key for key in a if not torch.equal(a[key], b[key])] == []
    assert [row["epoch"] for row in results(tmp_path / "halved")] == [1, 2, 3, 4]


def test_two_processes_train_one_student(folder, gloo, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    more = ("--batch-size", "8", "--epochs", "2", "--device", "cpu")
    both = start(options(folder, tmp_path, "two", *more), launcher)
    said, _ = both.communicate(timeout=200)
    assert both.returncode == 0, said
    rows = results(tmp_path / "two")
    assert sum(row["images"] for row in rows) == rows[-1]["step"] * 2 * 8
    assert "2 x cpu" in (tmp_path / "two" / "out.log").read_text()
    assert checkpoint.load(tmp_path / "two").epoch == 2


def test_batches_that_count_as_one(folder, tmp_path):
    more = ("--batch-size", "8", "--accum-freq", "3", "--grad-checkpointing", "--epochs", "1")
    assert main.main(options(folder, tmp_path, "three", *more)) == 0
    row = results(tmp_path / "three")[0]
    assert row["images"] == row["step"] * 3 * 8 and row["step"] == 7  # of some 170 images
    assert "[168/168 (100%)]" in (tmp_path / "three" / "out.log").read_text()


def test_bad_shards_and_images_are_counted(folder, tmp_path):
    whole = (folder / "stripes-001.tar.gz").read_bytes()
    (tmp_path / "cut-000.tar.gz").write_bytes(whole[: len(whole) // 2])
    rng = np.random.default_rng(1)
    files = []
    for i in range(40):
        blob = b"no picture" if i % 8 == 0 else stripes.picture(i, rng)
        files += pair(str(i), blob, stripes.CLASSES[i % 4])
    files.append(("lonely.webp", stripes.picture(1, rng)))
    write(tmp_path / "odd-000.tar", files)
    data = f"{folder}/stripes-000.tar.gz::{tmp_path}/*-000.tar*"
    arguments = options(folder, tmp_path, "bad", "--train-data", data, "--epochs", "1")
    assert main.main(arguments) == 0
    skipped = results(tmp_path / "bad")[0]["skipped"]
    assert skipped["bad shard"] == 1 and skipped["no text"] >= 1 and skipped["bad image"] >= 1


def test_captions_and_a_teacher(folder, tmp_path):
    """No class names at all: embeddings of a teacher, and its vectors of the captions."""
    rng = np.random.default_rng(2)
    points = rng.normal(size=(4, 300)).astype(np.float16)  # one a class
    files = []
    for i in range(320):
        files.append((f"{i}.jpg", stripes.picture(i, rng)))
        files.append((f"{i}.json", json.dumps({"caption": f"stripes, number {i}"}).encode()))
    write(tmp_path / "web-000.tar", files)
    rows = [i % 4 for i in range(320)]
    noise = rng.normal(size=(2, 320, 300)).astype(np.float16)
    vectors = {k: points[rows] + noise[j] / 4 for j, k in enumerate(("image", "text"))}
    (tmp_path / "cache").mkdir()
    cached = teacher_cache.Cached([f"web-000/{i}" for i in range(320)], **vectors)
    teacher_cache.write(tmp_path / "cache", "web-000", cached, "fake")
    arguments = ["--config", "smoke", "--train-data", str(tmp_path / "web-000.tar")]
    arguments += ["--teacher", str(tmp_path / "cache"), "--logs", str(tmp_path)]
    assert main.main(arguments) == 0
    first, *_, last = results(tmp_path / "smoke")
    for kind in ("distill", "relation", "contrast"):
        assert np.mean(last["loss"][kind]) < np.mean(first["loss"][kind])
    assert "label" not in last["loss"]
    assert len(last["teacher"]) == len(last["retrieval"]) == 5
    assert checkpoint.load(tmp_path / "smoke").matrix.shape == (256, 300)
    assert "has no vectors" not in (tmp_path / "smoke" / "out.log").read_text()


def test_shards_that_the_teacher_has_not_seen_are_told(folder, tmp_path):
    cached = teacher_cache.Cached(
        [f"stripes-000/{i}" for i in range(9)], np.ones((9, 512), np.float16), None
    )
    (tmp_path / "cache").mkdir()
    teacher_cache.write(tmp_path / "cache", "stripes-000", cached, "fake")
    more = ("--teacher", str(tmp_path / "cache"), "--epochs", "1")
    assert main.main(options(folder, tmp_path, "half", *more)) == 0
    said = (tmp_path / "half" / "out.log").read_text()
    assert "has no vectors of 1 of 2 shards (stripes-001): their images are skipped" in said


def test_memory_holds_for_all_that_reads(folder, tmp_path, monkeypatch):
    """Data larger than --memory are kept nowhere: not for counting, training or validation."""
    rng = np.random.default_rng(4)
    for shard in range(2):
        write(tmp_path / f"big-{shard:03}.tar", stripes.samples(300, rng))
    data = f"{tmp_path}/big-{{000..001}}.tar"
    assert sum(path.stat().st_size for path in tmp_path.glob("big-*")) > 1 << 20
    monkeypatch.setattr(shards, "_kept", {})
    more = ("--train-data", data, "--epochs", "1", "--memory", "1")
    assert main.main(options(folder, tmp_path, "little", *more)) == 0
    assert shards._kept == {}
    assert results(tmp_path / "little")[0]["shards_read"] == 2
    assert main.main(options(folder, tmp_path, "enough", *more[:-1], "64")) == 0
    assert len(shards._kept) == 2


def test_captions_without_a_teacher_are_told_from_names(tmp_path):
    files = stripes.samples(
        40, np.random.default_rng(3), lambda i: f"a long street with {i % 9} houses in the rain"
    )
    write(tmp_path / "few-000.tar", files)
    arguments = ["--config", "smoke", "--train-data", str(tmp_path / "few-000.tar")]
    with pytest.raises(SystemExit, match="the 9 .* look like captions .*tinyvlm-train cache"):
        main.main([*arguments, "--logs-dir", str(tmp_path)])


@pytest.mark.parametrize(
    "more, says",
    [
        (("--resume", "latest"), "no checkpoint in"),
        (("--model", "huge"), "--model huge: unknown; take base, large, max78000, nano, smoke"),
        (("--train-data", "nowhere/*.tar"), "no shard matches 'nowhere/*.tar'"),
        (("--text-vectors", "nothing.npz"), "--text-vectors nothing.npz: there is no such file"),
        (("--text-vectors", __file__), "test_train.py is no table of CLIP's vectors"),
        (("--logs", __file__), "test_train.py/none cannot be written (Not a directory)"),
        (("--teacher", "nowhere"), "--teacher: nowhere holds no teacher's vectors"),
        (("--batch-size", "5000"), "fewer than the 5000 of a step"),
        (("--epochs", "0"), "--epochs must be more than 0"),
        (("--init", "nowhere"), "--init nowhere: there is no such run or checkpoint"),
        (("--accum-freq", "0"), "--accum-freq must be more than 0"),
        (("--batch-size", "50", "--accum-freq", "9"), "fewer than the 450 of a step"),
        (("--grad-checkpointing", "--torchcompile"), "do not go together"),
        (("--workers", "-1"), "--workers must not be negative"),
        (("--prefix-weights", "1,2"), "1,2: give 5 numbers of 0 or more, such as 1,1,1,1,1"),
        (("--device", "abacus"), "--device abacus"),
    ],
)
def test_mistakes_get_one_sentence(folder, tmp_path, more, says, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(options(folder, tmp_path, "none", *more))
    said = str(stop.value) if isinstance(stop.value.code, str) else capsys.readouterr().err
    assert stop.value.code == 2 or isinstance(stop.value.code, str)  # Python exits with 1 then
    assert says in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({}, "no configuration: 'blocks'"),
        ({"scheme": "cube", "blocks": []}, "scheme 'cube' is neither tflite nor max78000"),
        (
            {"scheme": "max78000", "blocks": [{"out": 8, "expand": 0}]},
            "max78000 has no depthwise convolution",
        ),
        ({"thin": True, "blocks": []}, "`thin` needs a last block with `expand`"),
        ({"thin": True, "blocks": [{"out": 8}, {"out": 8}]}, "`thin` needs a last block with"),
        (
            {"thin": True, "blocks": [{"out": 8, "expand": 0}, {"out": 8, "expand": 16}]},
            "without a residual sum",
        ),
    ],
)
def test_a_shape_that_is_none_is_refused(tmp_path, shape, says):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"student": {"size": 48, "stem": 8, "last": 16, **shape}}))
    with pytest.raises(SystemExit, match=says):
        config.parse(["--train-data", "x", "--model", str(file)])


def test_a_configuration_that_is_too_deep_is_refused(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text("[" * 100_000)
    with pytest.raises(SystemExit, match="no configuration"):
        config.parse(["--train-data", "x", "--model", str(file)])


def test_without_text_vectors_the_student_learns_the_lexicons_space(folder, tmp_path):
    more = ("--text-vectors", "", "--epochs", "1", "--train-num-samples", "64")
    assert main.main(options(folder, tmp_path, "plain", *more)) == 0
    book = create_text_encoder("lexicon")
    c = checkpoint.load(tmp_path / "plain")
    assert np.array_equal(c.matrix, book.text_space.projection.T)
    texts = ["cat", "coin", "umbrella"]
    table, found = space.from_lexicon(texts)
    for name in texts:
        cosine = found.project(table.vector[name][None]) @ book.encode(name).vector
        assert cosine > 0.999
    with pytest.raises(SystemExit, match="class 'xyzzyx': .* is not in the lexicon"):
        space.from_lexicon(["cat", "xyzzyx"])


@pytest.mark.parametrize(
    "sample, name",
    [
        ("cat", "cat"),
        ("Two CATS, asleep on a rocket", "cat"),
        ("The men and their rocket", "man"),
        ("children with a musical instrument", "child"),
        ("An umbrella is held over a cat", "cat"),  # umbrellas are held out
        ("my rocket", None),  # too short for a caption
        ("nothing that is known", None),
        (labels.UNLABELLED, None),
    ],
)
def test_a_caption_is_of_the_first_class_in_it(folder, sample, name):
    table = text.load_table(folder / "names.npz")
    classes = labels.find_classes(["cat", "rocket", "umbrella"], table)
    assert classes.of(sample) == (-1 if name is None else classes.names.index(name))


def test_numbered_shards_are_one_data_set():
    paths = [Path("cc3m/00000.tar"), Path("cc3m/00001.tar"), Path("x/cc12m-train-0007.tar.gz")]
    assert [task.data_set(path) for path in paths] == ["cc3m", "cc3m", "cc12m-train"]


@pytest.fixture
def web(folder, tmp_path):
    """A function from a teacher's name to the loss and the classes of a run on captions."""
    files = [(f"{i}.{kind}", b"a photo") for i in range(400) for kind in ("jpg", "txt")]
    write(tmp_path / "web-000.tar", files)
    rng = np.random.default_rng(2)

    def make(name, *more, width=512, count=400, named=()):
        vectors = rng.normal(size=(2, count, width)).astype(np.float16)
        cached = teacher_cache.Cached([f"web-000/{i}" for i in range(count)], *vectors)
        (tmp_path / "cache").mkdir(exist_ok=True)
        teacher_cache.write(tmp_path / "cache", "web-000", cached, name)
        data = ["--train-data", f"{tmp_path}/web-000.tar", "--teacher", f"{tmp_path}/cache"]
        options = config.parse([*data, *more])
        index = {"samples": 400, "texts": {str(i): [1, 1] for i in range(400)} | dict(named)}
        paths = [tmp_path / "web-000.tar"]
        return space.make_loss(options, index, paths, World(0, 1, torch.device("cpu")))

    return make


@pytest.mark.parametrize("name", ["open_clip:ViT-B-32/openai", "tflite:classifier.tflite"])
def test_a_teacher_of_the_lexicons_clip_keeps_the_lexicons_space(web, name):
    """So that the lexicon's words, and CLIP's, work with what it teaches."""
    loss, classes = web(name)
    found = text.stored_map(loss.centre.numpy(), loss.matrix.numpy())
    assert found.name == create_text_encoder("lexicon").space
    assert classes is None  # captions such as "7" are no names


def test_class_names_among_captions_have_the_lexicons_vectors(web, folder):
    """Those that --text-vectors lacks: once they were taken for captions, and taught nothing."""
    maps = ["--text-vectors", f"{folder}/names.npz", "--text-space", str(DATA / "lexicon.npz")]
    named = {"bibimbap": [9, 9], "Capacitor": [5, 5], "stethoscope": [4, 4]}
    named["a bibimbap on a table"] = [1, 1]
    loss, classes = web("tflite:classifier.tflite", *maps, named=named)
    assert {"bibimbap", "capacitor"} <= set(classes.names)
    assert classes.of("Capacitor") == classes.names.index("capacitor")
    assert not {"stethoscope", "a bibimbap on a table"} & set(classes.names), "of too few images"
    assert f"a text of {space.SHARED} or more" in " ".join(config.parser().format_help().split())
    vector = classes.vectors[classes.names.index("bibimbap")] - loss.centre.numpy()
    wanted = create_text_encoder("lexicon").encode("bibimbap").vector
    assert np.allclose(vector @ loss.matrix.numpy().T, wanted, atol=0.01)


def test_another_clip_brings_its_own_space(web, folder, tmp_path):
    loss, classes = web("open_clip:ViT-L-14/openai", width=768)
    assert loss.matrix.shape == (256, 768) and classes is None
    options = config.parse(["--train-data", "x", "--teacher", str(tmp_path / "cache")])
    assert space.text_encoder(options) == "open_clip:ViT-L-14/openai"
    with pytest.raises(SystemExit, match="vectors of 768 dimensions, --text-vectors of 512: both"):
        web("open_clip:ViT-L-14/openai", "--text-vectors", f"{folder}/names.npz", width=768)


@pytest.mark.parametrize("width, count", [(768, 256), (768, 2), (255, 400)])
def test_captions_that_make_no_space_of_256_dimensions(web, width, count):
    says = r"\d+ axes are too few for 256 dimensions: .* at least 257 different text vectors"
    with pytest.raises(SystemExit, match=says):
        web("open_clip:ViT-L-14/openai", width=width, count=count)


def test_257_captions_are_enough(web):
    loss, _ = web("open_clip:ViT-L-14/openai", width=768, count=257)
    assert loss.matrix.shape == (256, 768)


def test_a_torch_for_cuda_trains_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert join("auto").device.type == "cpu"


def test_estimated_vectors_are_made_once(folder, tmp_path, monkeypatch):
    asked = []

    def estimate(table, names):
        asked.append(names)
        table.vector |= {name: table.vector["cat"] for name in names}

    monkeypatch.setattr(text, "add_estimates", estimate)
    for _ in range(2):
        table = text.load_table(folder / "names.npz")
        world = World(0, 1, torch.device("cpu"))
        texts = dict.fromkeys(("cat", "quokka", labels.UNLABELLED), [9, 9])
        index = {"samples": 27, "texts": texts}
        missing = space.unknown_names(index, config.parse(["--train-data", "x"]), table)
        space.estimate(table, missing, tmp_path / "e.npz", world)
        assert table.kind["quokka"] == "estimated"
        assert np.array_equal(table.vector["quokka"], table.vector["cat"])
    assert asked == [["quokka"]]


def test_a_run_is_not_overwritten(folder, run):
    with pytest.raises(SystemExit, match="is a run already: go on with --resume latest"):
        main.main(options(folder, run.parent, run.name))
    before = (run / "config.json").read_text()
    with pytest.raises(SystemExit, match="is of another student than --model"):
        main.main(options(folder, run.parent, run.name, "--resume", "latest", "--model", "nano"))
    assert (run / "config.json").read_text() == before


def rewrite(path, change):
    """Change a checkpoint's tensors and metadata by `change(tensors, info)`, checksum and all."""
    tensors, info = checkpoint.read(path)
    info.pop("checksum")
    change(tensors, info)
    checkpoint.write(path, tensors, info)


def flip(path):
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 4
    path.write_bytes(whole)


def odd_optimizer(path):
    rewrite(
        path.with_name("optimizer_4.safetensors"),
        lambda t, _: t.update({"9999.exp_avg": t.popitem()[1]}),
    )


DAMAGE = {
    "a flipped bit": (flip, "is damaged .its checksum differs."),
    "junk": (lambda p: p.write_bytes(b"junk" * 99), "is no checkpoint"),
    "empty": (lambda p: p.write_bytes(b""), "is no checkpoint"),
    "no metadata": (lambda p: rewrite(p, lambda t, i: i.clear()), "no configuration"),
    "foreign": (lambda p: rewrite(p, lambda t, i: i.update(config={"lr": 1})), "no configuration"),
    "a path for an epoch": (
        lambda p: rewrite(p, lambda t, i: i.update(epoch="../4")),
        "epoch '../4'",
    ),
    "no map": (
        lambda p: rewrite(p, lambda t, i: t.pop("matrix")),
        "matrix has the shape none",
    ),
    "another map": (
        lambda p: rewrite(p, lambda t, i: t.update(matrix=torch.zeros(256, 40))),
        r"its matrix has the shape \[256, 40\], not \[256, 512\]",
    ),
    "no student": (
        lambda p: rewrite(p, lambda t, i: [t.pop(k) for k in list(t) if k.startswith("student.")]),
        "is of another student than --model",
    ),
    "another optimizer": (odd_optimizer, "is the state of another optimizer"),
    "no optimizer": (lambda p: p.with_name("optimizer_4.safetensors").unlink(), "is missing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_is_refused_in_a_sentence(folder, run, tmp_path, kind):
    shutil.copytree(run, tmp_path / "hurt")
    damage, says = DAMAGE[kind]
    damage(tmp_path / "hurt" / "checkpoints" / "epoch_latest.safetensors")
    with pytest.raises(SystemExit, match=says):
        main.main(options(folder, tmp_path, "hurt", "--resume", "latest", "--epochs", "5"))


def test_torn_notes_of_a_run_are_made_again(folder, run, tmp_path):
    torn = shutil.copytree(run, tmp_path / "torn")
    (torn / "index.json").write_text('{"samples": 2')
    with (torn / "results.jsonl").open("a") as file:
        file.write('{"epoch": 5, "st')
    assert main.main(options(folder, tmp_path, "torn", "--resume", "latest", "--epochs", "5")) == 0
    assert [row["epoch"] for row in results(torn)] == [1, 2, 3, 4, 5]
    assert json.loads((torn / "index.json").read_text())["samples"] == 240


def test_help_needs_no_torch(tmp_path):
    """Flags and configurations are read before torch is."""
    code = "import sys; sys.modules['torch'] = None; from tinyvlm.train import main; main.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], env=ALONE, capture_output=True, text=True
    )
    assert done.returncode == 0 and "--train-data" in done.stdout


@pytest.mark.parametrize("name", config.names())
def test_every_student_gives_an_embedding_and_a_map(name):
    shape = student_of(name)
    net = student.Student(shape).eval()
    x = student.to_input(torch.randint(0, 256, (2, shape.size, shape.size, 3), dtype=torch.uint8))
    dense = net.head(net.features(x))
    assert torch.allclose(dense.mean((2, 3)), net(x), atol=1e-4)
    assert sum(row[3] for row in student.cost_table(shape)) == sum(
        p.numel() for p in net.parameters() if p.ndim == 4
    )
    if shape.scheme == "tflite":  # sides that halve to odd ones are rounded up
        side = net.features(torch.zeros(1, 3, 45, 45)).shape[2]
        assert f"{side}x{side}x" in " ".join(row[1] for row in student.cost_table(shape, 45))


def test_a_thin_student_sees_other_cells_at_each_step_of_training():
    shape = student_of("smoke")
    last = dataclasses.replace(shape.blocks[-1], out=32)
    shape = dataclasses.replace(shape, thin=True, blocks=(*shape.blocks[:-1], last))
    net, seen = student.Student(shape), []
    net.blocks[-1].depthwise.register_forward_hook(lambda *args: seen.append(args[2].detach()))
    net.blocks[-1].project.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    x = student.to_input(torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8))
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0)):
        net(x)
        assert torch.equal(seen[-2][:, :, row::2, column::2], seen[-1])
    for _ in range(3):
        assert net(x[:, :, :8, :8]).isfinite().all()  # a map of one cell
    net.eval()(x)
    assert torch.equal(seen[-2][:, :, ::2, ::2], seen[-1])
    net.train().set_grad_checkpointing()  # blocks are computed once more, of the same cells
    seen.clear()
    net(x).sum().backward()
    assert len(seen) == 4 and torch.equal(seen[1], seen[3])


def test_the_max78000_student_keeps_to_its_range():
    net, seen = student.Student(student_of("max78000")), []
    for m in net.modules():
        if isinstance(m, student.ConvBN):
            m.register_forward_hook(lambda *args: seen.append(args[2].detach()))
    net(student.to_input(torch.randint(0, 256, (4, 96, 96, 3), dtype=torch.uint8)))
    assert len(seen) == 7 and all(0 <= y.min() and y.max() <= 127 / 128 for y in seen)


def test_space_to_depth_is_in_tflites_order():
    x = torch.arange(3 * 8 * 8).reshape(1, 3, 8, 8)
    y = student.SpaceToDepth(4)(x)
    for row, column, colour in ((0, 0, 0), (1, 2, 1), (3, 3, 2)):
        channel = (row * 4 + column) * 3 + colour
        assert torch.equal(y[0, channel], x[0, colour, row::4, column::4])


def test_the_text_space_is_linear_and_named_by_its_values(folder):
    table = text.load_table(folder / "names.npz")
    space = text.whitened_pca(table, 256, 0.5)
    assert space.name.startswith("clip-vit-b-32-openai/")
    assert space.name != text.whitened_pca(table, 256, 0.25).name
    vectors = np.stack([table.vector["cat"], table.vector["rocket"]])
    projected = space.project(vectors)
    want = (vectors - space.centre) @ space.projection
    cosine = (projected * want).sum(1) / np.linalg.norm(projected, axis=1)
    assert np.allclose(cosine, np.linalg.norm(want, axis=1), rtol=1e-4)


AXES = np.eye(4, 256, dtype=np.float32)


def loss_of_names(names, vectors, cache):
    """The settings that mend, and the loss, of a run whose classes have these names' vectors."""
    nothing = np.zeros((len(names), len(names)), bool)
    index = {name: i for i, name in enumerate(names)}
    classes = labels.Classes(names, vectors, nothing, nothing, nothing[0], index)
    settings = config.TrainConfig(mend=0.25, teacher=str(cache))
    same, zero = torch.eye(256), torch.zeros(256)
    return settings, MatryoshkaLoss(settings, same, zero, zero, classes)


def names_of_persons(cache):
    """The loss of a run whose classes are axes, and its settings and shards."""
    settings, loss = loss_of_names(["coin", "jersey", "person", "rocket"], AXES, cache)
    return settings, loss, [cache / f"web-{shard:03}.tar" for shard in range(2)]


@pytest.fixture
def blind_teacher(tmp_path):
    """(its cache, its points): it takes all persons for jerseys; rockets it knows, as far as it
    judges them; and of the coin it saw too few."""
    texts = ["person"] * 40 + ["rocket"] * 40 + ["coin"] * 5 + ["rocket"] * 150
    seen, rng = {"person": AXES[1], "rocket": AXES[3], "coin": AXES[3]}, np.random.default_rng(5)
    points = np.stack([seen[name] for name in texts]) + rng.normal(0, 0.02, (len(texts), 256))
    points[85:] = 0  # too small for it
    for shard in range(2):
        mine = range(shard, len(texts), 2)
        files = (file for i in mine for file in pair(str(i), b"a picture", texts[i]))
        write(tmp_path / f"web-{shard:03}.tar", files)
        ids = [f"web-{shard:03}/{i}" for i in mine]
        cached = teacher_cache.Cached(ids, points[mine].astype("f2"), None)
        teacher_cache.write(tmp_path, f"web-{shard:03}", cached, "fake")
    return tmp_path, points


def test_a_teacher_is_mended_for_classes_that_it_is_blind_for(blind_teacher):
    cache, points = blind_teacher
    settings, loss, paths = names_of_persons(cache)
    alone = World(0, 1, torch.device("cpu"))
    loss.shift = blind.shifts(settings, loss, paths, alone)
    assert loss.shift.any(1).tolist() == [False, False, True, False]

    image = torch.tensor(points[[0, 1, 40, 41]], dtype=torch.float32) * torch.tensor([[2.0]])
    label, sure = torch.tensor([2, -1, 3, 2]), torch.tensor([1.0, 1.0, 4.0, 6.0])
    mended, weights = loss.mend(image, sure, label)
    unit = torch.nn.functional.normalize(image, dim=1)
    assert torch.equal(mended[1:3], unit[1:3])  # without a label; a class that it knows
    assert torch.allclose(mended[0, :4], torch.tensor([0.0, 0, 1, 0]), atol=0.15)
    assert torch.allclose(mended[0, 4:], unit[0, 4:], atol=0.05)  # what is the photo's own stays
    assert weights.tolist() == [3, 1, 4, 6]  # counts as much as others at least

    off = config.TrainConfig(teacher=str(cache))
    assert blind.shifts(off, loss, paths, alone) is None
    loss.shift = None
    assert torch.equal(loss.mend(image, sure, label)[0], unit)


@pytest.mark.parametrize("others, mended", [(4, False), (5, True)])
def test_a_name_behind_five_others_is_mended_whatever_its_cosine(others, mended, tmp_path):
    names = np.eye(8, 256, dtype=np.float32)
    point = 0.4 * names[0] + 0.41 * names[1 : 1 + others].sum(0)
    assert point[0] / np.linalg.norm(point) > 0.38
    texts = ["ramen", *(f"dish {i}" for i in range(1, 8))]
    settings, loss = loss_of_names(texts, names, tmp_path)
    ids = [f"web-000/{i}" for i in range(40)]
    write(tmp_path / "web-000.tar", (file for i in ids for file in pair(i[8:], b"x", "ramen")))
    cached = teacher_cache.Cached(ids, np.tile(point, (40, 1)).astype("f2"), None)
    teacher_cache.write(tmp_path, "web-000", cached, "fake")
    alone = World(0, 1, torch.device("cpu"))
    shift = blind.shifts(settings, loss, [tmp_path / "web-000.tar"], alone)
    assert shift.any(1).tolist() == [mended] + [False] * 7


def test_a_photo_of_a_man_goes_between_man_and_person(tmp_path):
    settings, loss = loss_of_names(["jersey", "man", "person", "rocket"], AXES, tmp_path)
    keys = [str(i) for i in range(40)]
    write(tmp_path / "web-000.tar", (f for key in keys for f in pair(key, b"x", "a man walks")))
    points = np.tile(AXES[0], (40, 1)).astype("f2")
    ids = [f"web-000/{key}" for key in keys]
    teacher_cache.write(tmp_path, "web-000", teacher_cache.Cached(ids, points, None), "fake")
    alone = World(0, 1, torch.device("cpu"))
    shift = blind.shifts(settings, loss, [tmp_path / "web-000.tar"], alone)
    half = 0.5**0.5
    assert torch.allclose(shift[1, :4], torch.tensor([-1.0, half, half, 0]), atol=1e-3)
    assert not shift[[0, 2, 3]].any()


def test_images_with_captions_are_shown_more_often():
    index = {"trained": 100, "texts": {"cat": [50, 50]}, "samples": 100}
    classes = loss_of_names(["cat"], AXES[:1], "")[1].classes
    plain, more = (
        task.weight_of(index, classes, config.TrainConfig(teacher="x", captions=captions))
        for captions in (1, 3)
    )
    assert more("a man with a cat on his arm") == 3 * plain("a man with a cat on his arm")
    assert more("cat") == plain("cat") and more("a photo") == plain("a photo")


def shifts_of_a_process(rank, size, cache):
    return blind.shifts(*names_of_persons(cache), World(rank, size, torch.device("cpu")))


def test_processes_mend_as_one_does(blind_teacher, gloo, tmp_path):
    cache, _ = blind_teacher
    want = shifts_of_a_process(0, 1, cache)
    for found in processes.run(shifts_of_a_process, 2, tmp_path, cache):
        assert torch.allclose(found, want, atol=1e-6)


def test_what_is_evaluated_is_not_trained_on():
    """No class held out by the data is in the hand-written names of training."""
    unseen = {"koala", "orangutan", "chihuahua", "trolleybus", "dugong", "tarantula"}
    written = {
        *labels.HYPERNYMS,
        *(n for names in labels.HYPERNYMS.values() for n in names.split(", ")),
    }
    assert not unseen & {name.strip(" ,") for name in written}
