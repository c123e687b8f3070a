// SPDX-License-Identifier: MIT
//
// Validates the layers of a file before the first run: here each by itself, in tv_check_plan.c what
// they do to each other. Everything the kernels rely on is checked, so that running needs no checks.
// A file with a valid checksum is trusted no more than any other. device/tinyvlm/pure_check.py is
// the same in Python, in the same order.

#include "tv_kernels.h"

// Does the tensor, of shape h x w x c, lie in the arena, do its rows not overlap, and is the scratch
// elsewhere? Only then may tv_tensor_end() be asked.
int tv_check_tensor(const tv_model_t *m, const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c) {
    if (h == 0 || w == 0 || c == 0 || h > TV_MAX_IMAGE || w > TV_MAX_IMAGE) {
        return TV_ERR_SHAPE;
    }
    if (t->pitch && (t->pitch < w || (t->pitch & 1) || (t->offset & 3) || (t->row_bytes & 3))) {
        return TV_ERR_PLANAR;
    }
    uint32_t values = c * (t->pitch ? t->pitch : w); // below 2^32: both are u16
    uint32_t content = t->pitch ? 2 * values : values;
    if (t->rows == 0 || t->rows > h || values > TV_MAX_ARENA || (t->rows > 1 && t->row_bytes < content)
        || t->offset + (uint64_t)content + (t->rows - 1u) * (uint64_t)t->row_bytes > m->arena_size) {
        return TV_ERR_TENSOR;
    }
    return t->offset < m->scratch_offset + m->scratch_size && m->scratch_offset < tv_tensor_end(t, w, c)
        ? TV_ERR_OVERLAP : TV_OK;
}

// kernel, stride, padding and shapes
static int check_shape(const tv_layer_t *l) {
    uint32_t k = l->kernel, s = l->stride;
    bool same = l->in_c == l->out_c, inner = (l->pad_top | l->pad_left) == 0, ok;
    if (l->op == TV_OP_ADD) {
        ok = same && l->in_h == l->out_h && l->in_w == l->out_w;
        return ok ? TV_OK : TV_ERR_SHAPE;
    }
    if (k == 0 || s == 0) {
        return TV_ERR_OP;
    }
    uint32_t last_y = (l->out_h - 1u) * s, last_x = (l->out_w - 1u) * s; // windows' first taps
    if (l->op == TV_OP_SPACE_TO_DEPTH) {
        ok = inner && k == s && l->in_h == l->out_h * k && l->in_w == l->out_w * k
            && l->out_c == l->in_c * k * k;
    } else if (l->op == TV_OP_AVGPOOL) {
        ok = inner && same && last_y + k <= l->in_h && last_x + k <= l->in_w;
    } else {
        if (k > 7 || k % 2 == 0 || s > 2) {
            return TV_ERR_OP;
        }
        ok = l->pad_top < k && l->pad_left < k && last_y < l->in_h + (uint32_t)l->pad_top
            && last_x < l->in_w + (uint32_t)l->pad_left && (same || l->op == TV_OP_CONV);
    }
    return ok ? TV_OK : TV_ERR_SHAPE;
}

// Memory layout of the operands as the kernel of this layer needs it.
static int check_layout(const tv_layer_t *l) {
    bool depthwise = l->op == TV_OP_DEPTHWISE;
    if (l->in.rows < l->in_h && l->in.rows < (l->op == TV_OP_ADD ? 1 : l->kernel)) {
        return TV_ERR_RING;
    }
    bool bad = depthwise != (l->in.pitch != 0) || (l->op == TV_OP_ADD && l->in2.pitch);
    if (depthwise) {
        bad |= l->in.pitch < l->pad_left + l->in_w || l->in.pitch < (l->out_w - 1) * l->stride + l->kernel;
    }
    bad |= l->out.pitch ? l->out.pitch < l->out_margin + l->out_w || l->op != TV_OP_CONV : l->out_margin != 0;
    return bad ? TV_ERR_PLANAR : TV_OK;
}

// Operations that keep scale and zero point: no weights, no table, no ReLU.
static bool moves_values(const tv_layer_t *l) {
    return l->op >= TV_OP_AVGPOOL;
}

// The weights that round a channel up to words (of depthwise, a row), and the channel of conv that
// pairs an odd last one.
static bool padding_is_zero(const tv_layer_t *l, uint32_t stored, uint32_t channels) {
    bool conv = l->op == TV_OP_CONV;
    uint32_t taps = l->kernel, row = stored, rows = channels, real = l->out_c;
    if (conv) {
        taps *= taps * l->in_c;
    } else {
        row /= taps;
        rows = real *= taps;
    }
    uint8_t any = 0;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t k = r < real ? taps : 0; k < row; k++) {
            any |= l->weights[conv ? (r / 2 * row + k / 4 * 4) * 2 + r % 2 * 4 + k % 4 : r * row + k];
        }
    }
    return any == 0;
}

