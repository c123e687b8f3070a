# SPDX-License-Identifier: MIT
"""The rules of a Cortex-M7's pipeline, each on a program of a few lines."""

import pytest

from tinyvlm.virtual import m7

LOOPS = [
    (1, "a load beside a multiplication", ["smlad r2, r3, r1, r2", "ldr r4, [r0, #4]"]),
    (2, "one multiplication a cycle", ["smlad r2, r3, r1, r2", "smlad r5, r3, r1, r5"]),
    (1, "sums follow one another", ["smlad r2, r3, r1, r2"]),
    (2, "products do not", ["mul r2, r2, r1"]),
    (2, "a cycle between load and multiplication", ["ldr r3, [r0]", "smlad r2, r3, r1, r2"]),
    (1, "two registers loaded at once go alone", ["ldrd r4, r5, [r0]"]),
    (2, "one cycle for two registers", ["ldm r0, {r4-r6}"]),
    (3, "...", ["push.w {r4, r5, r6, r7, r8, lr}"]),
    (1, "two loads from two banks", ["ldr r4, [r0]", "ldr.w r5, [r0, #4]"]),
    (2, "two loads from one bank", ["ldr r4, [r0]", "ldr.w r5, [r0, #8]"]),
    (2, "two loads from two registers", ["ldr r4, [r0]", "ldr r5, [r1, #4]"]),
    (2, "two of the older pipe's", ["sxtb16 r4, r5", "sxtb16 r6, r7, ror #8"]),
    (1, "one of them beside a multiplication", ["ssat r4, #8, r4", "smlad r2, r3, r1, r2"]),
    (1, "a plain result goes on at once", ["adds r3, r4, r5", "cmp r3, #0"]),
    (2, "but not into a shift", ["adds r3, r6, r5", "lsls r6, r3, #1"]),
    (2, "two shifted operands", ["add r3, r4, r5, asr #3", "add r6, r7, r8, lsl #2"]),
    (2, "one store a cycle", ["strb r2, [r3]", "strb r4, [r3, #1]"]),
    (2, "what follows a branch", ["cmp r0, r1", "b 1f", "mov r2, r3"]),
]


@pytest.mark.parametrize("count, lines", [pytest.param(n, code, id=why) for n, why, code in LOOPS])
def test_a_loop_takes(count, lines):
    assert m7.cycles(tuple(lines), loop=True) == count


def test_an_address_is_wanted_early():
    waits = m7.cycles(("add r2, r2, r3, lsl #2", "ldr r4, [r2]"))
    assert waits == m7.cycles(("add r2, r2, r3", "ldr r4, [r2]")) + 1


def test_bytes_are_later_than_words():
    word, byte = ((f"{load} r4, [r0]", "add r5, r4, r4") for load in ("ldr", "ldrb"))
    assert m7.cycles(byte) == m7.cycles(word) + 1


@pytest.mark.parametrize(
    "line, kind, writes",
    [
        ("ldr.w r12, [r1, #24]", "load", ("r12",)),
        ("ldr pc, [sp, #4]", "branch", ()),
        ("ldrsb r3, [r4], #1", "load", ("r3",)),
        ("pop {r4-r6, pc}", "several", ("r4", "r5", "r6", "pc")),
        ("smlal r2, r3, r4, r5", "multiply", ("r2", "r3")),
        ("smmlar r8, r8, r2, r3", "multiply", ("r8",)),
        ("bics r1, r2", "plain", ("r1",)),
        ("bne 1f", "branch", ()),
        ("vmov s15, r9", "core move", ("s15",)),
        ("vmul.f32 s14, s13, s14", "float", ("s14",)),
        ("ubfx ip, r3, #1, #2", "simd", ("r12",)),
        ("cmp r1, r2", "plain", ()),
    ],
)
def test_assembly_is_read(line, kind, writes):
    assert (m7.read(line).kind, m7.read(line).writes) == (kind, writes)


def test_every_rule_says_who_measured_it():
    assert all("[1" in why or why == "the same [1]" for _, _, why in m7.APART)
    assert {r for _, r, _ in m7.APART} <= {k for k, _ in m7.KINDS} | {"any", "core move"}
