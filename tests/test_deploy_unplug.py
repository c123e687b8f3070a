# SPDX-License-Identifier: MIT
"""The plug is pulled in the middle of tinyvlm-deploy: one clear sentence, and after power is back
the old vocabulary works, or the new one does. QEMU is killed; flash is a file and stays."""

import shutil
import subprocess
import sys
import time

import pytest
from conftest import TOP, BoardUnderTest
from deploying import make_vocab, run
from mpremote.transport_serial import SerialTransport

from tinyvlm.shipped import DEFAULT_MODEL

OLD, NEW = ["cat", "dog"], [f"thing {n}" for n in range(60)]  # NEW: 5 KB, several pieces

USE = (
    "import tinyvlm\n"
    "v = tinyvlm.Vocab('pets.tvp')\n"
    "found = tinyvlm.classify(bytes(96 * 96 * 3), v)\n"
    "print(repr((v.labels, len(found), found[0][0] in v.labels)))"
)


@pytest.fixture(scope="module")
def ready(firmware, tmp_path_factory):
    """A flash file of a board that has its encoder and the old vocabulary."""
    folder = tmp_path_factory.mktemp("ready")
    board = BoardUnderTest(firmware, flash=folder / "flash")
    try:
        vocab = make_vocab(folder / "pets.tvp", OLD)
        assert run(vocab, "--port", board.port)[0] == 0
    finally:
        board.close()
    return folder / "flash"


@pytest.fixture
def powered(ready, start_board, tmp_path):
    """A function that powers the board; its flash is what the last one left."""
    shutil.copy(ready, tmp_path / "flash")
    return lambda: start_board(flash=tmp_path / "flash")


def after_reboot(powered):
    """The labels in use after power is back. The board must classify with them."""
    board = powered()
    words, count, known = eval(board.exec(USE))
    assert count == min(3, len(words)) and known
    names = board.eval("sorted(__import__('os').listdir())")
    board.disconnect()
    return words, names, board


def pull_when(monkeypatch, board, text, delay=None, count=1):
    """Kill QEMU before (or `delay` seconds after) it gets the code that contains `text`."""
    send = SerialTransport.exec_raw_no_follow
    seen = []

    def pulled(self, code):
        code = code.decode() if isinstance(code, bytes) else code
        if text in code:
            seen.append(code)
        if text in code and len(seen) == count:
            if delay is not None:
                send(self, code)
                time.sleep(delay)
            board.kill()
            if delay is not None:
                return
        return send(self, code)

    monkeypatch.setattr(SerialTransport, "exec_raw_no_follow", pulled)
    return seen


def deploy_and_pull(monkeypatch, powered, tmp_path, *where):
    board = powered()
    vocab = make_vocab(tmp_path / "pets.tvp", NEW)
    with monkeypatch.context() as patch:
        seen = pull_when(patch, board, *where)
        status, _, err = run(vocab, "--port", board.port)
    assert seen and status == 2, err
    assert "unplugged?" in err and "run the same command again" in err
    print(err, end="")
    return err


# What is pulled, how often it may be sent before, what the sentence says.
@pytest.mark.parametrize(
    "text, count",
    [
        ("sys.implementation", 1),
        ("sums([", 1),
        ("f=open('pets.tvp.new'", 1),
        ("w(b", 1),
        ("w(b", 3),
        ("f.close()", 1),
        ("sums(['pets.tvp.new'])", 1),
        ("switch(", 1),
    ],
)
def test_pulled_before_the_rename(monkeypatch, powered, tmp_path, text, count):
    err = deploy_and_pull(monkeypatch, powered, tmp_path, text, None, count)
    assert ("nothing was" in err) == (text != "switch(")
    words, _, board = after_reboot(powered)
    assert words == OLD
    # The same command again, as the sentence says: all well, and nothing is left over.
    assert run(tmp_path / "pets.tvp", "--port", board.port)[0] == 0
    board.close()
    words, names, _ = after_reboot(powered)
    assert words == NEW and names == ["pets.tvp", "rom"]


@pytest.mark.parametrize("delay", [0, 0.001, 0.003, 0.01])
def test_pulled_at_the_rename(monkeypatch, powered, tmp_path, delay):
    err = deploy_and_pull(monkeypatch, powered, tmp_path, "switch(", delay)
    assert "each file on it is the old or the new one, complete" in err
    assert after_reboot(powered)[0] in (OLD, NEW)


def test_pulled_after_the_rename(monkeypatch, powered, tmp_path):
    err = deploy_and_pull(monkeypatch, powered, tmp_path, "tinyvlm.load()")
    assert "everything is in place, only the self-test is missing" in err
    assert after_reboot(powered)[0] == NEW


def test_pulled_while_romfs_is_written(monkeypatch, powered, tmp_path):
    """ROMFS is written in place, its first bytes last: half of it is no encoder, and none is
    found, until the next deploy brings it back."""
    board = powered()
    other = tmp_path / "other.tvlm"  # the same encoder but for a byte behind its end
    other.write_bytes(DEFAULT_MODEL.read_bytes() + b"\0")
    with monkeypatch.context() as patch:
        pull_when(patch, board, "repr(write(", None, 20)
        status, _, err = run("--encoder", other, "--port", board.port)
    assert status == 2 and "its ROMFS is empty until all of it is written" in err
    board = powered()
    assert board.exec("print(__import__('tinyvlm').Vocab('pets.tvp').labels)") == str(OLD)
    _, error = board.transport.exec_raw("__import__('tinyvlm').load()")
    assert b"no encoder (*.tvlm) on this board" in error
    board.disconnect()
    status, out, _ = run("--port", board.port, "--dry-run")
    assert "base.tvlm" in out and "incomplete" not in out
    assert run("--encoder", other, "--port", board.port)[0] == 0
    board.close()
    assert after_reboot(powered)[0] == OLD


@pytest.mark.parametrize("backend", ["mpremote", "ampy"])
def test_command_is_cut_off(powered, tmp_path, backend):
    """The command in its own process, the plug pulled by the clock."""
    board = powered()
    new = [f"thing {n}" for n in range(600)]  # long enough to be in the middle of it
    vocab = make_vocab(tmp_path / "pets.tvp", new)
    command = [sys.executable, "-u", TOP / "host" / "tinyvlm-deploy", vocab]
    process = subprocess.Popen(
        [*command, "--port", board.port, "--backend", backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "vocabulary" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    time.sleep(0.03)
    board.kill()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2 and err.count("\n") == 1 and "unplugged?" in err, err
    assert after_reboot(powered)[0] in (OLD, new)
