// SPDX-License-Identifier: MIT
//
// What an encoder file says about one layer. tv_format.h has the layout of a record.

#include "tv_kernels.h"

const char *tv_op_name(uint8_t op) {
    switch (op) {
        case TV_OP_CONV:
            return "conv";
        case TV_OP_DEPTHWISE:
            return "depthwise";
        case TV_OP_ADD:
            return "add";
        case TV_OP_SPACE_TO_DEPTH:
            return "spacetodepth";
        default:
            return "avgpool";
    }
}

void tv_tensor_get(tv_tensor_t *t, const uint8_t *p) {
    t->offset = tv_u32(p);
    t->row_bytes = tv_u32(p + 4);
    t->rows = tv_u16(p + 8);
    t->pitch = tv_u16(p + 10);
}

// Not past the end, so that even the pointer of an unchecked record is a valid one.
static const uint8_t *weights_at(const tv_model_t *model, uint32_t offset) {
    return model->weights + (offset <= model->weights_size ? offset : model->weights_size);
}

void tv_layer_get(const tv_model_t *model, unsigned index, tv_layer_t *layer) {
    const uint8_t *p = model->records + index * (size_t)TV_LAYER_SIZE;
    layer->op = p[0];
    layer->flags = p[1];
    layer->kernel = p[2];
    layer->stride = p[3];
    layer->pad_top = p[4];
    layer->pad_left = p[5];
    layer->in_zero_point = tv_i8(p + 6);
    layer->out_zero_point = tv_i8(p + 7);
    layer->in_h = tv_u16(p + 8);
    layer->in_w = tv_u16(p + 10);
    layer->in_c = tv_u16(p + 12);
    layer->out_h = tv_u16(p + 14);
    layer->out_w = tv_u16(p + 16);
    layer->out_c = layer->table_c = tv_u16(p + 18);
    tv_tensor_get(&layer->in, p + 20);
    tv_tensor_get(&layer->out, p + 32);
    tv_tensor_get(&layer->in2, p + 44);
    layer->in2_zero_point = tv_i8(p + 56);
    layer->out_margin = p[57];
    layer->weights = weights_at(model, tv_u32(p + 60));
    layer->table = weights_at(model, tv_u32(p + 64));
}

void tv_record_get(const tv_model_t *m, int index, tv_layer_t *l) {
    if (index >= 0) {
        tv_layer_get(m, (unsigned)index, l);
        return;
    }
    memset(l, 0, sizeof(*l));
    l->out_h = l->out_w = m->image;
    l->out_c = 3;
    l->out = m->input;
    l->out_zero_point = m->input_zero_point;
}

// Values that one output value is made of.
static uint64_t window(const tv_layer_t *l) {
    uint64_t square = (uint32_t)l->kernel * l->kernel;
    switch (l->op) {
        case TV_OP_CONV:
            return square * l->in_c;
        case TV_OP_DEPTHWISE:
        case TV_OP_AVGPOOL:
            return square;
        default:
            return 1;
    }
}

uint64_t tv_layer_macs(const tv_layer_t *l) {
    return l->op > TV_OP_DEPTHWISE ? 0 : (uint64_t)l->out_h * l->out_w * l->out_c * window(l);
}

uint64_t tv_layer_work(const tv_layer_t *l) {
    uint32_t width = l->out.pitch > l->out_w ? l->out.pitch : l->out_w;
    uint32_t channels = (l->out_c + 1u) / 2 * 2; // conv works on two
    return (uint64_t)width * channels * (24 + window(l) * (l->op == TV_OP_AVGPOOL ? 3 : 1));
}

uint64_t tv_layer_scratch(const tv_layer_t *l) {
    switch (l->op) {
        case TV_OP_CONV:
            return 10 * tv_stored_taps(l); // the weights of two channels and three pixels, as int16
        case TV_OP_DEPTHWISE:
            return 2 * (uint64_t)l->in.pitch; // a row outside the image
        default:
            return 0;
    }
}

const char *tv_layer_name(const tv_model_t *model, unsigned index, size_t *size) {
    const uint8_t *p = model->names;
    *size = 0;
    if (p == NULL) {
        return "";
    }
    while (index--) {
        p += 1 + *p;
    }
    *size = *p;
    return (const char *)p + 1;
}
