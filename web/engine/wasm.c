// SPDX-License-Identifier: MIT
//
// The engine as WebAssembly: what the page calls besides tv.h's own functions, which are exported as
// they are (build.sh). The caller owns the memory from __heap_base on and says where everything
// lies; one encoder is open at a time.

#include <string.h>

#include "tv.h"

static tv_model_t model;

// Was this compiled for vectors of 128 bits?
int engine_simd(void) {
    #if defined(__wasm_simd128__)
    return 1;
    #else
    return 0;
    #endif
}

int engine_open(const uint8_t *file, size_t size) {
    return tv_model_open(&model, file, size, NULL, NULL);
}

// What tv_model_open() found, in the order in which Encoder in engine.ts reads it.
const uint32_t *engine_about(void) {
    static uint32_t about[10];
    const uint32_t now[] = {
        model.image, model.dim, model.map_h, model.map_w, model.arena_size, model.macs, model.size,
        (uint32_t)(uintptr_t)model.fingerprint, (uint32_t)(uintptr_t)model.info, model.info_size,
    };
    _Static_assert(sizeof(now) == sizeof(about), "one number more or less");
    return memcpy(about, now, sizeof(now));
}

// The layer that an error of engine_open() is about, or -1: its index, the bytes of its name and
// where that lies.
const int32_t *engine_bad_layer(void) {
    static int32_t layer[3];
    size_t size = 0;
    const char *name = model.bad_layer < 0 ? NULL : tv_layer_name(&model, (unsigned)model.bad_layer, &size);
    layer[0] = model.bad_layer;
    layer[1] = (int32_t)size;
    layer[2] = (int32_t)(uintptr_t)name;
    return layer;
}

// May a frame have this size?
int engine_check(uint32_t width, uint32_t height) {
    tv_frame_t frame = { .width = width, .height = height, .format = TV_RGB888 };
    int err = tv_frame_check(&frame, NULL);
    return err == TV_ERR_FRAME_SHORT ? TV_OK : err; // it has no pixels yet
}

// width x height pixels of a canvas at `pixels`, R, G, B and what is not looked at. They become
// R, G, B in the same place. map may be NULL.
int engine_embed(uint8_t *pixels, uint32_t width, uint32_t height, void *arena, int8_t *embedding, int8_t *map) {
    uint8_t *to = pixels;
    size_t count = (size_t)width * height;
    for (const uint8_t *from = pixels; count; count--, from += 4, to += 3) {
        uint8_t r = from[0], g = from[1], b = from[2];
        to[0] = r;
        to[1] = g;
        to[2] = b;
    }
    tv_frame_t frame = {
        .data = pixels, .size = (size_t)(to - pixels), .width = width, .height = height, .format = TV_RGB888,
    };
    int err = tv_frame_check(&frame, NULL);
    return err ? err : tv_run(&model, &frame, arena, model.dim, embedding, map, NULL, NULL);
}

int engine_selftest(void *arena, int8_t *embedding) {
    return tv_selftest(&model, arena, embedding, NULL, NULL);
}
