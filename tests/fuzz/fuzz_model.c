// SPDX-License-Identifier: MIT
//
// Opens the input as an encoder file, its size and checksum put right, and runs what is accepted:
// nothing outside of file, arena, frame and outputs is touched (the sanitizers see it), and the answer
// does not depend on what the arena held before. Opening is always tried; of what is accepted most inputs
// run only if that is quick, one in 16 (by its checksum, so that an input always does the same) may take longer.

#include <stdlib.h>

#include "tv.h"
#include "tv_format.h"

#define MOST_STEPS(rare) (1u << ((rare) ? 18 : 12))  // of a run: some legal files take a while
#define MOST_ARENA(rare) (1u << ((rare) ? 20 : 14))

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static uint64_t steps(const tv_model_t *m) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < m->layers; i++) {
        tv_layer_t l;
        tv_layer_get(m, i, &l);
        size_t name;
        tv_layer_name(m, i, &name);
        if (*tv_op_name(l.op) == 0) {
            abort();
        }
        sum += tv_layer_macs(&l) + (uint64_t)l.out_h * l.out_c * (l.out.pitch > l.out_w ? l.out.pitch : l.out_w)
            * (l.op == TV_OP_AVGPOOL ? l.kernel * (uint64_t)l.kernel : 1u);
    }
    return sum;
}

// A hook that ends the run when it was called so often.
static int stop(void *ctx, int layer, bool end) {
    unsigned *left = ctx;
    (void)layer;
    (void)end;
    return (*left)-- == 0;
}

static void run(const tv_model_t *m) {
    uint8_t *arena = aligned_alloc(TV_ARENA_ALIGN, (m->arena_size + 7u) / 8 * 8 + 8);
    size_t cells = (size_t)m->map_h * m->map_w * m->dim;
    int8_t *out[2], *map[2];
    uint32_t some = 1 + m->macs % m->dim; // fewer dimensions, and nothing is written behind them
    uint8_t pixels[3 * 5 * 4];
    for (unsigned i = 0; i < sizeof(pixels); i++) {
        pixels[i] = (uint8_t)(37 * i);
    }
    for (int twice = 0; twice < 2; twice++) {
        tv_frame_t frame = { .data = pixels, .size = sizeof(pixels), .width = 5, .height = 4, .format = TV_RGB888 };
        out[twice] = malloc(m->dim);
        map[twice] = cells ? malloc(cells) : NULL;
        memset(arena, twice ? 0x55 : 0xa7, m->arena_size);
        if (tv_frame_check(&frame, NULL) || tv_run(m, &frame, arena, m->dim, out[twice], map[twice], NULL, NULL)) {
            abort();
        }
    }
    if (memcmp(out[0], out[1], m->dim) || (cells && memcmp(map[0], map[1], cells))) {
        abort(); // something was read that nobody wrote
    }
    int8_t *few = malloc(some);
    tv_frame_t again = { .data = pixels, .size = sizeof(pixels), .width = 5, .height = 4, .format = TV_RGB888 };
    if (tv_frame_check(&again, NULL) || tv_run(m, &again, arena, some, few, NULL, NULL, NULL) || memcmp(few, out[0], some)) {
        abort();
    }
    free(few);
    for (unsigned at = 0; at < 12; at = 3 * at + 1) {
        tv_frame_t frame = { .data = pixels, .size = sizeof(pixels), .width = 5, .height = 4, .format = TV_RGB888 };
        unsigned left = at;
        int err = tv_frame_check(&frame, NULL);
        err = err ? err : tv_run(m, &frame, arena, some, out[0], NULL, stop, &left);
        if (err != TV_OK && err != TV_ERR_STOPPED) {
            abort();
        }
    }
    tv_selftest(m, arena, out[0], NULL, NULL);
    free(map[0]);
    free(map[1]);
    free(out[0]);
    free(out[1]);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    uint8_t *file = malloc(size ? size : 1);
    bool rare = false;
    memcpy(file, input, size);
    if (size >= TV_HEADER_SIZE) {
        uint32_t whole = (uint32_t)size;
        memcpy(file + 8, &whole, 4);
        uint32_t crc = tv_crc32(0, file + TV_CRC_START, size - TV_CRC_START);
        memcpy(file + 12, &crc, 4);
        rare = crc % 16 == 0;
    }
    tv_model_t m;
    int err = tv_model_open(&m, file, size, NULL, NULL);
    if (err > 0 || strcmp(tv_strerror(err), "unknown error") == 0) {
        abort();
    }
    if (err == 0 && m.arena_size <= MOST_ARENA(rare) && m.image <= 64 && steps(&m) <= MOST_STEPS(rare)) {
        run(&m);
    }
    free(file);
    return 0;
}
