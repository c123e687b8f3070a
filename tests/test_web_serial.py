# SPDX-License-Identifier: MIT
"""The page's way to a board (web/serial) against the virtual board: its own tests, in node."""

import sys

import numpy as np
import pytest
from conftest import TOP, vitest
from deploying import make_vocab, small_encoder
from nets import random_graph

from tinyvlm.boards.romfs import make_image
from tinyvlm.net import tvlm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files for the board; rom.romfs is tinyvlm-deploy's image of what is in rom/."""
    folder = tmp_path_factory.mktemp("serial")
    encoder = small_encoder(folder).read_bytes()
    graph = random_graph(8, size=16, dim=16)
    graph.info["name"] = "second"
    tvlm.write(graph, folder / "second.tvlm")
    mark = encoder[16:24]
    make_vocab(folder / "old.tvp", dim=16, fingerprint=mark)
    make_vocab(folder / "new.tvp", [f"thing {n}" for n in range(60)], 16, mark)
    make_vocab(folder / "other.tvp")
    (folder / "rom" / "photos").mkdir(parents=True)
    files = {"small.tvlm": encoder, "readme.txt": b"photos of noise\n"}
    for name in "ab":
        noise = np.random.default_rng(ord(name)).bytes(24 * 16 * 3)
        files[f"photos/{name}.ppm"] = b"P6\n24 16\n255\n" + noise
    for name, data in files.items():
        (folder / "rom" / name).write_bytes(data)
    image = make_image([(f"/rom/{name}", data) for name, data in files.items()])
    (folder / "rom.romfs").write_bytes(image)
    return folder


@pytest.mark.parametrize(
    "mark, module, engine, found",
    [
        (None, None, None, ""),
        (".openmv_disk", None, None, ".openmv_disk"),
        (".esp_vision_disk", None, None, ".esp_vision_disk"),
        (None, "omv", None, ".openmv_disk"),
        (".openmv_disk", None, "ours", ""),  # flashed since
    ],
)
def test_firmware_that_wants_a_drive(tmp_path, monkeypatch, mark, module, engine, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "_tinyvlm", engine)
    monkeypatch.setitem(sys.modules, "omv", module)
    if mark:
        (tmp_path / mark).write_bytes(b"")
    onboard = {}
    exec((TOP / "web" / "serial" / "onboard" / "about.py").read_text(), onboard)
    assert onboard["drive"]() == found


def test_page_and_virtual_board(firmware, web, folder):
    said = vitest(
        "serial/tests/virtual",
        folder,
        TINYVLM_PYTHON=sys.executable,
        TINYVLM_FIRMWARE=firmware,
        TINYVLM_FILES=folder,
    )
    assert said["numPassedTests"] > 6
