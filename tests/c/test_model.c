// SPDX-License-Identifier: MIT
//
// What can be wrong with an encoder file, and that none of it harms. Built with the address
// and undefined-behaviour sanitizers; every buffer is exactly as large as the engine may use.
//
//     test_model answer FILE           the known answer, at byte offsets 0 ... 3
//     test_model damage FILE           every truncation and every single-bit flip is refused
//     test_model fuzz FILE COUNT SEED  random contents with a valid checksum
//     test_model calls FILE            what a caller may ask of a file without a map

#include <stdio.h>
#include <stdlib.h>

#include "tv.h"
#include "tv_format.h"
#include "tv_kernels.h"

static uint8_t *file;
static size_t file_size;

static uint32_t state = 1;

static uint32_t rnd(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static void *need(void *p) {
    if (p == NULL) {
        printf("out of memory\n");
        exit(1);
    }
    return p;
}

static void read_file(const char *path) {
    FILE *f = need(fopen(path, "rb"));
    file = need(malloc(1 << 22));
    file_size = fread(file, 1, 1 << 22, f);
    fclose(f);
}

static int fail(const char *what, size_t at) {
    printf("%s %zu: accepted\n", what, at);
    return 1;
}

static int answer(void) {
    for (size_t offset = 0; offset < 4; offset++) {
        uint8_t *copy = need(malloc(file_size + offset));
        memcpy(copy + offset, file, file_size);
        tv_model_t m;
        int err = tv_model_open(&m, copy + offset, file_size, NULL, NULL);
        if (!err) {
            void *arena = need(malloc(m.arena_size));
            int8_t *embedding = need(malloc(m.dim));
            memset(arena, 0xa5, m.arena_size);
            err = tv_selftest(&m, arena, embedding, NULL, NULL);
            free(arena);
            free(embedding);
        }
        free(copy);
        if (err) {
            printf("offset %zu: %s\n", offset, tv_strerror(err));
            return 1;
        }
    }
    printf("known answer right at byte offsets 0 ... 3\n");
    return 0;
}

static int damage(void) {
    tv_model_t m;
    for (size_t size = 0; size < file_size; size++) {
        uint8_t *copy = need(malloc(size ? size : 1));
        memcpy(copy, file, size);
        if (tv_model_open(&m, copy, size, NULL, NULL) == TV_OK) {
            return fail("truncated to", size);
        }
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * file_size; bit++) {
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (tv_model_open(&m, file, file_size, NULL, NULL) == TV_OK) {
            return fail("flipped bit", bit);
        }
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    printf("%zu truncations and %zu bit flips refused\n", file_size, 8 * file_size);
    return 0;
}

static void put(uint8_t *p, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++, value >>= 8) {
        p[i] = (uint8_t)value;
    }
}

static uint32_t nasty(void) {
    static const uint32_t values[] = {
        0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 1023, 0x7fff, 0x8000, 0xfffe, 0xffff,
        0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
    };
    return values[rnd(sizeof(values) / sizeof(values[0]))];
}

// A small change or a nasty value.
static void change(uint8_t *p, int bytes) {
    uint32_t value = 0;
    for (int i = bytes; i-- > 0;) {
        value = value << 8 | p[i];
    }
    switch (rnd(4)) {
        case 0:
            put(p, nasty(), bytes);
            break;
        case 1:
            put(p, value + rnd(9) - 4, bytes);
            break;
        case 2:
            put(p, value ^ 1u << rnd(8 * (uint32_t)bytes), bytes);
            break;
        default:
            put(p, rnd(2) ? value * 2 : value / 2, bytes);
            break;
    }
}

// Replace every copy of `size` bytes in header and records, so that reader and writer of a
// tensor go on agreeing and the checks behind that one are reached.
static void replace(uint8_t *data, uint32_t start, uint32_t end, const uint8_t *from, const uint8_t *to, uint32_t size) {
    for (uint32_t i = start; i + size <= end; i++) {
        if (memcmp(data + i, from, size) == 0) {
            memcpy(data + i, to, size);
        }
    }
}

static void mutate(uint8_t *data, uint32_t records, uint32_t layers) {
    static const struct { uint8_t at, bytes; } fields[] = {
        { 0, 1 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 }, { 6, 1 }, { 7, 1 },
        { 8, 2 }, { 10, 2 }, { 12, 2 }, { 14, 2 }, { 16, 2 }, { 18, 2 },
        { 20, 4 }, { 24, 4 }, { 28, 2 }, { 30, 2 }, { 32, 4 }, { 36, 4 }, { 40, 2 }, { 42, 2 },
        { 44, 4 }, { 48, 4 }, { 52, 2 }, { 54, 2 }, { 56, 1 }, { 57, 1 }, { 60, 4 }, { 64, 4 },
    };
    static const struct { uint8_t at, bytes; } tensor_fields[] = { { 0, 4 }, { 4, 4 }, { 8, 2 }, { 10, 2 } };
    uint8_t *record = data + records + TV_LAYER_SIZE * rnd(layers);
    uint32_t end = records + layers * TV_LAYER_SIZE;
    uint8_t from[12], to[12];
    switch (rnd(8)) {
        case 0: { // header
            change(data + 16 + rnd(TV_HEADER_SIZE - 16), rnd(2) ? 1 : 2);
            break;
        }
        case 1: // sizes in the header
            change(data + (rnd(2) ? 44 : 52), 4);
            break;
        case 2: // section table
            change(data + TV_HEADER_SIZE + TV_SECTION_SIZE * rnd(5) + 4 * rnd(3), 4);
            break;
        case 3: { // a tensor everywhere
            uint32_t f = rnd(4);
            memcpy(from, record + (rnd(2) ? 20 : 32), 12);
            memcpy(to, from, 12);
            change(to + tensor_fields[f].at, tensor_fields[f].bytes);
            replace(data, records, end, from, to, 12);
            replace(data, 56, 68, from, to, 12);
            break;
        }
        case 4: // a shape everywhere
            memcpy(from, record + (rnd(2) ? 8 : 14), 6);
            memcpy(to, from, 6);
            change(to + 2 * rnd(3), 2);
            replace(data, records, end, from, to, 6);
            break;
        case 5: { // anything anywhere
            change(data + 16 + rnd((uint32_t)file_size - 20), 1 + (int)rnd(4));
            break;
        }
        default: { // one field of one record
            uint32_t f = rnd(sizeof(fields) / sizeof(fields[0]));
            change(record + fields[f].at, fields[f].bytes);
            break;
        }
    }
}

static int count_rows(void *ctx, int layer, bool end) {
    (void)layer;
    (void)end;
    return ++*(int *)ctx > 4000; // rings allow very tall images
}

static bool try_run(const uint8_t *data, bool *ran) {
    tv_model_t m;
    if (tv_model_open(&m, data, file_size, NULL, NULL) != TV_OK) {
        return false;
    }
    uint64_t macs = 0;
    for (unsigned i = 0; i < m.layers; i++) {
        tv_layer_t l;
        tv_layer_get(&m, i, &l);
        macs += tv_layer_macs(&l);
    }
    *ran = m.arena_size <= 1 << 24 && macs <= 10000000;
    if (*ran) {
        uint8_t pixels[12 * 9 * 2];
        tv_frame_t frame = { .data = pixels, .size = sizeof(pixels), .width = 12, .height = 9, .format = TV_RGB565_BE };
        memset(pixels, (int)rnd(256), sizeof(pixels));
        int rows = 0;
        uint8_t *arena = need(malloc(m.arena_size));
        int8_t *embedding = need(malloc(m.dim));
        size_t map_size = (size_t)m.map_h * m.map_w * m.dim;
        int8_t *map = map_size ? need(malloc(map_size)) : NULL;
        memset(arena, (int)rnd(256), m.arena_size);
        if (tv_frame_check(&frame, NULL) == TV_OK) {
            tv_run(&m, &frame, arena, 1 + rnd(m.dim), embedding, map, count_rows, &rows);
        }
        rows = 0;
        tv_selftest(&m, arena, embedding, count_rows, &rows);
        size_t length;
        tv_layer_name(&m, m.layers - 1u, &length);
        free(arena);
        free(embedding);
        free(map);
    }
    return true;
}

static int fuzz(int count, uint32_t seed) {
    tv_model_t m;
    state = seed ? seed : 1;
    if (tv_model_open(&m, file, file_size, NULL, NULL) != TV_OK) {
        printf("the file to start from is bad\n");
        return 1;
    }
    uint32_t records = (uint32_t)(m.records - file), layers = m.layers;
    int opened = 0, runs = 0;
    for (int i = 0; i < count; i++) {
        uint8_t *data = need(malloc(file_size));
        memcpy(data, file, file_size);
        for (uint32_t n = 1 + rnd(3); n; n--) {
            mutate(data, records, layers);
        }
        put(data + 8, (uint32_t)file_size, 4);
        put(data + 12, tv_crc32(0, data + TV_CRC_START, file_size - TV_CRC_START), 4);
        bool ran = false;
        opened += try_run(data, &ran);
        runs += ran;
        free(data);
    }
    printf("%d mutations with a valid checksum: %d opened, %d run\n", count, opened, runs);
    return 0;
}

static int stop(void *ctx, int layer, bool end) {
    (void)ctx;
    (void)end;
    return layer >= 0;
}

static int countdown(void *ctx, int layer, bool end) {
    (void)layer;
    return !end || (*(int *)ctx)-- == 0;
}

// Can opening be stopped wherever its hook is called: after the only piece, and twice a layer?
static bool opening_stops(void) {
    tv_model_t m;
    int n = -1, left, err;
    do {
        left = ++n;
        err = tv_model_open(&m, file, file_size, countdown, &left);
    } while (err == TV_ERR_STOPPED);
    return err == TV_OK && n == 1 + 2 * m.layers;
}

static int calls(void) {
    tv_model_t m;
    uint8_t size[4], pixel[3] = { 1, 2, 3 };
    memcpy(size, file + 8, 4);
    put(file + 8, TV_HEADER_SIZE - 1, 4);
    if (tv_model_open(&m, file, file_size, NULL, NULL) != TV_ERR_TRUNCATED) {
        return fail("a size below that of the header", 8);
    }
    memcpy(file + 8, size, 4);
    if (tv_model_open(&m, file, file_size, NULL, NULL) != TV_OK || m.map_h != 0) {
        return fail("the file to start from", 0);
    }
    if (!opening_stops()) {
        return fail("opening", 0);
    }
    tv_frame_t frame = { .data = pixel, .size = 3, .width = 1, .height = 1, .format = TV_RGB888 };
    int8_t *embedding = need(malloc(m.dim));
    void *arena = need(malloc(m.arena_size));
    if (tv_frame_check(&frame, NULL) != TV_OK
        || tv_run(&m, &frame, arena, m.dim, embedding, embedding, NULL, NULL) != TV_ERR_NO_MAP
        || tv_selftest(&m, arena, embedding, stop, NULL) != TV_ERR_STOPPED
        || tv_selftest(&m, arena, embedding, NULL, NULL) != TV_OK) {
        return fail("a call", 0);
    }
    free(arena);
    free(embedding);
    printf("every call has its answer\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3) {
        read_file(argv[2]);
        if (strcmp(argv[1], "answer") == 0) {
            return answer();
        }
        if (strcmp(argv[1], "damage") == 0) {
            return damage();
        }
        if (strcmp(argv[1], "calls") == 0) {
            return calls();
        }
        if (strcmp(argv[1], "fuzz") == 0 && argc == 5) {
            return fuzz(atoi(argv[3]), (uint32_t)atoi(argv[4]));
        }
    }
    printf("usage: test_model answer|calls|damage FILE, test_model fuzz FILE COUNT SEED\n");
    return 2;
}
