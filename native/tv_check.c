// SPDX-License-Identifier: MIT
//
// Validates the layers of a file before the first run. Everything the kernels rely on is checked here,
// with 64-bit sums, so that running needs no checks. A file with a valid checksum is trusted
// no more than any other.

#include "tv_kernels.h"

static bool same_tensor(const tv_tensor_t *a, const tv_tensor_t *b) {
    return a->offset == b->offset && a->row_bytes == b->row_bytes
           && a->rows == b->rows && a->pitch == b->pitch;
}

// Does the tensor, of shape h x w x c, lie in the arena, and do its rows not overlap?
int tv_check_tensor(const tv_model_t *m, const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c) {
    uint64_t content = t->pitch ? 2 * (uint64_t)c * t->pitch : (uint64_t)w * c;
    if (h == 0 || w == 0 || c == 0) {
        return TV_ERR_SHAPE;
    }
    if (t->pitch && (t->pitch < w || t->pitch % 2 || t->offset % 4 || t->row_bytes % 4)) {
        return TV_ERR_PLANAR;
    }
    if (t->rows == 0 || t->rows > h || (t->rows > 1 && t->row_bytes < content)) {
        return TV_ERR_TENSOR;
    }
    uint64_t end = t->offset + (uint64_t)(t->rows - 1) * t->row_bytes + content;
    return end <= m->arena_size ? TV_OK : TV_ERR_TENSOR;
}

// kernel, stride, padding and shapes
static int check_shape(const tv_layer_t *l) {
    uint32_t k = l->kernel, s = l->stride;
    if (l->op == TV_OP_ADD) {
        bool same = l->in_h == l->out_h && l->in_w == l->out_w && l->in_c == l->out_c;
        return same ? TV_OK : TV_ERR_SHAPE;
    }
    if (k == 0 || s == 0 || l->out_h == 0 || l->out_w == 0) {
        return TV_ERR_OP;
    }
    if (l->op == TV_OP_SPACE_TO_DEPTH) {
        bool ok = l->pad_top == 0 && l->pad_left == 0 && k == s && l->in_h == l->out_h * k
            && l->in_w == l->out_w * k && l->out_c == l->in_c * k * k;
        return ok ? TV_OK : TV_ERR_SHAPE;
    }
    uint32_t last_y = (l->out_h - 1u) * s, last_x = (l->out_w - 1u) * s; // windows' first taps
    if (l->op == TV_OP_AVGPOOL) {
        bool ok = l->pad_top == 0 && l->pad_left == 0 && l->in_c == l->out_c
            && last_y + k <= l->in_h && last_x + k <= l->in_w;
        return ok ? TV_OK : TV_ERR_SHAPE;
    }
    if (k > 7 || k % 2 == 0 || s > 2) {
        return TV_ERR_OP;
    }
    bool ok = l->pad_top < k && l->pad_left < k
        && last_y < l->in_h + (uint32_t)l->pad_top && last_x < l->in_w + (uint32_t)l->pad_left
        && (l->op == TV_OP_CONV || l->in_c == l->out_c);
    return ok ? TV_OK : TV_ERR_SHAPE;
}

// Memory layout of the operands as the kernel of this layer needs it.
static int check_layout(const tv_layer_t *l) {
    uint32_t window = l->op == TV_OP_ADD ? 1 : l->kernel;
    if (l->in.rows < l->in_h && l->in.rows < window) {
        return TV_ERR_RING;
    }
    if ((l->op == TV_OP_DEPTHWISE) != (l->in.pitch != 0) || (l->op == TV_OP_ADD && l->in2.pitch)) {
        return TV_ERR_PLANAR;
    }
    if (l->op == TV_OP_DEPTHWISE
        && (l->in.pitch < l->pad_left + (uint32_t)l->in_w
            || l->in.pitch < (l->out_w - 1u) * l->stride + l->kernel)) {
        return TV_ERR_PLANAR;
    }
    if (l->out.pitch
        ? l->out.pitch < l->out_margin + (uint32_t)l->out_w || l->op != TV_OP_CONV
        : l->out_margin) {
        return TV_ERR_PLANAR;
    }
    return TV_OK;
}

static bool inside(const tv_model_t *m, uint32_t offset, uint64_t size) {
    return size <= m->weights_size && offset <= m->weights_size - size;
}

// Operations that keep scale and zero point: no weights, no table, no ReLU.
static bool moves_values(const tv_layer_t *l) {
    return l->op == TV_OP_AVGPOOL || l->op == TV_OP_SPACE_TO_DEPTH;
}

static bool multiplier_ok(int32_t mult) {
    return mult >= 1 << 30;
}

// weights and table: inside WGHT, and free of overflow
static int check_weights(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l) {
    uint32_t weights = tv_u32(record + 60), table = tv_u32(record + 64);
    if (moves_values(l)) {
        return l->in_zero_point == l->out_zero_point ? TV_OK : TV_ERR_QUANT;
    }
    if (l->op == TV_OP_ADD) {
        if (!inside(m, table, TV_ADD_TABLE_SIZE)) {
            return TV_ERR_WEIGHTS;
        }
        const uint8_t *t = l->table;
        bool ok = multiplier_ok(tv_i32(t)) && multiplier_ok(tv_i32(t + 4))
            && multiplier_ok(tv_i32(t + 8))
            && t[12] <= 30 && t[13] <= 30 && t[14] >= 1 && t[14] <= 30;
        return ok ? TV_OK : TV_ERR_QUANT;
    }
    uint64_t taps = tv_stored_taps(l);
    uint64_t channels = l->op == TV_OP_CONV ? (l->out_c + 1u) / 2 * 2 : l->out_c;
    if (!inside(m, weights, channels * taps) || !inside(m, table, 9 * (uint64_t)l->out_c)) {
        return TV_ERR_WEIGHTS;
    }
    for (uint32_t c = 0; c < l->out_c; c++) {
        const uint8_t *t = l->table + 4 * c;
        int64_t bias = tv_i32(t);
        uint8_t shift = l->table[8 * l->out_c + c];
        if ((bias < 0 ? -bias : bias) + (int64_t)taps * (1 << 14) >= TV_MAX_ACC
            || !multiplier_ok(tv_i32(t + 4 * l->out_c)) || shift < 1 || shift > TV_MAX_SHIFT) {
            return TV_ERR_QUANT;
        }
    }
    return TV_OK;
}

