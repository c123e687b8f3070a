// SPDX-License-Identifier: MIT
//
// HM01B0 (320x240, halved by adding neighbours) and HM0360 (640x480, every 2nd or 4th pixel): grey, one byte
// a pixel. HSYNC (line valid) and VSYNC (frame valid) are high with data.

#include "tv_camera_sensor.h"

// A window of the HM01B0 is 324x244, or 162x122 with neighbours added.
static const tv_camera_set_t hm01b0_reset[] = {
    { 0x0103, 0x01 }, { TV_CAMERA_WAIT, 10 }, // reset
    { 0x0100, 0x00 }, // stands by
    { 0x3059, 0x02 }, // 8 wires
    { 0x3060, 0x09 }, // sensor clock: input / 4, of 12 MHz; 21 frames/s, and light for up to 43 ms each
    { 0x3068, 0x20 }, // PCLK_POLARITY: data is read at the rising edge (bit 0: at the falling one)
    { 0x1012, 0x00 }, // syncs are not shifted
    { 0x3067, 0x00 }, // clock from the pin; the data sheet has it the other way round, public drivers so
    { 0x3010, 0x01 }, // window of 324x244
    { 0x0340, 0x01 }, { 0x0341, 0x7a }, { 0x0342, 0x01 }, { 0x0343, 0x78 }, // lines, clocks a line
    { 0x2100, 0x01 }, { 0x2101, 0x5f }, // exposure by itself, and what it aims at
    { 0x0101, 0x00 }, // neither mirrored nor flipped
};

static int hm01b0_start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    (void)format;
    bool half = tv_camera_halvings(324, 244, *width, *height, 1);
    *width = half ? 162 : 324;
    *height = half ? 122 : 244;
    const tv_camera_set_t size[] = {
        { 0x0383, half ? 3 : 1 }, { 0x0387, half ? 3 : 1 }, { 0x0390, half ? 3 : 0 },
        { 0x0104, 0x01 }, // from here on together
        { 0x0100, 0x01 }, // streams
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_hm01b0, hm01b0_reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_hm01b0, size);
}

const tv_camera_sensor_t tv_camera_hm01b0 = {
    .name = "HM01B0", .address = 0x24, .wide = true, .mono = true, .id_at = 0x0000, .id = 0x01b0,
    .width = 320, .height = 240, .polarity = TV_CAMERA_RISING,
    .start = hm01b0_start,
};

static const tv_camera_set_t hm0360_reset[] = {
    { 0x0103, 0x00 }, { TV_CAMERA_WAIT, 10 }, // reset
    { 0x0100, 0x00 }, // stands by
    { 0x0370, 0x00 }, { 0x0371, 0x01 }, { 0x0372, 0x01 }, // grey
    { 0x3112, 0x04 }, // PAD_REGISTER_07, bit 2: data is read at the rising edge of PCLKO
    { 0x2800, 0x00 }, // no MIPI
    { 0x3030, 0x01 }, // window of 640x480
    { 0x3024, 0x00 }, // one set of registers
    { 0x2000, 0x01 }, // exposure by itself
    { 0x0101, 0x00 }, // neither mirrored nor flipped
};

static int hm0360_start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    (void)format;
    uint8_t n = (uint8_t)tv_camera_halvings(640, 480, *width, *height, 2);
    uint32_t lines = n == 0 ? 532 : n == 1 ? 265 : 132, line = n == 0 ? 768 : 376; // of a frame; its clocks
    *width = 640u >> n;
    *height = 480u >> n;
    const tv_camera_set_t size[] = {
        { 0x0300, n ? (uint8_t)(0x09 + n) : 0x08 }, // PLL1: 12 MHz / 1, 4 or 8, for 30 frames/s
        TV_CAMERA_WORD(0x0340, lines), TV_CAMERA_WORD(0x0342, line),
        TV_CAMERA_WORD(0x2029, lines - 4), // the longest exposure
        { 0x0380, n }, { 0x0381, n }, { 0x0382, 0x00 }, // every 2nd or 4th, nothing added
        { 0x0104, 0x01 },
        { 0x0100, 0x01 }, // streams
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_hm0360, hm0360_reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_hm0360, size);
}

const tv_camera_sensor_t tv_camera_hm0360 = {
    .name = "HM0360", .address = 0x24, .wide = true, .mono = true, .id_at = 0x0000, .id = 0x0360,
    .width = 640, .height = 480, .polarity = TV_CAMERA_RISING,
    .start = hm0360_start,
};
