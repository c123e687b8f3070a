// SPDX-License-Identifier: MIT
//
// Helium's depthwise kernel 3: all channels of some rows. A window is one vector of four columns of
// four bytes. Where the stride is 1, the window to its right lies in the same vector, three columns
// of it; and where a fourth row is sorted with the others, so do both windows of the row below. For
// these the taps are moved by four bytes, by one, or by both.

#ifndef TV_DEPTHWISE_MVE_H
#define TV_DEPTHWISE_MVE_H

#include "tv_mve.h"

// What channels_... work on. The assembly uses the offsets from `mult`; LDM needs the fields in this
// order. A band is the rows of output that are made of the same columns: one, or two.
typedef struct {
    int32_t sums[8];        // -32: eight times the bias of the channel at hand
    int32_t mult;           // 0
    int32_t minus_shift;    // 4
    int32_t zero_point;     // 8
    int8_t *columns;        // 12
    uint32_t outputs;       // 16: of a row
    uint32_t pixels;        // 20: of input for them
    const int16_t **rows;   // 24: of input
    uint32_t at;            // 28: bytes from there to the first pixel of the channel
    int8_t *out;            // 32
    uint32_t row_bytes;     // 36
    uint32_t bands;         // 40: left to do
    uint32_t step;          // 44: bytes from an output to the fourth one after it
    uint32x4_t offsets;     // 48: of four outputs
    uint8x16_t place;       // 64: of the taps
    const uint8_t *packed;  // 80
    const uint8_t *bias;    // 84
    const uint8_t *mults;   // 88
    const uint8_t *shift;   // 92
    const int16_t **first_rows;     // 96
    uint32_t all_bands;     // 100
    int8_t *first_out;      // 104
    uint32_t pitch;         // 108: bytes to the next channel of the input
    uint32_t channels;      // 112: left to do
    uint32_t blanks;        // 116: rows outside the image
    const int16_t ***outside;       // 120
} channels_t;

#define LOAD_ROWS_3 \
    "vpsttt                     \n" \
    "vldrht.u16 q4, [r1], #16   \n" \
    "vldrht.u16 q6, [r3], #16   \n" \
    "vldrht.u16 q5, [r5], #16   \n"
#define LOAD_ROWS_4 \
    "vpstttt                    \n" \
    "vldrht.u16 q4, [r1], #16   \n" \
    "vldrht.u16 q6, [r3], #16   \n" \
    "vldrht.u16 q5, [r5], #16   \n" \
    "vldrht.u16 q7, [r9], #16   \n" \
    "vmovnt.i16 q5, q7          \n"

// Sums of four windows into q4; of two rows also into q5.
#define WINDOWS_3_1 \
    "vldrb.8 q4, [r1], #8       \n" \
    "ldmdb r7, {r0, r2, r4, r6} \n" \
    "vmladava.s8 r0, q4, q0     \n" \
    "vldrb.8 q5, [r1], #8       \n" \
    "vmladava.s8 r2, q4, q1     \n" \
    "vmladava.s8 r4, q5, q0     \n" \
    "vmladava.s8 r6, q5, q1     \n" \
    "vmov q4[2], q4[0], r0, r4  \n" \
    "vmov q4[3], q4[1], r2, r6  \n"
#define WINDOWS_3_2 \
    "vldrb.8 q4, [r1], #8       \n" \
    "ldmdb r7, {r0, r2, r4, r6} \n" \
    "vmladava.s8 r0, q4, q0     \n" \
    "vldrb.8 q5, [r1], #8       \n" \
    "vmladava.s8 r2, q5, q0     \n" \
    "vldrb.8 q4, [r1], #8       \n" \
    "vmladava.s8 r4, q4, q0     \n" \
    "vldrb.8 q5, [r1], #8       \n" \
    "vmladava.s8 r6, q5, q0     \n" \
    "vmov q4[2], q4[0], r0, r4  \n" \
    "vmov q4[3], q4[1], r2, r6  \n"
#define WINDOWS_3_PAIRS \
    "vldrb.8 q4, [r1], #8       \n" \
    "ldmdb r7, {r0, r2, r4, r6, r8, r10, r12, lr} \n" \
    "vmladava.s8 r0, q4, q0     \n" \
    "vldrb.8 q5, [r1], #8       \n" \
    "vmladava.s8 r2, q4, q1     \n" \
    "vmladava.s8 r8, q4, q2     \n" \
    "vmladava.s8 r10, q4, q3    \n" \
    "vmladava.s8 r4, q5, q0     \n" \
    "vmladava.s8 r6, q5, q1     \n" \
    "vmladava.s8 r12, q5, q2    \n" \
    "vmladava.s8 lr, q5, q3     \n" \
    "vmov q4[2], q4[0], r0, r4  \n" \
    "vmov q4[3], q4[1], r2, r6  \n" \
    "vmov q5[2], q5[0], r8, r12 \n" \
    "vmov q5[3], q5[1], r10, lr \n"

// As tv_requantize_mve().
#define REQUANT(to, from) \
    "vshr.s32 " to ", " from ", #31 \n" \
    "vqrdmlah.s32 " to ", " from ", r0 \n" \
    "vrshl.s32 " to ", r2       \n" \
    "vadd.i32 " to ", " to ", r4 \n" \
    "vqmovnb.s32 " to ", " to " \n" \
    "vqmovnb.s16 " to ", " to " \n"
#define STORE_1 \
    REQUANT("q6", "q4") \
    "vpst                       \n" \
    "vstrbt.32 q6, [r3, q7]     \n"
