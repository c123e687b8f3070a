# SPDX-License-Identifier: MIT
"""`make scale` in small: captions, a CLIP, two processes, an interruption, an encoder."""

import re

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
pytest.importorskip("webdataset", reason="webdataset is not installed (extra `train`)")

import scale  # noqa: E402
import tiny_clip  # noqa: E402


def test_from_captions_to_an_encoder(open_clip, gloo, tmp_path, capfd):
    tiny_clip.register(tmp_path, 300)
    few = ("--images", "640", "--shards", "4", "--epochs", "4", "--config", "smoke")
    threads = torch.get_num_threads()
    scale.main(["--out", str(tmp_path / "out"), "--teacher", tiny_clip.NAME, *few])
    said = capfd.readouterr().out
    assert torch.get_num_threads() == threads, "speeds of a core are measured; the rest has all"
    for ranks in (1, 2, 4):
        assert re.search(rf"^\| {ranks} \| 4 \| \d+ \| \d+ \|", said, re.M), "4 shards, read once"
    losses = re.findall(r"^\| ([124]) \| ([1-9]\d*\.\d+) \| \d+e[-+]\d+ \|$", said, re.M)
    assert [ranks for ranks, _ in losses] == ["1", "2", "4"], "one loss, however many processes"
    assert max(float(loss) for _, loss in losses) - float(losses[0][1]) < 1e-4
    for speed in ("--read", "--decode", "--prepare"):
        assert re.search(rf"^\| .*`{speed}` \| [1-9]\d* \|$", said, re.M)
    assert re.search(r"^ended after [1-3] of 4 epochs$", said, re.M)
    assert re.search(r"^0 of \d\d tensors differ", said, re.M)
    assert (tmp_path / "out" / "mine.tvlm").exists() and "| top-1, int8" in said
