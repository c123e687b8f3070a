# SPDX-License-Identifier: MIT
"""An encoder on the simulated MAX78000, and what is said about it."""

import pytest

from tinyvlm.max78000 import chip, mapper
from tinyvlm.net import reference, samples, tvlm


@pytest.fixture(scope="module")
def graph():
    return samples.max78000_like(48, dim=32)


def test_embedding_and_map_in_turns(graph):
    """The two heads of this graph differ, so each plan brings its weights."""
    board = chip.Chip.of(tvlm.read(tvlm.to_bytes(graph)))
    for seed in range(3):
        image = samples.random_image(graph, seed)
        want = reference.run(graph, image)
        assert (board.embed(image) == want[graph.embedding].reshape(-1)).all()
        assert (board.map(image) == want[graph.dense]).all()
    board.selftest()


def test_wrong_image(graph):
    board = chip.Chip.of(graph)
    with pytest.raises(ValueError, match=r"must be int8 \(48, 48, 3\), got int8 \(24, 24, 3\)"):
        board.embed(samples.random_image(samples.max78000_like(24, dim=4), 0))
    with pytest.raises(ValueError, match="no dense map"):
        chip.Chip(mapper.map_graph(graph).plan()).map(samples.random_image(graph, 0))


def test_numbers():
    """What the table of boards says."""
    mapped = mapper.map_graph(samples.max78000_like())
    text = chip.table(mapped)
    print("\n" + text)
    assert "47,783 cycles: 956 us at 50 MHz, 1,046 inferences a second" in text
    counts = chip.stores(mapped)
    print(counts)
    assert counts["image"] == 576 * 12 and counts["weights"] * 4 > 190_000
