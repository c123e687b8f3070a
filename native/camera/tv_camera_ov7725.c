// SPDX-License-Identifier: MIT
//
// OV7725: 640x480, halved up to three times.

#include "tv_camera_sensor.h"

#define WIDTH (640)
#define HEIGHT (480)

static const tv_camera_set_t reset[] = {
    { 0x12, 0x80 }, { TV_CAMERA_WAIT, 10 },
    { 0x11, 0x00 }, { 0x0d, 0x41 }, // clock / 2 x 4
    { 0x15, 0x00 }, // HREF, VSYNC high between frames, data at the rising edge
    { 0x17, 0x23 }, { 0x18, 0xa0 }, { 0x19, 0x07 }, { 0x1a, 0xf0 }, { 0x32, 0x00 }, // window of VGA
    { 0x13, 0xff }, // gain, exposure and white balance by itself
    { 0x14, 0x30 }, // gain up to 16
    { 0x64, 0xff }, // black level, lens, gamma, white balance, interpolation
};

static int start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    uint8_t n = (uint8_t)tv_camera_halvings(WIDTH, HEIGHT, *width, *height, 3);
    *width = WIDTH >> n;
    *height = HEIGHT >> n;
    const tv_camera_set_t size[] = {
        { 0x12, format == TV_CAMERA_RGB565 ? 0x06 : 0x00 },
        { 0x0c, 0x16 }, // high byte first; Y and U swapped, or U comes first
        { 0x65, n ? 0x2f : 0x20 }, { 0xa0, (uint8_t)(n << 2 | n) }, // averages of 2, 4 or 8 pixels
        { 0x29, (uint8_t)(*width / 4) }, { 0x2c, (uint8_t)(*height / 2) }, { 0x2a, 0x00 },
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_ov7725, reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_ov7725, size);
}

const tv_camera_sensor_t tv_camera_ov7725 = {
    .name = "OV7725", .address = 0x21, .id_at = 0x0a, .id = 0x7721,
    .width = WIDTH, .height = HEIGHT, .polarity = TV_CAMERA_RISING | TV_CAMERA_VSYNC_HIGH, .start = start,
};
