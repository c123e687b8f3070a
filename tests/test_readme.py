# SPDX-License-Identifier: MIT
"""README.md: its commands print the lines that it shows, what it names is there.

`make demo` has a test of its own (test_demo.py), `make test` runs this one.
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

from tinyvlm.demo import parse
from tinyvlm.photos import photos, save_ppm
from tinyvlm.text import DEFAULT_MODEL

TOP = Path(__file__).resolve().parents[1]
README = (TOP / "README.md").read_text()
PROMPT = ">>> "
REPL = re.search(r"```python\n(>>> .*?)\n```", README, re.S)[1]


def blocks():
    """(commands, printed text) of every indented block; the text is None without a fence below."""
    found, commands, fence = [], [], None
    for line in README.splitlines():
        if fence is not None:
            if line == "```":
                if commands:
                    found.append((commands, "\n".join(fence)))
                commands, fence = [], None
            else:
                fence.append(line)
        elif line.startswith("```"):
            fence = []
        elif line.startswith("    "):
            commands = [*commands, line[4:]]
        elif line and commands:  # prose or a heading: these commands print nothing that is shown
            found.append((commands, None))
            commands = []
    return found


BLOCKS = blocks()
PACKED = [block for block in BLOCKS if "host/tinyvlm-pack" in "".join(block[0]) and block[1]]


def shell(command, folder):
    """Runs a command of README in a folder, by this Python and this checkout's scripts."""
    words = command.split("#")[0].replace("host/", f"{sys.executable} {TOP / 'host'}/")
    done = subprocess.run(
        ["sh", "-c", words], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).rstrip("\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which every tinyvlm-pack of README has run: [(text shown, text printed)]."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "device").symlink_to(TOP / "device")
    (folder / "build" / "demo").mkdir(parents=True)
    (folder / "photos").mkdir()
    return folder


@pytest.fixture(scope="module")
def packed(folder):
    printed = []
    for commands, shown in PACKED:
        printed.append((shown, "\n".join(filter(None, (shell(c, folder) for c in commands)))))
    for commands, shown in BLOCKS:  # the lists for the prompt, nothing shown
        if shown is None:
            for command in commands:
                if command.startswith("host/tinyvlm-pack"):
                    shell(command, folder)
    return printed


def test_the_parser_finds_the_blocks():
    assert len(PACKED) >= 4
    assert len(re.findall(r"^>>> ", REPL, re.M)) >= 20
    assert {line for commands, _ in BLOCKS for line in commands} >= {"make demo", "make test"}


def test_pack_prints_what_is_shown(packed):
    for shown, printed in packed:
        assert printed == shown


def test_the_demo_block(folder):
    demo = re.search(r"```text\n(\$ host/tinyvlm-pack.*?)\n```", README, re.S)[1]
    command, packed = re.match(r"\$ (.*)\n((?:.+\n)+)", demo).groups()
    assert shell(command, folder) == packed.rstrip("\n")
    answers = parse(demo.splitlines())
    assert set(answers) == {photo.name for photo in photos()}
    assert all(len(found) == 3 for found in answers.values())
    wrong = [p for p in photos() if answers[p.name][0][0] != p.shows]
    missed = "".join(f"; {p.name} shows: {p.shows}" for p in wrong)
    assert f"\n{len(answers) - len(wrong)} of {len(answers)} photos right{missed}\n" in demo
    counts = [float(n) for n in re.findall(r"([\d.]+) M instructions$", demo, re.M)]
    assert f"{min(counts)} to {max(counts)} M instructions" in README


