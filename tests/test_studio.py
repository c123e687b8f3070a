# SPDX-License-Identifier: MIT
"""tinyvlm-studio: the page to this PC's browser, nothing else, to nobody else."""

import threading
import urllib.error
import urllib.request

import pytest
from release import Made
from releasing import make_release

from tinyvlm import studio
from tinyvlm.shipped import DATA
from tinyvlm.words import tvlx
from tinyvlm.words.lexicon import Lexicon


@pytest.fixture
def served(tmp_path):
    """The address of a little page that tinyvlm-studio serves."""
    (tmp_path / "tinyvlm.html").write_text("<title>the page</title>")
    with studio.serve(tmp_path / "tinyvlm.html") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_studio_has_all_words_for_the_page(served, tmp_path):
    """Those of the package; of a release that it serves, the release's."""
    with urllib.request.urlopen(f"{served}/lexicon.bin") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        words = answer.read()
    assert words == tvlx.whole(Lexicon.load(DATA / "lexicon.npz"))
    (tmp_path / "lexicon.bin").write_bytes(b"TVLX of this release")
    assert studio.lexicon(tmp_path / "tinyvlm.html") == b"TVLX of this release"


def test_studio_serves_the_page_and_nothing_else(served):
    for path in ("/", "/tinyvlm.html"):
        with urllib.request.urlopen(served + path) as answer:
            assert answer.read() == b"<title>the page</title>"
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/etc/passwd", "/../pyproject.toml", "/index.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(served + path)


def test_studio_is_no_other_host_s(served):
    request = urllib.request.Request(f"{served}/", headers={"Host": "evil.example:80"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request)


def test_studio_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    assert studio.main(["--page", str(tmp_path / "none.html"), "--no-browser"]) == 2
    assert "no such file; make web builds" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("cat\n")
    assert studio.main(["--page", str(tmp_path / "words.txt"), "--no-browser"]) == 2
    assert "words.txt: not the page; make web builds" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(studio, "CHECKOUT", tmp_path)
    monkeypatch.setattr(studio, "DATA", tmp_path)
    assert studio.main(["--no-browser"]) == 2
    assert "give a release's tinyvlm.html with --page FILE" in capsys.readouterr().err
    (tmp_path / "web").mkdir()
    assert studio.main(["--no-browser"]) == 2
    assert "the page is not built; make web builds build/web/" in capsys.readouterr().err


def test_studio_in_a_release(tmp_path):
    make_release(tmp_path, Made("tinyvlm.html", "page", "browsers", b"<title>it</title>"))
    assert studio.find(release=str(tmp_path)) == tmp_path / "tinyvlm.html"


def test_studio_takes_no_port_that_is_in_use(served, tmp_path, capsys):
    port = served.rpartition(":")[2]
    page = tmp_path / "tinyvlm.html"
    assert studio.main(["--page", str(page), "--port", port, "--no-browser"]) == 2
    assert f"port {port} is in use; take another one with --port" in capsys.readouterr().err
    assert studio.main(["--page", str(page), "--port", "99999", "--no-browser"]) == 2
    assert "port 99999: there are 1 to 65535" in capsys.readouterr().err
