# SPDX-License-Identifier: MIT
"""README.md as its tests see it: the commands in it, and the lines and figures that it shows.

    python -m pytest tests/test_readme*.py --update-readme     # write what is printed now

check() compares a piece of README with what a command printed. With --update-readme it puts
what was printed in the piece's place instead; a second run finds nothing to change.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
PATH = TOP / "README.md"
TEXT = PATH.read_text()
UPDATE = "--update-readme" in sys.argv

# What differs from one run to the next: the port, and the heap by what was typed before
VOLATILE = re.compile(r"/dev/pts/\d+|\d+ bytes free, \d+ in use")
# What another version of the compiler makes different, by this much
COMPILED = re.compile(
    r"[\d.]+(?= M instructions| to [\d.]+ M instructions| a MAC|, estimated \| `make bench`"
    r"| KB \| `make size`)"
)
TOLERANCE = 0.03


def blocks(text=TEXT):
    """(commands, printed text) of every indented block; the text is None without a fence below."""
    found, commands, fence = [], [], None
    for line in text.splitlines():
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
FENCES = re.findall(r"^```\w*\n(.*?)\n```$", TEXT, re.M | re.S)
[DEMO] = [text for text in FENCES if text.startswith("$ host/tinyvlm-pack")]
[REPL] = [text for text in FENCES if text.startswith(">>> ")]
PACKED = [(c, text) for c, text in BLOCKS if text and "host/tinyvlm-pack" in "".join(c)]


def shown_after(start):
    """(commands, printed text) of the block that begins with a command."""
    [block] = [block for block in BLOCKS if block[0][0].startswith(start) and block[1]]
    return block


def shell(command, folder):
    """Runs a command of README in a folder, by this Python and this checkout's scripts."""
    words = command.split(" #")[0].replace("host/", f"{sys.executable} {TOP / 'host'}/")
    done = subprocess.run(
        ["sh", "-c", words], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).rstrip("\n")


def make(*arguments):
    """What `make` would run, line by line, were all that it needs built."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    old = [f".venv/{name}.stamp" for name in ("packages", "engine", "train", "natmod")]
    old += ["build/board/firmware.elf", "build/micropython.path"]
    # Even a dry run starts the makefiles of others; with another name for `make` it does not.
    command = ["make", "--dry-run", "MAKE=echo make", *(f"--old-file={name}" for name in old)]
    done = subprocess.run(
        [*command, *arguments], cwd=TOP, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def same(shown, printed):
    """Whether a text is what was printed, but for what is volatile or the compiler's."""
    calm = [COMPILED.sub("~", VOLATILE.sub("~", text)) for text in (shown, printed)]
    figures = [[float(n) for n in COMPILED.findall(text)] for text in (shown, printed)]
    return calm[0] == calm[1] and figures[0] == pytest.approx(figures[1], rel=TOLERANCE)


def check(shown, printed, fence=""):
    """A piece of README is what was printed, or becomes it; fence: what opens its block."""
    if UPDATE and VOLATILE.sub("~", shown) != VOLATILE.sub("~", printed):
        kept = iter(VOLATILE.findall(shown))
        printed = VOLATILE.sub(lambda found: next(kept, found[0]), printed)
        if fence:  # all of it: a block may begin as another one does
            shown, printed = (f"```{fence}\n{text}\n```" for text in (shown, printed))
        text = PATH.read_text()
        assert text.count(shown) == 1, f"not once in README: {shown}"
        PATH.write_text(text.replace(shown, printed))
    elif not same(shown, printed):
        assert shown == printed  # shows the difference


def check_piece(pattern, printed):
    """The one place in README that matches a pattern is what was printed, or becomes it."""
    pieces = [match[0] for match in re.finditer(pattern, TEXT, re.M)]
    assert len(pieces) == 1, f"{len(pieces)} places in README match {pattern}"
    check(pieces[0], printed)


def check_row(title, value):
    """The second column of the table's row with a title; a row holds the command's name, too."""
    rest = re.search(rf"^\| {re.escape(title)} \| [^|]* (\| [^|]*\|)$", TEXT, re.M)
    assert rest, f"README has no row {title}"
    check_piece(rf"^\| {re.escape(title)} \|.*$", f"| {title} | {value} {rest[1]}")
