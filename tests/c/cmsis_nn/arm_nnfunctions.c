// SPDX-License-Identifier: MIT
//
// The stand-in's functions: plain loops over TensorFlow Lite's int8 arithmetic. They refuse
// what the library would, and write to all of the scratch that they asked for, so that the
// sanitizers see a buffer that is too small.

#include <string.h>

#include "arm_nnfunctions.h"

// acc * mult * 2^(shift - 31), the two roundings written as gemmlowp writes them.
static int32_t requantize(int32_t acc, int32_t mult, int32_t shift) {
    int64_t product = (int64_t)acc * mult;
    int64_t high = (product + (product >= 0 ? 1 << 30 : 1 - (1 << 30))) / ((int64_t)1 << 31);
    int64_t mask = ((int64_t)1 << -shift) - 1, rest = high & mask;
    return (int32_t)((high >> -shift) + (rest > (mask >> 1) + (high < 0)));
}

static int8_t clamp(int32_t v, int32_t min, int32_t max) {
    return (int8_t)(v < min ? min : v > max ? max : v);
}

static int take_scratch(const cmsis_nn_context *ctx, int32_t size) {
    if (ctx->buf == NULL || ctx->size < size || (uintptr_t)ctx->buf % 4) {
        return 0;
    }
    memset(ctx->buf, 0x5a, (size_t)ctx->size);
    return 1;
}

int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *params,
    const cmsis_nn_dims *in_dims, const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *out_dims) {
    (void)params;
    (void)out_dims;
    return 4 * ((filter_dims->w * filter_dims->h * in_dims->c + 3) / 4 * 4);
}

STATUS arm_convolve_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in_dims, const int8_t *in,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out_dims, int8_t *out) {
    int32_t size = arm_convolve_wrapper_s8_get_buffer_size(params, in_dims, filter_dims, out_dims);
    if (!take_scratch(ctx, size) || in_dims->n != 1 || filter_dims->n != out_dims->c
        || filter_dims->c != in_dims->c || bias_dims->c != out_dims->c
        || params->dilation.w != 1 || params->dilation.h != 1) {
        return BAD;
    }
    for (int32_t y = 0; y < out_dims->h; y++) {
        for (int32_t x = 0; x < out_dims->w; x++) {
            for (int32_t o = 0; o < out_dims->c; o++) {
                int32_t acc = bias[o];
                const int8_t *w = filter + o * filter_dims->h * filter_dims->w * filter_dims->c;
                for (int32_t ky = 0; ky < filter_dims->h; ky++) {
                    for (int32_t kx = 0; kx < filter_dims->w; kx++, w += filter_dims->c) {
                        int32_t iy = y * params->stride.h - params->padding.h + ky;
                        int32_t ix = x * params->stride.w - params->padding.w + kx;
                        if (iy < 0 || ix < 0 || iy >= in_dims->h || ix >= in_dims->w) {
                            continue;
                        }
                        const int8_t *pixel = in + (iy * in_dims->w + ix) * in_dims->c;
                        for (int32_t c = 0; c < in_dims->c; c++) {
                            acc += (pixel[c] + params->input_offset) * w[c];
                        }
                    }
                }
                acc = requantize(acc, quant->multiplier[o], quant->shift[o]) + params->output_offset;
                *out++ = clamp(acc, params->activation.min, params->activation.max);
            }
        }
    }
    return OK;
}

int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size(const cmsis_nn_dw_conv_params *params,
    const cmsis_nn_dims *in_dims, const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *out_dims) {
    (void)params;
    (void)out_dims;
    return 2 * filter_dims->w * filter_dims->h * in_dims->c;
}

STATUS arm_depthwise_conv_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_dw_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in_dims, const int8_t *in,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out_dims, int8_t *out) {
    int32_t size = arm_depthwise_conv_wrapper_s8_get_buffer_size(params, in_dims, filter_dims, out_dims);
    int32_t channels = in_dims->c;
    if (!take_scratch(ctx, size) || params->ch_mult != 1 || out_dims->c != channels
        || filter_dims->c != channels || bias_dims->c != channels || filter_dims->n != 1
        || in_dims->n != 1 || params->dilation.w != 1 || params->dilation.h != 1) {
        return BAD;
    }
    for (int32_t y = 0; y < out_dims->h; y++) {
        for (int32_t x = 0; x < out_dims->w; x++) {
            for (int32_t c = 0; c < channels; c++) {
                int32_t acc = bias[c];
                for (int32_t ky = 0; ky < filter_dims->h; ky++) {
                    for (int32_t kx = 0; kx < filter_dims->w; kx++) {
                        int32_t iy = y * params->stride.h - params->padding.h + ky;
                        int32_t ix = x * params->stride.w - params->padding.w + kx;
                        if (iy >= 0 && ix >= 0 && iy < in_dims->h && ix < in_dims->w) {
                            acc += (in[(iy * in_dims->w + ix) * channels + c] + params->input_offset)
                                * filter[(ky * filter_dims->w + kx) * channels + c];
                        }
                    }
                }
                acc = requantize(acc, quant->multiplier[c], quant->shift[c]) + params->output_offset;
                *out++ = clamp(acc, params->activation.min, params->activation.max);
            }
        }
    }
    return OK;
}

STATUS arm_elementwise_add_s8(const int8_t *in1, const int8_t *in2,
    const int32_t offset1, const int32_t mult1, const int32_t shift1,
    const int32_t offset2, const int32_t mult2, const int32_t shift2, const int32_t left_shift,
    int8_t *out, const int32_t out_offset, const int32_t out_mult, const int32_t out_shift,
    const int32_t min, const int32_t max, const int32_t size) {
    for (int32_t i = 0; i < size; i++) {
        int32_t sum = requantize((in1[i] + offset1) * (1 << left_shift), mult1, shift1)
            + requantize((in2[i] + offset2) * (1 << left_shift), mult2, shift2);
        out[i] = clamp(requantize(sum, out_mult, out_shift) + out_offset, min, max);
    }
    return OK;
}

int32_t arm_avgpool_s8_get_buffer_size(const int out_w, const int channels) {
    (void)out_w;
    return channels * (int32_t)sizeof(int32_t);
}

STATUS arm_avgpool_s8(const cmsis_nn_context *ctx, const cmsis_nn_pool_params *params,
    const cmsis_nn_dims *in_dims, const int8_t *in, const cmsis_nn_dims *filter_dims,
    const cmsis_nn_dims *out_dims, int8_t *out) {
    int32_t channels = in_dims->c, count = filter_dims->h * filter_dims->w;
    if (!take_scratch(ctx, arm_avgpool_s8_get_buffer_size(out_dims->w, channels))
        || in_dims->n != 1 || out_dims->c != channels || params->padding.w || params->padding.h) {
        return BAD;
    }
    for (int32_t y = 0; y < out_dims->h; y++) {
        for (int32_t x = 0; x < out_dims->w; x++) {
            for (int32_t c = 0; c < channels; c++) {
                int32_t sum = 0;
                for (int32_t ky = 0; ky < filter_dims->h; ky++) {
                    for (int32_t kx = 0; kx < filter_dims->w; kx++) {
                        int32_t pixel = (y * params->stride.h + ky) * in_dims->w + x * params->stride.w + kx;
                        sum += in[pixel * channels + c];
                    }
                }
                sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                *out++ = clamp(sum, params->activation.min, params->activation.max);
            }
        }
    }
    return OK;
}
