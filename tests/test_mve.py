# SPDX-License-Identifier: MIT
"""The kernels for Helium (Cortex-M55, M85) against the portable ones: equal bytes, whatever shape.

A program without MicroPython runs nets in QEMU's mps3-an547 (tests/c/helium). Its buffers end
where memory ends, so a kernel that reads behind them makes a fault; encoders lie at any address.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nets import random_graph
from test_dsp import (
    ADDS,
    CLAMPED,
    CONVS,
    DEPTHWISES,
    EXPANDED,
    SHUFFLED,
    add,
    clamped,
    conv,
    depthwise,
    expanded,
    little_scratch,
    shuffled,
)

from tinyvlm.net import tvlm
from tinyvlm.net.plan import plan

TOP = Path(__file__).resolve().parents[1]
PROGRAMS = TOP / "tests" / "c" / "helium"
CORE = ["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"]
FLAGS = [
    *"-std=c99 -O2 -Wall -Wextra -Werror".split(),
    *"-nostartfiles --specs=nano.specs --specs=nosys.specs".split(),
    *("-I", TOP / "native", "-I", TOP / "boards" / "VIRT_CORTEX_M7"),
    *("-T", PROGRAMS / "mps3_an547.ld"),
]
QEMU = ["qemu-system-arm", "-M", "mps3-an547", "-display", "none", "-monitor", "none"]
QEMU += ["-serial", "null", "-semihosting-config", "enable=on,target=native"]


def lacks() -> str | None:
    """What there is not, of compiler and QEMU."""
    if not shutil.which("arm-none-eabi-gcc") or not shutil.which("qemu-system-arm"):
        return "needs arm-none-eabi-gcc and qemu-system-arm"
    command = ["arm-none-eabi-gcc", *CORE, "-x", "c", "-E", "-"]
    source = "#include <arm_mve.h>\n#include <stdio.h>\n"
    if subprocess.run(command, input=source, text=True, capture_output=True).returncode:
        return "this arm-none-eabi-gcc has no Helium, or no C library for it"
    machines = subprocess.run(["qemu-system-arm", "-M", "help"], capture_output=True, text=True)
    return None if "mps3-an547" in machines.stdout else "this QEMU has no mps3-an547"


pytestmark = pytest.mark.skipif(lacks() is not None, reason=str(lacks()))


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """The program that compares."""
    elf = tmp_path_factory.mktemp("helium") / "compare.elf"
    sources = [PROGRAMS / "compare.c", *(TOP / "native").glob("tv_*.c")]
    subprocess.run(["arm-none-eabi-gcc", *CORE, *FLAGS, *sources, "-lm", "-o", elf], check=True)
    return elf


def run(program, folder, encoders, *options):
    """What the program says of these encoders."""
    with open(folder / "nets", "wb") as file:
        for data in encoders:
            file.write(len(data).to_bytes(4, "little") + data)
    command = [*QEMU, *options, "-kernel", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    print(f"\n{said[-3000:]}")
    assert done.returncode == 0, said[-3000:]
    return said


def variants(graph):
    """In one piece and row by row; with much scratch and with the least there may be."""
    for budget in (1, 1 << 30):
        data = tvlm.to_bytes(graph, plan(graph, budget))
        yield data
        yield little_scratch(data, graph)


@pytest.mark.parametrize(
    ("make", "table"),
    [
        (conv, CONVS),
        (depthwise, DEPTHWISES),
        (expanded, EXPANDED),
        (add, ADDS),
        (clamped, CLAMPED),
        (shuffled, SHUFFLED),
    ],
    ids=lambda x: "",
)
def test_shapes(compare, tmp_path, make, table):
    encoders = [data for shape in table[::2] for data in variants(make(*shape))]
    said = run(compare, tmp_path, encoders)
    nets, flat, backend, differ, total = re.search(
        r"(\d+) nets, (\d+) flat, first backend (\w+): (\d+) of (\d+) values differ", said
    ).groups()
    assert backend == "mve" and int(nets) == len(encoders) and int(flat) < len(encoders) / 8
    assert int(differ) == 0 and int(total) > 0


def test_random_nets(compare, tmp_path):
    encoders = [data for seed in range(20) for data in variants(random_graph(seed))]
    assert f"{len(encoders)} nets" in run(compare, tmp_path, encoders)
