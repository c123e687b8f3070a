// SPDX-License-Identifier: MIT
//
// Squares of pixels become pixels with more channels: row of the square, column of the square,
// channel. Each input row holds one contiguous run of bytes for every output pixel.

#include "tv_kernels.h"

void tv_space_to_depth_row(const tv_layer_t *l, const int8_t *from, int8_t *to, uint32_t iy) {
    uint32_t run = (uint32_t)l->kernel * l->in_c;
    to += iy % l->kernel * run;
    for (uint32_t x = 0; x < l->out_w; x++, from += run, to += l->out_c) {
        memmove(to, from, run); // a hostile file may let them overlap
    }
}

void tv_space_to_depth(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch;
    (void)scratch_size;
    for (uint32_t iy = y * l->kernel; iy < (y + rows) * l->kernel; iy++) {
        tv_space_to_depth_row(l, tv_row(arena, &l->in, iy), tv_row(arena, &l->out, iy / l->kernel), iy);
    }
}
