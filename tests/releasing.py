# SPDX-License-Identifier: MIT
"""For the tests of --from: a release of little files, made by tools/release.py's own writer."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path

import release
from release import Made

import tinyvlm

VERSION = tinyvlm.__version__


def make_release(folder: Path, *made: Made, version: str = VERSION) -> Path:
    """A release's folder with these files."""
    release.write(folder, version, "1.25.0", list(made), {})
    return folder


def encoder(name: str, data: bytes, arena: int = 1000, **more) -> Made:
    more |= {"fingerprint": data[16:24].hex(), "arena": arena}
    return Made(f"{name}.tvlm", "encoder", name.partition("-")[0], data, more=more)


def firmware(board: str, data: bytes, suffix: str, chip: str, machine: str = "") -> Made:
    name = f"tinyvlm-{VERSION}-{board}{suffix}"
    return Made(name, "firmware", board, data, more={"chip": chip, "machine": machine or board})


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder: Path):
    """The address of a web server with the folder, on this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
