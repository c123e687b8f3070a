// SPDX-License-Identifier: MIT
//
// Depthwise 5x5 and 7x7 for cores with the DSP extension.
//
// As in tv_depthwise_dsp.c a word holds two neighbouring inputs, SMLAD takes two taps of an output
// at once, and taps and bias are doubled. A row's taps lie there as pairs of two kinds: A is
// (w0, w1), (w2, w3) ... for an output whose window begins at an even input, B is (w1, w2),
// (w3, w4) ... for one that begins at an odd one. The tap that is left over, the last or the first,
// is half of a pair of the other kind, so no input is shuffled. Four outputs at a time, then two,
// then one; their sums stay in registers while the rows of the window pass by.

#include "tv_kernels.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

#define ROWS (8) // output rows at a time, so that a channel's taps are widened once for them

// One channel of some rows. The assembly knows the offsets; LDM takes the first four fields.
typedef struct {
    tv_requant_t requant;   // 0
    uint32_t dx;            // 12: bytes to the next output
    int32_t bias;           // 16: doubled
    const int16_t *const *window; // 20: the input rows of an output row; the next row's follow
    uint32_t window_step;   // 24: bytes from one row's window to the next one's
    uint32_t window_bytes;  // 28: of one window
    uint32_t channel;       // 32: bytes from the start of the input rows to the channel
    uint32_t fours;         // 36: bytes of input that the groups of four outputs move on
    uint32_t rest;          // 40: outputs after them, 0 ... 3
    int8_t *out;            // 44: of the next row
    uint32_t row_bytes;     // 48: bytes to the next row of the output
    uint32_t rows;          // 52: left to do
    uint32_t taps[7 * 6 + 1]; // 56: a row after the other: A0, A1, B0, B1 and for 7x7 A2, B2
} channel_t;

typedef void channel_kernel_t(channel_t *c);

// A row of the window. r0-r3 sums, r4-r8 inputs p0, p1 ... (r8 holds the row's address at first),
// r9 where the outputs' inputs begin, r10 rows, r11 taps, r12 and lr two pairs of taps.
#define ROW \
    "ldr r8, [r10], #4          \n" \
    "add r8, r9                 \n" \
    "ldrd r12, lr, [r11], #8    \n" /* A0, A1 */ \
    "ldrd r4, r5, [r8]          \n"

// Before the first row, and after each: is it the last one?
#define BEGIN \
    "ldr r12, [sp, #12]         \n" \
    "ldrd r0, r10, [r12, #16]   \n" /* bias, window */ \
    "add r11, r12, #56          \n"
#define LOOP(label) \
    "ldr r12, [sp]              \n" \
    "cmp r10, r12               \n" \
    "bne " label "b             \n"
// Four outputs: the sums begin as the bias.
#define FOURS(four) BEGIN \
    "mov r1, r0                 \n" \
    "mov r2, r0                 \n" \
    "mov r3, r0                 \n" \
    "2: " four LOOP("2")

#if TV_DUAL_ISSUE
#include "tv_depthwise_wide_m7.h"
#else
// The first four taps of four outputs; the inputs are there, B1 stays in lr.
#define FIRST_FOUR_TAPS \
    "smlad r0, r4, r12, r0      \n" \
    "smlatb r1, r4, r12, r1     \n" \
    "smlad r2, r5, r12, r2      \n" \
    "smlatb r3, r5, r12, r3     \n" \
    "smlad r0, r5, lr, r0       \n" \
    "smlad r2, r6, lr, r2       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r3, r6, r12, r3      \n"

#define FOUR_5_1 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    FIRST_FOUR_TAPS \
    "smlabt r0, r6, lr, r0      \n" \
    "smlad r1, r6, lr, r1       \n" \
    "smlabt r2, r7, lr, r2      \n" \
    "smlad r3, r7, lr, r3       \n"

#define FOUR_7_1 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "ldr r8, [r8, #16]          \n" \
    FIRST_FOUR_TAPS \
    "smlad r1, r6, lr, r1       \n" \
    "smlad r3, r7, lr, r3       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* A2, B2 */ \
    "smlad r0, r6, r12, r0      \n" \
    "smlad r2, r7, r12, r2      \n" \
    "smlabt r0, r7, lr, r0      \n" \
    "smlad r1, r7, lr, r1       \n" \
    "smlabt r2, r8, lr, r2      \n" \
    "smlad r3, r8, lr, r3       \n"
