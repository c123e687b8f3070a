// SPDX-License-Identifier: MIT
//
// Average pooling for cores with the DSP extension: four channels are two words of 16-bit sums, which
// windows of up to 225 pixels cannot overflow.

#include "tv_kernels.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

#define MOST (225) // pixels of a window, 15 x 15: of more the division below is not proven

static void pool_row(const tv_layer_t *l, int8_t *arena, uint32_t y) {
    uint32_t channels = l->in_c, kernel = l->kernel, stride = l->stride, count = kernel * kernel;
    uint32_t inverse = (1u << 24) / count + 1; // its products are exact quotients of such sums
    int8_t *out = tv_row(arena, &l->out, y);
    for (uint32_t x = 0; x < l->out_w; x++) {
        for (uint32_t c = 0; c < channels; c += 4, out += 4) {
            uint32_t even = 0, odd = 0; // channels 0 and 2, 1 and 3
            for (uint32_t ky = 0; ky < kernel; ky++) {
                const int8_t *in = tv_row(arena, &l->in, y * stride + ky)
                    + (size_t)x * stride * channels + c;
                for (uint32_t kx = 0; kx < kernel; kx++, in += channels) {
                    uint32_t word = tv_u32((const uint8_t *)in);
                    even = tv_sadd16(even, tv_sxtb16(word));
                    odd = tv_sadd16(odd, tv_sxtb16_ror8(word));
                }
            }
            int32_t sum[4] = { (int16_t)even, (int16_t)odd, (int32_t)even >> 16, (int32_t)odd >> 16 };
            for (uint32_t i = 0; i < 4; i++) {
                uint32_t size = (uint32_t)(sum[i] < 0 ? -sum[i] : sum[i]) + count / 2;
                int32_t mean = (int32_t)((size * inverse) >> 24);
                out[i] = (int8_t)(sum[i] < 0 ? -mean : mean);
            }
        }
    }
}

void tv_avgpool_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    if (l->kernel == 1 || l->in_c % 4 || l->kernel * l->kernel > MOST) {
        tv_avgpool(l, arena, scratch, scratch_size, y, rows);
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        pool_row(l, arena, y + i);
    }
}

#endif
