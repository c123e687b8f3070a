// SPDX-License-Identifier: MIT
//
// Frames of any size, stride and format: what tv_frame_check() accepts is read inside its buffer.

#include <stdlib.h>

#include "tv.h"
#include "tv_kernels.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 16) {
        return 0;
    }
    uint32_t image = 1 + input[0] % 64u;
    size_t there = tv_u16(input + 1);
    tv_frame_t frame = { .format = input[3], .width = tv_u32(input + 4), .height = tv_u32(input + 8), .stride = tv_u32(input + 12) };
    if (input[3] & 0x80) { // small ones, so that many are legal
        frame.format %= TV_FORMATS;
        frame.width %= 70;
        frame.height %= 70;
        frame.stride = input[2] & 1 ? 0 : frame.stride % 300;
    }
    uint8_t *pixels = malloc(there ? there : 1);
    for (size_t i = 0; i < there; i++) {
        pixels[i] = input[i % size];
    }
    frame.data = pixels;
    frame.size = there;
    uint64_t need = 0;
    int err = tv_frame_check(&frame, &need);
    if (err > 0 || (err == 0 && need > there)) {
        abort();
    }
    if (err == 0 && frame.format < TV_FORMATS) {
        int8_t *row = malloc(3 * image);
        uint32_t *scratch = malloc(12 * image);
        for (uint32_t y = 0; y < image; y++) {
            tv_intake(&frame, image, y, row, scratch);
        }
        free(row);
        free(scratch);
    }
    free(pixels);
    return 0;
}
