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

static uint64_t tensor_end(const tv_tensor_t *t, uint32_t w, uint32_t c) {
    uint64_t content = t->pitch ? 2 * (uint64_t)c * t->pitch : (uint64_t)w * c;
    return t->offset + (t->rows - 1) * (uint64_t)t->row_bytes + content;
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end) {
    return a < b_end && b < a_end;
}

// Does the tensor, of shape h x w x c, lie in the arena, and do its rows not overlap?
int tv_check_tensor(const tv_model_t *m, const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c) {
    uint64_t content = t->pitch ? 2 * (uint64_t)c * t->pitch : (uint64_t)w * c;
    if (h == 0 || w == 0 || c == 0 || h > TV_MAX_IMAGE || w > TV_MAX_IMAGE) {
        return TV_ERR_SHAPE;
    }
    if (t->pitch && (t->pitch < w || t->pitch % 2 || t->offset % 4 || t->row_bytes % 4)) {
        return TV_ERR_PLANAR;
    }
    if (t->rows == 0 || t->rows > h || (t->rows > 1 && t->row_bytes < content)) {
        return TV_ERR_TENSOR;
    }
    uint64_t end = tensor_end(t, w, c), scratch = m->scratch_offset;
    if (end > m->arena_size) {
        return TV_ERR_TENSOR;
    }
    return overlap(t->offset, end, scratch, scratch + m->scratch_size) ? TV_ERR_OVERLAP : TV_OK;
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

// A kernel may read before, while or after it writes: where it does both, only an addition of what
// lies in the very same place gives one answer.
static int check_apart(const tv_layer_t *l) {
    uint64_t end = tensor_end(&l->out, l->out_w, l->out_c);
    const tv_tensor_t *operands[] = { &l->in, &l->in2 };
    bool add = l->op == TV_OP_ADD;
    for (int i = 0; i < (add ? 2 : 1); i++) {
        const tv_tensor_t *t = operands[i];
        if (overlap(t->offset, tensor_end(t, l->in_w, l->in_c), l->out.offset, end)
            && !(add && same_tensor(t, &l->out))) {
            return TV_ERR_OVERLAP;
        }
    }
    return TV_OK;
}

static bool streams(const tv_model_t *m, int index) {
    return m->records[(size_t)index * TV_LAYER_SIZE + 1] & TV_FLAG_STREAM;
}

// The first record of the segment that `index` is in, and the last.
static int segment_start(const tv_model_t *m, int index) {
    while (index > 0 && streams(m, index - 1)) {
        index--;
    }
    return index < 0 ? 0 : index;
}

static int segment_end(const tv_model_t *m, int index) {
    while (index + 1 < m->layers && streams(m, index)) {
        index++;
    }
    return index;
}

// The schedule of tv_run.c in numbers alone: rows[0] are those of what the first stage reads (whole,
// or the image), rows[s] those of the stage s - 1. Returns the number of stages.
static int start_schedule(const tv_model_t *m, int first, int last, tv_layer_t *stages, uint32_t *rows) {
    int n = last - first + 1;
    rows[0] = first ? UINT32_MAX : 0;
    for (int i = 0; i < n; i++) {
        tv_layer_get(m, (unsigned)(first + i), &stages[i]);
        rows[i + 1] = 0;
    }
    return n;
}

static int next_stage(const tv_layer_t *stages, const uint32_t *rows, int s) {
    while (s > 0 && tv_rows_needed(&stages[s - 1], rows[s]) > rows[s - 1]) {
        s--;
    }
    return s;
}

// Returns how many rows of record `watched` (-1: the image) must be kept so that each row y of `last`
// finds its row y; 0: not all are written by then. *done: the rows of it that are written in the end.
static uint32_t watch(const tv_model_t *m, int first, int last, int watched, uint32_t *done) {
    tv_layer_t stages[TV_MAX_STAGES];
    uint32_t rows[TV_MAX_STAGES + 1], keep = 1;
    int n = start_schedule(m, first, last, stages, rows);
    while (rows[n] < stages[n - 1].out_h) {
        int s = next_stage(stages, rows, n);
        uint32_t y = rows[n], there = rows[watched - first + 1];
        if (s == n && there <= y) {
            keep = 0;
        } else if (s == n && keep && there - y > keep) {
            keep = there - y;
        }
        rows[s]++;
    }
    *done = rows[watched - first + 1];
    return keep;
}

// May the addition `last` write row y where `reader` reads, which is before it in the same segment?
// If the reader needs no row up to y any more.
static bool read_before(const tv_model_t *m, int first, int last, int reader) {
    tv_layer_t stages[TV_MAX_STAGES];
    uint32_t rows[TV_MAX_STAGES + 1];
    int n = start_schedule(m, first, last, stages, rows);
    while (rows[n] < stages[n - 1].out_h) {
        int s = next_stage(stages, rows, n);
        const tv_layer_t *l = &stages[reader - first];
        int64_t next = rows[reader - first + 1]; // the reader's next row, and the first that it reads
        bool done = next == l->out_h;
        next = l->op == TV_OP_ADD ? next : next * l->stride - l->pad_top;
        if (s == n && !done && next <= rows[n]) {
            return false;
        }
        rows[s]++;
    }
    return true;
}

// An operand must reach its reader as its producer (-1: the intake) wrote it: from the first record of
// the producer's segment to the last of the reader's nobody else may write there. An addition may
// put its sum in the place of an operand.
static int check_alive(const tv_model_t *m, int index, int producer, const tv_layer_t *reader, const tv_tensor_t *t) {
    uint64_t end = tensor_end(t, reader->in_w, reader->in_c);
    tv_layer_t l;
    bool sum = false;
    if (producer >= 0) {
        tv_layer_get(m, (unsigned)producer, &l);
        sum = l.op == TV_OP_ADD;
    }
    int first = segment_start(m, producer), last = segment_end(m, index);
    for (int i = first ? first : -1; i <= last; i++) {
        const tv_tensor_t *other = &m->input;
        uint64_t other_end = tensor_end(other, m->image, 3);
        if (i >= 0) {
            tv_layer_get(m, (unsigned)i, &l);
            other = &l.out;
            other_end = tensor_end(other, l.out_w, l.out_c);
        }
        bool in_place = same_tensor(other, t) && ((i == index && reader->op == TV_OP_ADD)
            || (sum && i < producer && (i == producer - 1 || t->rows == reader->in_h))
            || (i > index && l.op == TV_OP_ADD && t->rows == reader->in_h
                && read_before(m, segment_start(m, index), i, index)));
        if (i != producer && !in_place && overlap(t->offset, end, other->offset, other_end)) {
            return TV_ERR_OVERLAP;
        }
    }
    return TV_OK;
}

// Are all rows of an operand there when they are read, and still there?
static int check_rows(const tv_model_t *m, int index, int first, int producer, const tv_layer_t *reader, const tv_tensor_t *t) {
    uint32_t done;
    if (first > 0 && producer < first) { // of an earlier segment, where a ring is gone
        if (t->rows != reader->in_h) {
            return TV_ERR_RING;
        }
        int end = producer < 0 ? 0 : producer;
        bool whole = producer >= 0 && !streams(m, producer);
        if (!whole) {
            watch(m, segment_start(m, end), segment_end(m, end), producer, &done);
        }
        return whole || done == reader->in_h ? TV_OK : TV_ERR_RING;
    }
    if (t != &reader->in2 || producer == index - 1) {
        return TV_OK;
    }
    uint32_t keep = watch(m, first, index, producer, &done);
    return keep && keep <= t->rows ? TV_OK : TV_ERR_RING;
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

// The weights that round a channel up to words, and the channel that pairs an odd last one.
static bool padding_is_zero(const tv_layer_t *l) {
    uint8_t any = 0;
    if (l->op == TV_OP_DEPTHWISE) {
        uint32_t row = tv_align4(l->kernel), rows = l->out_c * (uint32_t)l->kernel;
        for (uint32_t i = 0; i < rows; i++) {
            for (uint32_t k = l->kernel; k < row; k++) {
                any |= l->weights[i * row + k];
            }
        }
        return any == 0;
    }
    uint32_t taps = (uint32_t)l->kernel * l->kernel * l->in_c, k4 = tv_align4(taps);
    for (uint32_t o = 0; o < (l->out_c + 1u) / 2 * 2; o++) {
        const uint8_t *w = l->weights + (size_t)(o / 2) * 2 * k4 + o % 2 * 4;
        for (uint32_t k = o < l->out_c ? taps : 0; k < k4; k++) {
            any |= w[k / 4 * 8 + k % 4];
        }
    }
    return any == 0;
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
    if (!padding_is_zero(l)) {
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
    if (!err && tv_layer_work(&l) > TV_MAX_WORK) {
        err = TV_ERR_WORK;
    }
    if (!err) {
        err = check_layout(&l);
    }
    if (!err) {
        err = check_apart(&l);
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
    if (producer != index - 1 && index != first) {
        return TV_ERR_PRODUCER; // a stage reads the stage before it
    }
    if (l.op == TV_OP_ADD) {
        producer = tv_find_producer(m, index, &l, &l.in2, l.in2_zero_point);
    }
    return producer < -1 ? producer : TV_OK;
}

// What is left to check of a layer once all of them are known to be sound.
static int check_operands(const tv_model_t *m, int index) {
    tv_layer_t l;
    tv_layer_get(m, (unsigned)index, &l);
    int first = segment_start(m, index);
    int producer = tv_find_producer(m, index, &l, &l.in, l.in_zero_point);
    int err = check_rows(m, index, first, producer, &l, &l.in);
    if (!err) {
        err = check_alive(m, index, producer, &l, &l.in);
    }
    if (err || l.op != TV_OP_ADD) {
        return err;
    }
    producer = tv_find_producer(m, index, &l, &l.in2, l.in2_zero_point);
    err = check_rows(m, index, first, producer, &l, &l.in2);
    return err ? err : check_alive(m, index, producer, &l, &l.in2);
}

int tv_check_layers(tv_model_t *m) {
    int first = 0;
    for (int i = 0; i < m->layers; i++) {
        m->bad_layer = (int16_t)i;
        if (i - first >= TV_MAX_STAGES) {
            return TV_ERR_SEGMENT;
        }
        int err = check_layer(m, i, first);
        if (err) {
            return err;
        }
        uint8_t flags = m->records[(size_t)i * TV_LAYER_SIZE + 1];
        bool last = !(flags & TV_FLAG_STREAM);
        if ((!last && i == m->layers - 1)
            || ((flags & TV_FLAG_DENSE) && (!last || i != first || i == 0))) {
            return TV_ERR_SEGMENT;
        }
        if (last) {
            first = i + 1;
        }
    }
    for (int i = 0; i < m->layers; i++) {
        m->bad_layer = (int16_t)i;
        int err = check_operands(m, i);
        if (err) {
            return err;
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
