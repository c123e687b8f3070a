# SPDX-License-Identifier: MIT
"""Where a linked STM32 firmware lies: symbols, sections and memory regions."""

import re
import subprocess
from pathlib import Path

Spans = list[tuple[int, int]]  # (address, size)

ROMFS = "_micropy_hw_romfs_part0_start", "_micropy_hw_romfs_part0_size"
ARENA = "_tinyvlm_arena_start", "_tinyvlm_arena_end"
HEAP = "_heap_start", "_heap_end"
FILES = "_micropy_hw_internal_flash_storage_start", "_micropy_hw_internal_flash_storage_end"


def symbols(elf: Path) -> dict[str, int]:
    """The address of every symbol."""
    said = _run("arm-none-eabi-nm", elf)
    return {name: int(value, 16) for value, name in re.findall(r"^(\w+) \w (\S+)$", said, re.M)}


def sections(elf: Path) -> tuple[Spans, Spans]:
    """What is in flash (code, constants, initial values), and what in RAM when it runs.

    The stack and the heap's reserved minimum are not counted: the linker makes sections of them
    only to see that they fit.
    """
    row = r"^ +\d+ (\S+) +(\w+) +(\w+) +(\w+) .*\n +(.+)$"
    flash, ram = [], []
    for name, size, vma, lma, flags in re.findall(
        row, _run("arm-none-eabi-objdump", "-h", elf), re.M
    ):
        size, vma, lma = int(size, 16), int(vma, 16), int(lma, 16)
        if "ALLOC" not in flags or not size or name in (".heap", ".stack"):
            continue
        if "LOAD" in flags:
            flash.append((lma, size))
        if vma != lma or "LOAD" not in flags:
            ram.append((vma, size))
    return flash, ram


def regions(linker_map: Path) -> dict[str, tuple[int, int]]:
    """The memories of the linker script: name to (address, size)."""
    text = linker_map.read_text()
    table = text[text.index("Memory Configuration") : text.index("Linker script and memory map")]
    rows = re.findall(r"^(\w+) +0x(\w+) +0x(\w+)", table, re.M)
    return {name: (int(origin, 16), int(length, 16)) for name, origin, length in rows}


def inside(spans: Spans, region: tuple[int, int]) -> int:
    """How many bytes of the spans begin in a region."""
    start, length = region
    return sum(size for address, size in spans if start <= address < start + length)


def _run(*command) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout
