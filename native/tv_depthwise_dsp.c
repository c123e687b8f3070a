// SPDX-License-Identifier: MIT
//
// Depthwise 3x3 for cores with the DSP extension.
//
// Planar rows are int16, so a word holds two neighbouring inputs and SMLAD takes two taps of an
// output at once, its third is one SMLAxy. With the taps as (w0, w1) and (w1, w2) every output,
// at an even or an odd input, finds its pair without any shuffling. Four outputs at a time,
// then two, then one. Taps and bias are doubled, as SMMLAR wants it (tv_dsp.h).

#include "tv_kernels.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

// One channel of some rows. The assembly knows the offsets; LDM takes the first five fields.
typedef struct {
    tv_requant_t requant;   // 0
    uint32_t dx, dx3;       // 12: bytes to the next output, and to the third after it
    uint32_t taps[3][2];    // 20: per row (w0, w1), (w1, w2), doubled
    uint32_t window_step;   // 44: bytes from one row's window to the next one's
    int32_t bias;           // 48: doubled
    const int16_t *const *window; // 52: three input rows; the next row's follow
    uint32_t channel;       // 56: bytes from the start of the input rows to the channel
    uint32_t fours;         // 60: bytes of input that the groups of four, or of six, outputs move on
    uint32_t rest;          // 64: outputs after them, 0 ... 3
    int8_t *out;            // 68: of the next row
    uint32_t row_bytes;     // 72: bytes to the next row of the output; from the end of a row of sixes
    uint32_t rows;          // 76: left to do
    const int16_t *const *end; // 80: where the last row's window has moved on to; for sixes alone
} channel_t;

typedef void channel_kernel_t(channel_t *c);

// r0-r3 sums, which begin as `s0` ... `s3`, r4-r6 inputs, r7 and r8 taps, r9 the struct, r10-r12
// input rows, lr the output.
#if TV_DUAL_ISSUE
#include "tv_depthwise_m7.h"
#else
#include "tv_depthwise_m4.h"
#endif

#define ONE(row, taps) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "]       \n" \
    "smlad r0, r4, r7, r0         \n" \
    "smlabt r0, r5, r8, r0        \n"

// twos goes to 5 if there is no third output, else on.
#define CHANNEL_KERNEL(name, fours, twos, requant) \
    __attribute__((naked, noinline)) static void name(__attribute__((unused)) channel_t *c) { \
        __asm volatile ( \
            "push {r3-r11, lr}            \n" /* r3: room for the end of the fours */ \
            "mov r9, r0                   \n" \
            "0: ldrd r0, r2, [r9, #52]    \n" /* window, channel */ \
            "ldr r4, [r9, #60]            \n" /* fours */ \
            "ldr r1, [r9, #44]            \n" /* step */ \
            "ldm r0, {r10-r12}            \n" \
            "add r0, r1                   \n" \
            "ldr lr, [r9, #68]            \n" /* out */ \
            "add r10, r2                  \n" \
            "str r0, [r9, #52]            \n" \
            "add r11, r2                  \n" \
            "add r12, r2                  \n" \
            "cmp r4, #0                   \n" \
            "add r4, r10                  \n" \
            "beq 2f                       \n" \
            "str r4, [sp]                 \n" \
            fours \
            "2: ldr r4, [r9, #64]         \n" /* rest */ \
            "cmp r4, #1                   \n" \
            "blo 5f                       \n" \
            "beq 4f                       \n" \
            twos \
            "4: ldr r0, [r9, #48]         \n" \
            ONE("r10", "20") \
            ONE("r11", "28") \
            ONE("r12", "36") \
            "ldm r9, {r4-r6}              \n" \
            requant("r0", "r4", "r5", "r6", "r8") \
            "strb r0, [lr]                \n" \
            "5: ldrd r1, r2, [r9, #68]    \n" /* out, row_bytes */ \
            "ldr r3, [r9, #76]            \n" /* rows */ \
            "add r1, r2                   \n" \
            "str r1, [r9, #68]            \n" \
            "subs r3, #1                  \n" \
            "str r3, [r9, #76]            \n" \
            "bne.w 0b                     \n" \
            "pop {r3-r11, pc}             \n" \
            ); \
    }

CHANNEL_KERNEL(channel_1_relu, FOURS_1_RELU, TWOS_1_RELU, TV_REQUANT_RELU)
CHANNEL_KERNEL(channel_1_linear, FOURS_1_LINEAR, TWOS_1_LINEAR, TV_REQUANT_LINEAR)
CHANNEL_KERNEL(channel_2_relu, FOURS_2_RELU, TWOS_2_RELU, TV_REQUANT_RELU)
CHANNEL_KERNEL(channel_2_linear, FOURS_2_LINEAR, TWOS_2_LINEAR, TV_REQUANT_LINEAR)

// Three rows of three taps b0 b1 b2 as doubled pairs. The second pair's lower half is the first one's
// upper half, where b1 is doubled by its shift.
static inline void widen_taps(uint32_t to[3][2], const uint8_t *packed) {
    uint32_t a, b, c, d, e;
    __asm volatile (
        "ldr %[a], [%[packed]]          \n"
        "ldr %[b], [%[packed], #4]      \n"
        "sxtb16 %[d], %[a]              \n"
        "ldr %[c], [%[packed], #8]      \n"
        "sxtb16 %[a], %[a], ror #8      \n"
        "sadd16 %[d], %[d], %[d]        \n"
        "sxtb16 %[e], %[b]              \n"
        "pkhbt %[a], %[d], %[a], lsl #17 \n"
        "sxtb16 %[b], %[b], ror #8      \n"
        "str %[a], [%[to]]              \n"
        "sadd16 %[e], %[e], %[e]        \n"
        "pkhtb %[d], %[d], %[a], asr #16 \n"
        "pkhbt %[b], %[e], %[b], lsl #17 \n"
        "str %[d], [%[to], #4]          \n"
        "sxtb16 %[d], %[c]              \n"
        "str %[b], [%[to], #8]          \n"
        "sxtb16 %[c], %[c], ror #8      \n"
        "sadd16 %[d], %[d], %[d]        \n"
        "pkhtb %[e], %[e], %[b], asr #16 \n"
        "pkhbt %[c], %[d], %[c], lsl #17 \n"
        "str %[e], [%[to], #12]         \n"
        "pkhtb %[d], %[d], %[c], asr #16 \n"
        "str %[c], [%[to], #16]         \n"
        "str %[d], [%[to], #20]         \n"
        : [a] "=&r" (a), [b] "=&r" (b), [c] "=&r" (c), [d] "=&r" (d), [e] "=&r" (e)
        : [to] "r" (to), [packed] "r" (packed)
        : "memory");
}

#define ROWS (8) // output rows at a time, so that a channel's taps are widened once for them

static void depthwise_3x3(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) {
    uint32_t channels = l->out_c, stride = l->stride, pixels = l->out_w, pitch = l->in.pitch;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const uint8_t *packed = l->weights;
    const int16_t *in[2 * ROWS + 1]; // input rows
    const int16_t **outside[2 * ROWS + 1]; // those of them that are blank
    uint32_t count = (rows - 1) * stride + 3, blanks = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t iy = y * stride + i - l->pad_top; // wraps to a huge value above the image
        bool inside = iy < l->in_h;
        in[i] = inside ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : blank;
        if (!inside) {
            outside[blanks++] = &in[i];
        }
    }
    int8_t *out = tv_row(arena, &l->out, y);
    bool relu = l->out_zero_point == -128;
    channel_kernel_t *kernel = stride == 1 ? (relu ? channel_1_relu : channel_1_linear)
        : (relu ? channel_2_relu : channel_2_linear);
    channel_t c;
    c.dx = channels;
    c.dx3 = 3 * channels;
    c.window_step = stride * (uint32_t)sizeof(in[0]);
    c.channel = 0;
    c.fours = (pixels & ~3u) * stride * 2;
    c.rest = pixels & 3;
    if (pixels == 3 && stride == 1) { // a group of four: the fourth lies where the first one comes
        c.fours = 8;
        c.rest = 0;
        c.dx3 = 0;
    }
    c.row_bytes = l->out.row_bytes;
#if TV_DUAL_ISSUE
    if (pixels % 6 == 0 && kernel == channel_1_relu) {
        kernel = channel_1_sixes;
        c.fours = 2 * pixels;
        c.row_bytes -= pixels * channels;
        c.end = in + rows;
    }
#endif
    for (const uint8_t *end = packed + 12 * channels; packed < end; packed += 12) {
        widen_taps(c.taps, packed);
        c.bias = 2 * tv_i32(bias);
        c.requant = tv_requant(tv_i32(mult), *shift++, l->out_zero_point);
        c.window = in;
        c.out = out++;
        c.rows = rows;
        bias += 4;
        mult += 4;
        kernel(&c);
        c.channel += 2 * pitch;
        for (uint32_t j = 0; j < blanks; j++) {
            *outside[j] -= pitch; // they have but one channel
        }
    }
}

void tv_depthwise_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    if (l->kernel != 3) {
        (l->kernel == 1 ? tv_depthwise : tv_depthwise_wide_dsp)(l, arena, scratch, scratch_size, y, rows);
        return;
    }
    int16_t *blank = scratch;
    for (uint32_t i = 0; i < l->in.pitch; i++) {
        blank[i] = l->in_zero_point;
    }
    for (uint32_t done = 0; done < rows; done += ROWS) {
        depthwise_3x3(l, arena, blank, y + done, rows - done < ROWS ? rows - done : ROWS);
    }
}

#endif
