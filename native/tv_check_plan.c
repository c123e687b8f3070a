// SPDX-License-Identifier: MIT
//
// Validates the arena's plan: that what a layer reads was written by an earlier one, all of it by
// then, and by nobody else since. Every layer by itself is sound already (tv_check.c). Here the
// image is the output of "record" -1, which streams into record 0.

#include "tv_kernels.h"

static bool same_tensor(const tv_tensor_t *a, const tv_tensor_t *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

// The first record of the segment that `index` is in.
static int segment_start(const tv_model_t *m, int index) {
    while (index >= 0 && tv_streams(m, index - 1)) {
        index--;
    }
    return index;
}

// An operand of a layer.
typedef struct {
    int index;              // record that reads it
    int producer;           // record that writes it
    int first;              // record of the reader's segment
    const tv_layer_t *reader;
    const tv_tensor_t *t;
    uint32_t end;           // in the arena
} operand_t;

// How many rows `stage` has written when `last`, of the same segment, may write its row y. A stage runs
// when its reader wants a row: of y this is the lesser of a line, which rises by at least 1, and a
// constant, so that its extremes are at its ends and where the one meets the other. No row is tried:
// a file of a thousand layers is to be opened at once.
static uint32_t rows_by(const tv_stage_t *stage, const tv_stage_t *last, uint32_t y) {
    uint32_t rows = y + 1;
    for (; last > stage; last--) {
        rows = tv_rows_needed(&last->layer, rows - 1);
    }
    return rows;
}

// The first row of `last` for which that many are there; last->rows if none.
static uint32_t first_by(const tv_stage_t *stage, const tv_stage_t *last, uint32_t rows) {
    uint32_t low = 0, high = last->rows;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (rows_by(stage, last, middle) >= rows) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// Is `stage`, which reads what `last` writes over, always done with row y when that is written?
static bool is_done_before(const tv_stage_t *stage, const tv_stage_t *last) {
    const tv_layer_t *l = &stage->layer;
    uint32_t end = first_by(stage, last, stage->rows); // from there on it is done with all
    for (int i = 0; i < 2 && end > 0; i++) {
        uint32_t y = i ? end - 1 : 0;
        int32_t done = (int32_t)rows_by(stage, last, y);
        done = l->op == TV_OP_ADD ? done : done * l->stride - l->pad_top;
        if (done <= (int32_t)y) {
            return false;
        }
    }
    return true;
}

// Does record i, if it is a sum, write over the operand in a way that harms nobody?
static bool in_place(const tv_model_t *m, const operand_t *o, int i, bool sum) {
    if (i < o->producer) {
        // Record i + 1 reads i's output, in this segment, and the producer writes over it: what that needs
        // was checked for that operand, as it comes first.
        return true;
    }
    // an operand of it, which the reader is done with
    if (!sum || i == o->index) {
        return sum;
    }
    if (i < o->index || o->t->rows != o->reader->in_h) { // before it is read, or a ring
        return false;
    }
    tv_stage_t stages[TV_MAX_STAGES + 1];
    tv_segment(m, o->first, i, stages);
    return is_done_before(&stages[o->index - o->first], &stages[i - o->first]);
}

// An operand must reach its reader as its producer wrote it: from the first record of the producer's
// segment to the last of the reader's nobody else may write there.
static bool is_alive(const tv_model_t *m, const operand_t *o) {
    int last = tv_segment_end(m, o->index);
    for (int i = segment_start(m, o->producer); i <= last; i++) {
        tv_layer_t l;
        tv_record_get(m, i, &l);
        if (i == o->producer || o->t->offset >= tv_tensor_end(&l.out, l.out_w, l.out_c) || l.out.offset >= o->end) {
            continue; // it writes elsewhere
        }
        if (!same_tensor(&l.out, o->t) || !in_place(m, o, i, l.op == TV_OP_ADD)) {
            return false;
        }
    }
    return true;
}

// Are all rows of an operand there when they are read, and still there?
static bool has_rows(const tv_model_t *m, const operand_t *o) {
    if (o->producer == o->index - 1 && o->producer >= o->first) {
        return true;
    }
    bool inside = o->producer >= o->first;
    int first = segment_start(m, o->producer), last = inside ? o->index : tv_segment_end(m, o->producer);
    tv_stage_t stages[TV_MAX_STAGES + 1];
    tv_segment(m, first, last, stages);
    const tv_stage_t *producer = &stages[o->producer - first], *end = &stages[last - first];
    uint32_t rows = rows_by(producer, end, end->rows - 1);
    if (inside) {
        return rows >= end->rows && rows - first_by(producer, end, rows) <= o->t->rows;
    }
    // of an earlier segment, where a ring is gone
    return o->t->rows == o->reader->in_h && rows == o->reader->in_h;
}

// Who wrote this operand? Looks backwards from record `index`: returns the record that writes
// exactly this tensor, -1 for the image, or an error, which is less than -1.
static int find_producer(const tv_model_t *m, int index, const tv_layer_t *reader, bool second) {
    const tv_tensor_t *t = second ? &reader->in2 : &reader->in;
    for (int i = index - 1; i >= -1; i--) {
        tv_layer_t l;
        tv_record_get(m, i, &l);
        if (!same_tensor(&l.out, t) || (l.flags & ~reader->flags & TV_FLAG_DENSE)) {
            continue; // what a DENSE record writes is there for DENSE records alone
        }
        if (l.out_h != reader->in_h || l.out_w != reader->in_w || l.out_c != reader->in_c
            || l.out_zero_point != (second ? reader->in2_zero_point : reader->in_zero_point)) {
            break;
        }
        return l.out.pitch && l.out_margin != reader->pad_left ? TV_ERR_PLANAR : i;
    }
    return TV_ERR_PRODUCER;
}

int tv_check_operands(const tv_model_t *m, int index) {
    tv_layer_t l;
    tv_layer_get(m, (unsigned)index, &l);
    operand_t o = { .index = index, .first = segment_start(m, index), .reader = &l };
    for (int second = 0; second <= (l.op == TV_OP_ADD); second++) {
        o.t = second ? &l.in2 : &l.in;
        o.end = tv_tensor_end(o.t, l.in_w, l.in_c);
        o.producer = find_producer(m, index, &l, second);
        if (o.producer < -1) {
            return o.producer;
        }
        if (!second && o.producer != index - 1 && index != o.first) {
            return TV_ERR_PRODUCER; // a stage reads the stage before it
        }
        if (!has_rows(m, &o)) {
            return TV_ERR_RING;
        }
        // A kernel may read before, while or after it writes: where it does both, only an addition
        // of what lies in the very same place gives one answer.
        if (!is_alive(m, &o)) {
            return TV_ERR_OVERLAP;
        }
    }
    return TV_OK;
}
