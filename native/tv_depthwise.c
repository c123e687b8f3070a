// SPDX-License-Identifier: MIT
//
// Depthwise convolution. The input rows are planar with the zero point on both sides, so a
// channel of a row is one contiguous run of int16 and no tap needs a left or right check.

#include "tv_kernels.h"

#define RUN (16) // outputs at a time: their sums stay in registers or on the stack

// sum[i] += x[i * stride] * w, with one or three neighbouring taps
static inline void tap1(int32_t *restrict sum, const int16_t *restrict x, const uint8_t *w, uint32_t n, uint32_t stride) {
    int32_t w0 = (int8_t)w[0];
    for (uint32_t i = 0; i < n; i++, x += stride) {
        sum[i] += x[0] * w0;
    }
}

static inline void tap3(int32_t *restrict sum, const int16_t *restrict x, const uint8_t *w, uint32_t n, uint32_t stride) {
    int32_t w0 = (int8_t)w[0], w1 = (int8_t)w[1], w2 = (int8_t)w[2];
    for (uint32_t i = 0; i < n; i++, x += stride) {
        sum[i] += x[0] * w0 + x[1] * w1 + x[2] * w2;
    }
}

// One row of the kernel. n and stride are constants in the calls that matter.
static inline void taps(int32_t *sum, const int16_t *x, const uint8_t *w, uint32_t n, uint32_t stride, uint32_t kernel) {
    uint32_t kx = 0;
    for (; kx + 3 <= kernel; kx += 3) {
        tap3(sum, x + kx, w + kx, n, stride);
    }
    for (; kx < kernel; kx++) {
        tap1(sum, x + kx, w + kx, n, stride);
    }
}

static void depthwise_row(const tv_layer_t *l, int8_t *arena, uint32_t y) {
    uint32_t pixels = l->out_w;
    uint32_t channels = l->out_c, kernel = l->kernel, stride = l->stride;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const uint8_t *w = l->weights;
    const int16_t *rows[7]; // of the channel at hand; NULL: outside the image
    for (uint32_t ky = 0; ky < kernel; ky++) {
        uint32_t iy = y * stride + ky - l->pad_top; // wraps to a huge value above the image
        rows[ky] = iy < l->in_h ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : NULL;
    }
    int8_t *out = tv_row(arena, &l->out, y);
    for (uint32_t c = 0; c < channels; c++, w += kernel * tv_align4(kernel)) {
        int32_t b = tv_i32(bias + 4 * c), m = tv_i32(mult + 4 * c);
        uint32_t s = shift[c];
        int8_t *to = out + c;
        for (uint32_t x = 0; x < pixels; x += RUN) {
            uint32_t n = pixels - x < RUN ? pixels - x : RUN;
            int32_t sum[RUN];
            for (uint32_t i = 0; i < RUN; i++) {
                sum[i] = b;
            }
            for (uint32_t ky = 0; ky < kernel; ky++) {
                const uint8_t *wy = w + ky * tv_align4(kernel);
                if (rows[ky] == NULL) {
                    int32_t outside = 0; // the same for every output
                    for (uint32_t kx = 0; kx < kernel; kx++) {
                        outside += (int8_t)wy[kx] * l->in_zero_point;
                    }
                    for (uint32_t i = 0; i < RUN; i++) {
                        sum[i] += outside;
                    }
                    continue;
                }
                const int16_t *row = rows[ky] + (size_t)c * l->in.pitch + (size_t)x * stride;
                if (n == RUN && stride == 1) {
                    taps(sum, row, wy, RUN, 1, kernel);
                } else if (n == RUN) {
                    taps(sum, row, wy, RUN, 2, kernel);
                } else {
                    taps(sum, row, wy, n, stride, kernel);
                }
            }
            for (uint32_t i = 0; i < n; i++, to += channels) {
                *to = tv_clamp8(tv_requantize(sum[i], m, s) + l->out_zero_point);
            }
        }
    }
}

void tv_depthwise(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch;
    (void)scratch_size;
    for (uint32_t i = 0; i < rows; i++) {
        depthwise_row(l, arena, y + i);
    }
}
