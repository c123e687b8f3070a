# SPDX-License-Identifier: MIT
"""An estimate of Cortex-M7 cycles, from what QEMU executed and what is known of the core.

A plugin counts how often every instruction runs (boards/VIRT_CORTEX_M7/blocks.c). The code is
cut into basic blocks, m7.py says how many cycles a block takes (again and again, where it jumps to
its own start; else once), and

    cycles = sum over blocks of executions * cycles of the block

Beside it stands LLVM's opinion, as far as llvm-mca (-mcpu=cortex-m7) is installed: what this
estimate was until its rules were measured. Added to that by hand: LLVM 14 counts every load or
store of several registers as one access, but an LDM, STM, PUSH or POP of n registers takes
ceil(n / 2) cycles.

That is a core that runs from its caches and tightly coupled memory. The plugin also simulates the
caches, and what the lines that they fill from flash take more is said apart (Fills), as is what
unaligned weights take. Not modelled: lines of RAM, mispredicted branches, bank conflicts of
stores, and that a block that follows another may find the pipeline in another state.
"""

from __future__ import annotations

import bisect
import functools
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..shipped import CHECKOUT
from . import m7

PLUGIN = CHECKOUT / "boards" / "VIRT_CORTEX_M7" / "blocks.c"
MARK = "virt_instructions"  # calling virt.instructions() on the board ends a count
HOOK = "tinyvlm_hook"  # adds what a layer took to times[layer + 1], the intake to times[0]
NOT_A_LAYERS = (HOOK, "mp_hal_ticks_cpu", "clock_instructions", "ticks")
ITERATIONS = 100
_TARGET = ["--triple=thumbv7em-none-eabihf", "--mcpu=cortex-m7"]
_LINE = re.compile(r"\s*([0-9a-f]+):\s+(\S+)(?:\s+([^@]*))?")
_BRANCH = re.compile(r"(b|bl|blx|bx|cbz|cbnz|b[a-z]{2}|tbb|tbh)(\.[nw])?$")
_CONDITION = re.compile(r"(eq|ne|hs|cs|lo|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)(\.\w+)?$")
_SEVERAL = re.compile(r"(ldm|stm|push|pop|vldm|vstm|vpush|vpop)")


class NoEstimate(RuntimeError):
    """Cycles cannot be estimated here; the message says why."""


@dataclass
class Estimate:
    """instructions and cycles of one count, in sum and by function.

    mca      cycles by llvm-mca, None without it
    guessed  instructions in blocks that it refused, taken as one cycle each there
    """

    instructions: int = 0
    cycles: float = 0.0
    mca: float | None = None
    guessed: int = 0
    functions: dict[str, list[float]] = field(default_factory=dict)


def build_plugin(folder: Path) -> Path:
    """The plugin, compiled. NoEstimate where that does not work."""
    for tool in ("cc", "llvm-objdump"):
        if shutil.which(tool) is None:
            raise NoEstimate(f"{tool} is not installed (Debian: apt-get install llvm gcc)")
    plugin = folder / "blocks.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", plugin, PLUGIN]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoEstimate(f"the QEMU plugin does not compile: {done.stderr.strip()}")
    return plugin


class Fills(NamedTuple):
    """How many lines a cache took in (cache.h). files: of ROMFS, weights above all."""

    code: int = 0
    constants: int = 0
    files: int = 0
    ram: int = 0

    @property
    def flash(self) -> int:
        return self.code + self.constants + self.files

    @property
    def qspi(self) -> int:
        """Cycles that the lines take more where ROMFS lies in QSPI flash."""
        return self.files * (m7.QSPI_FILL - m7.LINE_FILL)


@dataclass
class Counts:
    """Executions by address between two marks, all of them, and those of a layer by itself.

    parts: by where the engine's hook added the layer's time; other places are in there, too.
    fills: lines that the caches took in, by the same places; None: those of no layer.
    """

    every: dict[int, int] = field(default_factory=dict)
    parts: dict[int, dict[int, int]] = field(default_factory=dict)
    fills: dict[int | None, Fills] = field(default_factory=dict)

    @property
    def filled(self) -> Fills:
        """Lines of all places."""
        return Fills(*map(sum, zip(*self.fills.values(), strict=True)))


