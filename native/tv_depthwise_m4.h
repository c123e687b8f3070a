// SPDX-License-Identifier: MIT
//
// Groups of four outputs of tv_depthwise_dsp.c for cores that issue one instruction a cycle
// (Cortex-M4, M33): LDRD and LDM load two and more words at once. Registers as said there.

#ifndef TV_DEPTHWISE_M4_H
#define TV_DEPTHWISE_M4_H

#define FOUR_1(row, taps, s0, s1, s2) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldr r6, [" row "]            \n" \
    "smlad r0, r4, r7, " s0 "     \n" \
    "smlatb r1, r4, r7, " s1 "    \n" \
    "smlad r2, r5, r7, " s2 "     \n" \
    "smlatb r3, r5, r7, r3        \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlad r1, r5, r8, r1         \n" \
    "smlabt r2, r6, r8, r2        \n" \
    "smlad r3, r6, r8, r3         \n"

#define FOUR_2(row, taps, s0, s1, s2) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "smlad r0, r4, r7, " s0 "     \n" \
    "smlad r1, r5, r7, " s1 "     \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldrh r6, [" row "]           \n" \
    "smlad r2, r4, r7, " s2 "     \n" \
    "smlabt r1, r4, r8, r1        \n" \
    "smlad r3, r5, r7, r3         \n" \
    "smlabt r2, r5, r8, r2        \n" \
    "smlabt r3, r6, r8, r3        \n"

// LDM fetches mult, round, shift, dx and dx3 into r4-r8; linear requantization needs r8, so it
// fetches dx3 once more.
#define FOURS(four, requant, dx3) \
    "1: ldr r3, [r9, #48]         \n" \
    four("r10", "20", "r3", "r3", "r3") \
    four("r11", "28", "r0", "r1", "r2") \
    four("r12", "36", "r0", "r1", "r2") \
    "ldm r9, {r4-r8}              \n" \
    requant("r0", "r4", "r5", "r6", "r8") \
    requant("r1", "r4", "r5", "r6", "r8") \
    requant("r2", "r4", "r5", "r6", "r8") \
    requant("r3", "r4", "r5", "r6", "r8") \
    "ldr r4, [sp]                 \n" \
    dx3 \
    "strb r1, [lr, r7]            \n" \
    "strb r2, [lr, r7, lsl #1]    \n" \
    "strb r3, [lr, r8]            \n" \
    "strb r0, [lr]                \n" /* after r3: dx3 may be 0 */ \
    "cmp r10, r4                  \n" \
    "add lr, lr, r7, lsl #2       \n" \
    "bne 1b                       \n"

#define FOURS_1_RELU FOURS(FOUR_1, TV_REQUANT_RELU, "")
#define FOURS_1_LINEAR FOURS(FOUR_1, TV_REQUANT_LINEAR, "ldr r8, [r9, #16]\n")
#define FOURS_2_RELU FOURS(FOUR_2, TV_REQUANT_RELU, "")
#define FOURS_2_LINEAR FOURS(FOUR_2, TV_REQUANT_LINEAR, "ldr r8, [r9, #16]\n")

#define TWO_1(row, taps, s0) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #4   \n" \
    "smlad r0, r4, r7, " s0 "     \n" \
    "smlatb r1, r4, r7, r1        \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlad r1, r5, r8, r1         \n"

#define TWO_2(row, taps, s0) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldrh r6, [" row "]           \n" \
    "smlad r0, r4, r7, " s0 "     \n" \
    "smlad r1, r5, r7, r1         \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlabt r1, r6, r8, r1        \n"

#define TWOS(two, requant) \
    "ldr r1, [r9, #48]            \n" \
    two("r10", "20", "r1") \
    two("r11", "28", "r0") \
    two("r12", "36", "r0") \
    "ldm r9, {r4-r7}              \n" \
    requant("r0", "r4", "r5", "r6", "r8") \
    requant("r1", "r4", "r5", "r6", "r8") \
    "ldr r4, [r9, #64]            \n" \
    "strb r0, [lr]                \n" \
    "strb r1, [lr, r7]            \n" \
    "cmp r4, #2                   \n" \
    "add lr, lr, r7, lsl #1       \n" \
    "beq 5f                       \n"

#define TWOS_1_RELU TWOS(TWO_1, TV_REQUANT_RELU)
#define TWOS_1_LINEAR TWOS(TWO_1, TV_REQUANT_LINEAR)
#define TWOS_2_RELU TWOS(TWO_2, TV_REQUANT_RELU)
#define TWOS_2_LINEAR TWOS(TWO_2, TV_REQUANT_LINEAR)

#endif
