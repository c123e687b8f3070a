// SPDX-License-Identifier: MIT
//
// Arm's CMSIS-NN as a backend: for comparison, not for the memory budget. Its functions work on
// whole maps, pixel by pixel, and want weights, biases and shifts in another order than the
// file's. So the caller gives memory once; tv_backend_use() unpacks the whole network into it,
// every tensor gets memory of its own, and a run goes through the records one by one, whatever
// the segments of the file say.
//
// CMSIS-NN is used where it is installed. Its releases of 2022 return arm_status, later ones
// arm_cmsis_nn_status; 0 is success in both, so both are taken as int. Equal bytes need its
// double rounding: CMSIS_NN_USE_SINGLE_ROUNDING must not be defined where it is built.

#include "tv_kernels.h"

#if defined(TINYVLM_CMSIS_NN)

#include "arm_nnfunctions.h"

// One layer, unpacked.
typedef struct {
    tv_layer_t layer;
    int8_t *in, *in2, *out;         // whole maps, height x width x channels
    int8_t *weights;                // conv: out_c x k x k x in_c; depthwise: k x k x channels
    int32_t *bias, *mult, *shift;   // one a channel; a shift to the right is negative
} step_t;

// What the memory begins with.
typedef struct {
    int8_t *image;
    cmsis_nn_context scratch;       // of all layers
    step_t steps[];
} plan_t;

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
static uint32_t scratch_size(const tv_layer_t *l) {
    shape_t s = shape_of(l);
    int32_t size = 0;
    if (l->op == TV_OP_CONV) {
        cmsis_nn_conv_params p = conv_params(l, &s);
        size = arm_convolve_wrapper_s8_get_buffer_size(&p, &s.in, &s.filter, &s.out);
    } else if (l->op == TV_OP_DEPTHWISE) {
        cmsis_nn_dw_conv_params p = depthwise_params(l, &s);
        size = arm_depthwise_conv_wrapper_s8_get_buffer_size(&p, &s.in, &s.filter, &s.out);
    } else if (l->op == TV_OP_AVGPOOL) {
        size = arm_avgpool_s8_get_buffer_size(l->out_w, l->in_c);
    }
    return size > 0 ? (uint32_t)size : 0;
}

// The next `size` bytes of the memory, or NULL while sizes are only added up.
static void *take(uint8_t *memory, uint64_t *used, uint64_t size) {
    void *p = memory ? memory + *used : NULL;
    *used += (size + TV_ARENA_ALIGN - 1) / TV_ARENA_ALIGN * TV_ARENA_ALIGN;
    return p;
}

// Lays everything out in `memory` unless that is NULL, and returns the bytes it takes.
static uint64_t lay_out(const tv_model_t *m, uint8_t *memory) {
    uint64_t used = 0;
    uint32_t scratch = 0;
    plan_t *plan = take(memory, &used, sizeof(plan_t) + m->layers * (uint64_t)sizeof(step_t));
    void *image = take(memory, &used, 3 * (uint64_t)m->image * m->image);
    for (unsigned i = 0; i < m->layers; i++) {
        step_t step = { .in = NULL };
        tv_layer_t *l = &step.layer;
        tv_layer_get(m, i, l);
        step.out = take(memory, &used, (uint64_t)l->out_h * l->out_w * l->out_c);
        if (l->op == TV_OP_CONV || l->op == TV_OP_DEPTHWISE) {
            uint64_t taps = l->kernel * (uint64_t)l->kernel * (l->op == TV_OP_CONV ? l->in_c : 1u);
            step.weights = take(memory, &used, taps * l->out_c);
            step.bias = take(memory, &used, 4 * (uint64_t)l->out_c);
            step.mult = take(memory, &used, 4 * (uint64_t)l->out_c);
            step.shift = take(memory, &used, 4 * (uint64_t)l->out_c);
        }
        uint32_t size = scratch_size(l);
        scratch = size > scratch ? size : scratch;
        if (memory) {
            int from = tv_find_producer(m, (int)i, l, false);
            step.in = from < 0 ? image : plan->steps[from].out;
            if (l->op == TV_OP_ADD) {
                from = tv_find_producer(m, (int)i, l, true);
                step.in2 = from < 0 ? image : plan->steps[from].out;
            }
            plan->steps[i] = step;
        }
    }
    void *buffer = take(memory, &used, scratch);
    if (memory) {
        plan->image = image;
        plan->scratch.buf = buffer;
        plan->scratch.size = (int32_t)scratch;
    }
    return used;
}