static bool inside(const tv_model_t *m, const uint8_t *field, uint32_t size) {
    return size <= m->weights_size && tv_u32(field) <= m->weights_size - size;
}

// `count` multipliers, none below 2^30?
static bool multipliers_ok(const uint8_t *p, uint32_t count) {
    bool ok = true;
    for (; count > 0; count--, p += 4) {
        ok &= tv_i32(p) >= 1 << 30;
    }
    return ok;
}

// weights and table: inside WGHT, and free of overflow. The work of a row is in bounds: nothing
// here exceeds 32 bits.
static int check_weights(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l) {
    const uint8_t *t = l->table;
    bool ok = true;
    if (moves_values(l)) {
        ok = l->in_zero_point == l->out_zero_point;
    } else if (l->op == TV_OP_ADD) {
        if (!inside(m, record + 64, TV_ADD_TABLE_SIZE)) {
            return TV_ERR_WEIGHTS;
        }
        ok = multipliers_ok(t, 3) && t[12] <= 30 && t[13] <= 30 && t[14] >= 1 && t[14] <= 30;
    } else if (tv_library_of(m->backend) == NULL) {
        uint32_t taps = (uint32_t)tv_stored_taps(l), count = l->out_c;
        uint32_t channels = l->op == TV_OP_CONV ? (count + 1) / 2 * 2 : count;
        if (!inside(m, record + 60, channels * taps) || !inside(m, record + 64, 9 * count)
            || !padding_is_zero(l, taps, channels)) {
            return TV_ERR_WEIGHTS;
        }
        ok = taps < 1 << 16 && multipliers_ok(t + 4 * count, count);
        for (uint32_t c = 0; c < count; c++, t += 4) {
            uint32_t bias = tv_u32(t), shift = l->table[8 * count + c];
            bias = bias >> 31 ? 0 - bias : bias;
            ok &= bias < TV_MAX_ACC - (taps << 14) && shift - 1 < TV_MAX_SHIFT;
        }
    }
    return ok ? TV_OK : TV_ERR_QUANT;
}

// One layer by itself.
static int check_layer(const tv_model_t *m, int index, tv_layer_t *l) {
    const uint8_t *record = m->records + (size_t)index * TV_LAYER_SIZE;
    tv_layer_get(m, (unsigned)index, l);
    unsigned flags = TV_FLAG_DENSE | TV_FLAG_STREAM | (moves_values(l) ? 0 : TV_FLAG_RELU);
    if (l->op < TV_OP_CONV || l->op > TV_OP_SPACE_TO_DEPTH || (l->flags & ~flags)) {
        return TV_ERR_OP;
    }
    int err = tv_check_tensor(m, &l->in, l->in_h, l->in_w, l->in_c);
    if (!err) {
        err = tv_check_tensor(m, &l->out, l->out_h, l->out_w, l->out_c);
    }
    if (!err && l->op == TV_OP_ADD) {
        err = tv_check_tensor(m, &l->in2, l->in_h, l->in_w, l->in_c);
    }
    if (!err) {
        err = check_shape(l);
    }
    if (!err && tv_layer_work(l) > TV_MAX_WORK) {
        err = TV_ERR_WORK;
    }
    const tv_library_t *library = tv_library_of(m->backend);
    if (!err) {
        err = library ? library->check(m, record, l) : check_layout(l);
    }
    if (!err) {
        err = check_weights(m, record, l);
    }
    if (!err && !library && tv_layer_scratch(l) > m->scratch_size) {
        err = TV_ERR_SCRATCH;
    }
    return err;
}

int tv_check_layers(tv_model_t *m, tv_hook_t hook, void *hook_ctx) {
    tv_layer_t l;
    uint32_t channels = 0;
    int first = 0, err; // record of the segment
    for (int pass = 0; pass < 2; pass++) { // each by itself, then all with each other
        for (int i = 0; i < m->layers; i++) {
            m->bad_layer = (int16_t)i;
            if (pass) {
                err = tv_check_operands(m, i);
            } else if (!(err = check_layer(m, i, &l))) {
                bool last = !(l.flags & TV_FLAG_STREAM), dense = l.flags & TV_FLAG_DENSE;
                bool bad = last ? dense && (i != first || i == 0) : dense || i == m->layers - 1;
                channels += l.out_c;
                err = channels > TV_MAX_CHANNELS ? TV_ERR_WORK
                    : bad || i - first >= TV_MAX_STAGES ? TV_ERR_SEGMENT : TV_OK;
                first = last ? i + 1 : first;
            }
            if (!err && hook && hook(hook_ctx, i, true)) {
                err = TV_ERR_STOPPED;
            }
            if (err) {
                return err;
            }
        }
    }

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
