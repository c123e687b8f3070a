# SPDX-License-Identifier: MIT
"""The page as a visitor has it: Debian's Chromium goes through it, down to the virtual board."""

import json
import re
from pathlib import Path

import page_data
import page_shots
import pytest
from conftest import make, need

import tinyvlm
from tinyvlm.boards.romfs import make_image
from tinyvlm.packit import main as pack
from tinyvlm.shipped import DATA
from tinyvlm.virtual.board import Board
from tinyvlm.virtual.photos import photos, save_ppm
from tinyvlm.words import tvp

TOP = Path(__file__).resolve().parents[1]
LIST = "cat\ncoffee: coffee, espresso\nflower\nrocket\n"
MOST = 3_000_000  # bytes of the page


@pytest.fixture(scope="module")
def page(web):
    """The page, built if something in it changed, and a browser to open it in."""
    need("browser", "browser")
    make("web")
    return TOP / "build" / "web" / "tinyvlm.html"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def seen(page, out, firmware, tmp_path_factory):
    """What a visitor saw, who went down to a virtual board that has the photos in its ROMFS."""
    work = tmp_path_factory.mktemp("board")
    files = [("/rom/base.tvlm", (DATA / "base.tvlm").read_bytes())]
    for photo in photos():
        save_ppm(photo, work / f"{photo.name}.ppm")
        files.append((f"/rom/photos/{photo.name}.ppm", (work / f"{photo.name}.ppm").read_bytes()))
    (work / "rom.img").write_bytes(make_image(files))
    with Board(firmware, romfs=work / "rom.img") as board:
        return page_shots.journey(out, page=page, port=board.port)


def packed(tmp_path, words, *options):
    (tmp_path / "words.txt").write_text(words)
    options = ["--text-encoder", "lexicon", "-q", *options]
    assert pack(["--vocab", str(tmp_path / "words.txt"), *options]) == 0
    return (tmp_path / "words.tvp").read_bytes()


# -- the journey ------------------------------------------------------------------------------


def test_nothing_goes_wrong_and_nothing_is_asked_elsewhere(seen):
    assert seen["errors"] == []
    assert seen["requests"] == []


def test_accessible_in_every_step_light_and_dark(seen):
    assert seen["violations"] == []
    steps = "opened camera where words shown tested broken board lacking"
    assert {*steps.split()} <= {*seen["steps"]}


def test_size(page, seen):
    print(f"{page.stat().st_size:,} bytes; first label {seen['facts']['first_label_ms']} ms")
    assert page.stat().st_size <= MOST
    for path in ("http://", "https://"):  # but for names of XML and the like, nothing is linked
        links = re.findall(rf'(?:src|href)="{path}[^"]*"', page.read_text("utf-8"))
        assert links == []


def test_words_over_the_camera_s_picture(seen):
    facts = seen["facts"]
    assert facts["first_label"] == "cat"  # a sample photo, before anybody did anything
    assert facts["broken"] == []  # no word of the page's own takes two lines
    assert facts["labels"] == ["cat", "coffee", "flower", "rocket", "unknown"]
    assert facts["over"].startswith("cat ")
    assert "frames/s here" in facts["speed"]
    rate = 480e6 / json.loads(page_data.card("base"))["cycles"]
    assert f"about {rate:.0f} frames/s on an STM32H7 at 480 MHz (estimated)" in facts["speed"]


def test_where_and_heat(seen):
    assert seen["facts"]["boxes"] >= 1
    assert seen["facts"]["heat"] == "true"


def test_what_is_said_of_words(seen):
    facts = seen["facts"]
    assert [pair.split(" (")[0] for pair in facts["confused"]] == ["cup and mug", "cat and kitten"]
    assert len(facts["problems"]) == 1 and facts["problems"][0].startswith("Line 5: 'xyzzyfrob'")
    assert "--" not in facts["problems"][0]  # an option of a command that is not here
    assert facts["bytes_16"] < facts["bytes_64"]


def test_the_file_is_tinyvlm_pack_s(seen, out, tmp_path):
    assert seen["facts"]["download"] == "words.tvp"
    assert (out / "packed.tvp").read_bytes() == packed(tmp_path, LIST)


def test_words_that_are_not_in_the_page_have_a_way_out(seen):
    names = "parasite", "deck tennis", "peach orchard", "glass sponge"
    for name, said in zip(names, seen["facts"]["lacking"], strict=True):
        assert (
            f"{name!r} has its vector in lexicon.bin, not in this page; take the nearest" in said
        )
        assert "or open the page by tinyvlm-studio" in said
    part = seen["facts"]["part"]
    assert re.match(r"The page itself has the vectors of \d,\d{3} of \d\d,\d{3} names\.", part)


@pytest.mark.parametrize("name", ["served", "chosen"])
def test_with_all_words_the_file_is_tinyvlm_pack_s(seen, out, tmp_path, name):
    """By tinyvlm-studio, which has lexicon.bin, or with that file chosen."""
    rare = "parasite\ndeck tennis: deck tennis, silverback\npeach orchard\nthe glass sponge\n"
    assert seen["facts"]["served_problems"] == []
    assert (out / f"{name}.tvp").read_bytes() == packed(tmp_path, rare)


def test_a_page_that_is_served_fetches_the_words_and_nothing_else(seen):
    assert seen["facts"]["asked"] == ["/", "/lexicon.bin"]
    assert seen["facts"]["looked_before"] == "cat"


def test_shots_are_learned_and_undone(seen, out):
    shown = tinyvlm.Vocab((out / "shown.tvp").read_bytes())
    assert list(shown.labels) == ["cat", "coffee", "flower", "rocket", "my coins"]
    prototypes = tvp.read(out / "shown.tvp")
    shots = {prototypes.labels[i]: learnt[0] for i, learnt in prototypes.learnt.items()}
    assert shots["my coins"] == 1
    assert shots["cat"] >= 3  # while the button was held; one more was undone
    assert sum(shots.values()) == seen["facts"]["shots"]


def test_a_folder_a_word(seen):
    facts = seen["facts"]
    assert facts["columns"][-1] == "unknown"
    rows = {row[0]: [int(cell) for cell in row[1:]] for row in facts["matrix"]}
    assert {name: sum(row) for name, row in rows.items()} == {
        name: len(photos) for name, photos in page_shots.FOLDERS.items()
    }
    assert rows["cat"][facts["columns"].index("cat") - 1] == 1
    assert facts["rates"][0].startswith("Of 5 photos that show a word, ")


def test_the_board_gets_the_words_and_names_photos(seen, out):
    facts = seen["facts"]
    assert any("Cortex-M7" in fact for fact in facts["board"])
    assert facts["selftest"].startswith("Self-test passed")
    names = [photo.name for photo in photos()]  # the virtual board's camera shows one by one
    logs = {"cat coffee flower rocket": facts["log"], "temple cat": facts["swapped"]}
    for words, log in logs.items():
        said = dict(zip(names, re.findall(r"^camera +(\w+) \d\.\d\d", log, re.M), strict=True))
        assert set(said.values()) <= {*words.split(), "unknown"}
        assert said["chelsea"] == "cat"
        assert said["china"] == ("temple" if "temple" in words else "unknown")


def test_a_cable_that_is_pulled_is_a_sentence(seen):
    assert seen["facts"]["unplugged"] == "The board was unplugged. Connect it again."


def test_a_camera_that_is_unplugged_is_a_sentence(seen):
    said = "The camera was unplugged or switched off. Press Camera to start it again."
    assert seen["facts"]["ended"] == said


def test_another_browser_gets_a_sentence_and_a_way_out(seen):
    facts = seen["facts"]
    assert "by tinyvlm-studio (http://localhost). Photos work everywhere." in facts["no_camera"]
    assert (
        "Chrome, Edge and a current Firefox on a PC can. Download the file" in facts["no_serial"]
    )
    assert "Connect board" not in facts["no_serial"]  # no dead button


# -- what the page is made of -----------------------------------------------------------------


def test_the_page_s_copy_of_detect_takes_the_page_s_words():
    files = page_data.files()
    assert b'\nVOCAB = "words.tvp"' in files["detect.py"]
    assert set(json.loads(files["package.json"])) == {
        path.name for path in (TOP / "device" / "tinyvlm").glob("*.py")
    }


def test_the_estimate_is_the_readme_s():
    row = next(s for s in (TOP / "README.md").read_text().splitlines() if "frames/s on a" in s)
    cycles = json.loads(page_data.card("base"))["cycles"]
    # The page's is by the model of shapes.
    assert 480e6 / cycles == pytest.approx(float(re.search(r"\| ([\d.]+), ", row)[1]), rel=0.01)
