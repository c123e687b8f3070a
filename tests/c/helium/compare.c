// SPDX-License-Identifier: MIT
//
// Every backend of this core against "portable", on all encoders of the file "nets".

#include "mps3_an547.h"

#define IMAGE (100)
#define OUTPUTS (1 << 20)

static uint8_t frame[3 * IMAGE * IMAGE];

static size_t outputs(const tv_model_t *m, int8_t *out) {
    size_t map = (size_t)m->map_h * m->map_w * m->dim, size = m->dim + map;
    tv_frame_t f = { .data = frame, .size = sizeof(frame), .width = m->image, .height = m->image, .format = TV_RGB888 };
    if (size > OUTPUTS || tv_frame_check(&f, NULL) != TV_OK) {
        stop("an encoder's image or map is too large");
    }
    int err = tv_run(m, &f, arena_of(m), m->dim, out, map ? out + m->dim : NULL, NULL, NULL);
    if (err) {
        stop(tv_strerror(err));
    }
    return size;
}

static bool constant(const int8_t *values, size_t size) {
    return memcmp(values, values + 1, size - 1) == 0;
}

int main(void) {
    int nets = semihost_open("nets", SEMIHOST_MODE_R | 1); // binary
    int8_t *want = (int8_t *)_file_start, *got = want + OUTPUTS;
    unsigned long bad = 0, count = 0, flat = 0, files = 0;
    size_t size;
    for (uint32_t i = 0; i < sizeof(frame); i++) {
        frame[i] = (uint8_t)(i * i * 7 + i / 5);
    }
    for (uint8_t *data; (data = next_file(nets, &size, files % 4)) != NULL; files++) {
        tv_model_t m;
        int err = tv_model_open(&m, data, size, NULL, NULL);
        if (err) {
            stop(tv_strerror(err));
        }
        const tv_backend_t *portable = tv_backend(0);
        for (unsigned i = 0; strcmp(tv_backend_name(portable), "portable") != 0; i++) {
            portable = tv_backend(i);
        }
        tv_backend_use(&m, portable);
        size_t n = outputs(&m, want);
        flat += constant(want, n);
        for (unsigned i = 0; tv_backend(i) != portable; i++) {
            tv_backend_use(&m, tv_backend(i));
            outputs(&m, got);
            unsigned long wrong = 0;
            for (size_t j = 0; j < n; j++) {
                wrong += got[j] != want[j];
            }
            if (wrong) {
                PRINT("net %lu, %s: %lu of %lu differ\n", files, tv_backend_name(tv_backend(i)), wrong, (unsigned long)n);
            }
            bad += wrong;
            count += n;
        }
    }
    PRINT("%lu nets, %lu flat, first backend %s: %lu of %lu values differ\n", files, flat,
        tv_backend_name(tv_backend(0)), bad, count);
    return bad != 0 || files == 0;
}
