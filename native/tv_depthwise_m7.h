// SPDX-License-Identifier: MIT
//
// Groups of four and of two outputs of tv_depthwise_dsp.c for the Cortex-M7, and of six. It issues a load
// beside every multiplication, but not beside LDRD; what is loaded is wanted two cycles later at the
// earliest. So a row fetches the next row's first inputs and taps. Registers as said there.

#ifndef TV_DEPTHWISE_M7_H
#define TV_DEPTHWISE_M7_H

#define FOUR_1(row, taps4, s0, s1, s2, first, taps, second) \
    "smlad r0, r4, r7, " s0 "     \n" \
    "ldr r8, [r9, #" taps4 "]     \n" \
    "smlatb r1, r4, r7, " s1 "    \n" \
    "ldr.w r6, [" row ", #8]      \n" \
    "smlad r2, r5, r7, " s2 "     \n" \
    "ldr.w r4, " first "          \n" \
    "smlatb r3, r5, r7, r3        \n" \
    "add.w " row ", " row ", #8   \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "ldr.w r7, " taps "           \n" \
    "smlad r1, r5, r8, r1         \n" \
    "smlabt r2, r6, r8, r2        \n" \
    "ldr.w r5, " second "         \n" \
    "smlad r3, r6, r8, r3         \n"

#define FOURS_1 \
    FOUR_1("r10", "24", "r3", "r3", "r3", "[r11]", "[r9, #28]", "[r11, #4]") \
    FOUR_1("r11", "32", "r0", "r1", "r2", "[r12]", "[r9, #36]", "[r12, #4]") \
    FOUR_1("r12", "40", "r0", "r1", "r2", "[r9]", "[r9, #8]", "[r9, #4]")

// x, y and z take turns.
#define FOUR_2(row, taps4, s0, s1, s2, x, y, z, taps, first, second) \
    "smlad r0, " x ", r7, " s0 "  \n" \
    "ldr r8, [r9, #" taps4 "]     \n" \
    "smlad r1, " y ", r7, " s1 "  \n" \
    "ldr.w " z ", [" row ", #8]   \n" \
    "smlabt r0, " y ", r8, r0     \n" \
    "ldr.w " x ", [" row ", #12]  \n" \
    "smlad r2, " z ", r7, " s2 "  \n" \
    "ldrh.w " y ", [" row ", #16] \n" \
    "smlabt r1, " z ", r8, r1     \n" \
    "add.w " row ", " row ", #16  \n" \
    "smlad r3, " x ", r7, r3      \n" \
    "ldr.w r7, " taps "           \n" \
    "smlabt r2, " x ", r8, r2     \n" \
    "ldr.w " z ", " first "       \n" \
    "smlabt r3, " y ", r8, r3     \n" \
    "ldr.w " x ", " second "      \n"

#define FOURS_2 \
    FOUR_2("r10", "24", "r3", "r3", "r3", "r4", "r5", "r6", "[r9, #28]", "[r11]", "[r11, #4]") \
    FOUR_2("r11", "32", "r0", "r1", "r2", "r6", "r4", "r5", "[r9, #36]", "[r12]", "[r12, #4]") \
    FOUR_2("r12", "40", "r0", "r1", "r2", "r5", "r6", "r4", "[r9, #8]", "[r9]", "[r9, #4]")

// r4 mult, r5 round, r7 shift; ends with dx in r6 and dx3 in r8.
#define FOUR_RELU \
    "smmlar r0, r0, r4, r5        \n" \
    "ldr r6, [r9, #12]            \n" \
    "smmlar r1, r1, r4, r5        \n" \
    "ldr r8, [r9, #16]            \n" \
    "smmlar r2, r2, r4, r5        \n" \
    "asr r0, r0, r7               \n" \
    "smmlar r3, r3, r4, r5        \n" \
    "asr r1, r1, r7               \n" \
    "ssat r0, #8, r0              \n" \
    "asr r2, r2, r7               \n" \
    "ssat r1, #8, r1              \n" \
    "asr r3, r3, r7               \n"

#define FOUR_LINEAR \
    "add r6, r5, r0, asr #31      \n" \
    "add r8, r5, r1, asr #31      \n" \
    "smmlar r0, r0, r4, r6        \n" \
    "add r6, r5, r2, asr #31      \n" \
    "smmlar r1, r1, r4, r8        \n" \
    "add r8, r5, r3, asr #31      \n" \
    "smmlar r2, r2, r4, r6        \n" \
    "asr r0, r0, r7               \n" \
    "smmlar r3, r3, r4, r8        \n" \
    "asr r1, r1, r7               \n" \
    "ssat r0, #8, r0              \n" \
    "asr r2, r2, r7               \n" \
    "ldr r6, [r9, #12]            \n" \
    "ssat r1, #8, r1              \n" \
    "asr r3, r3, r7               \n" \
    "ldr r8, [r9, #16]            \n"

