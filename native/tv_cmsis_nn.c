// SPDX-License-Identifier: MIT
//
// Arm's CMSIS-NN as a backend. Its functions work on whole maps, pixel by pixel, and want weights,
// biases and shifts in another order than our kernels. So it runs files of its own, which
// `tinyvlm-export --cmsis-nn` writes (docs/format.md, "A file for CMSIS-NN"): everything lies there
// as it is wanted, and is used in place.
//
// CMSIS-NN is used where it is installed. Its releases of 2022 return arm_status, later ones
// arm_cmsis_nn_status; 0 is success in both, so both are taken as int. Equal bytes need its
// double rounding: CMSIS_NN_USE_SINGLE_ROUNDING must not be defined where it is built.

#include "tv_kernels.h"

#if defined(TINYVLM_CMSIS_NN)

#include "arm_nnfunctions.h"

// The arguments that CMSIS-NN's functions share, in its own structs.
typedef struct {
    cmsis_nn_dims in, filter, bias, out;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} shape_t;

static shape_t shape_of(const tv_layer_t *l) {
    bool depthwise = l->op == TV_OP_DEPTHWISE;
    shape_t s = {
        .in = { 1, l->in_h, l->in_w, l->in_c },
        .filter = { depthwise ? 1 : l->out_c, l->kernel, l->kernel, l->in_c },
        .bias = { 1, 1, 1, l->out_c },
        .out = { 1, l->out_h, l->out_w, l->out_c },
        .stride = { l->stride, l->stride },
        .padding = { l->pad_left, l->pad_top },
        .dilation = { 1, 1 },
        .activation = { l->flags & TV_FLAG_RELU ? l->out_zero_point : -128, 127 },
    };
    return s;
}

static cmsis_nn_conv_params conv_params(const tv_layer_t *l, const shape_t *s) {
    cmsis_nn_conv_params p = {
        .input_offset = -l->in_zero_point, .output_offset = l->out_zero_point,
        .stride = s->stride, .padding = s->padding, .dilation = s->dilation,
        .activation = s->activation,
    };
    return p;
}

static cmsis_nn_dw_conv_params depthwise_params(const tv_layer_t *l, const shape_t *s) {
    cmsis_nn_dw_conv_params p = {
        .input_offset = -l->in_zero_point, .output_offset = l->out_zero_point, .ch_mult = 1,
        .stride = s->stride, .padding = s->padding, .dilation = s->dilation,
        .activation = s->activation,
    };
    return p;
}

// Bytes of scratch that CMSIS-NN wants for a layer.
static int32_t scratch_size(const tv_layer_t *l) {
    shape_t s = shape_of(l);
    if (l->op == TV_OP_CONV) {
        cmsis_nn_conv_params p = conv_params(l, &s);
        return arm_convolve_wrapper_s8_get_buffer_size(&p, &s.in, &s.filter, &s.out);
    }
    if (l->op == TV_OP_DEPTHWISE) {
        cmsis_nn_dw_conv_params p = depthwise_params(l, &s);
        return arm_depthwise_conv_wrapper_s8_get_buffer_size(&p, &s.in, &s.filter, &s.out);
    }
    return l->op == TV_OP_AVGPOOL ? arm_avgpool_s8_get_buffer_size(l->out_w, l->in_c) : 0;
}

static bool inside(const tv_model_t *m, uint32_t offset, uint64_t size) {
    return size <= m->weights_size && offset <= m->weights_size - size;
}

// Weights and table of a convolution or a depthwise layer: inside the section, free of overflow.
static int check_weights(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l) {
    uint32_t count = l->out_c, weights = tv_u32(record + 60), table = tv_u32(record + 64);
    uint64_t taps = (uint64_t)l->kernel * l->kernel * (l->op == TV_OP_CONV ? l->in_c : 1u);
    if (!inside(m, weights, taps * count) || !inside(m, table, 12 * (uint64_t)count) || table % 4) {
        return TV_ERR_WEIGHTS;
    }
    bool ok = taps < 1 << 16;
    for (const uint8_t *t = l->table; count > 0; count--, t += 4) {
        uint32_t bias = tv_u32(t), left = tv_u32(t + 8 * (size_t)l->out_c);
        bias = bias >> 31 ? 0 - bias : bias;
        ok &= bias + (taps << 15) < 1u << 31; // int32 holds every sum
        ok &= tv_i32(t + 4 * (size_t)l->out_c) >= 1 << 30 && 0 - left - 1 < TV_MAX_SHIFT;
    }
    return ok ? TV_OK : TV_ERR_QUANT;
}

// TensorFlow's SAME, along one axis. All else the library's functions were never tried with; some
// write as many pixels as they read.
static bool is_same(const tv_layer_t *l, uint32_t in, uint32_t out, uint32_t pad) {
    uint32_t end = (out - 1) * l->stride + l->kernel;
    return out == (in + l->stride - 1) / l->stride && pad == (end > in ? (end - in) / 2 : 0);
}

// Steps of a layer, which runs at one go. What counts beside the products: a pixel takes the patches of a
// convolution apart once for all channels, and costs as much as a few more of them; a lone last one takes
// as long as two; the depthwise functions and the pool need more instructions for a tap.
static uint64_t layer_work(const tv_layer_t *l) {
    uint64_t pixels = ((uint32_t)l->out_h * l->out_w + 1u) / 2 * 2, square = (uint32_t)l->kernel * l->kernel;
    uint64_t taps = l->op == TV_OP_CONV ? square * l->in_c
        : l->op == TV_OP_DEPTHWISE || l->op == TV_OP_AVGPOOL ? 4 * square : 12;
    return pixels * (l->out_c + 12u) * (taps + 24);
}