#define FOURS_5_1 FOURS(FOUR_5_1)
#define FOURS_7_1 FOURS(FOUR_7_1)
#endif

#define TWO_5_1 ROW \
    "ldr r6, [r8, #8]           \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlatb r1, r4, r12, r1     \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlad r1, r5, r12, r1      \n" \
    "smlabt r0, r6, lr, r0      \n" \
    "smlad r1, r6, lr, r1       \n"

#define FOUR_5_2 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r4, r5, [r8, #16]     \n" \
    "smlad r1, r6, lr, r1       \n" \
    "smlad r2, r6, r12, r2      \n" \
    "smlad r3, r7, r12, r3      \n" \
    "smlad r2, r7, lr, r2       \n" \
    "smlad r3, r4, lr, r3       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlabt r0, r6, lr, r0      \n" \
    "smlabt r1, r7, lr, r1      \n" \
    "smlabt r2, r4, lr, r2      \n" \
    "smlabt r3, r5, lr, r3      \n"

#define TWO_5_2 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "smlad r1, r6, lr, r1       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlabt r0, r6, lr, r0      \n" \
    "smlabt r1, r7, lr, r1      \n"

#define ONE_5 ROW \
    "ldr r6, [r8, #8]           \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlabt r0, r6, lr, r0      \n"

#define TWO_7_1 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlatb r1, r4, r12, r1     \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* B0, B1 */ \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r1, r6, lr, r1       \n" \
    "ldrd r12, lr, [r11], #8    \n" /* A2, B2 */ \
    "smlad r0, r6, r12, r0      \n" \
    "smlabt r0, r7, lr, r0      \n" \
    "smlad r1, r7, lr, r1       \n"

#define FOUR_7_2 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r4, r5, [r8, #16]     \n" \
    "smlad r1, r6, lr, r1       \n" \
    "smlad r2, r6, r12, r2      \n" \
    "smlad r3, r7, r12, r3      \n" \
    "smlad r2, r7, lr, r2       \n" \
    "smlad r3, r4, lr, r3       \n" \
    "ldrd r12, lr, [r11, #8]    \n" /* A2, B2 */ \
    "ldr r8, [r8, #24]          \n" \
    "add r11, #16               \n" \
    "smlad r0, r6, r12, r0      \n" \
    "smlad r1, r7, r12, r1      \n" \
    "smlabt r0, r7, lr, r0      \n" \
    "smlad r2, r4, r12, r2      \n" \
    "smlabt r1, r4, lr, r1      \n" \
    "smlad r3, r5, r12, r3      \n" \
    "smlabt r2, r5, lr, r2      \n" \
    "smlabt r3, r8, lr, r3      \n"

#define TWO_7_2 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "ldr r8, [r8, #16]          \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r1, r5, r12, r1      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "smlad r1, r6, lr, r1       \n" \
    "ldrd r12, lr, [r11, #8]    \n" /* A2, B2 */ \
    "add r11, #16               \n" \
    "smlad r0, r6, r12, r0      \n" \
    "smlad r1, r7, r12, r1      \n" \
    "smlabt r0, r7, lr, r0      \n" \
    "smlabt r1, r8, lr, r1      \n"

#define ONE_7 ROW \
    "ldrd r6, r7, [r8, #8]      \n" \
    "smlad r0, r4, r12, r0      \n" \
    "smlad r0, r5, lr, r0       \n" \
    "ldrd r12, lr, [r11, #8]    \n" /* A2, B2 */ \
    "add r11, #16               \n" \
    "smlad r0, r6, r12, r0      \n" \
    "smlabt r0, r7, lr, r0      \n"

#define REQUANT(sum) TV_REQUANT_LINEAR(sum, "r4", "r5", "r6", "lr")

