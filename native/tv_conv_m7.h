// SPDX-License-Identifier: MIT
//
// The inner loop of tv_conv_dsp.c for the Cortex-M7, which issues two instructions a cycle, but one
// multiplication: 12 cycles for 24 products, the limit of SMLAD.

#ifndef TV_CONV_M7_H
#define TV_CONV_M7_H

// Four inputs of three pixels and two channels: 24 products in 12 cycles of a Cortex-M7. It issues
// two instructions a cycle, but only one multiplication, and LDRD and LDM go alone; so every LDR
// stands beside a SMLAD. What is loaded is wanted two cycles later at the earliest. `w` and `c` are
// the assembler's: where this step's weights and columns begin.
//
// r0 weights, r1 columns; r2, r3 weights (o: 02), (o + 1: 02), r4, r5 (13); r6, r7 inputs; r8-r10 sums
// of channel o, r11, r12, lr of o + 1. At the begin r2, r3 and r6 are there.
#define HALF_1 \
    "smlad r8, r2, r6, r8       \n" \
    "ldr.w r7, [r1, #c + 8]     \n" \
    "smlad r11, r3, r6, r11     \n" \
    "ldr.w r4, [r0, #w + 4]     \n" \
    "smlad r9, r2, r7, r9       \n" \
    "ldr.w r6, [r1, #c + 16]    \n" \
    "smlad r12, r3, r7, r12     \n" \
    "ldr.w r5, [r0, #w + 12]    \n" \
    "smlad r10, r2, r6, r10     \n" \
    "ldr.w r7, [r1, #c + 4]     \n" \
    "smlad lr, r3, r6, lr       \n"

// 88 bytes of code.
#define STEP_BYTES (88)
#define LOOP_END_BYTES (16) // from the last of the unrolled steps to where none is left to do
#define MULTIPLY_4 \
    HALF_1 \
    "smlad r8, r4, r7, r8       \n" \
    "ldr.w r6, [r1, #c + 12]    \n" \
    "smlad r11, r5, r7, r11     \n" \
    "ldr.w r2, [r0, #w + 16]    \n" \
    "smlad r9, r4, r6, r9       \n" \
    "ldr.w r7, [r1, #c + 20]    \n" \
    "smlad r12, r5, r6, r12     \n" \
    "ldr.w r3, [r0, #w + 24]    \n" \
    "smlad r10, r4, r7, r10     \n" \
    "ldr.w r6, [r1, #c + 24]    \n" \
    "smlad lr, r5, r7, lr       \n" \
    ".set c, c + 24             \n" \
    ".set w, w + 16             \n"

// The last four: the struct to r0, mult, round and shift of channel o to r2, r3 and r6.
#define MULTIPLY_LAST \
    ".set c, 0                  \n" \
    ".set w, 0                  \n" \
    HALF_1 \
    "ldr r0, [sp, #36]          \n" \
    "smlad r8, r4, r7, r8       \n" \
    "ldr r6, [r1, #12]          \n" \
    "smlad r11, r5, r7, r11     \n" \
    "ldr.w r2, [r0, #0]         \n" \
    "smlad r9, r4, r6, r9       \n" \
    "ldr r7, [r1, #20]          \n" \
    "smlad r12, r5, r6, r12     \n" \
    "ldr r3, [r0, #4]           \n" \
    "smlad r10, r4, r7, r10     \n" \
    "ldr r6, [r0, #8]           \n" \
    "smlad lr, r5, r7, lr       \n"

// Requantizes the six sums and stores them: stores beside SSAT or a shift, never beside a multiplication.
// Then r3 is where channel o + 1 lies, r4 the line's end, and r1 and r7 have moved on to the next tile.
#define FINISH_RELU_BYTES \
    RELU \
    "asr r10, r10, r6           \n" \
    "ldr r2, [r0, #16]          \n" /* dx */ \
    "ssat r9, #8, r9            \n" \
    "ldr r6, [r0, #40]          \n" \
    "ssat r10, #8, r10          \n" \
    STORE_BYTES

