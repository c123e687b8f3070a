# SPDX-License-Identifier: MIT
"""docs/boards.md: one row for every board, with figures that follow from what commands print."""

import json
import re

import pytest
from readme import PAGES, README, TOP, check
from stm32 import BOARDS

PAGE = PAGES["docs/boards.md"]
ROWS = {
    target: cells
    for line in PAGE.text.splitlines()
    if line.startswith("| [")
    for cells in [[cell.strip() for cell in line.split("|")[1:-1]]]
    for target in [re.search(r"\]\((boards/[\w-]+\.md)\)", cells[0])[1]]
}
CAMERA, PATH, FRAMES, VERIFIED = 2, 3, 4, 5
FIRMWARE = json.loads((TOP / "docs" / "runs" / "firmware.json").read_text())


def figure(title):
    """The first number in the second column of README's or performance.md's row."""
    texts = README.text, PAGES["docs/performance.md"].text
    found = [re.search(rf"^\| {re.escape(title)} \| .*", text, re.M) for text in texts]
    [row] = filter(None, found)
    return float(re.search(r"\| ([\d.]+)", row[0])[1])


def test_every_board_has_a_page_and_a_row():
    pages = {f"boards/{path.name}" for path in (TOP / "docs" / "boards").glob("*.md")}
    assert set(ROWS) == pages - {"boards/stm32-camera.md"}
    linked = set(re.findall(r"\(docs/(boards/[\w-]+\.md)\)", README.text))
    assert linked == (set(ROWS) | {"boards/stm32-camera.md"}) - {"boards/virtual.md"}


@pytest.mark.parametrize("target", ROWS.keys() - {"boards/virtual.md"})
def test_no_page_claims_a_chip(target):
    assert re.search(r"not\s+yet\s+run\s+on", PAGES[f"docs/{target}"].text, re.I)


def commands(text):
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("target", ROWS)
def test_a_page_packs_what_it_deploys(target):
    """The words are on boards.md; the rest of a page can be typed as it stands, in its order."""
    typed = commands(PAGES[f"docs/{target}"].text)
    packs = [i for i, line in enumerate(typed) if "tinyvlm-pack " in line]
    deploys = [i for i, line in enumerate(typed) if re.search(r"(deploy|romfs).* pets\.tvp", line)]
    deploys += [i for i, line in enumerate(typed) if line.endswith("romfs deploy rom")]
    assert packs and all(packs[0] < i for i in deploys)
    [words] = [line for line in commands(PAGE.text) if line.endswith("> pets.txt")]
    lists = {re.search(r"--vocab (\S+)", typed[i])[1] for i in packs}
    assert lists <= {words.split()[-1], "device/examples/things.txt"}


def boards_of(cells):
    """The folders of boards/ that a row's column `path` names."""
    names = cells[PATH].replace(";", ",").split(", ")
    return [
        board for board in BOARDS if re.match(r"(?:ARDUINO_)?(VCC_GND|[A-Z]+)", board)[1] in names
    ]


def test_every_firmware_and_engine_is_in_a_row():
    assert sorted(board for cells in ROWS.values() for board in boards_of(cells)) == BOARDS
    makefile = (TOP / "native" / "natmod" / "Makefile").read_text()
    archs = re.search(r"^ARCHS := (.*)", makefile, re.M)[1].split()
    paths = " ".join(cells[PATH] for cells in ROWS.values())
    assert {arch for arch in archs if arch not in paths} == {"x64"}


@pytest.mark.parametrize("target", [t for t, cells in ROWS.items() if boards_of(cells)])
def test_linked_means_linked(target):
    """docs/runs/firmware.json has what `make firmware` printed; the board's page shows it."""
    linked = [FIRMWARE["boards"][b] for b in boards_of(ROWS[target]) if b in FIRMWARE["boards"]]
    assert (ROWS[target][VERIFIED] == "linked") == bool(linked)
    text = " ".join(PAGES[f"docs/{target}"].text.split())
    for sizes in linked:
        assert f"({sizes['firmware']:,} bytes of firmware)" in text
        assert sizes["firmware"] < sizes["of"]


def test_frames():
    """The same model of the core at each board's clock; and README's rows say the same."""
    nicla = "[Arduino Nicla Vision](docs/boards/arduino-nicla-vision.md)"
    rates = {
        ("480", ""): figure("frames/s on a Cortex-M7 at 480 MHz"),
        ("400", ""): figure("[Nucleo-H743ZI](docs/boards/nucleo-h743.md)"),
        ("480", " from QSPI"): figure("[WeAct H743](docs/boards/weact-h743.md)"),
        ("400", " from QSPI"): figure(
            f"{nicla}, [Portenta H7](docs/boards/arduino-portenta-h7.md)"
        ),
    }
    million = figure_of_natmod()
    for target, cells in ROWS.items():
        frames = cells[FRAMES]
        told = re.search(r"([\d.]+), `base` at (\d+) MHz( from QSPI)?", frames)
        if told:
            most = "at most" in frames
            value = int(told[2]) / million if most else rates[told[2], told[3] or ""]
            new = frames.replace(told[1], f"{value:.1f}")
            check(f"| {frames} |", f"| {new} |")
            frames = new
        if "accelerator" in frames:
            rate = int(figure("[MAX78000FTHR](docs/boards/max78000fthr.md)"))
            assert f"{rate} the accelerator alone" in frames
        row = re.search(rf"^\| .*\(docs/{target}\).*", README.text, re.M)
        if row:
            numbers = re.findall(r"([\d.]+) frames/s", row[0])
            assert set(numbers) <= set(re.findall(r"[\d.]+", frames)), row[0]


def figure_of_natmod():
    """Million instructions of a frame by armv7emsp's `.mpy`."""
    row = re.search(r"^\| armv7emsp \|.* ([\d.]+) M \|$", PAGES["docs/performance.md"].text, re.M)
    return float(row[1])
