// SPDX-License-Identifier: MIT
//
// Average pooling over square windows that lie inside the image. Scale and zero point stay,
// so the mean of the int8 values is the result, rounded half away from zero.

#include "tv_kernels.h"

#define RUN (16) // channels at a time

// Windows of one pixel leave pixels out.
static void thin_row(const tv_layer_t *l, int8_t *arena, uint32_t y) {
    const int8_t *in = tv_row(arena, &l->in, y * l->stride);
    int8_t *out = tv_row(arena, &l->out, y);
    for (uint32_t x = 0; x < l->out_w; x++, in += (size_t)l->stride * l->in_c, out += l->in_c) {
        memcpy(out, in, l->in_c);
    }
}

static void pool_row(const tv_layer_t *l, int8_t *arena, uint32_t y) {
    uint32_t channels = l->in_c, kernel = l->kernel, stride = l->stride;
    int32_t count = (int32_t)(kernel * kernel);
    int8_t *out = tv_row(arena, &l->out, y);
    for (uint32_t x = 0; x < l->out_w; x++) {
        for (uint32_t c = 0; c < channels; c += RUN) {
            uint32_t n = channels - c < RUN ? channels - c : RUN;
            int32_t sum[RUN] = { 0 };
            for (uint32_t ky = 0; ky < kernel; ky++) {
                const int8_t *in = tv_row(arena, &l->in, y * stride + ky)
                    + (size_t)x * stride * channels + c;
                for (uint32_t kx = 0; kx < kernel; kx++, in += channels) {
                    for (uint32_t i = 0; i < n; i++) {
                        sum[i] += in[i];
                    }
                }
            }
            for (uint32_t i = 0; i < n; i++) {
                int32_t half = sum[i] < 0 ? -(count / 2) : count / 2;
                *out++ = tv_clamp8((sum[i] + half) / count);
            }
        }
    }
}

void tv_avgpool(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    (void)scratch;
    (void)scratch_size;
    for (uint32_t i = 0; i < rows; i++) {
        l->kernel == 1 ? thin_row(l, arena, y + i) : pool_row(l, arena, y + i);
    }
}