#define FINISH_RELU_HALVES \
    RELU \
    "asr r10, r10, r6           \n" \
    "ldr r6, [r0, #40]          \n" \
    "ssat r9, #8, r9            \n" \
    "strh r8, [r7]              \n" \
    "ssat r10, #8, r10          \n" \
    "strh r9, [r7, #2]          \n" \
    "asr r11, r11, r6           \n" \
    "strh r10, [r7, #4]         \n" \
    "asr r12, r12, r6           \n" \
    "ldr r3, [r0, #20]          \n" /* dc */ \
    "ssat r11, #8, r11          \n" \
    "asr lr, lr, r6             \n" \
    "ssat r12, #8, r12          \n" \
    "ldr r4, [r0, #28]          \n" /* line_end */ \
    "ssat lr, #8, lr            \n" \
    "add r3, r7                 \n" \
    "adds r7, #6                \n" \
    "strh.w r11, [r3]           \n" \
    "add.w r1, r1, #24          \n" \
    "strh.w r12, [r3, #2]       \n" \
    "cmp r1, r4                 \n" \
    "strh.w lr, [r3, #4]        \n"

#define RELU \
    "ldr r4, [r0, #32]          \n" /* mult, round of o + 1 */ \
    "smmlar r8, r8, r2, r3      \n" \
    "ldr r5, [r0, #36]          \n" \
    "smmlar r9, r9, r2, r3      \n" \
    "ldr r7, [r0, #12]          \n" /* out */ \
    "smmlar r10, r10, r2, r3    \n" \
    "asr r8, r8, r6             \n" \
    "smmlar r11, r11, r4, r5    \n" \
    "asr r9, r9, r6             \n" \
    "smmlar r12, r12, r4, r5    \n" \
    "ssat r8, #8, r8            \n" \
    "smmlar lr, lr, r4, r5      \n"

#define STORE_BYTES \
    "strb r8, [r7]              \n" \
    "asr r11, r11, r6           \n" \
    "strb r9, [r7, r2]          \n" \
    "asr r12, r12, r6           \n" \
    "strb r10, [r7, r2, lsl #1] \n" \
    "ssat r11, #8, r11          \n" \
    "asr lr, lr, r6             \n" \
    "ssat r12, #8, r12          \n" \
    "ldr r3, [r0, #20]          \n" /* dc */ \
    "ssat lr, #8, lr            \n" \
    "ldr r4, [r0, #28]          \n" /* line_end */ \
    "add r3, r7                 \n" \
    "add r7, r7, r2, lsl #1     \n" \
    "add r7, r2                 \n" \
    "strb.w r11, [r3]           \n" \
    "add.w r1, r1, #24          \n" \
    "strb.w r12, [r3, r2]       \n" \
    "cmp r1, r4                 \n" \
    "strb.w lr, [r3, r2, lsl #1]\n"

#define FINISH_LINEAR_BYTES \
    "add r4, r3, r8, asr #31    \n" \
    "ldr r7, [r0, #36]          \n" \
    "smmlar r8, r8, r2, r4      \n" \
    "add r5, r3, r9, asr #31    \n" \
    "add r4, r3, r10, asr #31   \n" \
    "smmlar r9, r9, r2, r5      \n" \
    "asr r8, r8, r6             \n" \
    "smmlar r10, r10, r2, r4    \n" \
    "ldr r2, [r0, #32]          \n" \
    "add r3, r7, r11, asr #31   \n" \
    "asr r9, r9, r6             \n" \
    "smmlar r11, r11, r2, r3    \n" \
    "add r5, r7, r12, asr #31   \n" \
    "ssat r8, #8, r8            \n" \
    "smmlar r12, r12, r2, r5    \n" \
    "add r4, r7, lr, asr #31    \n" \
    "asr r10, r10, r6           \n" \
    "smmlar lr, lr, r2, r4      \n" \
    "ldr r6, [r0, #40]          \n" \
    "ssat r9, #8, r9            \n" \
    "ldr r7, [r0, #12]          \n" \
    "ssat r10, #8, r10          \n" \
    "ldr r2, [r0, #16]          \n" \
    STORE_BYTES

