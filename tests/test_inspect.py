# SPDX-License-Identifier: MIT
"""What tinyvlm-inspect prints."""

import nets
import numpy as np

from tinyvlm import inspect, tvlm, tvp


def test_encoder(tmp_path, capsys):
    graph = nets.mobilenet_like(32)
    path = tmp_path / "net.tvlm"
    tvlm.write(graph, path)
    assert inspect.main([str(path)]) == 0
    text = capsys.readouterr().out
    encoder = tvlm.load(path)
    for words in (
        encoder.fingerprint.hex(),
        f"arena          {encoder.plan.arena_size} bytes",
        "known answer   0 of 256 numbers differ",
        "info name      random",
        "dense map      1 x 1 x 256",
    ):
        assert words in text
    for layer in graph.layers:
        assert f" {layer.name} " in text
    # the map: every segment a column, scratch everywhere
    columns = len(encoder.plan.segments)
    rows = [line.split()[1:] for line in text.splitlines() if line.split()[1:2] == ["#"]]
    assert rows and all(row == ["#"] * columns for row in rows)
    assert max(map(len, text.splitlines())) < 160


def test_prototypes(tmp_path, capsys):
    path = tmp_path / "pets.tvp"
    vectors = np.eye(2, 16, dtype=np.int8) * 127
    tvp.write(tvp.Prototypes(["cat", "dog"], vectors, b"12345678", "base"), path)
    assert inspect.main([str(path)]) == 0
    text = capsys.readouterr().out
    assert "cat, dog" in text and "2 labels" in text and "base" in text


def test_damaged(tmp_path, capsys):
    path = tmp_path / "bad.tvlm"
    path.write_bytes(b"TVLM")
    assert inspect.main([str(path)]) == 1
    assert "bad.tvlm: truncated" in capsys.readouterr().err
    assert inspect.main([str(tmp_path / "none.tvlm")]) == 1