static void unpack(const step_t *s) {
    const tv_layer_t *l = &s->layer;
    uint32_t channels = l->out_c, kernel = l->kernel;
    uint32_t taps = kernel * kernel * (l->op == TV_OP_CONV ? l->in_c : 1u);
    uint32_t stored = (uint32_t)tv_stored_taps(l);
    for (uint32_t o = 0; o < channels; o++) {
        int32_t sum = 0;
        for (uint32_t t = 0; t < taps; t++) {
            int8_t w;
            if (l->op == TV_OP_CONV) {
                w = tv_i8(l->weights + (size_t)(o / 2) * 2 * stored + t / 4 * 8 + o % 2 * 4 + t % 4);
                s->weights[(size_t)o * taps + t] = w;
            } else {
                w = tv_i8(l->weights + (size_t)o * stored + t / kernel * tv_align4(kernel) + t % kernel);
                s->weights[(size_t)t * channels + o] = w;
            }
            sum += w;
        }
        // CMSIS-NN subtracts the zero point itself, so the bias is unfolded
        s->bias[o] = tv_i32(l->table + 4 * o) + l->in_zero_point * sum;
        s->mult[o] = tv_i32(l->table + 4 * (channels + o));
        s->shift[o] = -(int32_t)l->table[8 * channels + o];
    }
}

static uint64_t memory_size(const tv_model_t *m) {
    return lay_out(m, NULL);
}

static void prepare(const tv_model_t *m) {
    const plan_t *plan = m->memory;
    lay_out(m, m->memory);
    for (unsigned i = 0; i < m->layers; i++) {
        if (plan->steps[i].weights) {
            unpack(&plan->steps[i]);
        }
    }
}

// 0, or the status with which CMSIS-NN refuses its arguments.
static int run_step(const step_t *step, const cmsis_nn_context *scratch) {
    const tv_layer_t *l = &step->layer;
    shape_t s = shape_of(l);
    cmsis_nn_per_channel_quant_params quant = { step->mult, step->shift };
    switch (l->op) {
        case TV_OP_CONV: {
            cmsis_nn_conv_params p = conv_params(l, &s);
            return (int)arm_convolve_wrapper_s8(scratch, &p, &quant, &s.in, step->in, &s.filter,
                step->weights, &s.bias, step->bias, &s.out, step->out);
        }
        case TV_OP_DEPTHWISE: {
            cmsis_nn_dw_conv_params p = depthwise_params(l, &s);
            return (int)arm_depthwise_conv_wrapper_s8(scratch, &p, &quant, &s.in, step->in, &s.filter,
                step->weights, &s.bias, step->bias, &s.out, step->out);
        }
        case TV_OP_ADD: {
            const uint8_t *t = l->table;
            return (int)arm_elementwise_add_s8(step->in, step->in2,
                -l->in_zero_point, tv_i32(t), -(int32_t)t[12],
                -l->in2_zero_point, tv_i32(t + 4), -(int32_t)t[13], TV_ADD_LEFT_SHIFT,
                step->out, l->out_zero_point, tv_i32(t + 8), -(int32_t)t[14], s.activation.min, s.activation.max,
                l->out_h * l->out_w * l->out_c);
        }
        case TV_OP_SPACE_TO_DEPTH: // not one of its functions
            for (uint32_t y = 0; y < l->in_h; y++) {
                tv_space_to_depth_row(l, step->in + (size_t)y * l->in_w * l->in_c,
                    step->out + (size_t)(y / l->kernel) * l->out_w * l->out_c, y);
            }
            return 0;
        default: {
            cmsis_nn_pool_params p = {
                .stride = s.stride, .padding = s.padding, .activation = s.activation,
            };
            return (int)arm_avgpool_s8(scratch, &p, &s.in, step->in, &s.filter, &s.out, step->out);
        }
    }
}

static int run(const tv_model_t *m, tv_frame_t *frame, void *arena,
    int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx) {
    const plan_t *plan = m->memory;
    uint32_t *sums = (uint32_t *)(void *)((int8_t *)arena + m->scratch_offset);
    for (uint32_t y = 0; y < m->image; y++) {
        if (hook && hook(hook_ctx, -1, false)) {
            return TV_ERR_STOPPED;
        }
        tv_intake(frame, m->image, y, plan->image + (size_t)y * m->image * 3, sums);
        if (hook && hook(hook_ctx, -1, true)) {
            return TV_ERR_STOPPED;
        }
    }
    for (int i = 0; i < m->layers; i++) {
        const step_t *step = &plan->steps[i];
        const tv_layer_t *l = &step->layer;
        if (map == NULL && (l->flags & TV_FLAG_DENSE)) {
            continue;
        }
        if (hook && hook(hook_ctx, i, false)) {
            return TV_ERR_STOPPED;
        }
        if (run_step(step, &plan->scratch)) {
            return TV_ERR_LIBRARY;
        }
        if (hook && hook(hook_ctx, i, true)) {
            return TV_ERR_STOPPED;
        }
        if (i == m->embed_layer) {
            memcpy(embedding, step->out, l->out_c);
        }
        if (map != NULL && i == m->dense_layer) {
            memcpy(map, step->out, (size_t)l->out_h * l->out_w * l->out_c);
        }
    }
    return TV_OK;
}

const tv_library_t tv_cmsis_nn = { memory_size, prepare, run };

#endif // TINYVLM_CMSIS_NN
