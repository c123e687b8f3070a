// SPDX-License-Identifier: MIT
//
// Residual addition, TFLite's ADD: both operands are brought to a common scale with 20 bits
// of headroom, added, and brought to the output's scale. The output may lie on an operand.

#include "tv_kernels.h"

// to the common scale: |(x - zero point) << 20| < 2^28
static inline int32_t rescale(int32_t x, int32_t mult, uint32_t shift) {
    x *= 1 << TV_ADD_LEFT_SHIFT;
    return shift ? tv_requantize(x, mult, shift) : tv_high_mul(x, mult);
}

static void add_line(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t n) {
    const uint8_t *t = l->table;
    int32_t mult1 = tv_i32(t), mult2 = tv_i32(t + 4), mult_out = tv_i32(t + 8);
    uint32_t shift1 = t[12], shift2 = t[13], shift_out = t[14];
    const int8_t *a = tv_row(arena, &l->in, y), *b = tv_row(arena, &l->in2, y);
    int8_t *to = tv_row(arena, &l->out, y);
    for (uint32_t i = 0; i < n; i++) {
        int32_t sum = rescale(a[i] - l->in_zero_point, mult1, shift1)
            + rescale(b[i] - l->in2_zero_point, mult2, shift2);
        to[i] = tv_clamp8(tv_requantize(sum, mult_out, shift_out) + l->out_zero_point);
    }
}

void tv_add(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch;
    (void)scratch_size;
    uint32_t width = (uint32_t)l->out_w * l->out_c;
    if (tv_is_flat(l)) {
        add_line(l, arena, y, rows * width);
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        add_line(l, arena, y + i, width);
    }
}
