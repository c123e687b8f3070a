# SPDX-License-Identifier: MIT
"""`make scale` in small: captions, a CLIP, two processes, an interruption, an encoder."""

import importlib
import json
import re
import socket

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("webdataset", reason="webdataset is not installed (extra `train`)")

import scale  # noqa: E402

TINY = {
    "embed_dim": 300,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def test_from_captions_to_an_encoder(open_clip, tmp_path, capfd):
    try:
        socket.create_server(("127.0.0.1", 0)).close()
    except OSError as e:
        pytest.skip(f"gloo needs a local port: {e}")
    (tmp_path / "tiny-of-tests.json").write_text(json.dumps(TINY))
    importlib.import_module("open_clip.factory").add_model_config(tmp_path / "tiny-of-tests.json")
    few = ("--images", "640", "--shards", "4", "--epochs", "4", "--config", "smoke")
    scale.main(["--out", str(tmp_path / "out"), "--teacher", "tiny-of-tests", *few])
    said = capfd.readouterr().out
    for ranks in (1, 2, 4):
        assert re.search(rf"^\| {ranks} \| 4 \| \d+ \| \d+ \|", said, re.M), "4 shards, read once"
    assert re.search(r"^ended after [1-3] of 4 epochs$", said, re.M)
    assert re.search(r"^0 of \d\d tensors differ", said, re.M)
    assert (tmp_path / "out" / "mine.tvlm").exists() and "| top-1, int8" in said
