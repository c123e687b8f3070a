// SPDX-License-Identifier: MIT
//
// Frames of any size, stride and format: what tv_frame_check() accepts is read inside its buffer. Of
// large ones only the first row, the last and one more are made: the others are like these.

#include <stdlib.h>
#include <string.h>

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
        if (input[2] & 2) { // and just as many bytes as it needs, some of them too large for 16 bits
            frame.width += input[2] & 4 ? 230 : 0;
            frame.height += input[2] & 4 ? 230 : 0;
            uint64_t need = 0;
            tv_frame_check(&frame, &need);
            there = need > 0 ? (size_t)need : there;
        }
    }
    uint8_t *pixels = malloc(there ? there : 1);
    size_t done = there < size ? there : size;
    memcpy(pixels, input, done);
    for (size_t some; done < there; done += some) { // the input again and again
        some = done < there - done ? done : there - done;
        memcpy(pixels + done, pixels, some);
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
        uint32_t one = input[2] % image, step = there > 2048 && image > 3 ? image : 1;
        for (uint32_t y = 0; y < image; y += step) {
            tv_intake(&frame, image, y, row, scratch);
        }
        if (step > 1) {
            tv_intake(&frame, image, one, row, scratch);
            tv_intake(&frame, image, image - 1, row, scratch);
        }
        free(row);
        free(scratch);
    }
    free(pixels);
    return 0;
}
