// SPDX-License-Identifier: MIT
//
// OV5640: reads 2592x1944 with every second pixel left out (1296x972), scaled to any size. Not focused:
// the firmware of its lens motor is the maker's.

#include "tv_camera_sensor.h"

#define WIDTH (1280)
#define HEIGHT (960)
#define LINE (1896)  // clocks of a line,
#define LINES (984)  // lines of a frame

static const tv_camera_set_t reset[] = {
    { 0x3103, 0x11 }, { 0x3008, 0x82 }, { TV_CAMERA_WAIT, 10 },
    { 0x3008, 0x42 }, // sleeps while it is set up
    { 0x3103, 0x03 }, // clock from the PLL
    { 0x3017, 0xff }, { 0x3018, 0xff }, // pins are outputs
    { 0x300e, 0x58 }, // parallel port, no MIPI
    { 0x3034, 0x18 }, { 0x3035, 0x21 }, { 0x3036, 0x7e }, { 0x3037, 0x13 }, // PLL: 12 MHz / 3 x 126, which must be some 500 MHz; 17 frames/s
    { 0x3108, 0x01 }, { 0x3824, 0x02 }, { 0x460c, 0x22 }, // pixel clock divided by hand
    { 0x4740, 0x20 }, // data at the rising edge, HREF, VSYNC high between frames: bit 0 is low for that, whatever the data sheet says
    { 0x3814, 0x31 }, { 0x3815, 0x31 }, // every second column and row
    { 0x3820, 0x41 }, { 0x3821, 0x07 }, // binned
    TV_CAMERA_WORD(0x3800, 0), TV_CAMERA_WORD(0x3802, 4), TV_CAMERA_WORD(0x3804, 2623), TV_CAMERA_WORD(0x3806, 1947), // of the array
    TV_CAMERA_WORD(0x380c, LINE), TV_CAMERA_WORD(0x380e, LINES), TV_CAMERA_WORD(0x3810, 16), TV_CAMERA_WORD(0x3812, 6),
    { 0x5000, 0xa7 }, // lens, gamma, spots, interpolation
    { 0x5001, 0xa3 }, // effects, scaling, colour matrix, white balance
    { 0x3503, 0x00 }, // gain and exposure by itself
};

static int start(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height) {
    bool rgb = format == TV_CAMERA_RGB565;
    const tv_camera_set_t size[] = {
        TV_CAMERA_WORD(0x3808, *width), TV_CAMERA_WORD(0x380a, *height),
        { 0x4300, rgb ? 0x61 : 0x30 }, // high byte first; Y U Y V
        { 0x501f, rgb ? 0x01 : 0x00 },
        { 0x3008, 0x02 },
    };
    int err = TV_CAMERA_SET(bus, &tv_camera_ov5640, reset);
    return err ? err : TV_CAMERA_SET(bus, &tv_camera_ov5640, size);
}

const tv_camera_sensor_t tv_camera_ov5640 = {
    .name = "OV5640", .address = 0x3c, .wide = true, .id_at = 0x300a, .id = 0x5640,
    .width = WIDTH, .height = HEIGHT, .polarity = TV_CAMERA_RISING | TV_CAMERA_VSYNC_HIGH, .start = start,
};
