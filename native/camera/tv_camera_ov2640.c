// SPDX-License-Identifier: MIT
//
// OV2640: reads 800x600 (SVGA), which its signal processor divides by 2 or 4 and scales to any size.
// Two banks of registers: 0xff selects the processor (0) or the sensor (1).

#include "tv_camera_sensor.h"

#define WIDTH (800)
#define HEIGHT (600)

static const tv_camera_set_t reset[] = {
    { 0xff, 0x01 }, { 0x12, 0x80 }, { TV_CAMERA_WAIT, 10 },
    { 0xff, 0x01 },
    { 0x12, 0x40 }, // SVGA
    { 0x11, 0x00 }, // clock not divided
    { 0x13, 0xe5 }, // exposure and gain by itself, banding filter
    { 0x14, 0x48 }, // gain up to 8
    { 0x15, 0x00 }, // COM10: HREF, VSYNC low between frames (an OV7670's is high), data at the rising edge
    { 0x17, 0x11 }, { 0x18, 0x43 }, { 0x19, 0x00 }, { 0x1a, 0x4b }, { 0x32, 0x09 }, // window of SVGA
    { 0x24, 0x40 }, { 0x25, 0x38 }, { 0x26, 0x82 }, // the brightness that it aims at
    { 0xff, 0x00 },
    { 0xe0, 0x04 }, // the processor's output rests
    { 0x05, 0x00 }, // through the processor
    { 0xc0, WIDTH / 8 }, { 0xc1, HEIGHT / 8 }, { 0x8c, 0x00 },
    { 0x51, WIDTH / 4 }, { 0x52, HEIGHT / 4 }, { 0x53, 0x00 }, { 0x54, 0x00 }, { 0x55, 0x00 }, { 0x57, 0x00 },
    { 0x86, 0x3d }, // scaling, effects, colour matrix
    { 0xc2, 0x0e }, // YUV 4:2:2 and RGB
    { 0xc3, 0xed }, // white balance, gamma, lens correction
    { 0x87, 0x50 }, // black and white spots
};

static int start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    uint32_t n = tv_camera_halvings(WIDTH, HEIGHT, *width, *height, 2), w = *width / 4, h = *height / 4;
    const tv_camera_set_t size[] = {
        { 0x50, (uint8_t)(0x80 | n << 3 | n) }, // bit 7 has no words in the data sheet; public drivers set it
        { 0x5a, (uint8_t)w }, { 0x5b, (uint8_t)h }, { 0x5c, (uint8_t)((h >> 8 & 1) << 2 | (w >> 8 & 3)) },
        { 0xd3, n == 2 ? 8 : 4 }, // pixel clock
        { 0xda, format == TV_CAMERA_RGB565 ? 0x08 : 0x00 }, // high byte first; Y first
        { 0xe0, 0x00 },
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_ov2640, reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_ov2640, size);
}

const tv_camera_sensor_t tv_camera_ov2640 = {
    .name = "OV2640", .address = 0x30, .before_id = { 0xff, 0x01 }, .id_at = 0x0a, .id = 0x2642,
    .width = WIDTH, .height = HEIGHT, .polarity = TV_CAMERA_RISING, .start = start,
};
