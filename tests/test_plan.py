# SPDX-License-Identifier: MIT
"""The computed hours of a CC3M run: figures that can be checked by hand."""

import re

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import plan  # noqa: E402


def test_operations_are_those_that_open_clip_publishes():
    """ViT-B-32 in its docs/model_profile.csv: 14.78 GFLOPs, 8.82 of them the image tower's."""
    assert plan.IMAGE.operations / 1e9 == pytest.approx(8.82, abs=0.02)
    assert plan.TEXT.operations / 1e9 == pytest.approx(14.78 - 8.82, abs=0.02)


def test_hours_follow_the_slowest(capsys):
    plan.main(["--model", "smoke", "--read", "1000", "--decode", "1000", "--prepare", "100"])
    said = capsys.readouterr().out
    assert "| reading | 1,000 |" in said and "| decoding | 15,000 |" in said
    assert "| 30 epochs, bound by reading | 25.0 h | 3.1 h |" in said  # 90 M images
    assert "| `cache`, once | 50 min | 6 min |" in said
    kept, twice = map(float, re.search(r"fp32 \| ([\d.]+) GB \| ([\d.]+) GB", said).groups())
    assert 0 < twice < kept
