# SPDX-License-Identifier: MIT
"""The page's unit tests (web/*/*.test.ts), its types, and its engine against the PC's."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinyvlm.shipped import ENCODERS

TOP = Path(__file__).resolve().parents[1]


def npm(*arguments, limit=600):
    done = subprocess.run(
        ["npm", "--prefix", "web", *arguments],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=limit,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def test_types(web):
    npm("run", "check")


def test_units(web):
    golden = [sys.executable, TOP / "tests" / "web_golden.py", TOP / "build" / "web" / "golden"]
    subprocess.run(golden, check=True, timeout=600)
    said = npm("test")
    builds = 2  # with SIMD and without
    assert len(re.findall(r": 0 of \d{6} values differ", said)) == builds * len(ENCODERS), said


def test_the_lock_file_names_no_host(web):
    assert "resolved" not in (web / "package-lock.json").read_text()


def test_the_engine_is_one_small_file(web):
    for name in ("tinyvlm", "tinyvlm-simd"):
        wasm = (TOP / "build" / "web" / "engine" / f"{name}.wasm").read_bytes()
        assert wasm.startswith(b"\0asm")
        assert len(wasm) < 100_000
    assert len(list((web / "engine").glob("*.c"))) == 2


@pytest.mark.parametrize(
    "part, missing, packages",
    [
        ("web", "npm", "nodejs npm"),
        ("web", "clang", "clang"),
        ("web", "wasm-ld", "lld"),
        ("browser", "chromium", "chromium"),
    ],
)
def test_packages_names_what_the_page_needs(tmp_path, part, missing, packages):
    for name in {"npm", "clang", "wasm-ld", "chromium", "apt-get", "id"} - {missing}:
        (tmp_path / name).write_text("#!/bin/sh\necho 1000\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/bash", TOP / "boards" / "packages.sh", sys.executable, part],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"sudo apt-get install --no-install-recommends {packages}\n" in done.stderr