// What a tile ends with.
enum { RELU_BYTES, RELU_HALVES, LINEAR_BYTES };

#define NEXT_TILE \
    "str r7, [r0, #12]          \n" /* out */ \
    "bne.w 1b                   \n"

// On the stack: first weights of o and o + 1, where all begin less what the entry leaves out, biases,
// skip_columns, the last four weights, addresses of the entry and of the end, the struct's.
__attribute__((naked, noinline)) static void multiply_tiles(__attribute__((unused)) tiles_t *t,
    __attribute__((unused)) uint32_t end) {
    __asm volatile (
        "push {r0, r4-r11, lr}      \n"
        "adr.w r11, 3f              \n"
        "cmp r1, #1                 \n"
        "it eq                      \n"
        "adreq.w r11, 4f            \n"
        "it hi                      \n"
        "adrhi.w r11, 5f            \n"
        "ldr r12, [r0, #44]         \n" // weights
        "ldrd r9, r2, [r0, #56]     \n" // weights_end, entry
        "ldrd r4, r8, [r0, #80]     \n" // skipped weights, columns
        "ldr r1, [r0, #76]          \n"
        "adr.w r3, 2f               \n"
        "add r10, r2, r3            \n"
        "orr r10, #1                \n" // Thumb
        "orr r11, #1                \n"
        "sub r9, #16                \n"
        "ldr r2, [r12]              \n"
        "ldr r3, [r12, #8]          \n"
        "sub r4, r12, r4            \n"
        "ldrd r6, r7, [r0, #48]     \n" // bias
        "push {r2-r4, r6-r11}       \n"
        "1: ldr r8, [sp, #12]       \n" // biases: two banks, in one cycle
        "ldr lr, [sp, #16]          \n"
        "ldr r7, [sp, #20]          \n" // skipped columns
        "mov r9, r8                 \n"
        "ldr r6, [r1]               \n"
        "mov r10, r8                \n"
        "ldr r2, [sp]               \n"
        "ldr r3, [sp, #4]           \n"
        "ldr r0, [sp, #8]           \n"
        "sub.w r1, r1, r7           \n"
        "mov r11, lr                \n"
        "mov r12, lr                \n"
        "ldr pc, [sp, #28]          \n"
        ".balign 4                  \n"
        "2:                         \n"
        ".set c, 0                  \n"
        ".set w, 0                  \n"
        MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 MULTIPLY_4
        MULTIPLY_4 MULTIPLY_4 MULTIPLY_4 MULTIPLY_4
        "add.w r0, r0, #w           \n"
        "ldr r4, [sp, #24]          \n"
        "add.w r1, r1, #c           \n"
        "cmp r0, r4                 \n"
        "bne 2b                     \n"
        MULTIPLY_LAST
        "ldr pc, [sp, #32]          \n"
        "3: " FINISH_RELU_BYTES
        NEXT_TILE
        "b.w 6f                     \n"
        "4: " FINISH_RELU_HALVES
        NEXT_TILE
        "b.w 6f                     \n"
        "5: " FINISH_LINEAR_BYTES
        NEXT_TILE
        "6: ldrd r2, r3, [r0, #64]  \n" // lines, line_columns
        "ldr r5, [r0, #72]          \n" // line_step
        "subs r2, #1                \n"
        "add r4, r3                 \n"
        "add r7, r5                 \n"
        "str r2, [r0, #64]          \n"
        "str r4, [r0, #28]          \n"
        "str r7, [r0, #12]          \n"
        "bne.w 1b                   \n"
        "add sp, #40                \n"
        "pop {r4-r11, pc}           \n"
        );
}

