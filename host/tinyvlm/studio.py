# SPDX-License-Identifier: MIT
"""tinyvlm-studio: the page on which words are tried out and put onto a board, in your browser.

    tinyvlm-studio               # serves the page to this PC alone, until Ctrl-C

The page is one file that works from disk as well; from here, a browser remembers that it may use
the camera, and the page fetches lexicon.bin: all words. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import http.server
import sys
import threading
import webbrowser
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .files import explain
from .release import Release
from .shipped import CHECKOUT, DATA
from .words import tvlx
from .words.lexicon import Lexicon

NAME = "tinyvlm.html"
PORT = 8765


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        server = serve(find(args.page, args.release), args.port)
    except (OSError, ValueError) as error:
        print(f"tinyvlm-studio: {explain(error)}", file=sys.stderr)
        return 2
    address = f"http://localhost:{server.server_port}/"
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    if not args.no_browser and not webbrowser.open(address):
        print("no browser was found here; open the address in one", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def find(page: Path | None = None, release: str | None = None) -> Path:
    """The page: the one given, that of a release, the wheel's, this checkout's, or one right here.

    ValueError if there is none.
    """
    if page:
        if not page.is_file():
            raise ValueError(f"{page}: no such file; make web builds build/web/{NAME}")
        if not page.read_bytes().lstrip().startswith(b"<"):
            raise ValueError(f"{page}: not the page; make web builds build/web/{NAME}")
        return page
    if release:
        found = Release(release)
        return found.path(found.one("page"))
    places = (CHECKOUT / "build" / "web" / NAME, DATA / NAME, Path(NAME))
    for place in places:
        if place.is_file():
            return place
    if (CHECKOUT / "web").is_dir():
        raise ValueError(f"the page is not built; make web builds build/web/{NAME}")
    raise ValueError(
        f"this package came without the page; give a release's {NAME} with --page FILE"
    )


def lexicon(page: Path) -> bytes:
    """All words, for the page: the file beside it, or else this package's (a few seconds)."""
    beside = page.with_name(tvlx.FILE)
    if beside.is_file():
        return beside.read_bytes()
    return tvlx.whole(Lexicon.load(DATA / "lexicon.npz"))


def serve(page: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server for page and lexicon alone, on this PC's own address; 0: any free port."""
    html = page.read_bytes()
    words = _once(lambda: lexicon(page))
    text, binary = "text/html; charset=utf-8", "application/octet-stream"
    known: dict[str, tuple[str, Callable[[], bytes]]] = {
        "/": (text, lambda: html),
        f"/{NAME}": (text, lambda: html),
        f"/{tvlx.FILE}": (binary, words),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Another host's name that leads here would be another web page's doing.
            host = self.headers.get("Host", "").rpartition(":")[0]
            kind, made = known.get(self.path.partition("?")[0], ("", None))
            if made is None or host not in ("localhost", "127.0.0.1"):
                self.send_error(404)
                return
            data = made()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the page was closed meanwhile
                self.wfile.write(data)

        def log_message(self, *arguments) -> None:
            pass

    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OverflowError:
        raise ValueError(f"port {port}: there are 1 to 65535, and 0 for a free one") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ValueError(f"port {port} is in use; take another one with --port") from None


def _once(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """What `make` makes, made when it is first asked for, and once, whoever asks."""
    lock, kept = threading.Lock(), cache(make)

    def get() -> bytes:
        with lock:
            return kept()

    return get


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-studio",
        description="Serve the page to this PC and open it in the browser: words, camera, board.",
    )
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help=f"default: {NAME} of this package, or right here"
    )
    parser.add_argument("--from", dest="release", metavar="DIR|URL", help="that of a release")
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    return parser


if __name__ == "__main__":
    sys.exit(main())
