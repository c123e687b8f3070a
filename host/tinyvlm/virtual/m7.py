# SPDX-License-Identifier: MIT
"""When a Cortex-M7 issues the instructions of a basic block: its pipeline as far as it is known.

    cycles(("ldr r3, [r0], #4", "smlad r2, r3, r1, r2", "bne 1f"), loop=True)

The core takes instructions in order, up to two a cycle, an older and a younger one. What keeps two
apart, or an instruction waiting, are the tables below. They were measured by others on an
STM32H743: github.com/jnk0le/random, pipeline cycle test, doc/cortex_m7.md ([1]); Arm publishes
none, but LLVM's scheduling model, ARMScheduleM7.td, has some ([2]). Against published times of
MobileNetV2-like nets with TinyEngine's kernels the sum is right within 1 % (docs/performance.md).

Not in here: memory. All comes from caches or tightly coupled memory, aligned; what unaligned
loads of weights take more is said apart (UNALIGNED), and so is what the caches' lines take
(LINE_FILL).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

REPEATS, SETTLING = 20, 5  # passes of a loop that are counted, and before them

# What there is: kind of an instruction, and which names are of it. The first that matches counts.
KINDS = (
    ("nothing", r"nop|it[te]*"),
    ("branch", r"bl?x?|b(eq|ne|hs|cs|lo|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)|cbn?z|tb[bh]"),
    ("several", r"(ldm|stm|vldm|vstm).*|v?push|v?pop|ldrd|strd"),
    ("load", r"v?ldr(s?[bh])?"),
    ("store", r"v?str[bh]?"),
    ("multiply", r"(mul|mla|mls|sm[lum]|umull|umlal|umaal).*"),
    ("divide", r"[su]div"),
    ("float move", r"vmov.*"),
    ("float", r"v.*"),
    (
        "simd",
        r"[su]xta?(b|h|b16)|(s|u|q|sh|uh|uq)(add|sub|asx|sax)(8|16)?|qd(add|sub)|[su]sat(16)?"
        r"|pkh(bt|tb)|[su]bfx|bf[ic]|rev(16|sh)?|rbit|clz|sel|usada?8",
    ),
    ("plain", r".*"),  # moves, sums, shifts, comparisons
)

# Never in one cycle: older, younger, and why.
APART = (
    ("branch", "any", "what follows a branch waits for it [1]"),
    ("multiply", "multiply", "there is one multiplier [1, 2]"),
    ("store", "multiply", "the multiplier is of the younger pipe's, and so is the store [1]"),
    ("multiply", "store", "the same [1]"),
    ("store", "store", "one store a cycle [1]"),
    ("float", "float", "one float pipeline is busy [1]"),
    ("core move", "core move", "one move between core and float registers [1]"),
    ("any", "simd", "only the older pipe has it [1]"),
    ("any", "several", "goes alone, ceil(n / 2) cycles [1]"),
    ("any", "divide", "goes alone [1]"),
)

# Cycles from issue until another instruction may use a result: as an operand, as an address or an
# operand that is shifted (which are wanted one cycle earlier), and as what SMLAD and its like add
# to. All from [1].
READY = {
    "plain": (1, 1, 1),
    "shifted": (1, 2, 1),  # a shifted operand cannot be forwarded to an address
    "simd": (1, 2, 1),
    "multiply": (2, 3, 1),
    "load": (1, 2, 1),
    "load of bytes": (2, 3, 1),
    "several": (0, 1, 0),  # after the last of its cycles
    "divide": (6, 7, 6),
    "float": (3, 3, 3),
    "float to core": (2, 3, 1),  # and the core's to a float takes as long as a float
}
LOAD_TO_MULTIPLY = 2  # a multiplier's inputs are wanted early: one cycle stands between [1]
UNALIGNED = 3  # cycles more that a load takes that is not at a whole word, at least [1]
# Cycles until a line of 32 bytes, one word of the STM32H743's flash, is in a cache: on the bus, at
# half the core's 480 MHz, one cycle and four wait states (RM0433, "recommended number of wait
# states") and four transfers of 8 bytes. Calculated; what the bus matrix adds is not published. It
# is taken that the core waits for all of it.
WAIT_STATES, TRANSFERS, CORE_PER_BUS = 4, 4, 2
LINE_FILL = (1 + WAIT_STATES + TRANSFERS) * CORE_PER_BUS
RAM_FILL = (1 + TRANSFERS) * CORE_PER_BUS  # of the RAM on the same bus
# Another chip's flash on four wires at 80 MHz (MicroPython's setting for a bus of 240): two clocks
# a byte, and nothing for the command, which lines that follow one another do not need.
QSPI_FILL = 32 * 2 * (480 // 80)
FLOAT_CYCLES = (
    (r"vdiv.f64|vsqrt.f64", 30),
    (r"vdiv", 16),
    (r"vsqrt", 14),
    (r"v(ml|fm|mul).*f64", 5),
    (r"v(add|sub).*f64", 2),
)
# An ALU's result that the younger instruction of the same cycle may use.
FORWARDED = re.compile(r"(add|sub|mov|mvn)s?|(add|sub)w|mov[wt]|(lsl|lsr|asr|ror)s?|rsb")
SHIFTS = re.compile(r"(lsl|lsr|asr|ror)s?")

_REGISTER = re.compile(r"\b(r\d+|sp|lr|pc|ip|sl|fp|sb|s\d+|d\d+)\b")
_ALIAS = {"ip": "r12", "sl": "r10", "fp": "r11", "sb": "r9"}
_SHIFTED = re.compile(r"(lsl|lsr|asr|ror|rrx)\b")


@dataclass(frozen=True)
class Instruction:
    """What issue depends on.

    reads    operands, wanted in the cycle of issue
    early    addresses and operands that are shifted, wanted a cycle before
    adds_to  what a multiplication adds its products to
    ready    key of READY
    cycles   so long nothing else is issued, if more than one
    word     (base, bank) of a load at a known offset; banks are the halves of 8 bytes
    """

    name: str
    kind: str
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    adds_to: tuple[str, ...] = ()
    ready: str = "plain"
    cycles: int = 1
    word: tuple[str, int] | None = None
    moved: str = ""  # base register that a load or store moves on

    @property
    def alone(self) -> bool:
        return self.cycles > 1 or self.kind in ("several", "divide")


# -- reading assembly ----------------------------------------------------------------------


def _registers(text: str) -> tuple[str, ...]:
    return tuple(_ALIAS.get(r, r) for r in _REGISTER.findall(text))


def _listed(text: str) -> tuple[str, ...]:
    """The registers of {r4-r7, lr}."""
    found: list[str] = []
    for part in re.search(r"\{(.*)\}", text)[1].split(","):
        ends = [_ALIAS.get(r, r) for r in part.strip().split("-")]
        if len(ends) == 2:
            letter, first, last = ends[0][0], int(ends[0][1:]), int(ends[1][1:])
            found += [f"{letter}{n}" for n in range(first, last + 1)]
        else:
            found += ends
    return tuple(found)


def kind_of(name: str) -> str:
    return next(kind for kind, names in KINDS if re.fullmatch(names, name))


@functools.lru_cache(None)
def read(line: str) -> Instruction:
    """An instruction as llvm-objdump and gcc write it, unified syntax."""
    name, _, rest = line.strip().partition(" ")
    name = re.sub(r"\.[nw]$", "", name)
    parts = [p.strip() for p in re.split(r",(?![^\[]*\])(?![^{]*\})", rest)] if rest else []
    kind = kind_of(name)
    if kind == "float move" and {r[0] for r in _registers(rest)} > {"r"}:
        kind = "core move"
    reader = {"several": _several, "load": _memory, "store": _memory}
    reader |= dict.fromkeys(("float", "float move", "core move"), _float)
    if kind == "nothing":
        return Instruction(name, kind)
    if kind == "branch":
        return Instruction(name, kind, reads=() if name.startswith("tb") else _registers(rest))
    return reader.get(kind, _data)(name, kind, parts)


def _several(name: str, kind: str, parts: list[str]) -> Instruction:
    load = "ld" in name or "pop" in name
    if name in ("ldrd", "strd"):
        registers, base = _registers(" ".join(parts[:2])), _registers(" ".join(parts[2:]))
    else:
        text = ", ".join(parts)
        registers, base = _listed(text), _registers(text.split("{")[0]) or ("sp",)
    return Instruction(
        name,
        kind,
        writes=registers if load else (),
        reads=() if load else registers,
        early=base,
        ready="several",
        cycles=-(-len(registers) // 2),
    )


def _memory(name: str, kind: str, parts: list[str]) -> Instruction:
    address, data = ", ".join(parts[1:]), _registers(parts[0])
    if kind == "load" and "pc" in data:
        return Instruction(name, "branch", early=_registers(address))
    early = _registers(address)
    plain = re.fullmatch(r"\[(\w+)(?:, #(-?\w+))?\]!?", address)
    return Instruction(
        name,
        kind,
        writes=data if kind == "load" else (),
        reads=data if kind == "store" else (),
        early=early,
        ready="load of bytes" if re.search(r"[bh]$", name) else "load",
        word=(plain[1], int(plain[2] or "0", 0) >> 2 & 1) if plain else None,
        moved=early[0] if early and ("!" in address or len(parts) > 2) else "",
    )


def _float(name: str, kind: str, parts: list[str]) -> Instruction:
    first = [_registers(part)[:1] for part in parts] or [()]
    writes, reads = first[0], sum(first[1:], ())
    ready = "float"
    if name.startswith("vmov") and writes and writes[0][0] == "r":
        ready = "float to core"
    if name.startswith("vcmp"):
        writes, reads = (), writes + reads
    cycles = next((n for names, n in FLOAT_CYCLES if re.match(names, name)), 1)
    adds_to = writes if re.match(r"v(ml|fm)", name) else ()
    return Instruction(name, kind, writes, reads, (), adds_to, ready, cycles)


def _data(name: str, kind: str, parts: list[str]) -> Instruction:
    """Arithmetic on core registers."""
    each = [_registers(part) for part in parts]
    first, rest = each[0] if each else (), sum(each[1:], ())
    writes, reads, early, adds_to = first, rest, (), ()
    compares = name in ("cmp", "cmn", "tst", "teq")
    moves = re.match(r"(mov|mvn|sxt|uxt|clz|rev|rbit|neg|rsb|adr)", name)
    if compares:
        writes, reads = (), first + rest
    elif (len(parts) == 2 and not moves) or name in ("movt", "bfi", "bfc"):
        reads = first + rest
    ready = kind if kind in READY else "plain"
    if kind == "multiply":
        if re.match(r"[su]m(ull|lal|aal)|smlald", name):
            writes, reads = each[0] + each[1], sum(each[2:], ())
            adds_to = writes if "mlal" in name or "maal" in name else ()
        elif len(parts) == 4:
            reads, adds_to = sum(each[1:3], ()), each[3]
    elif kind == "simd":
        if re.match(r"([su]xta|pkh|bfi|[su]bfx|rev|rbit)", name):
            early = each[-1] or (each[-2] if len(each) > 1 else ())
    elif len(parts) >= 3 and _SHIFTED.match(parts[-1]):
        early, ready = each[-2] + each[-1], "shifted"
    elif kind == "plain" and not FORWARDED.fullmatch(name):
        ready = "shifted"
    cycles = READY["divide"][0] if kind == "divide" else 1
    return Instruction(name, kind, writes, reads, early, adds_to, ready, cycles)


# -- issue --------------------------------------------------------------------------------


def apart(older: Instruction, younger: Instruction) -> bool:
    """Do these two, one after the other, never go in the same cycle?"""
    for first, second, _ in APART:
        if first in ("any", older.kind) and second in ("any", younger.kind):
            return True
    if younger.alone:
        return True
    # Two loads go together from one base register and different banks [1].
    if older.kind == younger.kind == "load":
        if not (older.word and younger.word) or older.word[0] != younger.word[0]:
            return True
        if older.word[1] == younger.word[1]:
            return True
    shifted = younger.kind == "plain" and younger.early
    if shifted and (older.kind == "simd" or (older.kind == "plain" and older.early)):
        return True  # there is one shifter before the ALUs [1]
    written = set(older.writes)
    if not written & {*younger.reads, *younger.early, *younger.adds_to}:
        return False
    if written & set(younger.early):
        return True
    if younger.kind == "store":  # data are wanted late
        return older.kind not in ("plain", "simd", "load")
    forwarded = older.kind == "plain" and older.ready == "plain" and not older.early
    return not (forwarded and younger.kind == "plain" and not SHIFTS.fullmatch(younger.name))


class Pipeline:
    """Where issue stands: the cycle, and whether its older place is taken."""

    def __init__(self) -> None:
        self.cycle, self.older = 0, None
        self.ready: dict[str, tuple[int, int, int]] = {}  # register -> as in READY, in cycles
        self.loaded: dict[str, int] = {}  # register -> cycle in which a word's load was issued

    @property
    def position(self) -> float:
        return self.cycle + 0.5 * (self.older is not None)

    def issue(self, this: Instruction) -> None:
        """Let an instruction pass."""
        at = max(self.cycle, self._wanted(this))
        younger = at == self.cycle and self.older is not None
        if younger and apart(self.older, this):
            at, younger = at + 1, False
        self._results(this, at)
        if this.alone:
            self.cycle, self.older = at + this.cycles, None
        elif this.kind == "branch" or younger:
            self.cycle, self.older = at + 1, None
        else:
            self.cycle, self.older = at, this

    def _wanted(self, this: Instruction) -> int:
        """The cycle in which all that it needs is there."""
        cycle = 0
        for place, registers in enumerate((this.reads, this.early, this.adds_to)):
            for register in registers:
                cycle = max(cycle, self.ready.get(register, (0, 0, 0))[place])
        if this.kind == "multiply":
            for register in this.reads:
                if register in self.loaded:
                    cycle = max(cycle, self.loaded[register] + LOAD_TO_MULTIPLY)
        return cycle

    def _results(self, this: Instruction, at: int) -> None:
        more = this.cycles if this.kind == "several" else this.cycles - 1
        after = READY[this.ready if this.kind != "divide" else "plain"]
        word = this.kind in ("load", "several") and this.ready != "load of bytes"
        for register in this.writes:
            self.ready[register] = tuple(at + more + n for n in after)
            self.loaded.pop(register, None)
            if word:
                self.loaded[register] = at + this.cycles - 1
        if this.moved:
            self.ready[this.moved] = (at + 1, at + 1, at + 1)


@functools.lru_cache(None)
def cycles(lines: tuple[str, ...], loop: bool = False) -> float:
    """Cycles that a block takes; `loop`: when it runs again and again."""
    pipeline, block = Pipeline(), [read(line) for line in lines]
    start = 0.0
    for number in range(SETTLING + REPEATS if loop else 1):
        if loop and number == SETTLING:
            start = pipeline.position
        for this in block:
            pipeline.issue(this)
    return (pipeline.position - start) / (REPEATS if loop else 1)