#define FOURS(fours, finish) \
    "1: ldr r4, [r10]             \n" /* each two from two banks, in one cycle */ \
    "ldr r5, [r10, #4]            \n" \
    "ldr r7, [r9, #20]            \n" \
    "ldr r3, [r9, #48]            \n" \
    fours \
    finish \
    "ssat r2, #8, r2              \n" \
    "ldr r4, [sp]                 \n" \
    "ssat r3, #8, r3              \n" \
    "strb r1, [lr, r6]            \n" \
    "cmp r10, r4                  \n" \
    "strb r2, [lr, r6, lsl #1]    \n" \
    "strb r3, [lr, r8]            \n" \
    "strb r0, [lr]                \n" /* after r3: dx3 may be 0 */ \
    "add lr, lr, r6, lsl #2       \n" \
    "bne 1b                       \n"

#define FOURS_1_RELU FOURS(FOURS_1, FOUR_RELU)
#define FOURS_1_LINEAR FOURS(FOURS_1, FOUR_LINEAR)
#define FOURS_2_RELU FOURS(FOURS_2, FOUR_RELU)
#define FOURS_2_LINEAR FOURS(FOURS_2, FOUR_LINEAR)

// Groups of two: `a` and `b` are this row's inputs, `first` and `second` fetch the next row's.
#define TWO_1(a, b, taps4, s0, first, taps, second) \
    "smlad r0, " a ", r7, " s0 "  \n" \
    "ldr r8, [r9, #" taps4 "]     \n" \
    "smlatb r1, " a ", r7, r1     \n" \
    "ldr.w " first "              \n" \
    "smlabt r0, " b ", r8, r0     \n" \
    "ldr.w r7, " taps "           \n" \
    "smlad r1, " b ", r8, r1      \n" \
    "ldr.w " second "             \n"

#define TWO_2(a, b, taps4, s0, first, taps, second, third) \
    "smlad r0, " a ", r7, " s0 "  \n" \
    "ldr r8, [r9, #" taps4 "]     \n" \
    "smlad r1, " b ", r7, r1      \n" \
    "ldr.w " first "              \n" \
    "smlabt r0, " b ", r8, r0     \n" \
    "ldr.w r7, " taps "           \n" \
    "smlabt r1, r6, r8, r1        \n" \
    third \
    "ldr.w " second "             \n"

#define ROWS_1 \
    TWO_1("r4", "r5", "24", "r1", "r2, [r11]", "[r9, #28]", "r3, [r11, #4]") \
    TWO_1("r2", "r3", "32", "r0", "r4, [r12]", "[r9, #36]", "r5, [r12, #4]") \
    TWO_1("r4", "r5", "40", "r0", "r2, [r9]", "[r9, #8]", "r3, [r9, #4]")

#define ROWS_2 \
    "ldrh.w r6, [r10, #8]         \n" \
    TWO_2("r4", "r5", "24", "r1", "r2, [r11]", "[r9, #28]", "r3, [r11, #4]", "ldrh.w r6, [r11, #8]\n") \
    TWO_2("r2", "r3", "32", "r0", "r4, [r12]", "[r9, #36]", "r5, [r12, #4]", "ldrh.w r6, [r12, #8]\n") \
    TWO_2("r4", "r5", "40", "r0", "r2, [r9]", "[r9, #8]", "r3, [r9, #4]", "")

// r2 mult, r3 round, r7 shift
#define TWO_RELU \
    "ldr r6, [r9, #12]            \n" \
    "smmlar r0, r0, r2, r3        \n" \
    "ldr r4, [r9, #64]            \n" \
    "smmlar r1, r1, r2, r3        \n"

#define TWO_LINEAR \
    "add r4, r3, r0, asr #31      \n" \
    "add r5, r3, r1, asr #31      \n" \
    "smmlar r0, r0, r2, r4        \n" \
    "ldr r6, [r9, #12]            \n" \
    "smmlar r1, r1, r2, r5        \n" \
    "ldr r4, [r9, #64]            \n"

#define TWOS(rows, finish, moved) \
    "ldr r4, [r10]                \n" \
    "ldr r5, [r10, #4]            \n" \
    "ldr r7, [r9, #20]            \n" \
    "ldr r1, [r9, #48]            \n" \
    rows \
    finish \
    "asr r0, r0, r7               \n" \
    "cmp r4, #2                   \n" \
    "asr r1, r1, r7               \n" \
    "ssat r0, #8, r0              \n" \
    "ssat r1, #8, r1              \n" \
    "strb r0, [lr]                \n" \
    "strb r1, [lr, r6]            \n" \
    "beq 5f                       \n" \
    "add lr, lr, r6, lsl #1       \n" \
    "add r10, r10, #" moved "     \n" \
    "add r11, r11, #" moved "     \n" \
    "add r12, r12, #" moved "     \n"

#define TWOS_1_RELU TWOS(ROWS_1, TWO_RELU, "4")
#define TWOS_1_LINEAR TWOS(ROWS_1, TWO_LINEAR, "4")
#define TWOS_2_RELU TWOS(ROWS_2, TWO_RELU, "8")
#define TWOS_2_LINEAR TWOS(ROWS_2, TWO_LINEAR, "8")

