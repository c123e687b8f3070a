// SPDX-License-Identifier: MIT
//
// Depthwise 3x3 for cores with the DSP extension.
//
// Planar rows are int16, so a word holds two neighbouring inputs and SMLAD takes two taps of an
// output at once, its third is one SMLAxy. With the taps as (w0, w1) and (w1, w2) every output,
// at an even or an odd input, finds its pair without any shuffling. Four outputs at a time,
// then two, the last odd one in C. Taps and bias are doubled, as SMMLAR wants it (tv_dsp.h).

#include "tv_kernels.h"

#if defined(__ARM_FEATURE_DSP)

#include "tv_dsp.h"

// One channel of some rows. The assembly knows the offsets.
typedef struct {
    const int16_t *const *window; // 0: three input rows, at the channel; the next row's follow
    uint32_t window_step;   // 4: bytes from one row's window to the next one's
    uint32_t taps[3][2];    // 8: per row (w0, w1), (w1, w2), doubled
    int32_t bias;           // 32: doubled
    tv_requant_t requant;   // 36
    int8_t *out;            // 48: of the next row
    uint32_t dx;            // 52: bytes to the next output
    uint32_t row_bytes;     // 56: bytes to the next row of the output
    uint32_t rows;          // 60: left to do
    uint32_t fours;         // 64: bytes of input that the groups of four outputs move on
    uint32_t two;           // 68: is there a group of two?
} channel_t;

typedef void channel_kernel_t(channel_t *c);

// r0-r3 sums, r4-r6 and lr inputs, r7 and r8 taps, r9 the struct, r10-r12 input rows.
#define FOUR_1(row, taps) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldr r6, [" row "]            \n" \
    "smlad r0, r4, r7, r0         \n" \
    "smlatb r1, r4, r7, r1        \n" \
    "smlad r2, r5, r7, r2         \n" \
    "smlatb r3, r5, r7, r3        \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlad r1, r5, r8, r1         \n" \
    "smlabt r2, r6, r8, r2        \n" \
    "smlad r3, r6, r8, r3         \n"

#define FOUR_2(row, taps) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldrd r6, lr, [" row "], #8   \n" \
    "smlad r0, r4, r7, r0         \n" \
    "ldrh r4, [" row "]           \n" \
    "smlad r1, r5, r7, r1         \n" \
    "smlad r2, r6, r7, r2         \n" \
    "smlad r3, lr, r7, r3         \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlabt r1, r6, r8, r1        \n" \
    "smlabt r2, lr, r8, r2        \n" \
    "smlabt r3, r4, r8, r3        \n"

#define TWO_1(row, taps) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #4   \n" \
    "smlad r0, r4, r7, r0         \n" \
    "smlatb r1, r4, r7, r1        \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlad r1, r5, r8, r1         \n"

#define TWO_2(row, taps) \
    "ldrd r7, r8, [r9, #" taps "] \n" \
    "ldrd r4, r5, [" row "], #8   \n" \
    "ldrh r6, [" row "]           \n" \
    "smlad r0, r4, r7, r0         \n" \
    "smlad r1, r5, r7, r1         \n" \
    "smlabt r0, r5, r8, r0        \n" \
    "smlabt r1, r6, r8, r1        \n"

#define CHANNEL_KERNEL(name, four, two, requant) \
    __attribute__((naked, noinline)) static void name(__attribute__((unused)) channel_t *c) { \
        __asm volatile ( \
            "push {r3-r11, lr}            \n" /* r3: room for the end of the fours */ \
            "mov r9, r0                   \n" \
            "ldrd r0, r1, [r9]            \n" /* window, step */ \
            "0: ldr r10, [r0]             \n" \
            "ldr r11, [r0, #4]            \n" \
            "ldr r12, [r0, #8]            \n" \
            "add r0, r1                   \n" \
            "str r0, [r9]                 \n" \
            "ldr r4, [r9, #64]            \n" \
            "ldr r7, [r9, #48]            \n" /* out */ \
            "cmp r4, #0                   \n" \
            "beq 2f                       \n" \
            "add r4, r10                  \n" \
            "str r4, [sp]                 \n" \
            "1: str r7, [sp, #-4]!        \n" \
            "ldr r0, [r9, #32]            \n" \
            "mov r1, r0                   \n" \
            "mov r2, r0                   \n" \
            "mov r3, r0                   \n" \
            four("r10", "8") \
            four("r11", "16") \
            four("r12", "24") \
            "ldrd r4, r5, [r9, #36]       \n" /* mult, round */ \
            "ldr r6, [r9, #44]            \n" /* shift */ \
            "ldr r8, [r9, #52]            \n" /* dx */ \
            requant("r0", "r4", "r5", "r6", "lr") \
            requant("r1", "r4", "r5", "r6", "lr") \
            requant("r2", "r4", "r5", "r6", "lr") \
            requant("r3", "r4", "r5", "r6", "lr") \
            "ldr r7, [sp], #4             \n" \
            "strb r0, [r7]                \n" \
            "strb r1, [r7, r8]            \n" \
            "add r7, r7, r8, lsl #1       \n" \
            "ldr r4, [sp]                 \n" \
            "strb r2, [r7]                \n" \
            "strb r3, [r7, r8]            \n" \
            "cmp r10, r4                  \n" \
            "add r7, r7, r8, lsl #1       \n" \
            "bne 1b                       \n" \
            "2: ldr r4, [r9, #68]         \n" \
            "cmp r4, #0                   \n" \
            "beq 3f                       \n" \
            "mov lr, r7                   \n" \
            "ldr r0, [r9, #32]            \n" \
            "mov r1, r0                   \n" \
            two("r10", "8") \
            two("r11", "16") \
            two("r12", "24") \
            "ldrd r4, r5, [r9, #36]       \n" \
            "ldr r6, [r9, #44]            \n" \
            "ldr r8, [r9, #52]            \n" \
            requant("r0", "r4", "r5", "r6", "r7") \
            requant("r1", "r4", "r5", "r6", "r7") \
            "strb r0, [lr]                \n" \
            "strb r1, [lr, r8]            \n" \
            "3: ldrd r2, r3, [r9, #56]    \n" /* row_bytes, rows */ \
            "ldr r7, [r9, #48]            \n" \
            "ldrd r0, r1, [r9]            \n" \
            "add r7, r2                   \n" \
            "subs r3, #1                  \n" \
            "str r7, [r9, #48]            \n" \
            "str r3, [r9, #60]            \n" \
            "bne 0b                       \n" \
            "pop {r3-r11, pc}             \n" \
            ); \
    }

