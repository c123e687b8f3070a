// SPDX-License-Identifier: MIT
//
// The backend "cmsis-nn", on its own file of a network, gives the bytes of "portable". Every buffer
// is exactly as large as the engine asked for, so that the sanitizers see what it does outside.
//
//     test_cmsis_nn OURS THEIRS OURS THEIRS ...
//     test_cmsis_nn -v FILE...

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tv_format.h"
#include "tv_kernels.h"

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
    int err = tv_run(m, &frame, arena, m->dim, embedding, map_size ? map : NULL, NULL, NULL);
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
        tv_layer_t l;
        tv_layer_get(m, (unsigned)i, &l);
        check(w.seen[i + 1] == !(l.flags & TV_FLAG_DENSE), "hook calls of a layer", path);
    }
    for (int stop = 1; stop <= 2 * (m->image + 2); stop += m->image) {
        w.layer = -2;
        w.stop = stop;
        check(tv_selftest(m, arena, embedding, hook, &w) == TV_ERR_STOPPED, "not stopped", path);
    }
    free(w.seen);
    free(embedding);
}

// A file at an address that is `shift` above a multiple of 8; exactly its bytes are there.
static int8_t *file_at(const char *path, unsigned shift, size_t *size) {
    uint8_t *all = need(1 << 20);
    FILE *f = fopen(path, "rb");
    check(f != NULL, "cannot be opened", path);
    *size = fread(all, 1, 1 << 20, f);
    fclose(f);
    int8_t *copy = need(*size + shift);
    memcpy(copy + shift, all, *size);
    free(all);
    return copy;
}

// What is said of a file for CMSIS-NN. One that is accepted runs: the sanitizers watch.
static void judge(const char *path) {
    size_t size, outs;
    int8_t *file = file_at(path, 0, &size);
    tv_model_t m;
    int err = tv_model_open(&m, file, size, NULL, NULL);
    if (!err && m.macs < 10000000) {
        void *arena = need(m.arena_size);
        free(outputs(&m, arena, &outs, path));
        free(arena);
    }
    printf("%s\n", err ? tv_strerror(err) : "");
    free(file);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        for (int i = 2; i < argc; i++) {
            judge(argv[i]);
        }
        return 0;
    }
    size_t bad = 0, n = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t size, outs, more;
        unsigned shift = (unsigned)i / 2 % 4;
        int8_t *file = file_at(argv[i], shift, &size); // at any byte address
        tv_model_t m;
        check(tv_model_open(&m, file + shift, size, NULL, NULL) == TV_OK, "is refused", argv[i]);
        check(tv_backend_use(&m, backend("cmsis-nn")) == TV_ERR_ORDER, "runs on cmsis-nn", argv[i]);
        check(tv_backend_use(&m, backend("portable")) == TV_OK, "portable is refused", argv[i]);
        void *arena = need(m.arena_size);
        int8_t *ours = outputs(&m, arena, &outs, argv[i]);
        free(arena);
        free(file);

        file = file_at(argv[i + 1], shift, &size);
        int err = tv_model_open(&m, file + shift, size, NULL, NULL);
        check(err == (shift ? TV_ERR_UNALIGNED : TV_OK), "is taken at that address", argv[i + 1]);
        free(file);
        file = file_at(argv[i + 1], 4, &size);
        err = tv_model_open(&m, file + 4, size, NULL, NULL);
        check(err == TV_OK, tv_strerror(err), argv[i + 1]);
        check(m.backend == backend("cmsis-nn"), "does not run on cmsis-nn", argv[i + 1]);
        check(tv_backend_use(&m, backend("portable")) == TV_ERR_ORDER, "runs on portable", argv[i + 1]);
        check(tv_backend_use(&m, backend("cmsis-nn")) == TV_OK, "cmsis-nn is refused", argv[i + 1]);
        arena = need(m.arena_size);
        int8_t *theirs = outputs(&m, arena, &more, argv[i + 1]);
        hooks(&m, arena, argv[i + 1]);
        check(outs == more, "another network", argv[i + 1]);
        for (size_t j = 0; j < outs; j++) {
            bad += ours[j] != theirs[j];
        }
        n += outs;
        free(ours);
        free(theirs);
        free(arena);
        free(file);
    }
    printf("%zu of %zu differ\n", bad, n);
    return bad != 0;
}
