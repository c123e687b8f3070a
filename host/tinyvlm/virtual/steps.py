# SPDX-License-Identifier: MIT
"""One line a step, with the time it took; what the step prints goes into a log.

    python3 host/tinyvlm/virtual/steps.py build/demo.log make board

A step that fails shows what it printed. This file needs nothing but Python: `make demo` runs it
before anything is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

COLUMNS = 70  # where the time stands, unless the command is longer


def run(command: list[str], log: Path, typed: str = "") -> list[str]:
    """Run a command, append what it prints to the log; returns those lines.

    typed: the command as a user would type it. CalledProcessError if it fails.
    """
    typed = typed or " ".join(command)
    print(f"{f'$ {typed}':{COLUMNS}}", end="", flush=True)
    began, lines = time.monotonic(), []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {typed}\n")
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout:
                file.write(line)
                file.flush()
                lines.append(line)
    print(f"{time.monotonic() - began:7.1f} s", flush=True)
    if process.returncode:
        print("".join(lines), end="", file=sys.stderr, flush=True)
        raise subprocess.CalledProcessError(process.returncode, typed)
    return lines


def main(argv: list[str]) -> int:
    """Run one step. Returns its exit status."""
    log, *command = argv
    try:
        run(command, Path(log))
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd}: failed; that was also written to {log}", file=sys.stderr)
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
