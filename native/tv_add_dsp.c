// SPDX-License-Identifier: MIT
//
// Residual addition for cores with the DSP extension: the arithmetic of tv_add.c with the
// roundings folded into SMMLAR (tv_dsp.h).

#include "tv_kernels.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

#define TOGETHER (2)
#define EACH for (uint32_t k = 0; k < TOGETHER; k++)

// One operand is rounded twice, the other, of the larger scale, once, and SMMLAR adds them.
static void add_line(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t n) {
    const uint8_t *t = l->table;
    int32_t mult1 = tv_i32(t), mult2 = tv_i32(t + 4);
    uint32_t shift2 = t[12] ? t[12] : t[13];
    int32_t zero1 = l->in_zero_point * (1 << (TV_ADD_LEFT_SHIFT + 1));
    int32_t zero2 = l->in2_zero_point * (1 << (TV_ADD_LEFT_SHIFT + 1));
    tv_requant_t requant = tv_requant(tv_i32(t + 8), t[14], l->out_zero_point);
    const int8_t *a = tv_row(arena, &l->in, y), *b = tv_row(arena, &l->in2, y);
    int8_t *to = tv_row(arena, &l->out, y);
    if (t[12]) { // the operand with the larger scale first
        const int8_t *other = a;
        a = b;
        b = other;
        int32_t zero = zero1, mult = mult1;
        zero1 = zero2;
        zero2 = zero;
        mult1 = mult2;
        mult2 = mult;
    }
    int32_t half2 = 1 << (shift2 - 1);
    // (x - zero point) * 2^21, doubled operands
    uint32_t i = 0;
    for (; i + TOGETHER <= n; i += TOGETHER) { // steps of several between those of one
        int32_t sum[TOGETHER], first[TOGETHER];
        EACH sum[k] = (int32_t)((uint32_t)b[i + k] << (TV_ADD_LEFT_SHIFT + 1)) - zero2;
        EACH sum[k] = tv_smmlar(sum[k], mult2, half2 + (sum[k] >> 31)) >> shift2;
        EACH first[k] = (int32_t)((uint32_t)a[i + k] << (TV_ADD_LEFT_SHIFT + 1)) - zero1;
        EACH sum[k] = tv_smmlar(first[k], mult1, sum[k]);
        EACH sum[k] = tv_smmlar(2 * sum[k], requant.mult, requant.round + (sum[k] >> 31));
        EACH sum[k] = tv_ssat8(sum[k] >> requant.shift);
        EACH to[i + k] = (int8_t)sum[k];
    }
    for (; i < n; i++) {
        int32_t sum = (int32_t)((uint32_t)b[i] << (TV_ADD_LEFT_SHIFT + 1)) - zero2;
        sum = tv_smmlar(sum, mult2, half2 + (sum >> 31)) >> shift2;
        int32_t first = (int32_t)((uint32_t)a[i] << (TV_ADD_LEFT_SHIFT + 1)) - zero1;
        sum = tv_smmlar(first, mult1, sum);
        sum = tv_smmlar(2 * sum, requant.mult, requant.round + (sum >> 31)) >> requant.shift;
        to[i] = (int8_t)tv_ssat8(sum);
    }
}

void tv_add_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    const uint8_t *shift = (const uint8_t *)l->table + 12; // of both operands and of the sum
    if (shift[2] > TV_MAX_SHIFT || (shift[0] > 0) == (shift[1] > 0)) {
        tv_add(l, arena, scratch, scratch_size, y, rows);
        return;
    }
    uint32_t width = (uint32_t)l->out_w * l->out_c;
    if (tv_is_flat(l)) {
        add_line(l, arena, y, rows * width);
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        add_line(l, arena, y + i, width);
    }
}

#endif
