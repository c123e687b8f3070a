// SPDX-License-Identifier: MIT
//
// Frames of every format at random sizes, in buffers of exactly the size that is needed, so
// that the sanitizers see one byte too far. One byte less must be refused.
//
//     test_frame [frames]

#include <stdio.h>
#include <stdlib.h>

#include "tv_kernels.h"

static uint32_t state = 7;

static uint32_t rnd(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

#define CHECK(condition) do { \
        if (!(condition)) { \
            printf("line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
} while (0)

static void check_errors(void) {
    uint8_t data[64] = { 0xff, 0xd8, 0xff, 0xe0, 0, 16 };
    uint64_t need;
    tv_frame_t f = { .data = data, .size = 20, .width = 8, .height = 8, .format = TV_GRAY8 };
    CHECK(tv_frame_check(&f, &need) == TV_ERR_FRAME_JPEG);
    f.size = 64; // large enough: a JPEG only if the next marker is where the first says
    CHECK(tv_frame_check(&f, &need) == TV_OK && need == 64 && f.stride == 8);
    data[20] = 0xff;
    data[21] = 0xdb;
    CHECK(tv_frame_check(&f, &need) == TV_ERR_FRAME_JPEG);
    static const struct { uint8_t at, value; } no_jpeg[] = { { 2, 0xfe }, { 3, 0xbf }, { 4, 1 }, { 21, 0xbf } };
    for (unsigned i = 0; i < sizeof(no_jpeg) / sizeof(no_jpeg[0]); i++) {
        uint8_t was = data[no_jpeg[i].at];
        data[no_jpeg[i].at] = no_jpeg[i].value;
        CHECK(tv_frame_check(&f, &need) == TV_OK);
        data[no_jpeg[i].at] = was;
    }
    data[0] = 0;
    f.size = 63;
    CHECK(tv_frame_check(&f, &need) == TV_ERR_FRAME_SHORT && need == 64);
    f.stride = 7;
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_STRIDE);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 3, .height = 2, .format = TV_YUYV };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_ODD);
    f.format = TV_FORMATS;
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_FORMAT);
    f.format = TV_TEST_IMAGE;
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_FORMAT);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 0, .height = 2 };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_EMPTY);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 2, .height = 0 };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_EMPTY);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 1, .height = 65536 };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_LARGE);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 4097, .height = 4097 };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_LARGE);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 65535, .height = 65536 };
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_LARGE);
    f = (tv_frame_t) { .data = data, .size = 64, .width = 1, .height = 65535, .stride = UINT32_MAX };
    CHECK(tv_frame_check(&f, &need) == TV_ERR_FRAME_SHORT && need == 65534ull * UINT32_MAX + 1);
}

static void check_frame(uint32_t width, uint32_t height, uint32_t image, uint8_t format, uint32_t extra) {
    static const uint8_t pixel[] = { 1, 2, 2, 3, 3, 2 };
    uint32_t stride = width * pixel[format] + extra;
    size_t size = (height - 1) * (size_t)stride + width * pixel[format];
    uint8_t *data = malloc(size);
    int8_t *out = malloc(3 * image);
    uint32_t *scratch = malloc(12 * image);
    CHECK(data && out && scratch);
    uint32_t value = rnd(256);
    memset(data, (int)value, size);
    tv_frame_t f = {
        .data = data, .size = size, .width = width, .height = height,
        .stride = extra ? stride : 0, .format = format,
    };
    CHECK(tv_frame_check(&f, NULL) == TV_OK);
    for (uint32_t y = 0; y < image; y++) {
        tv_intake(&f, image, y, out, scratch);
        for (uint32_t i = 0; i < 3 * image && format != TV_YUYV; i++) {
            // one colour stays one colour
            CHECK(out[i] == out[i % 3]);
            CHECK(pixel[format] == 2 || out[i] == (int)value - 128);
        }
    }
    f.size--;
    CHECK(tv_frame_check(&f, NULL) == TV_ERR_FRAME_SHORT);
    free(data);
    free(out);
    free(scratch);
}

int main(int argc, char **argv) {
    int frames = argc > 1 ? atoi(argv[1]) : 2000;
    check_errors();
    for (int i = 0; i < frames; i++) {
        uint8_t format = (uint8_t)rnd(TV_FORMATS);
        uint32_t width = 1 + rnd(100), height = 1 + rnd(100);
        width += format == TV_YUYV ? width % 2 : 0;
        check_frame(width, height, 1 + rnd(60), format, rnd(2) ? rnd(9) : 0);
    }
    // the largest sums: white, 4096 pixels wide, shrunk; and enlarged to the largest image
    check_frame(4096, 4096, 2, TV_GRAY8, 0);
    check_frame(1023, 1023, TV_MAX_IMAGE, TV_GRAY8, 0);
    printf("%d frames\n", frames + 2);
    return 0;
}
