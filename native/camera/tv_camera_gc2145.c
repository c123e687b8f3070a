// SPDX-License-Identifier: MIT
//
// GC2145: 1600x1200, of which every nth pixel in a window is sent. Pages of registers: 0xfe selects one.

#include "tv_camera_sensor.h"

#define WIDTH (1600)
#define HEIGHT (1200)
#define MOST_STEP (5)

static const tv_camera_set_t reset[] = {
    { 0xfe, 0xf0 }, { TV_CAMERA_WAIT, 10 }, // reset
    { 0xfe, 0x00 },
    { 0xfc, 0x06 }, // analogue part and clocks on
    { 0xf2, 0x0f }, // pins are outputs
    { 0xf7, 0x1d }, { 0xf8, 0x84 }, { 0xfa, 0x00 }, // PLL
    { 0xf9, 0xfe },
    TV_CAMERA_WORD(0x09, 0), TV_CAMERA_WORD(0x0b, 0), TV_CAMERA_WORD(0x0d, HEIGHT + 8), TV_CAMERA_WORD(0x0f, WIDTH + 16), // of the array
    { 0x17, 0x14 }, // neither mirrored nor flipped
    { 0x80, 0x7f }, { 0x82, 0xfa }, // the processor's blocks; exposure and white balance by itself
    { 0xb6, 0x01 },
    { 0x86, 0x02 }, // data at the rising edge, HREF, VSYNC high between frames
};

static int start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    uint32_t step = 1;
    while (step < MOST_STEP && WIDTH / (step + 1) >= *width && HEIGHT / (step + 1) >= *height) {
        step++;
    }
    const tv_camera_set_t size[] = {
        { 0x84, format == TV_CAMERA_RGB565 ? 0x06 : 0x02 }, // high byte first; Y U Y V
        { 0xfd, 0x00 },
        { 0x99, (uint8_t)(step << 4 | step) }, { 0x9a, 0x06 }, // every nth column and row, averaged
        { 0x9b, 0x00 }, { 0x9c, 0x00 }, { 0x9d, 0x00 }, { 0x9e, 0x00 },
        { 0x90, 0x01 }, // the middle of that
        TV_CAMERA_WORD(0x91, (HEIGHT / step - *height) / 2), TV_CAMERA_WORD(0x93, (WIDTH / step - *width) / 2),
        TV_CAMERA_WORD(0x95, *height), TV_CAMERA_WORD(0x97, *width),
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_gc2145, reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_gc2145, size);
}

const tv_camera_sensor_t tv_camera_gc2145 = {
    .name = "GC2145", .address = 0x3c, .before_id = { 0xfe, 0x00 }, .id_at = 0xf0, .id = 0x2145,
    .width = WIDTH, .height = HEIGHT, .polarity = TV_CAMERA_RISING | TV_CAMERA_VSYNC_HIGH, .start = start,
};