CHANNEL_KERNEL(channel_1_relu, FOUR_1, TWO_1, TV_REQUANT_RELU)
CHANNEL_KERNEL(channel_1_linear, FOUR_1, TWO_1, TV_REQUANT_LINEAR)
CHANNEL_KERNEL(channel_2_relu, FOUR_2, TWO_2, TV_REQUANT_RELU)
CHANNEL_KERNEL(channel_2_linear, FOUR_2, TWO_2, TV_REQUANT_LINEAR)

// The last output of a row of odd length.
static int8_t one_output(const channel_t *c, const int16_t *const *window, uint32_t at) {
    int32_t sum = c->bias;
    for (int ky = 0; ky < 3; ky++) {
        const int16_t *x = window[ky] + at;
        int32_t w0 = (int16_t)c->taps[ky][0], w1 = (int16_t)c->taps[ky][1], w2 = (int32_t)c->taps[ky][1] >> 16;
        sum += x[0] * w0 + x[1] * w1 + x[2] * w2;
    }
    return (int8_t)tv_requant_linear(sum, &c->requant);
}

// Three taps b0 b1 b2 as doubled pairs.
static void widen_taps(uint32_t to[2], const uint8_t *packed) {
    uint32_t word = tv_u32(packed);
    uint32_t even = tv_sxtb16(word), odd = tv_sxtb16_ror8(word); // (w0, w2), (w1, 0)
    even = tv_sadd16(even, even);
    odd = tv_sadd16(odd, odd);
    to[0] = tv_pkhbt(even, odd << 16);
    to[1] = tv_pkhbt(odd, even);
}

#define ROWS (8) // output rows at a time, so that a channel's taps are widened once for them

static void depthwise_3x3(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) {
    uint32_t channels = l->out_c, stride = l->stride, pixels = l->out_w;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const uint8_t *packed = l->weights;
    const int16_t *in[2 * ROWS + 1]; // input rows, of the channel at hand
    uint32_t step[2 * ROWS + 1];     // to the next channel: 0 for the blank row
    uint32_t count = (rows - 1) * stride + 3;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t iy = y * stride + i - l->pad_top; // wraps to a huge number above the image
        bool inside = iy < l->in_h;
        in[i] = inside ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : blank;
        step[i] = inside ? l->in.pitch : 0;
    }
    int8_t *out = tv_row(arena, &l->out, y);
    bool relu = l->out_zero_point == -128;
    channel_kernel_t *kernel = stride == 1 ? (relu ? channel_1_relu : channel_1_linear)
        : (relu ? channel_2_relu : channel_2_linear);
    channel_t c;
    c.window_step = stride * (uint32_t)sizeof(in[0]);
    c.dx = channels;
    c.row_bytes = l->out.row_bytes;
    c.fours = (pixels & ~3u) * stride * 2;
    c.two = pixels & 2;
    for (uint32_t i = 0; i < channels; i++, packed += 12, out++) {
        widen_taps(c.taps[0], packed);
        widen_taps(c.taps[1], packed + 4);
        widen_taps(c.taps[2], packed + 8);
        c.bias = 2 * tv_i32(bias + 4 * i);
        c.requant = tv_requant(tv_i32(mult + 4 * i), shift[i], l->out_zero_point);
        c.window = in;
        c.out = out;
        c.rows = rows;
        if (pixels > 1) {
            kernel(&c);
        }
        if (pixels & 1) {
            int8_t *last = out + (size_t)(pixels - 1) * channels;
            for (uint32_t j = 0; j < rows; j++, last += l->out.row_bytes) {
                *last = one_output(&c, in + j * stride, (pixels - 1) * stride);
            }
        }
        for (uint32_t j = 0; j < count; j++) {
            in[j] += step[j];
        }
    }
}

void tv_depthwise_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    if (l->kernel != 3) {
        tv_depthwise(l, arena, scratch, scratch_size, y, rows);
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
