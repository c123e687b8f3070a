# SPDX-License-Identifier: MIT
"""Ctrl-C ends every command alike, from its first moment on: one line, and the shell's status.
So does a reader that goes: without a word."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import tinyvlm
from tinyvlm import command, deploy, flash, packit, tryit

TOP = Path(__file__).resolve().parents[1]
ENTRIES = re.findall(
    r'(?m)^(tinyvlm-[\w-]+) = "([\w.]+):(\w+)"$', (TOP / "pyproject.toml").read_text("utf-8")
)
VENV = TOP / ".venv" / "bin" / "python"
LAUNCHERS = sorted(path.name for path in (TOP / "host").glob("tinyvlm-*"))


@pytest.fixture
def pressed(tmp_path, monkeypatch):
    """As if Ctrl-C was pressed while a command imports what it needs: all need argparse."""
    for name in ("argparse", "numpy", "torch", "mpremote", "esptool"):
        (tmp_path / f"{name}.py").write_text("raise KeyboardInterrupt")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def ended(name, *arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{name}: interrupted\n")


@pytest.mark.parametrize("name, module, function", ENTRIES, ids=[name for name, *_ in ENTRIES])
def test_while_an_installed_command_starts(pressed, name, module, function):
    """The code is what pip writes into its scripts."""
    ended(name, "-c", f"import sys; from {module} import {function}; sys.exit({function}())")


def without_reader(function, *arguments):
    """Run a command whose output nobody reads any more, as after `head`: (status, complaints)."""
    read, write = os.pipe()
    os.close(read)
    code = f"import sys; from tinyvlm.command import {function}; sys.exit({function}())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    return done.returncode, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE there")
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("function", [function for *_, function in ENTRIES])
def test_a_reader_that_goes_at_the_end(function, option):
    assert without_reader(function, option) == (141, "")


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE there")
def test_a_reader_that_goes_at_once(tmp_path):
    """More than fits into a buffer: the pipe is found broken while the command works. What it
    writes into files is there."""
    assert without_reader("inspect", *["base", "nano"] * 8) == (141, "")
    words = tmp_path / "v.txt"
    words.write_text("cat\ndog\n")
    assert without_reader("pack", words) == (141, "")
    assert len(tinyvlm.Vocab(tmp_path / "v.tvp")) == 2


@pytest.mark.skipif(not VENV.exists(), reason="no .venv: run `make setup`")
@pytest.mark.parametrize("name", LAUNCHERS)
def test_while_a_command_of_a_checkout_starts(pressed, name):
    ended(name, TOP / "host" / name)


@pytest.mark.parametrize("name", ["try", "tune", "studio", "deploy", "pack"])
def test_a_setup_that_was_cut_short(name, tmp_path):
    """A .venv without packages: the line that makes it whole, no traceback."""
    venv.create(tmp_path / ".venv")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "tinyvlm").symlink_to(TOP / "host" / "tinyvlm")
    shutil.copy(TOP / "host" / f"tinyvlm-{name}", tmp_path / "host" / "start")
    command = [tmp_path / ".venv" / "bin" / "python", tmp_path / "host" / "start", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"tinyvlm-{name}: needs ") and "`make setup`" in done.stderr


@pytest.mark.parametrize("name", [entry[2] for entry in ENTRIES])
def test_the_version(name, monkeypatch, capsys):
    """Of the package: reports of what is wrong need it."""
    monkeypatch.setattr(sys, "argv", [f"tinyvlm-{name}", "--version"])
    assert getattr(command, name)() == 0
    assert capsys.readouterr().out == f"tinyvlm {tinyvlm.__version__}\n"


def interrupt(*_, **__):
    raise KeyboardInterrupt


def later(monkeypatch, capsys, name, *arguments):
    """What a command says when Ctrl-C comes while it works."""
    monkeypatch.setattr(sys, "argv", [f"tinyvlm-{name}", *map(str, arguments)])
    assert getattr(command, {"try": "tryit"}.get(name, name))() == 130
    return capsys.readouterr().err


def test_later_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "v.txt").write_text("cat\n")
    assert packit.main([str(tmp_path / "v.txt"), "--quiet"]) == 0
    monkeypatch.setattr(packit, "prepare", interrupt)
    said = later(monkeypatch, capsys, "pack", tmp_path / "v.txt")
    assert said == "tinyvlm-pack: interrupted\n"
    monkeypatch.setattr(tryit, "_pictures", interrupt)
    said = later(monkeypatch, capsys, "try", "--vocab", tmp_path / "v.tvp", tmp_path)
    assert said == "tinyvlm-try: interrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.tvp", "v.txt"]


def test_what_the_board_is_left_with_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flash, "flash", interrupt)
    said = later(monkeypatch, capsys, "flash", "x.bin")
    assert said == "tinyvlm-flash: interrupted; flash it again before you use it\n"
    monkeypatch.setattr(deploy, "open_target", interrupt)
    said = later(monkeypatch, capsys, "deploy")
    assert said == "tinyvlm-deploy: interrupted; nothing was changed\n"
