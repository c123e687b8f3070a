# SPDX-License-Identifier: MIT
"""The C code alone, under the address and undefined-behaviour sanitizers (tests/c)."""

import shutil
import subprocess
from pathlib import Path

import pytest
from nets import random_graph, small_graph

from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan

ROOT = Path(__file__).resolve().parents[1]
FLAGS = (
    "-std=c99 -O1 -g -Wall -Wextra -Werror -Wconversion -Wdouble-promotion "
    "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split()

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build("test_model", "-DX") -> path of the program."""
    folder = tmp_path_factory.mktemp("c")

    def build(name, *flags):
        program = folder / "-".join([name, *(f.strip("-") for f in flags)])
        if not program.exists():
            sources = [ROOT / "tests" / "c" / f"{name}.c", *(ROOT / "native").glob("tv_*.c")]
            command = ["gcc", *FLAGS, *flags, "-I", ROOT / "native", *sources, "-lm"]
            subprocess.run([*command, "-o", program], check=True)
        return program

    return build


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    print(done.stdout, done.stderr[-3000:])
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", params=["streamed", "whole"])
def small(request, tmp_path_factory):
    graph = small_graph()
    path = tmp_path_factory.mktemp("small") / f"{request.param}.tvlm"
    tvlm.write(graph, path, plan(graph, budget=1 if request.param == "streamed" else 1 << 30))
    return path


def test_requantize_is_gemmlowps(build):
    assert "0 of 5000000 differ" in run(build("test_math"))


def test_frames_stay_in_their_buffers(build):
    run(build("test_frame"), 2000)


@pytest.mark.parametrize("flags", [(), ("-O3",)], ids=["O1", "O3"])
def test_known_answer_at_any_address(build, small, tmp_path, flags):
    program = build("test_model", *flags)
    run(program, "answer", small)
    for seed in range(20):
        path = tmp_path / "random.tvlm"
        tvlm.write(random_graph(seed), path)
        run(program, "answer", path)


def test_damaged_files_are_refused(build, small):
    run(build("test_model"), "damage", small)


def test_calls_that_a_file_has_no_answer_to(build):
    run(build("test_model"), "calls", ROOT / "tests" / "corpus" / "model" / "tiny-conv.tvlm")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_files_do_no_harm(build, small, seed):
    run(build("test_model"), "fuzz", small, 20000, seed)
