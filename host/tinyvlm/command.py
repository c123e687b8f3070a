# SPDX-License-Identifier: MIT
"""How every command starts: what pyproject.toml and the scripts in host/ name.

A command's modules take up to seconds to import. They are imported in here, so that Ctrl-C ends
the command alike then and later: one line, and 130, the shell's status for it. A command that has
more to say about it raises another KeyboardInterrupt with that. --version is the same for all.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from . import __version__


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


def start(name: str, module: str) -> int:
    """main() of a module of this package, with the command line. Returns the exit status."""
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
