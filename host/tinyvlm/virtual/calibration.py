# SPDX-License-Identifier: MIT
"""What the model of a Cortex-M7 says of programs that others have timed on one.

    $ tinyvlm-bench --calibrate

Loops of a few instructions, timed on an STM32H743 by the author of github.com/jnk0le/random
(pipeline cycle test, doc/cortex_m7.md); and whole nets, timed on one by TinyEngine's authors,
whose kernels and CMSIS-NN's were run in QEMU. With a firmware that has CMSIS-NN (make board
CMSIS_NN=/prefix) its part of the nets is counted anew, in the shapes of net/mlperf.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import m7
from .count import LIBRARY


@dataclass(frozen=True)
class Loop:
    """A loop's body, and cycles of one pass as timed. left_out: why the model says otherwise."""

    what: str
    timed: float
    lines: tuple[str, ...]
    left_out: str = ""

    @property
    def model(self) -> float:
        more = m7.UNALIGNED if "unaligned" in self.what else 0
        return m7.cycles(self.lines, loop=True) + more


LOOPS = (
    Loop("20 moves between registers", 10, ("mov.w r0, r1", "mov.w r2, r3") * 10),
    Loop("a load beside SMLAD", 1, ("smlad r2, r3, r1, r2", "ldr.w r4, [r0]")),
    Loop("SMLADs that add to one sum, four", 4, ("smlad r2, r3, r1, r2",) * 4),
    Loop("a product that goes into the next", 2, ("mul r2, r2, r1",)),
    Loop("a load, and SMLAD of what it loads", 2, ("ldr.w r3, [r0]", "smlad r2, r3, r1, r2")),
    Loop("LDM of eight registers", 4, ("ldm r0, {r4-r11}",)),
    Loop("LDRD and SMLAD", 2, ("ldrd r4, r5, [r0]", "smlad r2, r3, r1, r2")),
    Loop("two loads of two banks", 1, ("ldr.w r4, [r0]", "ldr.w r5, [r0, #4]")),
    Loop("two loads of one bank", 2, ("ldr.w r4, [r0]", "ldr.w r5, [r0, #8]")),
    Loop("an unaligned load", 4, ("ldr.w r4, [r0]", "nop")),
    Loop("two of SXTB16", 2, ("sxtb16 r4, r5", "sxtb16 r6, r7, ror #8")),
    Loop("SSAT beside SMLAD", 1, ("ssat r4, #8, r4", "smlad r2, r3, r1, r2")),
    Loop("two operands that are shifted", 2, ("add r3, r4, r5, asr #3", "add r6, r7, r8, lsl #2")),
    Loop("a float division", 16, ("vdiv.f32 s0, s1, s2",)),
    Loop("a product of doubles", 5, ("vmul.f64 d0, d1, d2",)),
    Loop("a square root", 14, ("vsqrt.f32 s0, s1",)),
    Loop(
        "bytes stored one after the other, five",
        12,
        tuple(f"strb r2, [r3, #{n}]" for n in range(5)),
        "a store buffer that is never full",
    ),
)


@dataclass(frozen=True)
class Net:
    """A net that was timed, and the measured time / the estimated one, by m7 and by llvm-mca."""

    name: str
    engine: str
    milliseconds: int
    rules: float
    mca: float


# Measured once, outside of this repository, by the files that the times were published with.
NETS = (
    Net("mcunet-vww2", "TinyEngine", 234, 0.99, 0.83),
    Net("mbv2-w0.3-r64", "TinyEngine", 23, 0.99, 0.83),
    Net("mcunet-vww2", "CMSIS-NN of 2022", 478, 1.35, 1.12),
    Net("mbv2-w0.3-r64", "CMSIS-NN of 2022", 43, 1.38, 1.12),
)


def show(results: list[dict], timed: dict[str, int]) -> str:
    """The tables as text. results: of nets that ran with CMSIS-NN; timed: cycles, by net."""
    lines = ["loops: cycles of one pass", f"{'':42}{'timed':>7}{'model':>7}"]
    for loop in LOOPS:
        why = f"  left out: {loop.left_out}" if loop.left_out else ""
        lines.append(f"{loop.what:42}{loop.timed:7.1f}{loop.model:7.1f}{why}")
    head = f"{'':15}{'kernels':20}{'timed':>8}{'rules':>7}{'and lines':>11}{'llvm-mca':>10}"
    lines += ["", "nets: time on an STM32H743 (480 MHz assumed) / estimate", head]
    for net in NETS:
        lines.append(
            f"{net.name:15}{net.engine:20}{net.milliseconds:5} ms{net.rules:7.2f}"
            f"{'-':>11}{net.mca:10.2f}"
        )
    for result in results:
        name, entry = result["name"], result["backends"][LIBRARY]
        fills = sum(
            row["lines"][LIBRARY] * m7.LINE_FILL + row["ram_lines"][LIBRARY] * m7.RAM_FILL
            for row in result["layers"]
            if not row["dense"]
        )
        rules, with_lines = entry["cycles"], entry["cycles"] + fills
        lines.append(
            f"{name:15}{'CMSIS-NN, this run':20}{timed[name] / 480e3:5.0f} ms"
            f"{timed[name] / rules:7.2f}{timed[name] / with_lines:11.2f}{'-':>10}"
        )
    if not results:
        lines.append("CMSIS-NN is not in this firmware: make board CMSIS_NN=/prefix")
    return "\n".join(lines)
