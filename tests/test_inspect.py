# SPDX-License-Identifier: MIT
"""What tinyvlm-inspect prints."""

import nets
import numpy as np

from tinyvlm import inspect
from tinyvlm.device import about
from tinyvlm.net import cost, tvlm
from tinyvlm.words import tvp


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
        "known answer   0 of 256 values differ",
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


def test_the_predicted_profile_is_the_cost_model(tmp_path):
    graph = nets.mobilenet_like(32)
    path = tmp_path / "net.tvlm"
    tvlm.write(graph, path)
    encoder = tvlm.load(path)
    lines = inspect.profile(encoder)
    counts = dict(zip((x.name for x in graph.layers), cost.layers(graph), strict=True))
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    for name, count in counts.items():
        assert rows[name][2] == f"{count / 1e3:.1f}"
    assert rows["total"][1] == f"{cost.cycles(graph) / 1e3:.1f}"
    shares = [float(rows[x.name][3]) for x in graph.layers if not getattr(x, "dense", False)]
    assert abs(sum(shares) - 100) < 0.05 * len(shares) + 0.01
    assert any(row[3] == "more" for row in rows.values())  # the dense map is not in the sum
    board = about.Profile([], "instructions")  # the twin on the board prints the same columns
    assert lines[0].replace("k cycles", "k instr.").startswith(repr(board).splitlines()[0])
    assert "\n".join(lines) in inspect.report(path)


def test_a_kernel_without_a_measurement_is_no_error(tmp_path, monkeypatch):
    graph = nets.mobilenet_like(32)
    path = tmp_path / "net.tvlm"
    tvlm.write(graph, path)
    monkeypatch.setattr(cost, "table", dict)
    assert all(line.split()[2] == "-" for line in inspect.profile(tvlm.load(path))[1:-1])


def test_prototypes(tmp_path, capsys):
    path = tmp_path / "pets.tvp"
    vectors = np.eye(2, 16, dtype=np.int8) * 127
    levels = {"threshold": 0.5, "prefixes": [(4, 8.5, 0.25), (8, 12, 0.375)]}
    tvp.write(tvp.Prototypes(["cat", "dog"], vectors, b"12345678", "base", **levels), path)
    assert inspect.main([str(path)]) == 0
    text = capsys.readouterr().out
    assert "cat, dog" in text and "2 labels" in text and "base" in text
    assert "prompt         the text encoder's own\n" in text
    assert "20; at 4: 8.5, at 8: 12\n" in text and "0.5; at 4: 0.25, at 8: 0.375\n" in text


def test_damaged(tmp_path, capsys):
    path = tmp_path / "bad.tvlm"
    path.write_bytes(b"TVLM")
    assert inspect.main([str(path)]) == 1
    assert "bad.tvlm: truncated" in capsys.readouterr().err
    assert inspect.main([str(tmp_path / "none.tvlm")]) == 1


def test_names_of_what_ships_and_files_that_are_neither(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inspect, "encoder_report", str)
    assert inspect.main(["nano"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("nano.tvlm")
    (tmp_path / "pets.txt").write_text("cat\n")
    assert inspect.main([str(tmp_path / "pets.txt")]) == 1
    assert "pets.txt: neither an encoder (.tvlm) nor a packed voc" in capsys.readouterr().err
