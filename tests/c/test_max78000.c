// SPDX-License-Identifier: MIT
//
// The driver on the simulator under the sanitizers: a plan as it is, at any alignment, truncated,
// and with flipped bits under a corrected checksum.
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
            err = tv_max78000_results(&dev, &plan, out);
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

int main(int argc, char **argv) {
    CHECK(argc > 2);
    int flips = atoi(argv[1]), refused = 0, failed = 0, passed = 0;
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
        free(file);
        free(copy);
    }
    printf("of the damaged plans %d refused, %d failed when run, %d harmless\n", refused, failed, passed);
    return 0;
}