// Who wrote this operand? Looks backwards from record `index`: returns the record that writes
// exactly this tensor, -1 for the image, or an error, which is less than -1.
int tv_find_producer(const tv_model_t *m, int index, const tv_layer_t *reader,
    const tv_tensor_t *t, int8_t zero_point) {
    for (int i = index - 1; i >= 0; i--) {
        tv_layer_t l;
        tv_layer_get(m, (unsigned)i, &l);
        if (!same_tensor(&l.out, t) || (l.flags & TV_FLAG_DENSE)) {
            continue;
        }
        if (l.out_h != reader->in_h || l.out_w != reader->in_w || l.out_c != reader->in_c
            || l.out_zero_point != zero_point) {
            return TV_ERR_PRODUCER;
        }
        return l.out.pitch && l.out_margin != reader->pad_left ? TV_ERR_PLANAR : i;
    }
    bool image = same_tensor(&m->input, t) && zero_point == m->input_zero_point
        && reader->in_h == m->image && reader->in_w == m->image && reader->in_c == 3;
    return image ? -1 : TV_ERR_PRODUCER;
}

// One layer. `first` is the first record of its segment.
static int check_layer(const tv_model_t *m, int index, int first) {
    const uint8_t *record = m->records + (size_t)index * TV_LAYER_SIZE;
    tv_layer_t l;
    tv_layer_get(m, (unsigned)index, &l);
    unsigned flags = TV_FLAG_DENSE | TV_FLAG_STREAM | (moves_values(&l) ? 0 : TV_FLAG_RELU);
    if (l.op < TV_OP_CONV || l.op > TV_OP_SPACE_TO_DEPTH || (l.flags & ~flags)) {
        return TV_ERR_OP;
    }
    int err = tv_check_tensor(m, &l.in, l.in_h, l.in_w, l.in_c);
    if (!err) {
        err = tv_check_tensor(m, &l.out, l.out_h, l.out_w, l.out_c);
    }
    if (!err && l.op == TV_OP_ADD) {
        err = tv_check_tensor(m, &l.in2, l.in_h, l.in_w, l.in_c);
    }
    if (!err) {
        err = check_shape(&l);
    }
    if (!err) {
        err = check_layout(&l);
    }
    if (!err) {
        err = check_weights(m, record, &l);
    }
    if (err) {
        return err;
    }
    if (tv_layer_scratch(&l) > m->scratch_size) {
        return TV_ERR_SCRATCH;
    }
    int producer = tv_find_producer(m, index, &l, &l.in, l.in_zero_point);
    if (producer < -1) {
        return producer;
    }
    if (first > 0 && producer < first && l.in.rows != l.in_h) {
        return TV_ERR_RING; // a ring is gone after its segment
    }
    if (producer != index - 1 && index != first) {
        return TV_ERR_PRODUCER; // a stage reads the stage before it
    }
    if (l.op == TV_OP_ADD) {
        producer = tv_find_producer(m, index, &l, &l.in2, l.in2_zero_point);
        if (producer < -1) {
            return producer;
        }
        if (first > 0 && producer < first && l.in2.rows != l.in_h) {
            return TV_ERR_RING;
        }
    }
    return TV_OK;
}

int tv_check_layers(tv_model_t *m) {
    int first = 0;
    for (int i = 0; i < m->layers; i++) {
        m->bad_layer = (int16_t)i;
        int err = check_layer(m, i, first);
        if (err) {
            return err;
        }
        uint8_t flags = m->records[(size_t)i * TV_LAYER_SIZE + 1];
        bool last = !(flags & TV_FLAG_STREAM);
        if (i - first >= TV_MAX_STAGES || (!last && i == m->layers - 1)
            || ((flags & TV_FLAG_DENSE) && (!last || i != first || i == 0))) {
            return TV_ERR_SEGMENT;
        }
        if (last) {
            first = i + 1;
        }
    }

    tv_layer_t l;
    m->bad_layer = (int16_t)m->embed_layer;
    tv_layer_get(m, m->embed_layer, &l);
    if (l.out_h != 1 || l.out_w != 1 || l.out.pitch || l.out_zero_point
        || (l.flags & (TV_FLAG_DENSE | TV_FLAG_STREAM))) {
        return TV_ERR_OUTPUT;
    }
    m->dim = l.out_c;
    if (m->dense_layer != TV_NO_LAYER) {
        m->bad_layer = (int16_t)m->dense_layer;
        tv_layer_get(m, m->dense_layer, &l);
        if (l.out_c != m->dim || l.out.rows != l.out_h || l.out.pitch || l.out_zero_point
            || !(l.flags & TV_FLAG_DENSE)) {
            return TV_ERR_OUTPUT;
        }
        m->map_h = l.out_h;
        m->map_w = l.out_w;
    }
    m->bad_layer = -1;
    return TV_OK;
}