// After what holds for every file (tv_check.c).
static int check(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l) {
    if (layer_work(l) > TV_MAX_LIBRARY_WORK) {
        return TV_ERR_LAYER;
    }
    if ((l->flags & TV_FLAG_STREAM) || l->out_margin || !tv_is_whole(&l->in, l->in_h, l->in_w, l->in_c)
        || !tv_is_whole(&l->out, l->out_h, l->out_w, l->out_c)
        || (l->op == TV_OP_ADD && !tv_is_whole(&l->in2, l->in_h, l->in_w, l->in_c))) {
        return TV_ERR_WHOLE;
    }
    if (l->op <= TV_OP_DEPTHWISE) {
        if (!is_same(l, l->in_h, l->out_h, l->pad_top) || !is_same(l, l->in_w, l->out_w, l->pad_left)) {
            return TV_ERR_SHAPE;
        }
        int err = check_weights(m, record, l);
        if (err) {
            return err;
        }
    }
    return scratch_size(l) > (int32_t)m->scratch_size ? TV_ERR_SCRATCH : TV_OK;
}

// Where a tensor lies, all of it.
static int8_t *at(void *arena, const tv_tensor_t *t) {
    return (int8_t *)arena + t->offset;
}

// 0, or the status with which CMSIS-NN refuses its arguments.
static int run_layer(const tv_layer_t *l, void *arena, const cmsis_nn_context *scratch) {
    shape_t s = shape_of(l);
    const int8_t *in = at(arena, &l->in), *weights = (const int8_t *)l->weights;
    int8_t *out = at(arena, &l->out);
    // the table: it lies at a multiple of 4, and the library's structs know no const
    int32_t *bias = (int32_t *)(void *)(uintptr_t)l->table;
    cmsis_nn_per_channel_quant_params quant = { bias + l->out_c, bias + 2 * l->out_c };
    switch (l->op) {
        case TV_OP_CONV: {
            cmsis_nn_conv_params p = conv_params(l, &s);
            return (int)arm_convolve_wrapper_s8(scratch, &p, &quant, &s.in, in, &s.filter,
                weights, &s.bias, bias, &s.out, out);
        }
        case TV_OP_DEPTHWISE: {
            cmsis_nn_dw_conv_params p = depthwise_params(l, &s);
            return (int)arm_depthwise_conv_wrapper_s8(scratch, &p, &quant, &s.in, in, &s.filter,
                weights, &s.bias, bias, &s.out, out);
        }
        case TV_OP_ADD: {
            const uint8_t *t = l->table;
            return (int)arm_elementwise_add_s8(in, at(arena, &l->in2),
                -l->in_zero_point, tv_i32(t), -(int32_t)t[12],
                -l->in2_zero_point, tv_i32(t + 4), -(int32_t)t[13], TV_ADD_LEFT_SHIFT,
                out, l->out_zero_point, tv_i32(t + 8), -(int32_t)t[14], s.activation.min, s.activation.max,
                l->out_h * l->out_w * l->out_c);
        }
        case TV_OP_SPACE_TO_DEPTH: // not one of its functions
            for (uint32_t y = 0; y < l->in_h; y++) {
                tv_space_to_depth_row(l, in + (size_t)y * l->in_w * l->in_c,
                    out + (size_t)(y / l->kernel) * l->out_w * l->out_c, y);
            }
            return 0;
        default: {
            cmsis_nn_pool_params p = {
                .stride = s.stride, .padding = s.padding, .activation = s.activation,
            };
            return (int)arm_avgpool_s8(scratch, &p, &s.in, in, &s.filter, &s.out, out);
        }
    }
}

static int run(const tv_model_t *m, tv_frame_t *frame, void *arena,
    uint32_t dim, int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx) {
    cmsis_nn_context scratch = { (int8_t *)arena + m->scratch_offset, (int32_t)m->scratch_size };
    for (uint32_t y = 0; y < m->image; y++) {
        if (hook && hook(hook_ctx, -1, false)) {
            return TV_ERR_STOPPED;
        }
        tv_intake(frame, m->image, y, at(arena, &m->input) + (size_t)y * m->image * 3, scratch.buf);
        if (hook && hook(hook_ctx, -1, true)) {
            return TV_ERR_STOPPED;
        }
    }
    for (int i = 0; i < m->layers; i++) {
        tv_layer_t l;
        tv_layer_get(m, (unsigned)i, &l);
        if (map == NULL && (l.flags & TV_FLAG_DENSE)) {
            continue;
        }
        if (hook && hook(hook_ctx, i, false)) {
            return TV_ERR_STOPPED;
        }
        if (run_layer(&l, arena, &scratch)) {
            return TV_ERR_LIBRARY;
        }
        if (hook && hook(hook_ctx, i, true)) {
            return TV_ERR_STOPPED;
        }
        if (i == m->embed_layer) {
            memcpy(embedding, at(arena, &l.out), dim);
        }
        if (map != NULL && i == m->dense_layer) {
            const int8_t *from = at(arena, &l.out);
            for (uint32_t cells = (uint32_t)l.out_h * l.out_w; cells > 0; cells--, from += l.out_c, map += dim) {
                memcpy(map, from, dim);
            }
        }
    }
    return TV_OK;
}

static const tv_library_t functions = { check, run };

const tv_backend_t tv_cmsis_nn = { "cmsis-nn", NULL, NULL, NULL, NULL, NULL, &functions };

#endif // TINYVLM_CMSIS_NN
