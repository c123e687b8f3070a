// SPDX-License-Identifier: MIT
//
// Instructions of every layer by every backend. The files are one network: for our kernels and, where
// "cmsis-nn" is linked, for that. QEMU is started with -icount shift=5: an instruction takes 32 ns, and
// SysTick counts a time of 31.25 ns.
//
// Prints lines: layer, backend, instructions; layer -1 is the frame intake.

#include "mps3_an547.h"

#define SYST_CSR REG(0xe000e010)
#define SYST_RVR REG(0xe000e014)
#define SYST_CVR REG(0xe000e018)
#define OUTPUTS (1 << 20)

static uint8_t frame[3 * 100 * 100];
static uint64_t ticks[1 + 200];
static uint32_t began, empty;

// The time of a row, or of a layer.
static int hook(void *ctx, int layer, bool end) {
    (void)ctx;
    if (end) {
        ticks[layer + 1] += ((began - SYST_CVR) & 0xffffff) - empty;
    } else {
        began = SYST_CVR;
    }
    return 0;
}

int main(void) {
    int nets = semihost_open("nets", SEMIHOST_MODE_R | 1); // binary
    int8_t *want = (int8_t *)_file_start, *got = want + OUTPUTS;
    unsigned long bad = 0, count = 0, runs = 0;
    size_t size;
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
    hook(NULL, -1, false);
    hook(NULL, -1, true);
    empty = (uint32_t)ticks[0];
    for (uint32_t i = 0; i < sizeof(frame); i++) {
        frame[i] = (uint8_t)(i * i * 7 + i / 5);
    }
    for (uint8_t *data; (data = next_file(nets, &size, 0)) != NULL;) {
        tv_model_t m;
        int err = tv_model_open(&m, data, size, NULL, NULL);
        if (err || m.layers >= sizeof(ticks) / sizeof(ticks[0])) {
            stop(err ? tv_strerror(err) : "too many layers");
        }
        tv_frame_t f = { .data = frame, .size = sizeof(frame), .width = m.image, .height = m.image, .format = TV_RGB888 };
        size_t map = (size_t)m.map_h * m.map_w * m.dim, n = m.dim + map;
        for (unsigned b = 0; !err && tv_backend(b) != NULL; b++) {
            int8_t *out = runs ? got : want;
            memset(ticks, 0, sizeof(ticks));
            if (tv_backend_use(&m, tv_backend(b))) {
                continue; // the file is another's
            }
            err = tv_frame_check(&f, NULL);
            if (!err) {
                err = tv_run(&m, &f, arena_of(&m), m.dim, out, map ? out + m.dim : NULL, hook, NULL);
            }
            for (int i = -1; i < m.layers; i++) {
                PRINT("%d %s %lu\n", i, tv_backend_name(tv_backend(b)),
                    (unsigned long)((ticks[i + 1] * 125 + 64) / 128));
            }
            for (size_t j = 0; runs && j < n; j++) {
                bad += got[j] != want[j];
                count++;
            }
            runs++;
        }
        if (err) {
            stop(tv_strerror(err));
        }
    }
    PRINT("%lu of %lu values differ\n", bad, count);
    return bad != 0;
}