static void multiply_relu_bytes(tiles_t *t) {
    multiply_tiles(t, RELU_BYTES);
}

static void multiply_relu_halves(tiles_t *t) {
    multiply_tiles(t, RELU_HALVES);
}

static void multiply_linear_bytes(tiles_t *t) {
    multiply_tiles(t, LINEAR_BYTES);
}

// One channel of a line of whole tiles, eight inputs a pixel, into halfwords side by side: 19 cycles
// for three outputs. LDM takes the fields in this order.
typedef struct {
    uint32_t weights[4];
    tv_requant_t requant; // shift with the number of tiles less one above its lowest byte
    int32_t bias;         // doubled
} eights_t;

// A pixel while the one before it, whose sum is t, is finished. a to d: weights; then where the words
// for c and d and the first two of the next pixel lie.
#define EIGHTS(s, t, a, b, c, d, second, third, fourth, next) \
    "smmlar " t ", " t ", r8, r9       \n" \
    "ldr.w lr, [r1, #" second "]       \n" \
    "smlad " s ", r12, " a ", r11      \n" \
    "ldr.w r12, [r1, #" third "]       \n" \
    "smlad " s ", lr, " b ", " s "     \n" \
    "ldr.w lr, [r1, #" fourth "]       \n" \
    "smlad " s ", r12, " c ", " s "    \n" \
    "asr.w " t ", " t ", r10           \n" \
    "ssat " t ", #8, " t "             \n" \
    "smlad " s ", lr, " d ", " s "     \n" \
    "strh " t ", [r2], #-2             \n" \
    "ldr.w r12, [r1, #" next "]        \n"

// From the end to the begin: `columns` of the last tile, `to` of the last pixel. What is loaded too
// much at the end lies in the scratch before the columns, where two channels' weights have room.
// r0, r3 sums, r1 columns, 32 bytes further than the tile, r2 out, r4-r11 the struct, r12, lr inputs.
__attribute__((naked, noinline)) static void multiply_eights_line(__attribute__((unused)) const eights_t *e,
    __attribute__((unused)) const uint32_t *columns, __attribute__((unused)) int8_t *to) {
    __asm volatile (
        "push {r4-r11, lr}          \n"
        "ldm r0, {r4-r11}           \n"
        "ldr r12, [r1, #16]         \n" // the last pixel
        "ldr lr, [r1, #20]          \n"
        "smlad r3, r12, r4, r11     \n"
        "ldr r12, [r1, #40]         \n"
        "smlad r3, lr, r5, r3       \n"
        "ldr lr, [r1, #44]          \n"
        "smlad r3, r12, r6, r3      \n"
        "ldr r12, [r1, #32]!        \n"
        "smlad r3, lr, r7, r3       \n"
        "1: "
        EIGHTS("r0", "r3", "r6", "r7", "r4", "r5", "4", "-24", "-20", "-32")
        EIGHTS("r3", "r0", "r4", "r5", "r6", "r7", "-28", "-8", "-4", "-64")
        "smmlar r3, r3, r8, r9      \n" // the last pixel of the tile before
        "ldr.w lr, [r1, #-60]       \n"
        "smlad r0, r12, r4, r11     \n"
        "ldr.w r12, [r1, #-40]      \n"
        "smlad r0, lr, r5, r0       \n"
        "ldr.w lr, [r1, #-36]       \n"
        "smlad r0, r12, r6, r0      \n"
        "asr.w r12, r3, r10         \n"
        "ssat r12, #8, r12          \n"
        "smlad r3, lr, r7, r0       \n"
        "subs r10, r10, #256        \n"
        "strh r12, [r2], #-2        \n"
        "ldr r12, [r1, #-48]!       \n"
        "bpl 1b                     \n"
        "pop {r4-r11, pc}           \n"
        );
}

#endif
