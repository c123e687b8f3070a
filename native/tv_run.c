// SPDX-License-Identifier: MIT
//
// Running a network: segments one after another, and inside a segment row by row, so that a
// tensor between two stages needs only the few rows that its reader needs. The order is
// part of the file format ("Running it"): the writer sized the rings by it.

#include "tv_kernels.h"

typedef struct {
    tv_layer_t layer;
    int index;          // of the record; -1: the frame intake
    uint32_t rows;      // rows it has to write
    uint32_t done;      // rows written
} stage_t;

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
static int run_stage(run_t *run, stage_t *stage, uint32_t rows) {
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

static int run_segment(run_t *run, stage_t *stages, int count) {
    stage_t *last = &stages[count - 1];
    if (count == 1) {
        uint32_t most = (uint32_t)(TV_MAX_WORK / tv_layer_work(&last->layer)); // at least 1, tv_check.c
        while (last->done < last->rows) {
            uint32_t rest = last->rows - last->done;
            int err = run_stage(run, last, rest < most ? rest : most);
            if (err) {
                return err;
            }
        }
        return TV_OK;
    }
    while (last->done < last->rows) {
        stage_t *s = last;
        while (s > stages && tv_rows_needed(&s->layer, s->done) > s[-1].done) {
            s--;
        }
        int err = run_stage(run, s, 1);
        if (err) {
            return err;
        }
    }
    return TV_OK;
}

// Outputs are copied out of the arena at once: a later segment may reuse their memory.
static void copy_out(const run_t *run, const tv_layer_t *l, int8_t *to) {
    size_t size = (size_t)l->out_w * l->out_c;
    for (uint32_t y = 0; y < l->out_h; y++, to += size) {
        memcpy(to, tv_row(run->arena, &l->out, y), size);
    }
}

int tv_run(const tv_model_t *m, tv_frame_t *frame, void *arena,
    int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx) {
    run_t run = { m, frame, arena, (int8_t *)arena + m->scratch_offset, hook, hook_ctx };
    stage_t stages[TV_MAX_STAGES + 1];
    if (map != NULL && m->dense_layer == TV_NO_LAYER) {
        return TV_ERR_NO_MAP;
    }
    if (m->backend->library != NULL) {
        return m->backend->library->run(m, frame, arena, embedding, map, hook, hook_ctx);
    }
    int count = 0;
    stages[count].index = -1;
    stages[count].rows = m->image;
    stages[count++].done = 0;
    for (int i = 0; i < m->layers; i++) {
        stage_t *s = &stages[count++];
        tv_layer_get(m, (unsigned)i, &s->layer);
        s->index = i;
        s->rows = s->layer.out_h;
        s->done = 0;
        if (s->layer.flags & TV_FLAG_STREAM) {
            continue;
        }
        if (map != NULL || !(s->layer.flags & TV_FLAG_DENSE)) {
            int err = run_segment(&run, stages, count);
            if (err) {
                return err;
            }
            if (i == m->embed_layer) {
                copy_out(&run, &s->layer, embedding);
            }
            if (map != NULL && i == m->dense_layer) {
                copy_out(&run, &s->layer, map);
            }
        }
        count = 0;
    }
    return TV_OK;
}

int tv_selftest(const tv_model_t *m, void *arena, int8_t *embedding, tv_hook_t hook, void *hook_ctx) {
    if (m->test == NULL) {
        return TV_ERR_NO_TEST;
    }
    tv_frame_t frame = { .format = TV_TEST_IMAGE, .width = m->image, .height = m->image };
    frame.state = tv_u32(m->test);
    int err = tv_run(m, &frame, arena, embedding, NULL, hook, hook_ctx);
    if (!err && memcmp(embedding, m->test + 4, m->dim) != 0) {
        err = TV_ERR_TEST;
    }
    return err;
}