def read_counts(path: Path) -> list[Counts]:
    """What the plugin wrote, for every mark."""
    result, part, place = [Counts()], {}, None
    for line in path.read_text().splitlines():
        if line == "mark":
            result.append(Counts())
            part, place = {}, None
        elif line.startswith("part "):
            place = int(line[5:], 16)
            part = result[-1].parts[place] = {}
        elif line.startswith("fills "):
            result[-1].fills[place] = Fills(*map(int, line.split()[1:]))
        else:
            address, number = (
                int(word, base) for word, base in zip(line.split(), (16, 10), strict=True)
            )
            part[address] = number
            every = result[-1].every
            every[address] = every.get(address, 0) + number
    return result[:-1]


class Program:
    """A firmware's code, its functions and the cycles of its blocks, each computed once."""

    def __init__(self, elf: Path) -> None:
        command = ["llvm-objdump", "-d", *_TARGET, "--no-show-raw-insn", str(elf)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.code: dict[int, tuple[str, str]] = {}
        conditional = 0
        for line in text.splitlines():
            if match := _LINE.match(line):
                name = match[2]
                # llvm-mca knows no IT: what follows one counts as if always executed
                if conditional:
                    name, conditional = _CONDITION.sub(r"\2", name), conditional - 1
                elif re.match(r"it[te]*$", name):
                    conditional = len(name) - 1
                self.code[int(match[1], 16)] = name, (match[3] or "").strip()
        self.order = sorted(self.code)
        self.next = dict(zip(self.order, self.order[1:], strict=False))
        self.targets = {int(m[1], 16) for _, a in self.code.values() for m in [_target(a)] if m}
        command = ["arm-none-eabi-nm", str(elf)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listing.splitlines()]
        named = sorted((int(r[0], 16) & ~1, r[2]) for r in rows if len(r) == 3 and r[1] in "tTW")
        named = [(a, n) for a, n in named if not n.startswith("$")]
        self.starts, self.names = [a for a, _ in named], [n for _, n in named]
        self.mark = dict(zip(self.names, self.starts, strict=True))[MARK]
        self.cuts = [
            address
            for address in self.order
            if self.code[address][0] in ("str", "str.w") and self.function(address) == HOOK
        ]
        self._cycles: dict[tuple[str, ...], float | None] = {}

    def function(self, address: int) -> str:
        return self.names[max(0, bisect.bisect_right(self.starts, address) - 1)]

    def blocks(self, counts: dict[int, int]) -> list[tuple[int, tuple[str, ...], int, bool]]:
        """(address, instructions, executions, does it jump to its start) of blocks that ran."""
        found, lines, start, before = [], [], 0, None

        def close() -> None:
            target = _target(self.code[before][1])
            loops = target is not None and int(target[1], 16) == start
            found.append((start, tuple(lines), counts[start], loops))

        for address in sorted(counts):
            if address not in self.code:
                continue
            name, arguments = self.code[address]
            follows = before is not None and self.next.get(before) == address
            same = follows and counts[before] == counts[address]
            if lines and (not same or address in self.targets):
                close()
                lines = []
            if not lines:
                start = address
            lines.append(_assembly(name, arguments))
            before = address
            if _BRANCH.match(name) or re.search(
                r"\bpc\b", arguments.split(",")[0] + arguments[-4:]
            ):
                close()
                lines = []
        if lines:
            close()
        return found

    def inner(self, counts: dict[int, int]) -> float:
        """Cycles of a multiply-accumulate in the straight code that does most of them (SMLAD)."""
        most, cycles = 0, 0.0
        for _, lines, times, _ in self.blocks(counts):
            pairs = sum(line.startswith("smlad ") for line in lines)
            if pairs * times > most:
                most, cycles = pairs * times, m7.cycles(lines, loop=True) / (2 * pairs)
        return cycles

    def layer(self, counts: dict[int, int]) -> float:
        """Cycles of what a layer took, see Counts.parts; without the clock that was looked at."""
        return sum(
            times * m7.cycles(lines, loops)
            for address, lines, times, loops in self.blocks(counts)
            if self.function(address) not in NOT_A_LAYERS
        )

    def estimate(self, counts: dict[int, int]) -> Estimate:
        """Cycles of one count."""
        blocks, result = self.blocks(counts), Estimate()
        if shutil.which("llvm-mca"):
            self._schedule({lines for _, lines, _, _ in blocks})
            result.mca = 0.0
        for address, lines, times, loops in blocks:
            cycles = m7.cycles(lines, loops)
            result.instructions += times * len(lines)
            result.cycles += times * cycles
            row = result.functions.setdefault(self.function(address), [0, 0.0])
            row[0] += times * len(lines)
            row[1] += times * cycles
            if result.mca is not None:
                by_mca = self._cycles[lines]
                result.mca += times * (len(lines) if by_mca is None else by_mca)
                result.guessed += times * len(lines) * (by_mca is None)
        return result

    def _schedule(self, wanted: set[tuple[str, ...]]) -> None:
        new = sorted(wanted - self._cycles.keys())
        # One call for all; a block that it refuses stops it, so those are left out one by one.
        while new:
            cycles, refused = _mca(new)
            for lines, number in zip(new, cycles, strict=True) if refused is None else ():
                self._cycles[lines] = number + sum(map(_more_accesses, lines))
            if refused is None:
                return
            for index in refused:
                self._cycles[new[index]] = None
            new = [lines for i, lines in enumerate(new) if i not in refused]


def _target(arguments: str) -> re.Match | None:
    return re.search(r"(?:^|, )0x([0-9a-f]+) <", arguments)


def _assembly(name: str, arguments: str) -> str:
    """As llvm-mca reads it: branches go to a label, their distance does not matter. A call is a
    branch, too; llvm-mca would give it 100 cycles, for what is called. What it does not know at
    all takes a place, as a NOP does.
    """
    if re.match(r"blx?(\.w)?$", name):
        return "b 1f"
    if re.match(r"(it[te]*|v?mrs|v?msr|cps..|[di][ms]b|svc)(\.w)?$", name):
        return "nop"
    if _target(arguments):
        arguments = re.sub(r"0x[0-9a-f]+ <.*", "1f", arguments)
    return f"{name} {arguments}"


def _more_accesses(line: str) -> int:
    """Cycles that a load or store of several registers takes and LLVM does not count."""
    if not _SEVERAL.match(line):
        return 0
    return (line.count(",", line.index("{")) + 2) // 2 - 1


def _mca(blocks: list[tuple[str, ...]]) -> tuple[list[float], set[int] | None]:
    """Cycles of each block, or the indices of those that llvm-mca refuses."""
    text, owner = [".syntax unified", ".thumb"], {}
    for index, lines in enumerate(blocks):
        text.append(f"# LLVM-MCA-BEGIN {index}")
        for line in lines:
            owner[len(text) + 1] = index
            text.append(line)
        owner[len(text) + 1] = index
        text.append("1:")
        text.append("# LLVM-MCA-END")
    command = ["llvm-mca", "-mtriple=thumbv7em-none-eabihf", "-mcpu=cortex-m7"]
    command += [f"-iterations={ITERATIONS}", "--resource-pressure=0", "--instruction-info=0"]
    done = subprocess.run(command, input="\n".join(text) + "\n", capture_output=True, text=True)
    if done.returncode or "error:" in done.stderr:
        wrong = {owner[int(n)] for n in re.findall(r"<stdin>:(\d+):\d+: error", done.stderr)}
        for unknown in re.findall(r"note: instruction:\s+(\S+)", done.stderr):
            first = unknown.split(".")[0]
            wrong |= {i for i, b in enumerate(blocks) if any(x.startswith(first) for x in b)}
        if not wrong:
            said = [line for line in done.stderr.splitlines() if "error" in line]
            raise NoEstimate(f"llvm-mca fails: {' '.join(said)[:200]}")
        return [], wrong
    cycles = [int(n) / ITERATIONS for n in re.findall(r"Total Cycles:\s+(\d+)", done.stdout)]
    if len(cycles) != len(blocks):
        raise NoEstimate(f"llvm-mca gives {len(cycles)} results for {len(blocks)} blocks")
    return cycles, None


@functools.cache
def program(elf: Path) -> Program:
    return Program(elf)
