# SPDX-License-Identifier: MIT
"""README.md and docs/: their commands print the lines that they show, what they name is there.

Their figures are compared in test_readme_numbers.py; test_readme_commands.py runs commands that
show nothing. `--update-readme` writes what is printed now.
"""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from readme import PACKED, PAGES, README, TOP, UPDATE, check, fence, shell, shown_after

from tinyvlm.virtual.photos import photos

PROMPT = ">>> "
ROMFS = "build/demo/rom.romfs"
DEMO = fence("$ make setup")
REPL = fence(">>> ")
START = PAGES["docs/getting-started.md"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which README's commands run."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "device").symlink_to(TOP / "device")
    (folder / "build").symlink_to(TOP / "build")
    (folder / "photos").mkdir()
    return folder


@pytest.fixture(scope="module")
def packed(folder):
    """[(text shown, text printed)] of every tinyvlm-pack, which have all run in the folder."""
    printed = []
    for commands, shown in PACKED:
        printed.append((shown, "\n".join(filter(None, (shell(c, folder) for c in commands)))))
    return printed


def test_pack_prints_what_is_shown(packed):
    for shown, printed in packed:
        check(shown, printed, "text")


def test_the_demo_prints_what_is_shown(demo):
    first, begin = DEMO.splitlines()[:2], DEMO.index("$ mpremote")
    assert [line.split("  ")[0] for line in first] == ["$ make setup", "$ make board"]
    check(DEMO[begin:], demo.strip("\n"))


def typed_at_the_prompt(port, commands):
    """What a terminal shows: mpremote's prompt, the commands typed one after the other."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "mpremote", "connect", port]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as mpremote:
        os.close(slave)

        def answer():
            out, end = b"", time.monotonic() + 60
            while not out.endswith(PROMPT.encode()):
                assert time.monotonic() < end, f"no prompt after {out!r}"
                if select.select([master], [], [], 0.1)[0]:
                    out += os.read(master, 65536)
            return out.decode().replace("\r\n", "\n")

        try:
            greeting, end = b"", time.monotonic() + 60
            while b"exit this shell" not in greeting:
                assert time.monotonic() < end, f"no greeting after {greeting!r}"
                if select.select([master], [], [], 0.1)[0]:
                    greeting += os.read(master, 65536)
            # It greets before it makes the terminal raw, which drops what was typed till then.
            while termios.tcgetattr(master)[3] & termios.ECHO:
                assert time.monotonic() < end, "mpremote's terminal does not become raw"
                time.sleep(0.01)
            os.write(master, b"\r")
            answer()
            text = PROMPT
            for line in commands:
                os.write(master, line.encode() + b"\r")
                text += answer()
        finally:
            mpremote.terminate()
    os.close(master)
    return text.removesuffix(PROMPT).rstrip("\n")


def test_the_prompt(packed, folder, demo):
    """By README's commands: a board with the demo's photos, the words copied, the calls typed."""
    [start] = [c for commands, _ in START.blocks for c in commands if "tinyvlm-board" in c]
    words = start.split(" #")[0].split()
    assert words[0] == ".venv/bin/tinyvlm-board" and ROMFS in words
    with subprocess.Popen(
        [Path(sys.executable).with_name("tinyvlm-board"), *words[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as board:
        try:
            connect = board.stdout.readline().strip()
            assert connect.startswith("mpremote connect /dev/")
            [copy] = re.findall(r"`mpremote connect PORT (cp .*?)`", START.text)
            shell(f"{sys.executable} -m {connect} {copy}", folder)
            commands = re.findall(r"^>>> (.*)", REPL, re.M)
            printed = typed_at_the_prompt(connect.split()[2], commands)
        finally:
            board.terminate()
    check(REPL, printed, "python")


def test_deploy_prints_what_is_shown(packed, folder, start_board):
    [command], shown = shown_after("host/tinyvlm-deploy")
    check(shown, shell(f"{command} --port {start_board().port}", folder), "text")


def test_a_new_vocabulary_is_copied(packed, folder, start_board):
    [copy] = re.findall(r"`mpremote (cp \S+ :)`", START.text)
    board = start_board()
    shell(f"{sys.executable} -m mpremote connect {board.port} {copy}", folder)
    assert board.eval(f"__import__('os').stat({copy.split()[1]!r})[6]") > 100


def test_try_prints_what_is_shown(packed, folder, demo):
    commands, shown = shown_after("host/tinyvlm-try")
    names = [Path(line.split(":")[0]).stem for line in shown.splitlines()]
    for photo in photos():
        if photo.name in names:
            photo.image().save(folder / "photos" / f"{photo.name}.jpg")
    check(shown, shell(commands[0], folder), "text")
    assert len(list((folder / "photos").glob("*.jpg.tinyvlm.png"))) == len(names)
    assert "--heatmap" in commands[0]
    shell(f"{commands[0].split('#')[0]} --heatmap", folder)


LINK = re.compile(r"\]\(([^)\s]+)\)")
LINKS = sorted({(name, to) for name, page in PAGES.items() for to in LINK.findall(page.text)})


def anchors(path):
    """What GitHub calls the headings of a page."""
    found = set()
    for heading in re.findall(r"^#+ (.*)", path.read_text(), re.M):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-1" if name in found else name)
    return found


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_links(page, target):
    if target.startswith("https://"):
        return
    path, _, anchor = target.partition("#")
    file = (TOP / page).parent / path if path else TOP / page
    assert file.exists()
    assert not anchor or anchor in anchors(file)


def test_every_page_is_linked():
    linked = {((TOP / page).parent / target.partition("#")[0]).resolve() for page, target in LINKS}
    assert {page.path.resolve() for page in PAGES.values()} - linked <= {README.path}


def test_readme_is_short():
    assert len(README.text.splitlines()) < 150


# They name files of earlier commits, of other projects, or as seen from host/tinyvlm.
ELSEWHERE = {"docs/training.md", "docs/models.md", "docs/design.md"}


@pytest.mark.parametrize("name", sorted(PAGES.keys() - ELSEWHERE))
def test_paths_in_the_pages(name):
    ours = r"(?<![\w/.])(?:host|device|native|boards|docs|tests|tools)/[\w./*-]*[\w*]"
    for path in re.findall(ours, LINK.sub("", PAGES[name].text)):
        assert any(TOP.glob(path)), path


def test_the_picture_is_the_demo_s(demo):
    """docs/img/demo.png is build/demo.png of this encoder, with fewer colours."""
    made, shown = TOP / "build" / "demo.png", TOP / "docs" / "img" / "demo.png"
    with Image.open(made) as new:
        if UPDATE:
            info = PngInfo()
            info.add_text("answers", new.info["answers"])
            small = new.resize((new.width * 3 // 4, new.height * 3 // 4), Image.Resampling.LANCZOS)
            small.quantize(128).save(shown, optimize=True, pnginfo=info)
        with Image.open(shown) as old:
            assert old.info["answers"] == new.info["answers"]
