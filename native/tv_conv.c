// SPDX-License-Identifier: MIT
//
// Convolution, square kernel. Three pixels at a time are gathered into columns of int16
// (im2row), then every block of two output channels is multiplied with the three columns:
// a weight is loaded and widened once for three pixels, and a pixel once for all channels.

#include "tv_kernels.h"

#if defined(__SSE2__) && !defined(TV_PORTABLE)
#include <emmintrin.h>
#endif

#define COLUMNS (3)

static int16_t *widen(int16_t *to, const int8_t *from, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
    return to + n;
}

static int16_t *fill(int16_t *to, int16_t value, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        to[i] = value;
    }
    return to + n;
}

// The K inputs of output pixel x, in the order (ky, kx, channel), zeros up to K4.
static void gather(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, int16_t *column, uint32_t k4) {
    uint32_t c = l->in_c;
    int16_t *to = column;
    if (l->kernel == 1) {
        // x may run past in_w: all pixels of the tensor as one long row
        to = widen(to, tv_row(arena, &l->in, y * l->stride) + (size_t)x * l->stride * c, c);
    } else {
        int32_t k = l->kernel, in_w = l->in_w;
        int32_t iy = (int32_t)(y * l->stride) - l->pad_top;
        int32_t ix = (int32_t)(x * l->stride) - l->pad_left;
        int32_t left = ix < 0 ? -ix : 0; // taps left of the image, then in it, then right of it
        int32_t right = ix + k > in_w ? ix + k - in_w : 0;
        int32_t middle = k - left - right;
        for (int32_t ky = 0; ky < k; ky++, iy++) {
            if (iy < 0 || iy >= l->in_h) {
                to = fill(to, l->in_zero_point, (uint32_t)k * c);
            } else {
                const int8_t *row = tv_row(arena, &l->in, (uint32_t)iy);
                to = fill(to, l->in_zero_point, (uint32_t)left * c);
                to = widen(to, row + (size_t)(ix + left) * c, (uint32_t)middle * c);
                to = fill(to, l->in_zero_point, (uint32_t)right * c);
            }
        }
    }
    fill(to, 0, (uint32_t)(column + k4 - to));
}

// acc[2 * p + o] += column p * weights of channel o, for `columns` columns that lie k4 apart.
// `columns` is a constant at every call.
#if defined(__SSE2__) && !defined(TV_PORTABLE)
static inline void multiply(int32_t *acc, const uint8_t *w, const int16_t *col, uint32_t k4, int columns) {
    __m128i sum[COLUMNS];
    for (int p = 0; p < columns; p++) {
        sum[p] = _mm_setzero_si128();
    }
    for (uint32_t k = 0; k < k4; k += 4, w += 8) {
        __m128i weight = _mm_loadl_epi64((const __m128i *)(const void *)w);
        weight = _mm_srai_epi16(_mm_unpacklo_epi8(weight, weight), 8); // 4 of o, 4 of o + 1
        for (int p = 0; p < columns; p++) {
            __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)(col + (uint32_t)p * k4 + k));
            x = _mm_unpacklo_epi64(x, x);
            sum[p] = _mm_add_epi32(sum[p], _mm_madd_epi16(weight, x));
        }
    }
    for (int p = 0; p < columns; p++) {
        __m128i even = _mm_shuffle_epi32(sum[p], 0x08), odd = _mm_shuffle_epi32(sum[p], 0x0d);
        __m128i both = _mm_add_epi32(even, odd); // lanes: o, o + 1
        acc[2 * p] += _mm_cvtsi128_si32(both);
        acc[2 * p + 1] += _mm_cvtsi128_si32(_mm_shuffle_epi32(both, 1));
    }
}
#else
static inline void multiply(int32_t *acc, const uint8_t *w, const int16_t *col, uint32_t k4, int columns) {
    for (uint32_t k = 0; k < k4; k += 4, w += 8) {
        for (int j = 0; j < 4; j++) {
            int32_t w0 = (int8_t)w[j], w1 = (int8_t)w[4 + j];
            for (int p = 0; p < columns; p++) {
                int32_t x = col[(uint32_t)p * k4 + k + (uint32_t)j];
                acc[2 * p] += w0 * x;
                acc[2 * p + 1] += w1 * x;
            }
        }
    }
}
#endif

// All output channels of 1 ... 3 pixels whose columns are ready.
static void columns_out(const tv_layer_t *l, const int16_t *col, uint32_t k4, int columns, tv_out_t out) {
    uint32_t channels = l->out_c;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const uint8_t *w = l->weights;
    for (uint32_t o = 0; o < channels; o += 2, w += 2 * k4) {
        uint32_t pair = o + 1 < channels ? 2 : 1;
        int32_t b0 = tv_i32(bias + 4 * o), b1 = pair == 2 ? tv_i32(bias + 4 * o + 4) : 0;
        int32_t acc[2 * COLUMNS] = { b0, b1, b0, b1, b0, b1 };
        if (columns == 3) {
            multiply(acc, w, col, k4, 3);
        } else if (columns == 2) {
            multiply(acc, w, col, k4, 2);
        } else {
            multiply(acc, w, col, k4, 1);
        }
        for (uint32_t i = 0; i < pair; i++) {
            int32_t m = tv_i32(mult + 4 * (o + i));
            uint32_t s = shift[o + i];
            int8_t *to = out.base + (size_t)(o + i) * out.dc;
            for (int p = 0; p < columns; p++, to += out.dx) {
                *to = tv_clamp8(tv_requantize(acc[2 * p + (int)i], m, s) + l->out_zero_point);
            }
        }
    }
}

void tv_conv(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t y, uint32_t pixels) {
    uint32_t k4 = tv_align4((uint32_t)l->kernel * l->kernel * l->in_c);
    int16_t *columns = scratch;
    tv_out_t out = tv_out(l, arena, y);
    for (uint32_t x = 0; x < pixels; x += COLUMNS) {
        int n = pixels - x < COLUMNS ? (int)(pixels - x) : COLUMNS;
        for (int p = 0; p < n; p++) {
            gather(l, arena, y, x + (uint32_t)p, columns + (uint32_t)p * k4, k4);
        }
        columns_out(l, columns, k4, n, out);
        out.base += COLUMNS * out.dx;
    }
    tv_fill_margins(l, arena, y);
}
