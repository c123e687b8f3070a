// SPDX-License-Identifier: MIT
//
// Opens the input as a plan for the MAX78000's accelerator, its checksum put right, and lets the driver
// run it on the simulator: whatever a plan says, the driver reaches no address where nothing is, and
// every wait ends.

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tv.h"
#include "tv_format.h"
#include "tv_max78000.h"
#include "tv_max78000_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void run(tv_max78000_plan_t *plan, tv_max78000_sim_t *sim) {
    tv_max78000_t dev = { .bus = sim };
    size_t results = (size_t)plan->out_h * plan->out_w * plan->out_c;
    int8_t *row = malloc((size_t)plan->fold * plan->in_w * plan->in_c), *out = malloc(results);
    int err = tv_max78000_on(&dev, plan);
    err = err ? err : tv_max78000_load(&dev, plan, NULL, NULL);
    err = err ? err : tv_max78000_selftest(&dev, plan, row, 100, NULL, NULL);
    err = err ? err : tv_max78000_results(&dev, plan, plan->out_c, out);
    if (plan->crc % 16 == 0) { // its memories forget a million bytes then: not always
        tv_max78000_off(&dev, false);
    }
    if (sim->fault == TV_M78_FAULT_ADDRESS || sim->fault == TV_M78_FAULT_POWER || sim->fault == TV_M78_FAULT_PACKED
        || err > 0 || strcmp(tv_max78000_strerror(err), "unknown error") == 0) {
        abort();
    }
    free(row);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static tv_max78000_sim_t fresh, sim; // hundreds of kilobytes
    if (fresh.noise == 0) {
        tv_max78000_sim_init(&fresh, 1);
    }
    uint8_t *file = malloc(size ? size : 1);
    memcpy(file, input, size);
    uint32_t head = size >= 28 ? tv_u32(file + 24) : 0;
    if (head >= 28 && head <= size) {
        uint32_t crc = tv_crc32(0, file + 16, head - 16);
        memcpy(file + 12, &crc, 4);
    }
    tv_max78000_plan_t plan;
    int err = tv_max78000_plan_open(&plan, file, size);
    if (err > 0 || strcmp(tv_max78000_strerror(err), "unknown error") == 0) {
        abort();
    }
    if (err == TV_MAX78000_OK) {
        for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) { // those without power hold nothing
            if (plan.quadrants >> q & 1) {
                memcpy(&sim.quadrant[q], &fresh.quadrant[q], sizeof(sim.quadrant[q]));
            }
        }
        memcpy(sim.power, fresh.power, offsetof(tv_max78000_sim_t, input) - offsetof(tv_max78000_sim_t, power));
        run(&plan, &sim);
    }
    free(file);
    return 0;
}
