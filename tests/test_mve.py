# SPDX-License-Identifier: MIT
"""The kernels for Helium (Cortex-M55, M85) against the portable ones: equal bytes, whatever shape.

A program without MicroPython runs nets in QEMU's mps3-an547 (tests/c/helium). Its buffers end
where memory ends, so a kernel that reads behind them makes a fault; encoders lie at any address.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nets import random_graph
from test_dsp import TABLES, variants

from tinyvlm.net import tvlm

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
def build(tmp_path_factory):
    """build("compare") -> path of the program."""
    folder = tmp_path_factory.mktemp("helium")

    def build(name, flags=(), libraries=()):
        elf = folder / f"{name}.elf"
        sources = [PROGRAMS / f"{name}.c", *(TOP / "native").glob("tv_*.c"), *libraries, "-lm"]
        command = ["arm-none-eabi-gcc", *CORE, *FLAGS, *flags, *sources, "-o", elf]
        subprocess.run(command, check=True)
        return elf

    return build


@pytest.fixture(scope="module")
def compare(build):
    """The program that compares."""
    return build("compare")


def run(program, folder, encoders, *options):
    """What the program says of these encoders."""
    with open(folder / "nets", "wb") as file:
        for data in encoders:
            file.write(len(data).to_bytes(4, "little") + data)
    command = [*QEMU, *options, "-kernel", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    return said


@pytest.mark.parametrize(("make", "table"), TABLES, ids=lambda x: "")
def test_shapes(compare, tmp_path, make, table):
    encoders = [data for shape in table[::2] for data in variants(make(*shape))]
    said = run(compare, tmp_path, encoders)
    print(f"\n{make.__name__}: {said.strip()}")
    nets, flat, backend, differ, total = re.search(
        r"(\d+) nets, (\d+) flat, first backend (\w+): (\d+) of (\d+) values differ", said
    ).groups()
    assert backend == "mve" and int(nets) == len(encoders) and int(flat) < len(encoders) / 8
    assert int(differ) == 0 and int(total) > 0


def test_random_nets(compare, tmp_path):
    encoders = [data for seed in range(20) for data in variants(random_graph(seed))]
    assert f"{len(encoders)} nets" in run(compare, tmp_path, encoders)


def kind(layer, graph) -> str:
    """What a layer is counted with."""
    name = type(layer).__name__
    if name not in ("Conv", "Depthwise"):
        return name.lower()
    height, width, _ = graph.shapes()[layer.name]
    size = f"{layer.weights.shape[1]}x{layer.weights.shape[1]}"
    return f"{name.lower()} {size}, {height}x{width}"


def test_instructions(build, tmp_path):
    """Every layer of `base` by every backend, and by CMSIS-NN where it is: CMSIS_NN=/prefix."""
    prefix, flags, libraries = os.environ.get("CMSIS_NN"), [], []
    if prefix:
        flags = ["-DTINYVLM_CMSIS_NN", "-isystem", Path(prefix) / "include"]
        libraries = [Path(prefix) / "lib" / "libcmsis-nn.a"]
    data = (TOP / "host" / "tinyvlm" / "data" / "base.tvlm").read_bytes()
    graph = tvlm.load(data).graph
    files = [data, tvlm.to_bytes(graph, library=True)] if prefix else [data]
    program = build("count", flags, libraries)
    *lines, last = run(program, tmp_path, files, "-icount", "shift=5").splitlines()
    backends, rows = [], {}
    for index, backend, count in map(str.split, lines):
        layer = graph.layers[int(index)] if int(index) >= 0 else None
        if layer is None or layer.name == graph.dense:
            continue
        if backend not in backends:
            backends.append(backend)
        groups = [kind(layer, graph), "all"]
        if type(layer).__name__ in ("Conv", "Depthwise"):
            groups.insert(1, "conv and depthwise")
        for group in groups:
            row = rows.setdefault(group, {})
            row[backend] = row.get(backend, 0) + int(count)
    print(f"\n| layers of base, thousands of instructions | {' | '.join(backends)} |")
    print("|---" * (1 + len(backends)) + "|")
    rows |= {group: rows.pop(group) for group in ("conv and depthwise", "all")}
    for group, row in rows.items():
        shares = [f"{row[b] / 1e3:,.0f} ({row['mve'] / row[b]:.2f})" for b in backends[1:]]
        print(f"| {group} | {row['mve'] / 1e3:,.0f} | {' | '.join(shares)} |")
    print(last)
    assert last.startswith("0 of ")
    assert rows["all"]["mve"] < rows["all"]["dsp"] / 2
    if prefix:
        row = rows["conv and depthwise"]
        assert row["mve"] < row["cmsis-nn"] / 2
