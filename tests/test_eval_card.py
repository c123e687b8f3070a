# SPDX-License-Identifier: MIT
"""The model card's tables: `tinyvlm-eval --results FILE.json` writes them without measuring."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tinyvlm import eval as evaluation
from tinyvlm.measure import eval_card, eval_table, plot_memory, truncation
from tinyvlm.measure.eval_encoders import facts
from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA
from tinyvlm.words.space import TextMap

TOP = Path(__file__).resolve().parents[1]
RESULTS = TOP / "docs" / "runs" / "evaluation.json"
PAGE = TOP / "docs" / "models.md"


@pytest.fixture(scope="module")
def results():
    """What the command wrote that docs/models.md names."""
    return json.loads(RESULTS.read_text())


def test_the_page_has_these_tables(results):
    """If not: tinyvlm-eval --results docs/runs/evaluation.json --markdown docs/models.md."""
    assert eval_card.between(PAGE) == eval_card.region(results)


def test_the_figures_are_of_the_files_that_ship(results):
    shipped = {path.name: path for path in DATA.glob("*.tvlm")}
    assert {e["file"] for e in results["encoders"]} == shipped.keys()
    for e in results["encoders"]:
        encoder = tvlm.load(shipped[e["file"]])
        assert e == json.loads(json.dumps(facts(shipped[e["file"]], encoder)))
    prints = {e["fingerprint"] for e in results["encoders"]}
    measured = results["reports"] + results["captions"]
    assert {report["fingerprint"] for report in measured} == prints


def test_the_page_names_the_pictures_that_are_there():
    text = PAGE.read_text()
    for name in ("accuracy-relative", "accuracy-encoder", "accuracy-bytes", "memory"):
        assert f"](img/{name}.svg)" in text and (TOP / "docs" / "img" / f"{name}.svg").exists()


def test_tables_and_plots_again(results, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{eval_card.BEGIN}\nold\n{eval_card.END}\nafter\n")
    argv = ["--results", str(RESULTS), "--markdown", str(page), "--plots", str(tmp_path / "plots")]
    for _ in range(2):  # the second time it replaces its own
        assert evaluation.main(argv) == 0
        text = page.read_text()
        assert text.startswith(f"before\n{eval_card.BEGIN}\n")
        assert text.endswith(f"\n{eval_card.END}\nafter\n") and "old" not in text
        assert eval_card.between(page) == eval_card.region(results)
    assert eval_table.tables(results) in capsys.readouterr().out
    for name, words in (
        ("accuracy-relative", ["CLIP ViT-B/32, cut", "top-1 accuracy (%)", "chance", "base"]),
        ("accuracy-encoder", ["encoder file", "cifar10-test", "pacs-photo"]),
        ("memory", ["AXI SRAM", "D2", "D3", "RAM (KB)", "flash of an STM32H743 (KB)"]),
        ("accuracy-dimension", ["cifar10-test", "chance"]),
        ("accuracy-bytes", ["bytes per label"]),
    ):
        image = ElementTree.parse(tmp_path / "plots" / f"{name}.svg")
        texts = {"".join(text.itertext()).strip() for text in image.iter() if "text" in text.tag}
        assert set(words) <= texts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "needs the lines <!-- tinyvlm-eval: begin --> and <!-- tinyvlm-eval: end -->"),
        (f"{eval_card.END}\n{eval_card.BEGIN}", "once each and in this order"),
        (f"{eval_card.BEGIN}\n{eval_card.BEGIN}\n{eval_card.END}", "once each"),
    ],
)
def test_a_page_without_room_for_tables(text, message, tmp_path, capsys):
    (tmp_path / "page.md").write_text(text)
    argv = ["--results", str(RESULTS), "--markdown", str(tmp_path / "page.md")]
    assert evaluation.main(argv) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == text


@pytest.mark.parametrize("text", ["{", "[]", '{"reports": []}', "[" * 100_000])
def test_files_that_are_no_results(text, tmp_path, capsys):
    (tmp_path / "a.json").write_text(text)
    assert evaluation.main(["--results", str(tmp_path / "a.json")]) == 2
    assert "a.json: not what tinyvlm-eval --json writes (" in capsys.readouterr().err


def test_what_prefixes_keep():
    row = {"float_top1": 50.0, "int4_top1": 49.5}
    rows = [row | {"dim": d, "int8_top1": x} for d, x in ((16, 30.0), (64, 48.0), (256, 60.0))]
    report = {"encoder": "a", "set": "b", "rows": rows}
    lines = eval_table.kept({"reports": [report]}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["encoder, set", "16 keep", "64 keep", "int8 - float", "int4 - float"]
    assert cells[2] == ["a, b", "50 %", "80 %", "-2.00", "-0.50"]


# -- CLIP's own vectors -----------------------------------------------------------------------


def write_vectors(folder, dims=24):
    """Photos near their word in the last numbers alone, and a map that brings these first."""
    rng = np.random.default_rng(0)
    words = np.zeros((4, dims))
    words[:, -4:] = np.eye(4)
    label = np.repeat(np.arange(4), 5)
    photos = words[label] + 0.01 * rng.normal(size=(20, dims))
    classes = ["cat", "dogs", "sofa", "unknown thing"]
    np.savez(folder / "images.npz", emb=photos, label=label, classes=classes)
    names = ["cat", "dog", "studio couch, sofa, settee", "sofa"]
    np.savez(
        folder / "names.npz",
        emb=np.concatenate([words[:3], words[:1]]),
        names=names,
        source=["a", "a", "a", truncation.APART],
    )
    turn = np.eye(dims)[:, ::-1].astype(np.float32)
    return TextMap("s", np.zeros(dims, np.float32), turn)


def test_cut_and_mapped_vectors(tmp_path):
    space = write_vectors(tmp_path)
    found = truncation.measure(tmp_path / "images.npz", tmp_path / "names.npz", space)
    assert (found["photos"], found["classes"], found["classes_without_vector"]) == (15, 3, 1)
    assert (found["chance"], found["dims"]) == (33.33, [16, 24])
    assert found["cut"] == [33.33, 100]  # 16 numbers know nothing: the first class is said
    assert found["mapped"] == [100, 100]
    other = TextMap("t", np.zeros(8, np.float32), np.eye(8, dtype=np.float32))
    found = truncation.measure(tmp_path / "images.npz", tmp_path / "names.npz", other)
    assert "mapped" not in found  # of another CLIP


def test_bad_vectors(tmp_path, capsys):
    write_vectors(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "few.npz", emb=np.eye(24)[:1], names=["rocket"])
    for first, second, message in (
        ("bad.npz", "names.npz", "bad.npz: not a table of vectors ("),
        ("names.npz", "names.npz", "names.npz: not a table of vectors ("),
        ("images.npz", "few.npz", "few.npz: has vectors of 0 of the class names of "),
        ("no.npz", "few.npz", "no.npz: no such file or directory"),
    ):
        argv = ["--clip", str(tmp_path / first), str(tmp_path / second), "--data", str(tmp_path)]
        assert evaluation.main(argv) == 2
        assert message in capsys.readouterr().err


# -- memory -----------------------------------------------------------------------------------


def test_memory_adds_up():
    sizes = json.loads(plot_memory.SIZES.read_text())
    assert sizes["firmware_region"] + sizes["romfs"] + sizes["files"] <= sizes["flash"]
    encoder = tvlm.load(DATA / "base.tvlm")
    regions = plot_memory.layout(facts(DATA / "base.tvlm", encoder))
    assert {region.name: region.size // 1024 for region in regions} == {
        "flash": 2048,
        "DTCM": 128,
        "AXI SRAM": 512,
        "D2": 288,
        "D3": 64,
    }
    for region in regions:
        assert sum(size for _, size in region.blocks) == region.size
    flash, dtcm = dict(regions[0].blocks), dict(regions[1].blocks)
    assert flash["encoder"] == (DATA / "base.tvlm").stat().st_size
    assert dtcm["arena"] == encoder.plan.arena_size


@pytest.mark.parametrize(
    ("much", "region"), [({"arena": 200_000}, "DTCM"), ({"bytes": 1_400_000}, "flash")]
)
def test_what_does_not_fit(much, region):
    encoder = {"encoder": "huge", "bytes": 100_000, "arena": 10_000, "cycles": None} | much
    with pytest.raises(ValueError, match=f"huge does not fit the {region} of an STM32H743"):
        plot_memory.layout(encoder)
