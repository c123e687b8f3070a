// SPDX-License-Identifier: MIT
//
// Running a network: segments one after another, and inside a segment row by row, so that a
// tensor between two stages needs only the few rows that its reader needs. The order is
// part of the file format ("Running it"): the writer sized the rings by it.

#include "tv_kernels.h"

typedef struct {
    const tv_model_t *model;
    tv_frame_t *frame;
    int8_t *arena;
    void *scratch;
    tv_hook_t hook;
    void *hook_ctx;
} run_t;

// ReLU where saturation to int8 does not do it as a side effect: on rows that a kernel has just
// written. The margins of a planar row hold the zero point, which ReLU keeps.
static void relu(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t rows) {
    int8_t zero = l->out_zero_point;
    uint32_t n = l->out_c * (uint32_t)(l->out.pitch ? l->out.pitch : l->out_w);
    for (; rows > 0; rows--, y++) {
        int8_t *row = tv_row(arena, &l->out, y);
        if (l->out.pitch) {
            int16_t *wide = (int16_t *)(void *)row;
            for (uint32_t i = 0; i < n; i++) {
                wide[i] = wide[i] < zero ? zero : wide[i];
            }
        } else {
            for (uint32_t i = 0; i < n; i++) {
                row[i] = row[i] < zero ? zero : row[i];
            }
        }
    }
}

static void run_kernel(run_t *run, const tv_layer_t *layer, uint32_t y, uint32_t rows) {
    const tv_backend_t *b = run->model->backend;
    tv_kernel_t *kernel = layer->op == TV_OP_CONV ? b->conv
        : layer->op == TV_OP_DEPTHWISE ? b->depthwise
        : layer->op == TV_OP_ADD ? b->add
        : layer->op == TV_OP_AVGPOOL ? b->avgpool : b->space_to_depth;
    kernel(layer, run->arena, run->scratch, run->model->scratch_size, y, rows);
    if (layer->flags & TV_FLAG_RELU) {
        relu(layer, run->arena, y, rows);
    }
}

// The next `rows` rows of a stage.
static int run_stage(run_t *run, tv_stage_t *stage, uint32_t rows) {
    if (run->hook && run->hook(run->hook_ctx, stage->index, false)) {
        return TV_ERR_STOPPED;
    }
    if (stage->index < 0) {
        const tv_model_t *m = run->model;
        tv_intake(run->frame, m->image, stage->done, tv_row(run->arena, &m->input, stage->done), run->scratch);
    } else {
        run_kernel(run, &stage->layer, stage->done, rows);
    }
    stage->done += rows;
    if (run->hook && run->hook(run->hook_ctx, stage->index, true)) {
        return TV_ERR_STOPPED;
    }
    return TV_OK;
}

int tv_segment_end(const tv_model_t *m, int index) {
    while (tv_streams(m, index)) {
        index++;
    }
    return index;
}

void tv_segment(const tv_model_t *m, int first, int last, tv_stage_t *stages) {
    for (; first <= last; first++, stages++) {
        tv_record_get(m, first, &stages->layer);
        stages->index = first;
        stages->rows = stages->layer.out_h;
        stages->done = 0;
    }
}

tv_stage_t *tv_next_stage(tv_stage_t *stages, tv_stage_t *last) {
    while (last > stages && tv_rows_needed(&last->layer, last->done) > last[-1].done) {
        last--;
    }
    return last;
}

static int run_segment(run_t *run, tv_stage_t *stages, tv_stage_t *last) {
    uint32_t most = 1; // rows at once
    if (last == stages) {
        most = (uint32_t)(TV_MAX_WORK / tv_layer_work(&last->layer)); // at least 1, tv_check.c
    }
    while (last->done < last->rows) {
        tv_stage_t *s = tv_next_stage(stages, last);
        uint32_t rest = s->rows - s->done;
        int err = run_stage(run, s, rest < most ? rest : most);
        if (err) {
            return err;
        }
    }
    return TV_OK;
}

// Does a later record read what is written at `offset`, before another writes there?
static bool is_read_after(const tv_model_t *m, int index, uint32_t offset) {
    tv_layer_t l = { .out.offset = ~offset };
    while (++index < m->layers && l.out.offset != offset) {
        tv_layer_get(m, (unsigned)index, &l);
        if (l.in.offset == offset || (l.op == TV_OP_ADD && l.in2.offset == offset)) {
            return true;
        }
    }
    return false;
}

// Of an output that nothing else reads, only the dimensions that are asked for are computed.
static void shorten(const tv_model_t *m, int index, tv_layer_t *l, uint32_t dim) {
    if (l->op == TV_OP_CONV && !is_read_after(m, index, l->out.offset)) {
        l->out_c = (uint16_t)dim;
        l->out.row_bytes = l->out_w * dim;
    }
}

// Outputs are copied out of the arena at once: a later segment may reuse their memory.
static void copy_out(const run_t *run, const tv_layer_t *l, uint32_t dim, int8_t *to) {
    for (uint32_t y = 0; y < l->out_h; y++) {
        const int8_t *from = tv_row(run->arena, &l->out, y);
        for (uint32_t x = 0; x < l->out_w; x++, from += l->out_c, to += dim) {
            memcpy(to, from, dim);
        }
    }
}

int tv_run(const tv_model_t *m, tv_frame_t *frame, void *arena,
    uint32_t dim, int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx) {
    run_t run = { m, frame, arena, (int8_t *)arena + m->scratch_offset, hook, hook_ctx };
    tv_stage_t stages[TV_MAX_STAGES + 1];
    if (map != NULL && m->dense_layer == TV_NO_LAYER) {
        return TV_ERR_NO_MAP;
    }
    const tv_library_t *library = tv_library_of(m->backend);
    if (library != NULL) {
        return library->run(m, frame, arena, dim, embedding, map, hook, hook_ctx);
    }
    for (int last, first = -1; first < m->layers; first = last + 1) {
        last = tv_segment_end(m, first);
        tv_segment(m, first, last, stages);
        tv_stage_t *stage = &stages[last - first];
        if (map != NULL || !(stage->layer.flags & TV_FLAG_DENSE)) {
            int8_t *to = last == m->embed_layer ? embedding : last == m->dense_layer ? map : NULL;
            if (to != NULL) {
                shorten(m, last, &stage->layer, dim);
            }
            int err = run_segment(&run, stages, stage);
            if (err) {
                return err;
            }
            if (to != NULL) {
                copy_out(&run, &stage->layer, dim, to);
            }
        }
    }
    return TV_OK;
}

int tv_selftest(const tv_model_t *m, void *arena, int8_t *embedding, tv_hook_t hook, void *hook_ctx) {
    if (m->test == NULL) {
        return TV_ERR_NO_TEST;
    }
    tv_frame_t frame = { .format = TV_TEST_IMAGE, .width = m->image, .height = m->image };
    frame.state = tv_u32(m->test);
    int err = tv_run(m, &frame, arena, m->dim, embedding, NULL, hook, hook_ctx);
    if (!err && memcmp(embedding, m->test + 4, m->dim) != 0) {
        err = TV_ERR_TEST;
    }
    return err;
}
