# SPDX-License-Identifier: MIT
"""The engine compiles without a warning for the cores it is meant for."""

import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[1] / "native"
WARNINGS = "-Wall -Wextra -Werror -Wdouble-promotion -Wfloat-conversion -Wpedantic".split()

# core, flags, has the DSP extension (and so the fast kernels)
CORES = [
    ("cortex-m0plus", "-mthumb -mcpu=cortex-m0plus", False),
    ("cortex-m3", "-mthumb -mcpu=cortex-m3", False),
    ("cortex-m4", "-mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard", True),
    ("cortex-m7", "-mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard", True),
    ("cortex-m33", "-mthumb -mcpu=cortex-m33 -mfpu=fpv5-sp-d16 -mfloat-abi=hard", True),
]


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is missing")
@pytest.mark.parametrize(("core", "flags", "dsp"), CORES, ids=[core[0] for core in CORES])
@pytest.mark.parametrize("level", ["-Os", "-O2"])
def test_compiles(core, flags, dsp, level, tmp_path):
    for source in sorted(NATIVE.glob("tv_*.c")):
        target = tmp_path / f"{source.stem}.o"
        subprocess.run(
            ["arm-none-eabi-gcc", "-std=gnu99", level, *flags.split(), *WARNINGS]
            + [f"-I{NATIVE}", "-c", str(source), "-o", str(target)],
            check=True,
        )
    symbols = subprocess.run(
        ["arm-none-eabi-nm", str(tmp_path / "tv_conv_dsp.o")], capture_output=True, text=True
    ).stdout
    assert ("tv_conv_dsp" in symbols) == dsp
