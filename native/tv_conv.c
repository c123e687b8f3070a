// SPDX-License-Identifier: MIT
//
// Convolution, square kernel. Three pixels at a time are gathered into columns of int16
// (im2row), then every block of two output channels is multiplied with the three columns:
// a weight is loaded and widened once for three pixels, and a pixel once for all channels.

#include "tv_conv.h"

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

// acc[2 * p + o] += column p * weights of channel o, for three columns that lie k4 apart.
// Written out: compilers do not unroll it at -O2, where it would take three times as long, and
// at -O3 they find the vector instructions in it.
static void multiply3(int32_t *acc, const uint8_t *w, const int16_t *col, uint32_t k4) {
    const int16_t *x = col, *y = col + k4, *z = col + 2 * k4, *end = y;
    int32_t x0 = acc[0], x1 = acc[1], y0 = acc[2], y1 = acc[3], z0 = acc[4], z1 = acc[5];
    #define TAP(j) do { \
        int16_t w0 = (int8_t)w[j], w1 = (int8_t)w[4 + (j)]; \
        x0 += w0 * x[j]; \
        x1 += w1 * x[j]; \
        y0 += w0 * y[j]; \
        y1 += w1 * y[j]; \
        z0 += w0 * z[j]; \
        z1 += w1 * z[j]; \
} while (0)
    for (; x != end; x += 4, y += 4, z += 4, w += 8) {
        TAP(0);
        TAP(1);
        TAP(2);
        TAP(3);
    }
    #undef TAP
    acc[0] = x0;
    acc[1] = x1;
    acc[2] = y0;
    acc[3] = y1;
    acc[4] = z0;
    acc[5] = z1;
}

// The same for a single column.
static void multiply1(int32_t *acc, const uint8_t *w, const int16_t *col, uint32_t k4) {
    int32_t sum0 = acc[0], sum1 = acc[1];
    for (const int16_t *end = col + k4; col != end; col += 4, w += 8) {
        sum0 += (int8_t)w[0] * col[0] + (int8_t)w[1] * col[1] + (int8_t)w[2] * col[2] + (int8_t)w[3] * col[3];
        sum1 += (int8_t)w[4] * col[0] + (int8_t)w[5] * col[1] + (int8_t)w[6] * col[2] + (int8_t)w[7] * col[3];
    }
    acc[0] = sum0;
    acc[1] = sum1;
}

// All output channels of 1 ... 3 pixels whose columns are ready.
static void columns_out(const tv_layer_t *l, const int16_t *col, uint32_t k4, int columns, tv_out_t out) {
    uint32_t channels = l->out_c;
    const uint8_t *bias = l->table, *mult = bias + 4 * l->table_c, *shift = mult + 4 * l->table_c;
    const uint8_t *w = l->weights;
    for (uint32_t o = 0; o < channels; o += 2, w += 2 * k4) {
        uint32_t pair = o + 1 < channels ? 2 : 1;
        int32_t b0 = tv_i32(bias + 4 * o), b1 = pair == 2 ? tv_i32(bias + 4 * o + 4) : 0;
        int32_t acc[2 * COLUMNS] = { b0, b1, b0, b1, b0, b1 };
        if (columns == COLUMNS) {
            multiply3(acc, w, col, k4);
        } else {
            for (int p = 0; p < columns; p++) {
                multiply1(acc + 2 * p, w, col + (uint32_t)p * k4, k4);
            }
        }
        for (uint32_t i = 0; i < pair; i++) {
            int32_t m = tv_i32(mult + 4 * (o + i));
            uint32_t s = shift[o + i];
            int8_t *to = out.base + (size_t)(o + i) * out.dc;
            for (int p = 0; p < columns; p++, to += out.dx) {
                int8_t q = tv_clamp8(tv_requantize(acc[2 * p + (int)i], m, s) + l->out_zero_point);
                if (l->out.pitch) {
                    *(int16_t *)(void *)to = q;
                } else {
                    *to = q;
                }
            }
        }
    }
}

static void conv_line(const tv_layer_t *l, int8_t *arena, int16_t *columns, uint32_t y, uint32_t pixels) {
    uint32_t k4 = tv_align4((uint32_t)l->kernel * l->kernel * l->in_c);
    tv_out_t out = tv_out(l, arena, y);
    for (uint32_t x = 0; x < pixels; x += COLUMNS) {
        int n = pixels - x < COLUMNS ? (int)(pixels - x) : COLUMNS;
        for (int p = 0; p < n; p++) {
            gather(l, arena, y, x + (uint32_t)p, columns + (uint32_t)p * k4, k4);
        }
        columns_out(l, columns, k4, n, out);
        out.base += COLUMNS * out.dx;
    }
}

void tv_conv(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch_size;
    if (tv_is_flat(l)) {
        conv_line(l, arena, scratch, y, rows * l->out_w);
    } else {
        for (uint32_t i = 0; i < rows; i++) {
            conv_line(l, arena, scratch, y + i, l->out_w);
        }
    }
    tv_fill_margins(l, arena, y, rows);
}
