# SPDX-License-Identifier: MIT
"""`mpremote mip install`: the device package alone, and with the engine as a native .mpy."""

import functools
import http.server
import json
import threading

import _tinyvlm
import pytest
import release_sets
from test_board_engine import romfs
from test_natmod import TOP, build, micropython  # noqa: F401 - fixtures

from tinyvlm.shipped import DATA

DEVICE = TOP / "device"


def test_the_package_lists_every_module():
    package = json.loads((DEVICE / "package.json").read_text())
    modules = sorted(f"tinyvlm/{path.name}" for path in (DEVICE / "tinyvlm").glob("*.py"))
    assert package["urls"] == [[name, name] for name in modules]


def test_the_package_from_its_folder(board):
    board.mpremote("mip", "install", DEVICE / "package.json", timeout=100)
    sizes = board.eval("{n: __import__('os').stat('/lib/tinyvlm/' + n)[6] for n in "
                       "__import__('os').listdir('/lib/tinyvlm')}")  # fmt: skip
    assert sizes == {path.name: path.stat().st_size for path in (DEVICE / "tinyvlm").glob("*.py")}


@pytest.fixture
def serve():
    """serve(folder) -> the URL of a web server on this machine."""
    servers = []

    def serve(folder):
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("how", ["index", "address", "folder"])
def test_a_release_s_index(board, serve, tmp_path, how):
    """By name from the index; by the address or the path of NAME.json."""
    for name, data in release_sets.mip_index("9.9.9", {"armv7emsp": b"engine"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    url, name = serve(tmp_path), "tinyvlm-armv7emsp"
    source = {
        "index": ["--index", url, name],
        "address": [f"{url}/{name}.json"],
        "folder": [tmp_path / f"{name}.json"],
    }
    board.mpremote("mip", "install", *source[how], timeout=100)
    assert board.eval("open('/lib/_tinyvlm.mpy', 'rb').read()") == b"engine"
    there = board.eval("sorted(__import__('os').listdir('/lib/tinyvlm'))")
    assert there == sorted(path.name for path in (DEVICE / "tinyvlm").glob("*.py"))


@pytest.mark.parametrize("how", ["folder", "http"])
def test_engine_and_package(start_board, build, serve, tmp_path, how):  # noqa: F811
    """What a board with somebody else's firmware runs then: both from /lib."""
    data = (DATA / "base.tvlm").read_bytes()
    folder = build("armv7emdp")
    board = start_board(romfs=romfs(tmp_path, {"base.tvlm": data}))
    source = folder / "package.json" if how == "folder" else f"{serve(folder)}/package.json"
    board.mpremote("mip", "install", source, timeout=100)
    # This board has both in its firmware, where they are found first: a new name, another path.
    board.exec("""
import os, sys
os.rename("/lib/_tinyvlm.mpy", "/lib/natmod.mpy")
sys.path[:] = ["/lib"]
sys.modules["_tinyvlm"] = __import__("natmod")
import tinyvlm
from tinyvlm import encoder
e = encoder.Encoder("/rom/base.tvlm")
""")
    assert board.eval("tinyvlm.__file__") == "/lib/tinyvlm/__init__.py"
    assert board.eval("encoder._tinyvlm.__file__") == "/lib/natmod.mpy"
    assert board.eval("e.in_place") is True
    board.exec("f = tinyvlm.Frame(bytes(range(256)) * 36, 96, 96, tinyvlm.GRAY8)")
    want = bytearray(256)
    engine = _tinyvlm.Encoder(data)
    engine.embed(bytes(range(256)) * 36, 96, 96, _tinyvlm.GRAY8, 0, want)
    got = board.eval("bytes(e.embed(f))")
    bad = sum(a != b for a, b in zip(got, want, strict=True))
    print(f"\ninstalled from {how}: {bad} of {len(want)} differ")
    assert bad == 0
