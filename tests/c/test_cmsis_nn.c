// SPDX-License-Identifier: MIT
//
// The backend "cmsis-nn" gives the bytes of "portable". Every buffer is exactly as large as the
// engine asked for, so that the sanitizers see what it does outside.
//
//     test_cmsis_nn FILE...

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tv.h"

typedef struct {
    int layer, stop;    // the layer that runs, or -2; the call to stop at, counted down
    int8_t *seen;       // layers + 1: ended how often, at most 100
} watch_t;

static void *need(size_t size) {
    void *p = malloc(size ? size : 1);
    if (p == NULL) {
        printf("out of memory\n");
        exit(1);
    }
    memset(p, 0xa5, size);
    return p;
}

static void check(bool ok, const char *what, const char *path) {
    if (!ok) {
        printf("%s: %s\n", path, what);
        exit(1);
    }
}

static const tv_backend_t *backend(const char *name) {
    for (unsigned i = 0; tv_backend(i) != NULL; i++) {
        if (strcmp(tv_backend_name(tv_backend(i)), name) == 0) {
            return tv_backend(i);
        }
    }
    printf("no backend %s\n", name);
    exit(1);
}

// Begin and end come in pairs, the layers in order.
static int hook(void *ctx, int layer, bool end) {
    watch_t *w = ctx;
    if (end ? w->layer != layer : w->layer != -2) {
        return 1;
    }
    w->layer = end ? -2 : layer;
    if (end && w->seen[layer + 1] < 100) {
        w->seen[layer + 1]++;
    }
    return --w->stop == 0;
}

// Embedding and map, one after the other; the bytes of both go to *size.
static int8_t *outputs(const tv_model_t *m, void *arena, size_t *size, const char *path) {
    uint8_t pixels[40 * 30 * 3];
    for (size_t i = 0; i < sizeof(pixels); i++) {
        pixels[i] = (uint8_t)(i * i * 7 + i / 5);
    }
    tv_frame_t frame = { .data = pixels, .size = sizeof(pixels), .width = 40, .height = 30, .format = TV_RGB888 };
    check(tv_frame_check(&frame, NULL) == TV_OK, "the frame is refused", path);
    size_t map_size = (size_t)m->map_h * m->map_w * m->dim;
    int8_t *embedding = need(m->dim), *map = need(map_size);
    int err = tv_run(m, &frame, arena, embedding, map_size ? map : NULL, NULL, NULL);
    check(err == TV_OK, tv_strerror(err), path);
    *size = m->dim + map_size;
    int8_t *all = need(*size);
    memcpy(all, embedding, m->dim);
    memcpy(all + m->dim, map, map_size);
    free(embedding);
    free(map);
    return all;
}

static void hooks(const tv_model_t *m, void *arena, const char *path) {
    int8_t *embedding = need(m->dim);
    watch_t w = { -2, 0, need(m->layers + 1u) };
    memset(w.seen, 0, m->layers + 1u);
    check(tv_selftest(m, arena, embedding, hook, &w) == TV_OK, "the known answer is another", path);
    check(w.seen[0] == (m->image < 100 ? m->image : 100), "hook calls of the intake", path);
    for (int i = 0; i < m->layers; i++) {
        check(w.seen[i + 1] == (i != m->dense_layer), "hook calls of a layer", path);
    }
    for (int stop = 1; stop <= 2 * (m->image + 2); stop += m->image) {
        w.layer = -2;
        w.stop = stop;
        check(tv_selftest(m, arena, embedding, hook, &w) == TV_ERR_STOPPED, "not stopped", path);
    }
    free(w.seen);
    free(embedding);
}

int main(int argc, char **argv) {
    size_t bad = 0, n = 0;
    for (int i = 1; i < argc; i++) {
        uint8_t *file = need(1 << 20);
        FILE *f = fopen(argv[i], "rb");
        check(f != NULL, "cannot be opened", argv[i]);
        size_t size = fread(file, 1, 1 << 20, f), outs, more;
        fclose(f);
        // at any byte address
        uint8_t *copy = need(size + (size_t)i % 4);
        memcpy(copy + i % 4, file, size);
        tv_model_t m;
        check(tv_model_open(&m, copy + i % 4, size) == TV_OK, "is refused", argv[i]);
        void *arena = need(m.arena_size);

        check(tv_backend_memory(backend("portable"), &m) == 0, "portable wants memory", argv[i]);
        tv_backend_use(&m, backend("portable"), NULL);
        int8_t *ours = outputs(&m, arena, &outs, argv[i]);

        void *memory = need((size_t)tv_backend_memory(backend("cmsis-nn"), &m));
        tv_backend_use(&m, backend("cmsis-nn"), memory);
        int8_t *theirs = outputs(&m, arena, &more, argv[i]);
        hooks(&m, arena, argv[i]);
        for (size_t j = 0; j < outs; j++) {
            bad += ours[j] != theirs[j];
        }
        n += outs;
        free(ours);
        free(theirs);
        free(memory);
        free(arena);
        free(copy);
        free(file);
    }
    printf("%zu of %zu differ\n", bad, n);
    return bad != 0;
}
