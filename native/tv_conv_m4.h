// SPDX-License-Identifier: MIT
//
// The inner loop of tv_conv_dsp.c for cores that issue one instruction a cycle (Cortex-M4, M33):
// loads of several words at once, 16 instructions for 24 products.

#ifndef TV_CONV_M4_H
#define TV_CONV_M4_H

// The first four inputs of three pixels and two channels: 24 products. r2 and r5 hold the biases.
#define MULTIPLY_FIRST \
    "ldm r0!, {r8-r11}          \n" \
    "ldrd r12, lr, [r1, #8]     \n" \
    "smlad r3, r8, r12, r2      \n" \
    "smlad r6, r10, r12, r5     \n" \
    "smlad r3, r9, lr, r3       \n" \
    "smlad r6, r11, lr, r6      \n" \
    "ldrd r12, lr, [r1, #16]    \n" \
    "smlad r4, r8, r12, r2      \n" \
    "smlad r7, r10, r12, r5     \n" \
    "smlad r4, r9, lr, r4       \n" \
    "smlad r7, r11, lr, r7      \n" \
    "ldrd r12, lr, [r1], #24    \n" \
    "smlad r2, r8, r12, r2      \n" \
    "smlad r5, r10, r12, r5     \n" \
    "smlad r2, r9, lr, r2       \n" \
    "smlad r5, r11, lr, r5      \n"

// The next four: 64 bytes of code.
#define STEP_BYTES (64)
#define LOOP_END_BYTES (0) // from the last of the unrolled steps to where none is left to do
#define MULTIPLY_4 \
    "ldm r0!, {r8-r11}          \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r2, r8, r12, r2      \n" \
    "smlad r5, r10, r12, r5     \n" \
    "smlad r2, r9, lr, r2       \n" \
    "smlad r5, r11, lr, r5      \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r3, r8, r12, r3      \n" \
    "smlad r6, r10, r12, r6     \n" \
    "smlad r3, r9, lr, r3       \n" \
    "smlad r6, r11, lr, r6      \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r4, r8, r12, r4      \n" \
    "smlad r7, r10, r12, r7     \n" \
    "smlad r4, r9, lr, r4       \n" \
    "smlad r7, r11, lr, r7      \n"

// r0 weights, r1 columns, r2-r4 sums of channel o, r5-r7 of o + 1, r8-r11 weights, r12 and lr
// inputs. On the stack: the end of the weights, the entry's address, the struct's.
#define MULTIPLY_TILES(name, requant, store) \
    __attribute__((naked, noinline)) static void name(__attribute__((unused)) tiles_t *t) { \
        __asm volatile ( \
            "push {r4-r11, lr}          \n" \
            "ldrd r2, r3, [r0, #56]     \n" /* weights_end, entry */ \
            "ldr r1, [r0, #76]          \n" \
            "adr.w r4, 2f               \n" \
            "add r3, r4                 \n" \
            "orr r3, #1                 \n" /* Thumb */ \
            "push {r0}                  \n" \
            "adds r0, #44               \n" \
            "push {r2, r3}              \n" \
            "1: ldm r0, {r0, r2, r5}    \n" /* weights, bias */ \
            MULTIPLY_FIRST \
            "ldr pc, [sp, #4]           \n" \
            ".balign 4                  \n" \
            "2:                         \n" \
            MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 \
            MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 \
            "ldr r12, [sp]              \n" \
            "cmp r0, r12                \n" \
            "bne 2b                     \n" \
            "ldr r0, [sp, #8]           \n" \
            "ldm r0!, {r8-r12}          \n" /* mult, round, shift, out, dx */ \
            requant("r2", "r8", "r9", "r10", "lr") \
            requant("r3", "r8", "r9", "r10", "lr") \
            requant("r4", "r8", "r9", "r10", "lr") \
            store " r2, [r11]             \n" \
            store " r3, [r11, r12]        \n" \
            store " r4, [r11, r12, lsl #1]\n" \
            "ldm r0!, {r2-r4, r8-r10}   \n" /* dc, step, line_end, mult, round, shift */ \
            requant("r5", "r8", "r9", "r10", "lr") \
            requant("r6", "r8", "r9", "r10", "lr") \
            requant("r7", "r8", "r9", "r10", "lr") \
            "add r11, r2                \n" \
            store " r5, [r11]             \n" \
            store " r6, [r11, r12]        \n" \
            store " r7, [r11, r12, lsl #1]\n" \
            "add r11, r3                \n" \
            "cmp r1, r4                 \n" \
            "str r11, [r0, #-32]        \n" /* out */ \
            "bne 1b                     \n" \
            "ldrd r2, r3, [r0, #20]     \n" /* lines, line_columns */ \
            "ldr r5, [r0, #28]          \n" /* line_step */ \
            "subs r2, #1                \n" \
            "add r4, r3                 \n" \
            "add r11, r5                \n" \
            "str r2, [r0, #20]          \n" \
            "str r4, [r0, #-16]         \n" \
            "str r11, [r0, #-32]        \n" \
            "bne.w 1b                   \n" \
            "add sp, #12                \n" \
            "pop {r4-r11, pc}           \n" \
            ); \
    }

MULTIPLY_TILES(multiply_relu_bytes, TV_REQUANT_RELU, "strb")
MULTIPLY_TILES(multiply_relu_halves, TV_REQUANT_RELU, "strh")
MULTIPLY_TILES(multiply_linear_bytes, TV_REQUANT_LINEAR, "strb")

#endif
