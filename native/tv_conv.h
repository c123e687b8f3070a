// SPDX-License-Identifier: MIT
//
// Where a convolution writes. Its output alone may be planar, for a depthwise layer to read; all
// other kernels write rows of W x C int8 (tv_check.c).

#ifndef TV_CONV_H
#define TV_CONV_H

#include "tv_kernels.h"

// Pixel x, channel c of a row goes to base[x * dx + c * dc]: an int8, in a planar tensor an int16.
typedef struct {
    int8_t *base;
    uint32_t dx, dc; // bytes
} tv_out_t;

static inline tv_out_t tv_out(const tv_layer_t *layer, int8_t *arena, uint32_t y) {
    tv_out_t out = { tv_row(arena, &layer->out, y), layer->out_c, 1 };
    if (layer->out.pitch) {
        out.base += 2 * layer->out_margin;
        out.dx = 2;
        out.dc = 2u * layer->out.pitch;
    }
    return out;
}

// A planar row is read by a depthwise layer, which wants the zero point beside the image. Between
// two channels the right margin of one and the left of the next are one gap.
static inline void tv_fill_margins(const tv_layer_t *layer, int8_t *arena, uint32_t y, uint32_t rows) {
    uint32_t pitch = layer->out.pitch, left = layer->out_margin, width = layer->out_w;
    uint32_t gap = pitch - width;
    uint32_t two = (uint16_t)layer->out_zero_point * 0x10001u;
    if (pitch == 0 || y >= layer->out.rows) {
        return; // in a ring the margins of an earlier row are still there
    }
    for (; rows > 0; rows--, y++) {
        uint8_t *row = (uint8_t *)tv_row(arena, &layer->out, y), *p = row + 2 * (left + width);
        uint8_t *last = p + 2 * pitch * (layer->out_c - 1u);
        for (uint32_t i = 0; i < left; i++) {
            memcpy(row + 2 * i, &two, 2);
        }
        if (gap == 2) {
            for (; p < last; p += 2 * pitch) {
                memcpy(p, &two, 4);
            }
        } else {
            for (; p < last; p += 2 * pitch) {
                for (uint32_t i = 0; i < gap; i++) {
                    memcpy(p + 2 * i, &two, 2);
                }
            }
        }
        for (uint32_t i = left; i < gap; i++) {
            memcpy(p + 2 * (i - left), &two, 2);
        }
    }
}

#endif // TV_CONV_H