def typed_at_the_prompt(port, commands):
    """What a terminal shows: mpremote's prompt, the commands typed one after the other."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "mpremote", "connect", port]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as mpremote:
        os.close(slave)

        def answer():
            out, end = b"", time.monotonic() + 20
            while not out.endswith(PROMPT.encode()):
                assert time.monotonic() < end, f"no prompt after {out!r}"
                if select.select([master], [], [], 0.1)[0]:
                    out += os.read(master, 65536)
            return out.decode().replace("\r\n", "\n")

        try:
            while b"exit this shell" not in os.read(master, 65536):
                pass
            # It greets before it makes the terminal raw, which drops what was typed till then.
            end = time.monotonic() + 20
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


def test_the_prompt(packed, folder, start_board):
    rom = folder / "rom"
    (rom / "photos").mkdir(parents=True)
    (rom / DEFAULT_MODEL.name).write_bytes(DEFAULT_MODEL.read_bytes())
    for photo in photos():
        save_ppm(photo, rom / "photos" / f"{photo.name}.ppm")
    image = folder / "rom.romfs"
    command = [sys.executable, "-m", "mpremote", "romfs", "-o", str(image), "build", str(rom)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    board = start_board(romfs=image)
    board.mpremote("cp", folder / "things.tvp", folder / "pets.tvp", ":")

    def heap(text):  # which differs with what was typed before
        return re.sub(r"heap +\d+ bytes free, \d+ in use", "heap", text)

    commands = re.findall(r"^>>> (.*)", REPL, re.M)
    assert heap(typed_at_the_prompt(board.port, commands)) == heap(REPL)


def test_deploy_prints_what_is_shown(packed, folder, start_board):
    [(_, shown)] = [block for block in BLOCKS if block[0] == ["host/tinyvlm-deploy pets.tvp"]]
    port = start_board().port
    printed = shell(f"host/tinyvlm-deploy pets.tvp --port {port}", folder)
    assert printed.replace(port, "PORT") == re.sub(r"^/dev/pts/\d+", "PORT", shown)


def test_try_prints_what_is_shown(packed, folder):
    [(commands, shown)] = [b for b in BLOCKS if b[0][0].startswith("host/tinyvlm-try")]
    lines = shown.splitlines()
    names = [Path(line.split(":")[0]).stem for line in lines]
    for photo in photos():
        if photo.name in names:
            photo.image().save(folder / "photos" / f"{photo.name}.jpg")
    command = f"{sys.executable} -m tinyvlm.tryit" + commands[0].split("#")[0][16:]
    assert shell(command, folder).splitlines() == lines


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links(target):
    if target.startswith("https://"):
        return
    path, _, anchor = target.partition("#")
    text = (TOP / path).read_bytes() if path else README.encode()
    if anchor:
        headings = re.findall(r"^#+ (.*)", text.decode(), re.M)
        assert anchor in [h.lower().replace(" ", "-") for h in headings]


def test_targets_and_scripts():
    makefile = (TOP / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split())
    named = set(re.findall(r"(?:^    |`)make ([a-z0-9]+)", README, re.M))
    assert named >= {"demo", "test", "firmware", "natmod", "max78000"}
    assert named <= targets
    project = (TOP / "pyproject.toml").read_text()
    scripts = set(re.findall(r"^(tinyvlm-[a-z]+) =", project, re.M))
    named = set(re.findall(r"\btinyvlm-[a-z]+", README))
    named |= {"tinyvlm" + short for short in re.findall(r"`(-[a-z]+)`", README)}
    assert named <= scripts
    for path in re.findall(r"\bhost/tinyvlm-[a-z]+", README):
        assert os.access(TOP / path, os.X_OK)


def test_paths_in_the_commands_and_tables():
    for path in re.findall(r"\b(?:host|device|native|boards|docs|tests)/[\w./-]*", README):
        assert (TOP / path.rstrip(".")).exists(), path


def test_sizes_are_those_of_the_files():
    data = TOP / "host" / "tinyvlm" / "data"
    assert f"{(data / 'base.tvlm').stat().st_size:,} B" in README
    assert f"{(data / 'nano.tvlm').stat().st_size:,} B" in README


def test_accuracies_are_those_of_the_training_page():
    page = (TOP / "docs" / "training.md").read_text()
    page = page[page.index("base (base.tvlm") : page.index("nano (nano.tvlm")]
    for data in ("pacs-photo", "cifar10-test", "tiny-imagenet-unseen"):
        rows = page[page.index(f"| {data}") :].splitlines()
        int8 = next(row for row in rows if "top-1, int8" in row)
        cells = [cell.strip() for cell in int8.strip("|").split("|")][3:]
        assert f"{cells[0]} / {cells[2]} / {cells[4]} %" in README