#define STORE_2 \
    REQUANT("q6", "q4") \
    REQUANT("q4", "q5") \
    "vpstt                      \n" \
    "vstrbt.32 q6, [r3, q7]     \n" \
    "vstrbt.32 q4, [r5, q7]     \n" \
    "add r5, r11                \n"

// Taps in q0; one pixel on, in q1; one row down, q2 and q3.
#define TAPS_1 \
    "vmov q1, q0                \n" \
    "vshlc q1, r8, #32          \n"
#define TAPS_2 \
    TAPS_1 \
    "vmov q2, q0                \n" \
    "vshlc q2, r8, #8           \n" \
    "vmov q3, q1                \n" \
    "vshlc q3, r8, #8           \n"

#define CHANNELS(name, TAPS, LOAD_ROWS, WINDOWS, STORE, next_rows, NEXT_OUT) \
    __attribute__((naked, noinline)) static void name(int32_t *mult __attribute__((unused))) { \
        __asm volatile ( \
            "push {r4-r11, lr}          \n" \
            "vpush {d8-d15}             \n" \
            "mov r7, r0                 \n" \
            "0:                         \n" \
            "add r10, r7, #80           \n" \
            "ldm r10, {r0, r2, r4, r6}  \n" /* packed, bias, mults, shift */ \
            "vldrw.32 q4, [r7, #64]     \n" \
            "movw r8, #0x777            \n" /* three of four taps of three of four columns */ \
            "vmsr p0, r8                \n" \
            "mov r8, #0                 \n" \
            "vpst                       \n" \
            "vldrbt.u8 q0, [r0, q4]     \n" \
            TAPS \
            "ldr r8, [r2], #4           \n" \
            "add r0, #12                \n" \
            "vdup.32 q4, r8             \n" \
            "ldr r8, [r4], #4           \n" \
            "ldrb r9, [r6], #1          \n" \
            "vstrw.32 q4, [r7, #-32]    \n" \
            "vstrw.32 q4, [r7, #-16]    \n" \
            "rsb r9, #0                 \n" \
            "strd r8, r9, [r7]          \n" \
            "stm r10!, {r0, r2, r4, r6} \n" \
            "ldm r10, {r0, r2, r4}      \n" /* first_rows, all_bands, first_out */ \
            "add r6, r4, #1             \n" \
            "str r0, [r7, #24]          \n" \
            "str r2, [r7, #40]          \n" \
            "str r4, [r7, #32]          \n" \
            "str r6, [r7, #104]         \n" \
            "1:                         \n" \
            "ldrd r12, lr, [r7, #24]    \n" /* rows, at */ \
            "ldm r12, {r1, r3, r5, r9}  \n" \
            "add r12, #" next_rows "    \n" \
            "str r12, [r7, #24]         \n" \
            "add r1, lr                 \n" \
            "add r3, lr                 \n" \
            "add r5, lr                 \n" \
            "add r9, lr                 \n" \
            "ldr lr, [r7, #20]          \n" /* pixels */ \
            "ldr r12, [r7, #12]         \n" /* columns */ \
            "2: vctp.16 lr              \n" \
            LOAD_ROWS \
            "vmovnt.i16 q4, q6          \n" \
            "vst20.16 {q4, q5}, [r12]   \n" \
            "subs lr, #8                \n" \
            "vst21.16 {q4, q5}, [r12]!  \n" \
            "bgt 2b                     \n" \
            "ldrd r3, r5, [r7, #32]     \n" /* out, row_bytes */ \
            "ldr r11, [r7, #44]         \n" /* step */ \
            "vldrw.32 q7, [r7, #48]     \n" \
            "ldrd r1, r9, [r7, #12]     \n" /* columns, outputs */ \
            "add r10, r3, " NEXT_OUT "  \n" \
            "add r5, r3                 \n" \
            "str r10, [r7, #32]         \n" \
            "3: vctp.32 r9              \n" \
            WINDOWS \
            "ldm r7, {r0, r2, r4}       \n" \
            STORE \
            "add r3, r11                \n" \
            "subs r9, #4                \n" \
            "bgt 3b                     \n" \
            "ldr r8, [r7, #40]          \n" \
            "subs r8, #1                \n" \
            "str r8, [r7, #40]          \n" \
            "bne 1b                     \n" \
            "add r10, r7, #108          \n" \
            "ldm r10, {r0, r2, r4, r6}  \n" /* pitch, channels, blanks, outside */ \
            "ldr r8, [r7, #28]          \n" \
            "add r8, r0                 \n" \
            "str r8, [r7, #28]          \n" \
            "cbz r4, 5f                 \n" \
            "4: ldr r8, [r6], #4        \n" /* they have but one channel */ \
            "ldr r9, [r8]               \n" \
            "sub r9, r0                 \n" \
            "str r9, [r8]               \n" \
            "subs r4, #1                \n" \
            "bne 4b                     \n" \
            "5: subs r2, #1             \n" \
            "str r2, [r7, #112]         \n" \
            "bne.w 0b                   \n" \
            "vpop {d8-d15}              \n" \
            "pop {r4-r11, pc}           \n" \
            ); \
    }

CHANNELS(channels_3_1, TAPS_1, LOAD_ROWS_3, WINDOWS_3_1, STORE_1, "4", "r5")
CHANNELS(channels_3_2, TAPS_1, LOAD_ROWS_3, WINDOWS_3_2, STORE_1, "8", "r5")
CHANNELS(channels_3_pairs, TAPS_2, LOAD_ROWS_4, WINDOWS_3_PAIRS, STORE_2, "8", "r5, lsl #1")

#endif // TV_DEPTHWISE_MVE_H
