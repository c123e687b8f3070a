# SPDX-License-Identifier: MIT
"""Shards from URLs and commands: read from beginning to end, no oftener than they must be."""

import json
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tars import encoded, pair, write

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("webdataset", reason="webdataset is not installed (extra `train`)")

from tinyvlm.train import main, shards, streams, teacher_cache  # noqa: E402

EACH = 160  # samples a shard
WIDTH = 300  # of a teacher's vectors


def samples(first):
    for i in range(first, first + EACH):
        picture = encoded(np.full((20, 24, 3), i % 200, np.uint8))
        yield from pair(f"{i:04}", picture, f"a street with {i} houses in the rain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "web"
    folder.mkdir()
    for number, name in enumerate(("00000.tar", "00001.tar", "b-002.tar.gz")):
        write(folder / name, samples(EACH * number))
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """(URL of the folder, names that were asked for); it knows no ranges."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder.parent)

        def log_message(self, *args):
            pass

        def do_GET(self):
            asked.append(self.path.rpartition("/")[2])
            super().do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/web", asked
        http.shutdown()
        thread.join()


def content(shard):
    """(samples, what was skipped)."""
    skipped = Counter()
    return [(s.id, s.text, s.blob) for s in shards.read(shard, skipped)], skipped


@pytest.mark.parametrize(
    "shard, stem, folder",
    [
        ("https://host.org/cc3m/00007.tar", "00007", "cc3m"),
        ("https://host.org/cc3m//00007.tar.gz?key=a/b&x=1.0", "00007", "cc3m"),
        ("http://127.0.0.1:8000/a-001.tar", "a-001", "127.0.0.1:8000"),
        ("s3://bucket/pets-003.tar", "pets-003", "bucket"),
        ("pipe:aws s3 cp s3://bucket/cc/00001.tar -", "00001", "cc"),
        ("pipe:curl -s -L 'https://host/cc/00001.tar' || true", "00001", "cc"),
        ("pipe:cat x.tar | tee /tmp/y.tar", "x", ""),
        ("pipe:zstd -dc /data/cc/00001.tar.zst", "00001", "cc"),
        (Path("/data/cc/00001.tar.gz"), "00001", "cc"),
    ],
)
def test_what_a_shard_is_called(shard, stem, folder):
    assert (streams.stem(shard), streams.folder(shard)) == (stem, folder)
    assert streams.is_stream(shard) == isinstance(shard, str)


@pytest.mark.parametrize(
    "pattern, count",
    [
        ("https://h/cc/{00000..00331}.tar", 332),
        ("pipe:aws s3 cp s3://b/{00000..00009}.tar -", 10),
        ("https://h/cc/{0..3}.tar?sign=[a]*::FOLDER/*.tar", 6),
    ],
)
def test_patterns(folder, pattern, count):
    assert len(shards.expand(pattern.replace("FOLDER", str(folder)))) == count


@pytest.mark.parametrize(
    "pattern, says",
    [
        ("https://host/cc/", "is not a shard"),
        ("pipe:cat it", "is not a shard"),
        ("https://host/{0..2.tar", "not closed"),
        ("https://a/0.tar::s3://b/0.tar", "two shards are called 0"),
    ],
)
def test_what_names_no_shard(pattern, says):
    with pytest.raises(ValueError, match=says):
        shards.expand(pattern)


@pytest.mark.parametrize("name", ["00000.tar", "b-002.tar.gz"])
@pytest.mark.parametrize("kind", ["http", "pipe", "a pipe of pipes"])
def test_a_stream_is_what_the_file_is(folder, server, name, kind):
    path = folder / name
    shard = {
        "http": f"{server[0]}/{name}",
        "pipe": f"pipe:cat {path}",
        "a pipe of pipes": f"pipe:cat {path} | cat",
    }[kind]
    assert shards.expand(shard) == [shard]
    want, got = content(path), content(shard)
    assert got == want and len(got[0]) == EACH and not got[1]


@pytest.mark.parametrize(
    "command, count, says",
    [
        ("cat TAR; exit 3", EACH, "its command ended with 3"),
        ("head -c 20000 TAR; exit 3", None, "its command ended with 3"),
        ("no-such-command TAR", 0, "its command ended with 127"),
        ("cat MISSING/x.tar", 0, "its command ended with 1"),
        ("echo '<html>' # TAR", 0, "skipped: 1 bad shard"),
    ],
)
def test_a_command_that_fails_is_a_bad_shard(folder, caplog, command, count, says):
    shard = "pipe:" + command.replace("TAR", f"{folder}/00000.tar").replace("MISSING", "/nowhere")
    found, skipped = content(shard)
    assert skipped["bad shard"] == 1 and says in caplog.text
    assert len(found) == count if count is not None else 0 < len(found) < EACH


def test_a_url_that_is_not_there(server, caplog):
    found, skipped = content(f"{server[0]}/00009.tar")
    assert not found and skipped == {"bad shard": 1} and "ended with 22" in caplog.text


def test_who_stops_early_leaves_no_process(tmp_path):
    pid = tmp_path / "pid"
    write(tmp_path / "x.tar", samples(0))
    shard = f"pipe:echo $$ > {pid}; cat {tmp_path}/x.tar; exec cat /dev/zero"
    reader = shards.read(shard, Counter())
    assert next(reader).id == "x/0000"
    reader.close()
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.fixture(scope="module")
def cached(folder, tmp_path_factory):
    """What `tinyvlm-train cache` would leave of two shards."""
    cache, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    for name in ("00000", "00001"):
        ids, texts, _ = zip(*content(folder / f"{name}.tar")[0], strict=True)
        vectors = rng.normal(size=(2, EACH, WIDTH)).astype(np.float16)
        one = teacher_cache.Cached(list(ids), *vectors, list(texts))
        teacher_cache.write(cache, name, one, "open_clip:some/clip")
    return cache


def without_texts(cache, folder):
    """The same cache as it was when no texts were kept."""
    folder.mkdir()
    for path in cache.iterdir():
        one = teacher_cache.read(cache, path.stem)
        one.texts = None
        teacher_cache.write(folder, path.stem, one, "open_clip:some/clip")
    return folder


@pytest.mark.parametrize(
    "texts, more, times",
    [
        (True, (), 1),  # the cache says what is in the shards
        (False, ("--train-num-samples", "300"), 1),  # the user says how much
        (False, (), 2),  # somebody has to count
    ],
)
def test_training_reads_a_stream_once_an_epoch(server, cached, tmp_path, texts, more, times):
    url, asked = server
    asked.clear()
    cache = cached if texts else without_texts(cached, tmp_path / "old")
    options = ["--config", "smoke", "--train-data", f"{url}/{{00000..00001}}.tar", *more]
    options += ["--teacher", str(cache), "--logs-dir", str(tmp_path), "--zeroshot-frequency", "0"]
    assert main.main([*options, "--epochs", "1"]) == 0
    assert Counter(asked) == {"00000.tar": times, "00001.tar": times}
    row = json.loads((tmp_path / "smoke" / "results.jsonl").read_text())
    assert row["shards_read"] == 2 and row["step"] >= 18 and "contrast" in row["loss"]
    log = (tmp_path / "smoke" / "out.log").read_text()
    assert ("counting reads 2 of 2 streams" in log) == (times == 2)