// On the stack: the end of the window, the end of the fours, the output, the struct.
#define CHANNEL_KERNEL(name, fours, two, one, fours_step, twos_step) \
    __attribute__((naked, noinline)) static void name(__attribute__((unused)) channel_t *c) { \
        __asm volatile ( \
            "push {r0, r4-r11, lr}      \n" \
            "sub sp, #12                \n" \
            "0: ldr r12, [sp, #12]      \n" \
            "ldr r6, [r12, #20]         \n" /* window */ \
            "ldrd r7, r9, [r12, #28]    \n" /* its bytes, channel */ \
            "ldr r4, [r12, #36]         \n" /* fours */ \
            "ldr r5, [r12, #44]         \n" /* out */ \
            "add r6, r7                 \n" \
            "add r4, r9                 \n" \
            "str r6, [sp]               \n" \
            "strd r4, r5, [sp, #4]      \n" \
            "cmp r4, r9                 \n" \
            "beq 3f                     \n" \
            "1: " fours \
            "ldr r12, [sp, #12]         \n" \
            "ldr r8, [sp, #8]           \n" \
            "ldr r5, [r12, #4]          \n" /* round */ \
            "ldr r4, [r12]              \n" /* mult */ \
            "add r10, r5, r0, asr #31   \n" \
            "ldr r6, [r12, #8]          \n" /* shift */ \
            "add r11, r5, r1, asr #31   \n" \
            "smmlar r0, r0, r4, r10     \n" \
            "add r10, r5, r2, asr #31   \n" \
            "smmlar r1, r1, r4, r11     \n" \
            "add r11, r5, r3, asr #31   \n" \
            "smmlar r2, r2, r4, r10     \n" \
            "asr r0, r0, r6             \n" \
            "smmlar r3, r3, r4, r11     \n" \
            "asr r1, r1, r6             \n" \
            "ldr r7, [r12, #12]         \n" /* dx */ \
            "ssat r0, #8, r0            \n" \
            "asr r2, r2, r6             \n" \
            "ssat r1, #8, r1            \n" \
            "strb r0, [r8]              \n" \
            "ssat r2, #8, r2            \n" \
            "asr r3, r3, r6             \n" \
            "ldr r4, [sp, #4]           \n" \
            "strb r1, [r8, r7]          \n" \
            "ssat r3, #8, r3            \n" \
            "strb r2, [r8, r7, lsl #1]  \n" \
            "add r8, r8, r7, lsl #2     \n" \
            "add r9, #" fours_step "    \n" \
            "sub r5, r8, r7             \n" \
            "str r8, [sp, #8]           \n" \
            "cmp r9, r4                 \n" \
            "strb r3, [r5]              \n" \
            "bne 1b                     \n" \
            "3: ldr r12, [sp, #12]      \n" \
            "ldr r4, [r12, #40]         \n" /* rest */ \
            "cmp r4, #1                 \n" \
            "blo 8f                     \n" \
            "beq 6f                     \n" \
            BEGIN \
            "mov r1, r0                 \n" \
            "5: " two LOOP("5") \
            "ldr r12, [sp, #12]         \n" \
            "ldr r8, [sp, #8]           \n" \
            "ldm r12, {r4-r7}           \n" \
            REQUANT("r0") REQUANT("r1") \
            "strb r0, [r8]              \n" \
            "strb r1, [r8, r7]          \n" \
            "add r8, r8, r7, lsl #1     \n" \
            "add r9, #" twos_step "     \n" \
            "ldr r4, [r12, #40]         \n" \
            "str r8, [sp, #8]           \n" \
            "cmp r4, #2                 \n" \
            "beq 8f                     \n" \
            "6: " BEGIN \
            "7: " one LOOP("7") \
            "ldr r12, [sp, #12]         \n" \
            "ldr r8, [sp, #8]           \n" \
            "ldm r12, {r4-r6}           \n" \
            REQUANT("r0") \
            "strb r0, [r8]              \n" \
            "8: ldr r12, [sp, #12]      \n" \
            "ldrd r4, r5, [r12, #20]    \n" /* window, step */ \
            "ldrd r6, r7, [r12, #44]    \n" /* out, row_bytes */ \
            "ldr r8, [r12, #52]         \n" /* rows */ \
            "add r4, r5                 \n" \
            "add r6, r7                 \n" \
            "str r4, [r12, #20]         \n" \
            "subs r8, #1                \n" \
            "str r6, [r12, #44]         \n" \
            "str r8, [r12, #52]         \n" \
            "bne.w 0b                   \n" \
            "add sp, #12                \n" \
            "pop {r0, r4-r11, pc}       \n" \
            ); \
    }

