// SPDX-License-Identifier: MIT
//
// The driver on the simulator under the sanitizers: a plan as it is, at any alignment, truncated,
// with flipped bits under a corrected checksum, and with one rule broken after the other.
//
//     test_max78000 flips plan.tvmx ...

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tv.h"
#include "tv_max78000.h"
#include "tv_max78000_sim.h"

#define CHECK(x) \
    do { \
        if (!(x)) { \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #x); \
            exit(1); \
        } \
    } while (0)

static tv_max78000_sim_t sim;
static uint32_t state = 1;

static uint32_t rnd(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

// The whole way of a plan from exactly `size` bytes; 0, or the first error.
static int run(const uint8_t *file, size_t size, size_t offset, uint32_t *faults) {
    uint8_t *buffer = malloc(offset + size + 1); // the sanitizer watches the byte behind it
    tv_max78000_t dev = { .bus = &sim };
    tv_max78000_plan_t plan;
    memcpy(buffer + offset, file, size);
    buffer = realloc(buffer, offset + size ? offset + size : 1);
    int err = tv_max78000_plan_open(&plan, buffer + offset, size);
    if (err == TV_MAX78000_OK) {
        tv_max78000_sim_init(&sim, rnd(1000) + 1);
        size_t results = (size_t)plan.out_h * plan.out_w * plan.out_c;
        int8_t *row = malloc((size_t)plan.fold * plan.in_w * plan.in_c), *out = malloc(results);
        err = tv_max78000_on(&dev, &plan);
        err = err ? err : tv_max78000_load(&dev, &plan, NULL, NULL);
        err = err ? err : tv_max78000_selftest(&dev, &plan, row, 100, NULL, NULL);
        if (err == TV_MAX78000_OK) {
            err = tv_max78000_results(&dev, &plan, plan.out_c, out);
        }
        tv_max78000_off(&dev, false);
        *faults = sim.faults;
        // Nothing that a plan says leads the driver to an address where nothing is.
        CHECK(sim.fault != TV_M78_FAULT_ADDRESS && sim.fault != TV_M78_FAULT_POWER);
        CHECK(sim.fault != TV_M78_FAULT_PACKED);
        free(row);
        free(out);
    }
    CHECK(strcmp(tv_max78000_strerror(err), "unknown error") != 0);
    free(buffer);
    return err;
}

static void put(uint8_t *p, uint32_t value, uint32_t bytes) {
    for (; bytes > 0; bytes--, value >>= 8) {
        *p++ = (uint8_t)value;
    }
}

static uint32_t get(const uint8_t *p, uint32_t bytes) {
    return bytes ? p[0] | get(p + 1, bytes - 1) << 8 : 0;
}

// Every rule of a plan broken alone. The plan has one quadrant, a run of biases and wide results.
static int rules(const uint8_t *file, size_t size) {
    uint32_t head = get(file + 24, 4), run_at = 112 + 8 * get(file + 44, 2), channels = get(file + 76, 2);
    uint32_t table = head - 9 * channels, count = 0;
    const struct { uint32_t at, bytes, value; int err; } broken[] = {
        { 4, 2, 2, TV_MAX78000_ERR_VERSION },
        { 6, 2, 111, TV_MAX78000_ERR_HEADER },
        { 24, 4, 111, TV_MAX78000_ERR_HEADER },
        { 24, 4, (uint32_t)size + 1, TV_MAX78000_ERR_HEADER },
        { 28, 4, 1, TV_MAX78000_ERR_HEADER },
        { 32, 4, 0, TV_MAX78000_ERR_CRC },
        { 36, 1, 0, TV_MAX78000_ERR_HEADER },
        { 36, 1, 2, TV_MAX78000_ERR_HEADER },
        { 36, 1, 17, TV_MAX78000_ERR_HEADER },
        { 37, 1, 0, TV_MAX78000_ERR_HEADER },
        { 37, 1, 33, TV_MAX78000_ERR_HEADER },
        { 38, 1, 4, TV_MAX78000_ERR_HEADER },
        { 38, 1, 2, TV_MAX78000_ERR_WEIGHTS }, // those of another plan, and its own
        { 39, 1, 0, TV_MAX78000_ERR_INPUT },
        { 39, 1, 17, TV_MAX78000_ERR_INPUT },
        { 39, 1, 2, TV_MAX78000_ERR_INPUT }, // even and odd
        { 39, 1, 11, TV_MAX78000_ERR_INPUT }, // odd and even
        { 44, 2, 0, TV_MAX78000_ERR_HEADER },
        { 52, 2, 0, TV_MAX78000_ERR_INPUT },
        { 54, 2, 0, TV_MAX78000_ERR_INPUT },
        { 56, 2, 0, TV_MAX78000_ERR_INPUT },
        { 56, 2, 1025, TV_MAX78000_ERR_INPUT },
        { 60, 4, 2, TV_MAX78000_ERR_INPUT },
        { 60, 4, 0xfffffffc, TV_MAX78000_ERR_INPUT },
        { 64, 4, 1, TV_MAX78000_ERR_INPUT },
        { 68, 4, 1, TV_MAX78000_ERR_INPUT },
        { 72, 2, 0, TV_MAX78000_ERR_OUTPUT },
        { 112, 2, 0x0c, TV_MAX78000_ERR_REGISTERS },
        { 112, 2, 0xa90, TV_MAX78000_ERR_REGISTERS },
        { 112, 2, 0x12, TV_MAX78000_ERR_REGISTERS },
        { 112, 2, 0x10 + 4 * 31, TV_MAX78000_ERR_REGISTERS },
        { 112, 2, 0x10 + 0x80 * 19, TV_MAX78000_ERR_REGISTERS },
        { 114, 1, 0, TV_MAX78000_ERR_REGISTERS },
        { 114, 1, 3, TV_MAX78000_ERR_REGISTERS },
        { 115, 1, 1, TV_MAX78000_ERR_REGISTERS },
        { run_at, 1, 4, TV_MAX78000_ERR_BIAS },
        { run_at, 1, 1, TV_MAX78000_ERR_BIAS },
        { run_at + 1, 1, 1, TV_MAX78000_ERR_BIAS },
        { run_at + 2, 2, 0xffff, TV_MAX78000_ERR_BIAS },
        { run_at + 4, 2, 0, TV_MAX78000_ERR_BIAS },
        { table, 4, 0xe0000000u - 1, TV_MAX78000_ERR_QUANT },
        { table, 4, 0x20000001, TV_MAX78000_ERR_QUANT },
        { table + 4 * channels, 4, 0x3fffffff, TV_MAX78000_ERR_QUANT },
        { table + 8 * channels, 1, 0, TV_MAX78000_ERR_QUANT },
        { table + 8 * channels, 1, 31, TV_MAX78000_ERR_QUANT },
    };
    uint8_t *copy = malloc(size);
    uint32_t faults;
    for (; count < sizeof(broken) / sizeof(broken[0]); count++) {
        memcpy(copy, file, size);
        put(copy + broken[count].at, broken[count].value, broken[count].bytes);
        put(copy + 12, tv_crc32(0, copy + 16, head - 16), 4);
        int err = run(copy, size, 0, &faults);
        if (err != broken[count].err) {
            printf("rule %u, at %u: %s\n", count, broken[count].at, tv_max78000_strerror(err));
            exit(1);
        }
    }
    // one that shares another's weights: nobody loaded those
    uint32_t blocks = 6 * get(file + 48, 2);
    memcpy(copy, file, table - blocks);
    memcpy(copy + table - blocks, file + table, head - table);
    put(copy + 8, head - blocks, 4);
    put(copy + 24, head - blocks, 4);
    put(copy + 28, 0, 4);
    put(copy + 38, 2, 1);
    put(copy + 48, 0, 2);
    put(copy + 12, tv_crc32(0, copy + 16, head - blocks - 16), 4);
    CHECK(run(copy, head - blocks, 0, &faults) == TV_MAX78000_ERR_LOADED);
    // no weights, but blocks of them; a damaged head; something else
    memcpy(copy, file, size);
    put(copy + 8, head, 4);
    put(copy + 28, 0, 4);
    put(copy + 12, tv_crc32(0, copy + 16, head - 16), 4);
    CHECK(run(copy, head, 0, &faults) == TV_MAX78000_ERR_WEIGHTS);
    copy[12] ^= 1;
    CHECK(run(copy, head, 0, &faults) == TV_MAX78000_ERR_CRC);
    copy[1] ^= 1;
    CHECK(run(copy, 3, 0, &faults) == TV_MAX78000_ERR_MAGIC);
    free(copy);
    return (int)count + 4;
}

int main(int argc, char **argv) {
    CHECK(argc > 2);
    int flips = atoi(argv[1]), refused = 0, failed = 0, passed = 0, broken = 0;
    for (int i = 2; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        CHECK(f != NULL);
        fseek(f, 0, SEEK_END);
        size_t size = (size_t)ftell(f);
        uint8_t *file = malloc(size), *copy = malloc(size);
        rewind(f);
        CHECK(fread(file, 1, size, f) == size);
        fclose(f);
        uint32_t faults = 0, head = (uint32_t)(file[24] | file[25] << 8 | file[26] << 16 | file[27] << 24);
        for (size_t offset = 0; offset < 4; offset++) {
            int err = run(file, size, offset, &faults);
            printf("%s: %s, %u faults, %u cycles\n", argv[i], tv_max78000_strerror(err), faults, sim.cycles);
            CHECK(err == TV_MAX78000_OK && faults == 0);
        }
        for (size_t cut = 0; cut < size; cut += cut < 400 ? 1 : 97) {
            // the head alone is a plan whose weights must be streamed
            int err = run(file, cut, 0, &faults);
            CHECK(err == (cut == head ? TV_MAX78000_ERR_STREAM : TV_MAX78000_ERR_TRUNCATED));
        }
        for (int flip = 0; flip < flips; flip++) {
            memcpy(copy, file, size);
            for (uint32_t n = rnd(3) + 1; n; n--) {
                copy[16 + rnd(rnd(2) ? 96 : head - 16)] ^= (uint8_t)(1u << rnd(8));
            }
            uint32_t crc = tv_crc32(0, copy + 16, head - 16);
            for (int b = 0; b < 4; b++) {
                copy[12 + b] = (uint8_t)(crc >> 8 * b);
            }
            int err = run(copy, size, 0, &faults);
            refused += err <= TV_MAX78000_ERR_MAGIC && err >= TV_MAX78000_ERR_QUANT;
            failed += err < TV_MAX78000_ERR_QUANT;
            passed += err == TV_MAX78000_OK;
        }
        if (file[36] == 1 && file[78] == 4 && file[46] == 1) {
            broken += rules(file, size);
        }
        free(file);
        free(copy);
    }
    printf("%d broken rules refused\n", broken);
    printf("of the damaged plans %d refused, %d failed when run, %d harmless\n", refused, failed, passed);
    return 0;
}
