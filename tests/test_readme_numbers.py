# SPDX-License-Identifier: MIT
"""README.md: the figures in "Numbers" are what the commands named beside them print.

Two rows are elsewhere: the demo's and tinyvlm.info()'s come from what test_readme.py runs.
"""

import json
import re
import subprocess
import sys

import pytest
from readme import TEXT, TOP, check_piece, check_row

from tinyvlm.max78000 import cycles, mapper
from tinyvlm.measure import eval_table
from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA, DEFAULT_MODEL
from tinyvlm.virtual.count import FRAMES

DIMS = ("16", "64", "256")  # columns that README shows


def test_engine(firmware):
    """The line `engine` of what `make size` runs."""
    command = [sys.executable, "boards/sizes.py"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    text = int(re.search(r"^engine +(\d+)", done.stdout, re.M)[1])
    check_row("engine: code and constants", f"{text / 1024:.1f} KB")


def test_bench(firmware):
    """The lines of `base` in what `make bench` prints."""
    command = [sys.executable, "-m", "tinyvlm.bench", "--json", "--model", DEFAULT_MODEL]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    [model] = report["models"]
    camera = FRAMES[0][0]
    cost = model["backends"]["dsp"]["frames"][camera]
    count = cost["frame"]
    measured = f"{count / 1e6:.1f} M instructions, {count / model['macs']:.2f} a MAC, measured"
    check_row(f"one frame, {camera} to labels and scores", measured)
    if report["no_cycles"]:
        pytest.skip(f"frames/s: {report['no_cycles']}")
    rate = f"{cost['fps']:.1f}, estimated"
    check_row(f"frames/s on a Cortex-M7 at {report['mhz']} MHz", rate)


@pytest.fixture(scope="module")
def evaluation():
    """What tinyvlm-eval --json printed about the encoders that ship."""
    return json.loads((TOP / "docs" / "runs" / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("pacs-photo", "PACS photos, {} words, chance {} %: top-1 at 16 / 64 / 256"),
        ("cifar10-test", "CIFAR-10, {} words, chance {} %"),
        ("tiny-imagenet-unseen", "{} ImageNet classes never trained on, chance {} %"),
    ],
)
def test_accuracy(evaluation, name, title):
    """Of this very base.tvlm, from the table as tinyvlm-eval prints it."""
    fingerprint = tvlm.load(DEFAULT_MODEL).fingerprint.hex()
    reports = [
        r for r in evaluation["reports"] if (r["fingerprint"], r["set"]) == (fingerprint, name)
    ]
    assert len(reports) == 1, f"docs/runs/evaluation.json is not of {fingerprint}"
    table = eval_table.tables(evaluation | {"reports": reports}).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:]]
    row = dict(zip(rows[0], next(row for row in rows if row[1] == "top-1, int8"), strict=True))
    title = title.format(reports[0]["classes"], f"{reports[0]['chance']:.0f}")
    check_row(title, f"{' / '.join(row[dim] for dim in DIMS)} %")


def test_encoders():
    """The list of what ships: shapes, costs and sizes of the files themselves."""
    names = {path.stem for path in DATA.glob("*.tvlm")}
    listed = re.findall(r"^- \[(\w+)\]\(host/tinyvlm/data/\1\.tvlm\): ", TEXT, re.M)
    assert names == set(listed) and len(listed) == 3 and "Three encoders ship" in TEXT
    for name in listed:
        path = DATA / f"{name}.tvlm"
        encoder = tvlm.load(path)
        height, width, _ = encoder.graph.input_shape
        start = rf"{name}\.tvlm\): "
        words = f"{name}.tvlm): {width}x{height}, {encoder.macs / 1e6:.1f} M MAC,"
        if name == "nano":
            words += f" {path.stat().st_size:,} B, arena {encoder.plan.arena_size:,} B,"
            check_piece(start + r".* B, arena [\d,]+ B,", words)
        else:
            check_piece(start + r".*? M MAC,", words)
    mapped = mapper.map_graph(tvlm.load(DATA / "max78000.tvlm").graph)
    words = f"accelerator: {cycles.network_cycles(mapped.network):,} cycles, estimated"
    check_piece(r"accelerator: [\d,]+ cycles, estimated", words)