// Rows of six outputs, twelve and so on, where ReLU comes for free: six at a time take 59 cycles for 42
// multiplications, a row's end included. r0-r5 sums, r6 and r7 inputs, r8 taps (w0, w1), r12 (w1, w2), r9 the
// struct, r10 the window, r11 bytes from the start of an input row to the group, lr an input row.
#define SIX(s0, s1, s2, s3, s4, taps4, row, inside, taps, first, second) \
    "smlad r0, r6, r8, " s0 "     \n" \
    "ldr.w r12, [r9, #" taps4 "]  \n" \
    "smlatb r1, r6, r8, " s1 "    \n" \
    "ldr.w r6, [lr, #8]           \n" \
    "smlabt r0, r7, r12, r0       \n" \
    "smlad r1, r7, r12, r1        \n" \
    "smlad r2, r7, r8, " s2 "     \n" \
    "smlatb r3, r7, r8, " s3 "    \n" \
    "ldr.w r7, [lr, #12]          \n" \
    "smlabt r2, r6, r12, r2       \n" \
    "ldr.w lr, " row "            \n" \
    "smlad r3, r6, r12, r3        \n" \
    inside \
    "smlad r4, r6, r8, " s4 "     \n" \
    "smlatb r5, r6, r8, r5        \n" \
    "ldr.w r8, " taps "           \n" \
    "smlabt r4, r7, r12, r4       \n" \
    "ldr.w r6, " first "          \n" \
    "smlad r5, r7, r12, r5        \n" \
    "ldr.w r7, " second "         \n"

#define INSIDE "add.w lr, lr, r11     \n"

// The last row of taps fetches mult, round, shift and dx into lr, r8, r6 and r7; then r12 is the output and
// r8 dx3. On the stack: where r11 is at the end of a row.
__attribute__((naked, noinline)) static void channel_1_sixes(__attribute__((unused)) channel_t *c) {
    __asm volatile (
        "push {r3-r11, lr}            \n"
        "mov r9, r0                   \n"
        "ldrd r10, r11, [r9, #52]     \n" // window, channel
        "ldr r4, [r9, #60]            \n" // fours: bytes of input in a row
        "add r4, r11                  \n"
        "str r4, [sp]                 \n"
        "ldr r12, [r9, #68]           \n" // out
        "b 2f                         \n"
        "1:                           \n"
        SIX("r5", "r5", "r5", "r5", "r5", "24", "[r10, #4]", INSIDE, "[r9, #28]", "[lr]", "[lr, #4]")
        SIX("r0", "r1", "r2", "r3", "r4", "32", "[r10, #8]", INSIDE, "[r9, #36]", "[lr]", "[lr, #4]")
        SIX("r0", "r1", "r2", "r3", "r4", "40", "[r9]", "", "[r9, #4]", "[r9, #8]", "[r9, #12]")
        "smmlar r0, r0, lr, r8        \n"
        "ldr.w r12, [r9, #68]         \n"
        "smmlar r1, r1, lr, r8        \n"
        "add.w r11, r11, #12          \n"
        "smmlar r2, r2, lr, r8        \n"
        "asr r0, r0, r6               \n"
        "smmlar r3, r3, lr, r8        \n"
        "asr r1, r1, r6               \n"
        "smmlar r4, r4, lr, r8        \n"
        "asr r2, r2, r6               \n"
        "smmlar r5, r5, lr, r8        \n"
        "ldr.w r8, [r9, #16]          \n"
        "ssat r0, #8, r0              \n"
        "asr r3, r3, r6               \n"
        "ssat r1, #8, r1              \n"
        "asr r4, r4, r6               \n"
        "ssat r2, #8, r2              \n"
        "asr r5, r5, r6               \n"
        "ssat r3, #8, r3              \n"
        "strb.w r0, [r12]             \n"
        "ssat r4, #8, r4              \n"
        "strb.w r1, [r12, r7]         \n"
        "ssat r5, #8, r5              \n"
        "strb.w r2, [r12, r7, lsl #1] \n"
        "ldr r0, [sp]                 \n"
        "strb.w r4, [r12, r7, lsl #2] \n"
        "add r12, r8                  \n"
        "ldr r1, [r9, #72]            \n" // row_bytes
        "strb.w r3, [r12]             \n"
        "cmp r11, r0                  \n"
        "strb.w r5, [r12, r7, lsl #1] \n"
        "add r12, r8                  \n"
        "ittt eq                      \n" // the row ends
        "ldreq.w r11, [r9, #56]       \n"
        "addeq.w r12, r12, r1         \n"
        "addeq.w r10, r10, #4         \n"
        "2: ldr.w lr, [r10]           \n"
        "str.w r12, [r9, #68]         \n"
        "ldr.w r8, [r9, #20]          \n"
        "ldr.w r5, [r9, #48]          \n"
        "add lr, r11                  \n"
        "ldr.w r0, [r9, #80]          \n" // where windows end
        "ldr.w r6, [lr]               \n"
        "ldr.w r7, [lr, #4]           \n"
        "cmp r10, r0                  \n"
        "bne.w 1b                     \n"
        "pop {r3-r11, pc}             \n"
        );
}

#endif
