# SPDX-License-Identifier: MIT
"""README.md and docs/ as their tests see them: commands, and the lines and figures they show.

    python -m pytest tests/test_readme*.py --update-readme     # write what is printed now

The check functions compare a piece of a page with what a command printed. With --update-readme
they put what was printed in the piece's place instead; a second run finds nothing to change.
A piece is a fenced block below the command that prints it, a row of a table, or all that stands
between `<!-- begin: NAME -->` and `<!-- end: NAME -->`.
"""

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
UPDATE = "--update-readme" in sys.argv

# What differs from one run to the next: the port, the heap by what was typed before, and the time
VOLATILE = re.compile(r"/dev/pts/\d+|\d+ bytes free, \d+ in use| *\d+\.\d s$", re.M)
# What another version of the compiler makes different, by this much
COMPILED = re.compile(
    r"[\d.]+(?= M instructions| to [\d.]+ M instructions| a MAC|, estimated \| `make bench`"
    r"| KB \|| M ?[|,]| frames/s| %, estimated)"
)
TOLERANCE = 0.03


class Page:
    """One Markdown file. blocks: (commands, printed text or None) of every indented block."""

    def __init__(self, path: Path):
        self.path = path
        self.text = path.read_text()
        self.blocks = _blocks(self.text)
        self.fences = re.findall(r"^```\w*\n(.*?)\n```$", self.text, re.M | re.S)


def _blocks(text):
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


PATHS = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").glob("**/*.md"))]
PAGES = {str(path.relative_to(TOP)): Page(path) for path in PATHS}
README = PAGES["README.md"]
BLOCKS = [block for page in PAGES.values() for block in page.blocks]
PACKED = [(c, text) for c, text in BLOCKS if text and "host/tinyvlm-pack" in c[-1]]


def fence(start):
    """The one fenced block of all pages that begins so."""
    [text] = [f for page in PAGES.values() for f in page.fences if f.startswith(start)]
    return text


def shown_after(start):
    """(commands, printed text) of the block that begins with a command."""
    [block] = [block for block in BLOCKS if block[0][0].startswith(start) and block[1]]
    return block


def shell(command, folder):
    """Runs a command of a page in a folder, by this Python and this checkout's scripts."""
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
    figures = [COMPILED.findall(text) for text in (shown, printed)]
    return calm[0] == calm[1] and all(map(near, *figures))


def near(shown, printed):
    """Two figures; the last digit of a small one is worth more than TOLERANCE and may turn."""
    step = 10.0 ** -len(shown.partition(".")[2])
    most = max(TOLERANCE * abs(float(printed)), 1.01 * step)
    return abs(float(shown) - float(printed)) <= most


def check(shown, printed, opening=""):
    """A piece is what was printed, or becomes it wherever it stands.

    opening: what opens its fenced block; a block may begin as another one does.
    """
    if UPDATE and VOLATILE.sub("~", shown) != VOLATILE.sub("~", printed):
        kept = iter(VOLATILE.findall(shown))
        printed = VOLATILE.sub(lambda found: next(kept, found[0]), printed)
        if opening:
            shown, printed = (f"```{opening}\n{text}\n```" for text in (shown, printed))
        texts = {page.path: page.path.read_text() for page in PAGES.values()}
        # a block that stands in several pages was replaced in all of them the first time
        assert any(shown in text or printed in text for text in texts.values()), shown
        for path, text in texts.items():
            if shown in text:
                path.write_text(text.replace(shown, printed))
    elif not same(shown, printed):
        lines = difflib.ndiff(shown.splitlines(), printed.splitlines())
        pytest.fail("\n".join(line for line in lines if line[0] in "-+"), pytrace=False)


def check_row(title, value):
    """The second column of every row with a title, in all pages."""
    row = re.compile(rf"^\| {re.escape(title)} \| ([^|]*) \|", re.M)
    rows = [match for page in PAGES.values() for match in row.finditer(page.text)]
    assert rows, f"no page has a row {title}"
    for text in {match[0]: None for match in rows}:
        check(text, f"| {title} | {value} |")


def check_region(name, printed):
    """What stands between <!-- begin: NAME --> and <!-- end: NAME -->."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    [page] = [page for page in PAGES.values() if begin in page.text]
    shown = page.text[page.text.index(begin) : page.text.index(end) + len(end)]
    check(shown, f"{begin}\n{printed.strip()}\n{end}")


def markdown(rows):
    """A table, the first row its head."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def million(count, macs=None):
    """ "11.1 M", and how many that are for each multiply-accumulate."""
    return f"{count / 1e6:.1f} M" + (f", {count / macs:.2f} a MAC" if macs else "")
