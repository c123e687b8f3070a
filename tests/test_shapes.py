# SPDX-License-Identifier: MIT
"""The costs that are printed for a shape are those of the student that would be trained."""

from __future__ import annotations

import json
import re

import pytest
import shapes

from tinyvlm.net import tvlm
from tinyvlm.train.config import read


@pytest.mark.parametrize("name", ["base", "large", "nano", "max78000"])
def test_a_shape_is_the_student(name, capsys):
    student_module = pytest.importorskip("tinyvlm.train.student")
    shapes.main([name])
    cells = [c.strip() for c in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
    table = student_module.cost_table(read(name, "")["student"])
    assert cells[0] == name
    assert cells[1] == f"{sum(row[2] for row in table) / 1e6:.2f}"
    assert cells[2] == f"{sum(row[3] for row in table) / 1e3:.0f}"
    assert bool(cells[6]) == (name == "max78000")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"torchcompile": "false"}, "sets 'torchcompile' to \"false\"; it must be like false"),
        ({"epochs": 20.5}, "sets 'epochs' to 20.5; it must be like 20"),
        ({"epochs": True}, "sets 'epochs' to true"),
        ({"lr": "3e-3"}, "sets 'lr' to \"3e-3\"; it must be like 0.003"),
        ({"prefix_weights": [1, 1]}, "sets 'prefix_weights' to"),
        ({"name": None}, "sets 'name' to null"),
    ],
)
def test_a_configuration_has_values_of_the_right_kind(tmp_path, fields, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(SystemExit, match=re.escape(message)):
        read(str(path), "--config")
    path.write_text('{"lr": 1, "epochs": 3, "prefix_weights": [1, 1, 2, 1, 0.5]}')
    assert read(str(path), "--config")["prefix_weights"] == (1, 1, 2, 1, 0.5)


def test_the_shipped_shapes_keep_their_promises():
    """What the issue of each shape was: RAM, rate, weights, cycles (docs/training.md)."""
    base, nano = (shapes.build(read(n, "")["student"]) for n in ("base", "nano"))
    assert shapes.plan(base).arena_size <= 128 * 1024
    assert shapes.cost.cycles(nano) < shapes.cost.cycles(base) / 4


def test_large_fits_a_cortex_m7_of_a_megabyte():
    """The paper's budget: 892 KB of flash with the engine's code, 285 KB of RAM, 8 frames/s."""
    graph = shapes.build(read("large", "")["student"])
    head, dense = graph.layer(graph.embedding), graph.layer(graph.dense)
    for part in ("weights", "bias", "weight_scale", "out"):  # as training exports it
        setattr(dense, part, getattr(head, part))
    made = shapes.plan(graph)
    assert len(tvlm.to_bytes(graph, made)) + 30 * 1024 <= 892 * 1024
    assert made.arena_size <= 285 * 1024
    seconds = (shapes.cost.cycles(graph, made) + shapes.AROUND) / shapes.CLOCK
    assert seconds <= 1 / 8
    assert graph.shapes()[graph.dense] == (6, 6, 256)


def test_an_unknown_shape_is_one_sentence():
    with pytest.raises(SystemExit, match="model big: unknown; take base"):
        shapes.main(["big"])
