// SPDX-License-Identifier: MIT
//
// OV7670: 640x480, halved up to three times.

#include "tv_camera_sensor.h"

#define WIDTH (640)
#define HEIGHT (480)

static const tv_camera_set_t reset[] = {
    { 0x12, 0x80 }, { TV_CAMERA_WAIT, 10 },
    { 0x11, 0x01 }, // clock / 2
    { 0x6b, 0x4a }, // x 4
    { 0x13, 0xe7 }, // gain, exposure and white balance by itself
    { 0x14, 0x38 }, // gain up to 16
    { 0x15, 0x00 }, // HREF, VSYNC high between frames, data at the rising edge
    { 0x17, 0x13 }, { 0x18, 0x01 }, { 0x32, 0xb6 }, // columns
    { 0x19, 0x02 }, { 0x1a, 0x7a }, { 0x03, 0x0a }, // rows
    { 0x8c, 0x00 }, // not RGB444
    { 0x3a, 0x04 }, { 0x3d, 0x88 }, // Y U Y V; gamma
    { 0xb0, 0x84 }, // without it colours are wrong; no data sheet says why
};

static int start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    uint8_t n = (uint8_t)tv_camera_halvings(WIDTH, HEIGHT, *width, *height, 3);
    bool rgb = format == TV_CAMERA_RGB565;
    const tv_camera_set_t size[] = {
        { 0x12, rgb ? 0x04 : 0x00 }, { 0x40, rgb ? 0xd0 : 0xc0 }, // full range
        { 0x0c, n ? 0x04 : 0x00 }, // scaling
        { 0x3e, n ? (uint8_t)(0x18 | n) : 0x00 }, // by hand, with the pixel clock divided as well
        { 0x70, 0x3a }, { 0x71, 0x35 },
        { 0x72, (uint8_t)(n << 4 | n) }, { 0x73, (uint8_t)(0xf0 | n) }, { 0xa2, 0x02 },
    };
    *width = WIDTH >> n;
    *height = HEIGHT >> n;
    int err = TV_CAMERA_SET(bus, &tv_camera_ov7670, reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_ov7670, size);
}

const tv_camera_sensor_t tv_camera_ov7670 = {
    .name = "OV7670", .address = 0x21, .id_at = 0x0a, .id = 0x7673,
    .width = WIDTH, .height = HEIGHT, .polarity = TV_CAMERA_RISING | TV_CAMERA_VSYNC_HIGH, .start = start,
};
