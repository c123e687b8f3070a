// SPDX-License-Identifier: MIT
//
// A stand-in for CMSIS-NN's header: the few types and functions that native/tv_cmsis_nn.c uses,
// written from the documentation of their interface. With CMSIS_NN_2022 functions return
// arm_status, as releases of 2022 do, else arm_cmsis_nn_status.

#ifndef ARM_NNFUNCTIONS_H
#define ARM_NNFUNCTIONS_H

#include <stdint.h>

#if defined(CMSIS_NN_2022)
typedef enum { ARM_MATH_SUCCESS = 0, ARM_MATH_ARGUMENT_ERROR = -1 } arm_status;
#define STATUS arm_status
#define OK ARM_MATH_SUCCESS
#define BAD ARM_MATH_ARGUMENT_ERROR
#else
typedef enum { ARM_CMSIS_NN_SUCCESS = 0, ARM_CMSIS_NN_ARG_ERROR = -1 } arm_cmsis_nn_status;
#define STATUS arm_cmsis_nn_status
#define OK ARM_CMSIS_NN_SUCCESS
#define BAD ARM_CMSIS_NN_ARG_ERROR
#endif

typedef struct {
    int32_t w, h;
} cmsis_nn_tile;

typedef struct {
    void *buf;
    int32_t size;
} cmsis_nn_context;

typedef struct {
    int32_t n, h, w, c;
} cmsis_nn_dims;

typedef struct {
    int32_t *multiplier, *shift;
} cmsis_nn_per_channel_quant_params;

typedef struct {
    int32_t min, max;
} cmsis_nn_activation;

typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;

typedef struct {
    int32_t input_offset, output_offset, ch_mult;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;

typedef struct {
    cmsis_nn_tile stride, padding;
    cmsis_nn_activation activation;
} cmsis_nn_pool_params;

STATUS arm_convolve_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in_dims, const int8_t *in,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out_dims, int8_t *out);
int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *params,
    const cmsis_nn_dims *in_dims, const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *out_dims);

STATUS arm_depthwise_conv_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_dw_conv_params *params,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in_dims, const int8_t *in,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out_dims, int8_t *out);
int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size(const cmsis_nn_dw_conv_params *params,
    const cmsis_nn_dims *in_dims, const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *out_dims);

STATUS arm_elementwise_add_s8(const int8_t *in1, const int8_t *in2,
    const int32_t offset1, const int32_t mult1, const int32_t shift1,
    const int32_t offset2, const int32_t mult2, const int32_t shift2, const int32_t left_shift,
    int8_t *out, const int32_t out_offset, const int32_t out_mult, const int32_t out_shift,
    const int32_t min, const int32_t max, const int32_t size);

STATUS arm_avgpool_s8(const cmsis_nn_context *ctx, const cmsis_nn_pool_params *params,
    const cmsis_nn_dims *in_dims, const int8_t *in, const cmsis_nn_dims *filter_dims,
    const cmsis_nn_dims *out_dims, int8_t *out);
int32_t arm_avgpool_s8_get_buffer_size(const int out_w, const int channels);

#endif // ARM_NNFUNCTIONS_H