CHANNEL_KERNEL(channel_5_1, FOURS_5_1, TWO_5_1, ONE_5, "8", "4")
CHANNEL_KERNEL(channel_5_2, FOURS(FOUR_5_2), TWO_5_2, ONE_5, "16", "8")
CHANNEL_KERNEL(channel_7_1, FOURS_7_1, TWO_7_1, ONE_7, "8", "4")
CHANNEL_KERNEL(channel_7_2, FOURS(FOUR_7_2), TWO_7_2, ONE_7, "16", "8")

// A row of taps, five or seven and zeros, as doubled pairs; where the next row's go.
static inline uint32_t *widen_taps(uint32_t *to, const uint8_t *packed, uint32_t kernel) {
    uint32_t low = tv_u32(packed), high = tv_u32(packed + 4);
    uint32_t w02 = tv_sxtb16(low), w13 = tv_sxtb16_ror8(low);
    uint32_t w46 = tv_sxtb16(high), w5 = tv_sxtb16_ror8(high);
    w02 = tv_sadd16(w02, w02);
    w13 = tv_sadd16(w13, w13);
    w46 = tv_sadd16(w46, w46);
    w5 = tv_sadd16(w5, w5);
    to[0] = tv_pkhbt(w02, w13 << 16); // A0
    to[1] = tv_pkhbt(w02 >> 16, w13); // A1
    to[2] = tv_pkhbt(w13, w02); // B0
    to[3] = tv_pkhbt(w13 >> 16, w46 << 16); // B1
    if (kernel == 5) {
        return to + 4;
    }
    to[4] = tv_pkhbt(w46, w5 << 16); // A2
    to[5] = tv_pkhbt(w5, w46); // B2
    return to + 6;
}

static void depthwise_wide(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) {
    uint32_t channels = l->out_c, kernel = l->kernel, stride = l->stride, pixels = l->out_w, pitch = l->in.pitch;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const uint8_t *packed = l->weights;
    // input rows, the last one twice: kernels may look one ahead
    const int16_t *in[2 * (ROWS - 1) + 8];
    const int16_t **outside[2 * (ROWS - 1) + 8]; // those of them that are blank
    uint32_t count = (rows - 1) * stride + kernel, blanks = 0;
    for (uint32_t i = 0; i <= count; i++) {
        // wraps to a huge number above the image
        uint32_t iy = y * stride + i - (i == count) - l->pad_top;
        bool inside = iy < l->in_h;
        in[i] = inside ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : blank;
        if (!inside) {
            outside[blanks++] = &in[i];
        }
    }
    channel_kernel_t *run = kernel == 5 ? (stride == 1 ? channel_5_1 : channel_5_2)
        : (stride == 1 ? channel_7_1 : channel_7_2);
    int8_t *out = tv_row(arena, &l->out, y);
    channel_t c;
    c.dx = channels;
    c.window_step = stride * (uint32_t)sizeof(in[0]);
    c.window_bytes = kernel * (uint32_t)sizeof(in[0]);
    c.channel = 0;
    c.fours = (pixels & ~3u) * stride * 2;
    c.rest = pixels & 3;
    c.row_bytes = l->out.row_bytes;
    for (uint32_t channel = 0; channel < channels; channel++) {
        uint32_t *to = c.taps;
        for (uint32_t ky = 0; ky < kernel; ky++, packed += 8) {
            to = widen_taps(to, packed, kernel);
        }
        c.bias = 2 * tv_i32(bias + 4 * channel);
        c.requant = tv_requant(tv_i32(mult + 4 * channel), shift[channel], l->out_zero_point);
        c.window = in;
        c.out = out++;
        c.rows = rows;
        run(&c);
        c.channel += 2 * pitch;
        for (uint32_t j = 0; j < blanks; j++) {
            *outside[j] -= pitch; // they have but one channel
        }
    }
}

void tv_depthwise_wide_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch_size;
    int16_t *blank = scratch;
    for (uint32_t i = 0; i < l->in.pitch; i++) {
        blank[i] = l->in_zero_point;
    }
    for (uint32_t done = 0; done < rows; done += ROWS) {
        depthwise_wide(l, arena, blank, y + done, rows - done < ROWS ? rows - done : ROWS);
    }
}

#endif
