# SPDX-License-Identifier: MIT
"""Which lines a Cortex-M7's caches fill (boards/VIRT_CORTEX_M7/cache.h), on short traces."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvlm.virtual.cycles import Fills, read_counts

TOP = Path(__file__).resolve().parents[1]
WAY2, WAY4 = 16384 // 2, 16384 // 4  # addresses that far apart share a set

if not shutil.which("cc"):
    pytest.skip("needs a C compiler", allow_module_level=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "cache"
    source, header = TOP / "tests" / "c" / "cache.c", TOP / "boards" / "VIRT_CORTEX_M7"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"]
    subprocess.run(["cc", *flags, "-I", header, source, "-o", path], check=True)
    return path


def filled(program, ways, addresses):
    command = [program, str(ways), *map(str, addresses)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "ways, addresses, want",
    [
        pytest.param(4, [0, 31, 32, 0], "1010", id="a line is 32 bytes"),
        pytest.param(4, [0, *(i * WAY4 for i in range(1, 4)), 0], "11110", id="four of a set"),
        pytest.param(4, [*(i * WAY4 for i in range(5)), 0], "111111", id="the fifth is too many"),
        pytest.param(
            4, [0, WAY4, 2 * WAY4, 3 * WAY4, 0, 4 * WAY4, 0, WAY4], "11110101", id="oldest"
        ),
        pytest.param(2, [0, WAY2, 0, WAY2], "1100", id="two of a set of instructions"),
        pytest.param(2, [0, WAY2, 2 * WAY2, 0], "1111", id="the third is too many"),
        pytest.param(2, [0, WAY2 + 32, 2 * WAY2 + 64, 0], "1110", id="other sets do not matter"),
        pytest.param(4, range(0, 16384, 32), "1" * 512, id="all is new"),
    ],
)
def test_trace(program, ways, addresses, want):
    assert filled(program, ways, addresses) == want


@given(st.permutations(range(512)), st.sampled_from([2, 4]))
@settings(max_examples=20)
def test_what_fits_is_filled_once(program, order, ways):
    trace = [line * 32 for line in order]
    assert filled(program, ways, trace + trace[::-1]) == "1" * 512 + "0" * 512


def test_fills_are_read(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("fills 1 2 3 4\n100 5\npart 20000000\nfills 10 20 30 40\n100 1\nmark\n")
    (counts,) = read_counts(path)
    assert counts.every == {0x100: 6} and counts.parts == {0x20000000: {0x100: 1}}
    assert counts.fills == {None: Fills(1, 2, 3, 4), 0x20000000: Fills(10, 20, 30, 40)}
    assert counts.filled == Fills(11, 22, 33, 44) and counts.filled.flash == 66
