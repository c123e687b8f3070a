# SPDX-License-Identifier: MIT
"""README.md: its commands print the lines that it shows, what it names is there.

Its figures are compared in test_readme_numbers.py; test_readme_commands.py runs the commands that
show nothing and sees to it that none is left out. `--update-readme` writes what is printed now.
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
from readme import (
    BLOCKS,
    DEMO,
    FENCES,
    PACKED,
    REPL,
    TEXT,
    TOP,
    check,
    check_piece,
    check_row,
    shell,
    shown_after,
)

from tinyvlm.virtual.photos import photos

PROMPT = ">>> "
ROMFS = "build/demo/rom.romfs"
NUMBERS = "No One Two Three Four Five Six Seven Eight Nine Ten".split()


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


def test_the_parser_finds_the_blocks():
    assert len(PACKED) >= 4
    assert len(re.findall(r"^>>> ", REPL, re.M)) >= 20
    assert {line for commands, _ in BLOCKS for line in commands} >= {"make demo", "make test"}
    _, deployed = shown_after("host/tinyvlm-deploy")
    _, tried = shown_after("host/tinyvlm-try")
    # every block is compared by a test below
    assert sorted(FENCES) == sorted([*(text for _, text in PACKED), DEMO, REPL, deployed, tried])


def test_pack_prints_what_is_shown(packed):
    for shown, printed in packed:
        check(shown, printed, "text")


def test_the_demo_prints_what_is_shown(demo):
    printed = demo[demo.index("$ host/tinyvlm-pack") :].rstrip("\n")
    check(DEMO, printed, "text")
    right, total = map(int, re.search(r"^(\d+) of (\d+) photos right", printed, re.M).groups())
    words = f"{NUMBERS[right]} of {NUMBERS[total].lower()} are right"
    check_piece(r"\w+ of \w+ are right", words)
    counts = [float(n) for n in re.findall(r"([\d.]+) M instructions$", printed, re.M)]
    assert len(counts) == total
    measured = f"{min(counts)} to {max(counts)} M instructions, measured"
    check_row("one frame of the demo to labels and scores", measured)


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
    [start] = [c for commands, _ in BLOCKS for c in commands if "tinyvlm-board" in c]
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
            [copy] = re.findall(r"`mpremote connect PORT (cp .*?)`", TEXT)
            assert "`mpremote connect PORT`" in TEXT
            shell(f"{sys.executable} -m {connect} {copy}", folder)
            commands = re.findall(r"^>>> (.*)", REPL, re.M)
            printed = typed_at_the_prompt(connect.split()[2], commands)
        finally:
            board.terminate()
    check(REPL, printed, "python")
    weights, arena = (
        int(re.search(rf"^{what} +(\d+) bytes", printed, re.M)[1]) for what in ("weights", "arena")
    )
    sizes = f"{weights:,} B ({weights / 1024:.0f} KB); {arena:,} B, measured"
    check_row("encoder `base`: file, used in place; arena in RAM", sizes)


def test_deploy_prints_what_is_shown(packed, folder, start_board):
    [command], shown = shown_after("host/tinyvlm-deploy")
    check(shown, shell(f"{command} --port {start_board().port}", folder), "text")


def test_a_new_vocabulary_is_copied(packed, folder, start_board):
    [copy] = re.findall(r"`mpremote (cp \S+ :)`", TEXT)
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


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_links(target):
    if target.startswith("https://"):
        return
    path, _, anchor = target.partition("#")
    text = (TOP / path).read_bytes() if path else TEXT.encode()
    if anchor:
        headings = re.findall(r"^#+ (.*)", text.decode(), re.M)
        assert anchor in [h.lower().replace(" ", "-") for h in headings]


def test_paths_in_the_commands_and_tables():
    for path in re.findall(r"\b(?:host|device|native|boards|docs|tests)/[\w./-]*", TEXT):
        assert (TOP / path.rstrip(".")).exists(), path
