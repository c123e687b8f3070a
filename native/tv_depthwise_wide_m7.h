// SPDX-License-Identifier: MIT
//
// Groups of four outputs of tv_depthwise_wide_dsp.c at stride 1 for the Cortex-M7: a load beside every
// multiplication, 13 cycles for 5 x 4 products and 17 for 7 x 4. A row fetches the next row's address,
// first inputs and taps; the last one fetches them in vain. Registers as said there; r8 stays the row's
// address, and r10 is one row ahead.

#ifndef TV_DEPTHWISE_WIDE_M7_H
#define TV_DEPTHWISE_WIDE_M7_H

// Before the first row, and what both kernels do first in a row.
#define FOURS_BEGIN \
    "ldr r12, [sp, #12]         \n" \
    "ldrd r0, r10, [r12, #16]   \n" /* bias, window */ \
    "add r11, r12, #56          \n" \
    "ldr r8, [r10], #4          \n" \
    "ldr r12, [r11]             \n" /* A0 */ \
    "mov r1, r0                 \n" \
    "add r8, r9                 \n" \
    "mov r2, r0                 \n" \
    "mov r3, r0                 \n" \
    "ldr r4, [r8]               \n" \
    "ldr r5, [r8, #4]           \n" \
    "2: smlad r0, r4, r12, r0   \n" \
    "ldr.w lr, [r11, #4]        \n" /* A1 */ \
    "smlatb r1, r4, r12, r1     \n" \
    "ldr.w r6, [r8, #8]         \n" \
    "smlad r2, r5, r12, r2      \n" \
    "ldr.w r7, [r8, #12]        \n" \
    "smlatb r3, r5, r12, r3     \n" \
    "ldr.w r12, [r11, #8]       \n" /* B0 */ \
    "smlad r0, r5, lr, r0       \n"

#define FOURS_5_1 FOURS_BEGIN \
    "ldr.w r8, [r10], #4        \n" \
    "smlad r2, r6, lr, r2       \n" \
    "ldr.w lr, [r11, #12]       \n" /* B1 */ \
    "smlad r1, r5, r12, r1      \n" \
    "add.w r8, r8, r9           \n" \
    "smlad r3, r6, r12, r3      \n" \
    "ldr.w r4, [r8]             \n" \
    "smlabt r0, r6, lr, r0      \n" \
    "ldr.w r5, [r8, #4]         \n" \
    "smlad r1, r6, lr, r1       \n" \
    "ldr.w r12, [r11, #16]!     \n" \
    "smlabt r2, r7, lr, r2      \n" \
    "ldr.w r6, [sp]             \n" \
    "smlad r3, r7, lr, r3       \n" \
    "cmp r10, r6                \n" \
    "bls 2b                     \n"

#define FOURS_7_1 FOURS_BEGIN \
    "ldr.w r4, [r8, #16]        \n" \
    "smlad r2, r6, lr, r2       \n" \
    "ldr.w lr, [r11, #12]       \n" /* B1 */ \
    "smlad r1, r5, r12, r1      \n" \
    "ldr.w r8, [r10], #4        \n" \
    "smlad r3, r6, r12, r3      \n" \
    "ldr.w r12, [r11, #16]      \n" /* A2 */ \
    "smlad r1, r6, lr, r1       \n" \
    "add.w r8, r8, r9           \n" \
    "smlad r3, r7, lr, r3       \n" \
    "ldr.w r5, [r8, #4]         \n" \
    "smlad r0, r6, r12, r0      \n" \
    "ldr.w lr, [r11, #20]       \n" /* B2 */ \
    "smlad r2, r7, r12, r2      \n" \
    "ldr.w r12, [r11, #24]!     \n" \
    "smlabt r0, r7, lr, r0      \n" \
    "ldr.w r6, [sp]             \n" \
    "smlad r1, r7, lr, r1       \n" \
    "smlabt r2, r4, lr, r2      \n" \
    "cmp r10, r6                \n" \
    "smlad r3, r4, lr, r3       \n" \
    "ldr.w r4, [r8]             \n" \
    "bls 2b                     \n"

#endif
