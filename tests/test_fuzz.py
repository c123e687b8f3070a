# SPDX-License-Identifier: MIT
"""The corpora of `make fuzz`, replayed: seeds, and what was found once."""

import shutil
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "fuzz"))
from fuzz_python import TARGETS  # noqa: E402

FLAGS = (
    "-std=c11 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
).split()


def corpus(target):
    found = sorted((HERE / "corpus" / target).iterdir())
    assert found
    return found


def test_every_corpus_has_a_target():
    targets = {path.stem.removeprefix("fuzz_") for path in (HERE / "fuzz").glob("fuzz_*.c")}
    assert {path.name for path in (HERE / "corpus").iterdir()} == {*targets, *TARGETS}


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("target", fuzz.C)
def test_in_c(tmp_path, target):
    files, program = corpus(target), tmp_path / target
    sources = [*fuzz.sources_of(target), HERE / "fuzz" / "replay.c"]
    subprocess.run(["gcc", *FLAGS, *fuzz.INCLUDES, *sources, "-lm", "-o", program], check=True)
    done = subprocess.run([program, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{len(files)} inputs, nothing found\n"


CLANG = """#!/bin/sh
case "$*" in *-dumpversion*) echo 14.0.6; exit;; esac
echo "ld: cannot find libclang_rt.fuzzer-x86_64.a: No such file or directory" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("clang", "missing"),
    [
        (None, "clang is not installed (Debian: clang libclang-rt-14-dev)"),
        (CLANG, "clang lacks libFuzzer or its sanitizers (Debian: libclang-rt-14-dev)"),
    ],
    ids=["nothing", "clang alone"],
)
def test_what_is_not_installed_is_said_in_a_sentence(
    tmp_path, monkeypatch, capsys, clang, missing
):
    if clang:
        (tmp_path / "clang").write_text(clang)
        (tmp_path / "clang").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fuzz, "OUT", tmp_path / "out")
    assert fuzz.main(["model", "--seconds", "1"]) == 2
    assert capsys.readouterr().err == f"fuzz: {missing}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", TARGETS)
def test_in_python(target):
    for path in corpus(target):
        TARGETS[target](path.read_bytes())
