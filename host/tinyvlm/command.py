# SPDX-License-Identifier: MIT
"""How every command starts: what pyproject.toml and the scripts in host/ name.

A command's modules take up to seconds to import. They are imported in here, so that Ctrl-C ends
the command alike then and later: one line, and 130, the shell's status for it. A command that has
more to say about it raises another KeyboardInterrupt with that. --version is the same for all.
A reader that goes, as `head` does, ends a command without a word: 141, as the shell has it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from . import __version__

READER_GONE = 141  # 128 + SIGPIPE


def use_venv(script: str, *modules: str, always: bool = False) -> bool:
    """Is this Python one for a script in host/? Else goes on in that of .venv, if there is one.

    modules: what the script needs. always: no other Python than .venv's will do, as one that has
    the engine has that of another checkout.
    """
    python = Path(script).resolve().parent.parent / ".venv" / "bin" / "python"
    inside = Path(sys.prefix) == python.parent.parent
    good = (inside or not always) and all(map(find_spec, modules))
    if not good and not inside and python.exists():
        os.execv(python, [str(python), *sys.argv])
    return good


class Output:
    """Standard output that ends the command when its reader is gone.

    Commands report an OSError, which a broken pipe is, too: they must not see this one. SIGPIPE's
    default would do the same, but to sockets as well.
    """

    def __init__(self, file: TextIO):
        self.file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def write(self, text: str) -> int:
        try:
            return self.file.write(text)
        except BrokenPipeError:
            raise self.ended() from None

    def flush(self) -> None:
        try:
            self.file.flush()
        except BrokenPipeError:
            raise self.ended() from None

    def ended(self) -> SystemExit:
        # What is still in the buffer goes nowhere; else Python complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        return SystemExit(READER_GONE)


@contextmanager
def reader() -> Iterator[None]:
    """Standard output is an Output in here, and empty at the end."""
    before = sys.stdout
    if before is None:  # closed from the beginning: print() says nothing
        yield
        return
    sys.stdout = output = Output(before)
    try:
        yield
    finally:
        sys.stdout = before
        output.flush()


def start(name: str, module: str) -> int:
    """main() of a module of this package, with the command line. Returns the exit status."""
    with reader():
        if sys.argv[1:] == ["--version"]:
            print(f"tinyvlm {__version__}")
            return 0
        try:
            return import_module(f"{__package__}.{module}").main()
        except KeyboardInterrupt as pressed:
            advice = "".join(f"; {text}" for text in pressed.args)
            print(f"{name}: interrupted{advice}", file=sys.stderr)
            return 130


bench = partial(start, "tinyvlm-bench", "bench")
board = partial(start, "tinyvlm-board", "virtual.board")
deploy = partial(start, "tinyvlm-deploy", "deploy")
eval = partial(start, "tinyvlm-eval", "eval")
export = partial(start, "tinyvlm-export", "export")
flash = partial(start, "tinyvlm-flash", "flash")
inspect = partial(start, "tinyvlm-inspect", "inspect")
pack = partial(start, "tinyvlm-pack", "packit")
studio = partial(start, "tinyvlm-studio", "studio")
train = partial(start, "tinyvlm-train", "train.main")
tryit = partial(start, "tinyvlm-try", "tryit")
tune = partial(start, "tinyvlm-tune", "tune")
