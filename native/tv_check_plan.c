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

// By how many rows a stage is ahead of `last`, whenever that writes a row y: the rows that it has
// written or, of one that reads, the rows at the top that it needs no more.
typedef struct {
    int32_t least, most;
    uint32_t written; // in the end
} lead_t;

static lead_t lead_of(const tv_model_t *m, int first, int last, int which, bool reads) {
    tv_stage_t stages[TV_MAX_STAGES + 1];
    tv_stage_t *end = &stages[last - first], *w = &stages[which - first];
    tv_segment(m, first, last, stages);
    lead_t lead = { INT32_MAX, 0, 0 };
    while (end->done < end->rows) {
        tv_stage_t *s = tv_next_stage(stages, end);
        if (s == end) {
            int32_t ahead = (int32_t)w->done;
            if (reads && w->done == w->rows) {
                ahead = INT32_MAX;
            } else if (reads && w->layer.op != TV_OP_ADD) {
                ahead = ahead * w->layer.stride - w->layer.pad_top;
            }
            ahead -= (int32_t)end->done;
            lead.least = ahead < lead.least ? ahead : lead.least;
            lead.most = ahead > lead.most ? ahead : lead.most;
        }
        s->done++;
    }
    lead.written = w->done;
    return lead;
}

// Does record i, an addition, write over the operand in a way that harms nobody?
static bool in_place(const tv_model_t *m, const operand_t *o, int i, const tv_layer_t *l) {
    bool whole = o->t->rows == o->reader->in_h;
    if (i <= o->producer) { // the producer's own operand
        tv_layer_t producer;
        tv_record_get(m, o->producer, &producer);
        return producer.op == TV_OP_ADD && (whole || i == o->producer - 1);
    }
    // an operand of it, which the reader is done with
    return l->op == TV_OP_ADD && (i == o->index
        || (i > o->index && whole && lead_of(m, segment_start(m, o->index), i, o->index, true).least > 0));
}

// An operand must reach its reader as its producer wrote it: from the first record of the producer's
// segment to the last of the reader's nobody else may write there.
static bool is_alive(const tv_model_t *m, const operand_t *o) {
    int last = tv_segment_end(m, o->index);
    for (int i = segment_start(m, o->producer); i <= last; i++) {
        tv_layer_t l;
        tv_record_get(m, i, &l);
        if (i != o->producer && o->t->offset < tv_tensor_end(&l.out, l.out_w, l.out_c)
            && l.out.offset < o->end && !(same_tensor(&l.out, o->t) && in_place(m, o, i, &l))) {
            return false;
        }
    }
    return true;
}

// Are all rows of an operand there when they are read, and still there?
static bool has_rows(const tv_model_t *m, const operand_t *o) {
    if (o->producer >= o->first) {
        if (o->producer == o->index - 1) {
            return true;
        }
        lead_t lead = lead_of(m, o->first, o->index, o->producer, false);
        return lead.least > 0 && lead.most <= o->t->rows;
    }
    // of an earlier segment, where a ring is gone
    lead_t lead = lead_of(m, segment_start(m, o->producer), tv_segment_end(m, o->producer), o->producer, false);
    return o->t->rows == o->reader->in_h && lead.written == o->reader->in_h;
}

// Who wrote this operand? Looks backwards from record `index`: returns the record that writes
// exactly this tensor, -1 for the image, or an error, which is less than -1.
int tv_find_producer(const tv_model_t *m, int index, const tv_layer_t *reader, bool second) {
    const tv_tensor_t *t = second ? &reader->in2 : &reader->in;
    for (int i = index - 1; i >= -1; i--) {
        tv_layer_t l;
        tv_record_get(m, i, &l);
        if (!same_tensor(&l.out, t) || (l.flags & TV_FLAG_DENSE)) {
            continue;
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
        o.producer = tv_find_producer(m, index, &l, second);
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
