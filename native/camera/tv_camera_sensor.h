// SPDX-License-Identifier: MIT
//
// What the driver knows of a sensor. Tables are written from the meaning of the registers in the data
// sheets; what only the makers' own start-up code knows (analogue tuning, colour correction) is left at
// its reset value.

#ifndef TV_CAMERA_SENSOR_H
#define TV_CAMERA_SENSOR_H

#include "tv_camera.h"

typedef struct {
    uint16_t at;    // register, or TV_CAMERA_WAIT
    uint8_t value;
} tv_camera_set_t;

#define TV_CAMERA_WAIT (0xffff) // value: milliseconds

// Two registers of a table: the high byte, then the low one.
#define TV_CAMERA_WORD(at, value) { at, (uint8_t)((value) >> 8) }, { (at) + 1, (uint8_t)(value) }

// What DCMI must know of the wires; bits of DCMI_CR. At which level of HSYNC and VSYNC is there no data?
// HREF and HSYNC are low between lines; between frames VSYNC is high, but low from OV2640, HM01B0 and HM0360.
#define TV_CAMERA_RISING (1u << 5)     // data is read at the rising edge of the pixel clock
#define TV_CAMERA_HSYNC_HIGH (1u << 6)
#define TV_CAMERA_VSYNC_HIGH (1u << 7)

struct tv_camera_sensor {
    const char *name;
    uint8_t address;                  // 7 bits
    bool wide;                        // registers have addresses of 16 bits
    bool mono;                        // one byte a pixel, and that is all it can
    tv_camera_set_t before_id;        // at == 0: nothing; a bank to select
    uint16_t id_at, id;               // high byte of the id, low byte in the next register
    uint16_t width, height;           // the largest picture
    uint32_t polarity;
    // Resets the sensor and starts it. *width x *height is what is wanted, and then what is sent, which
    // has at least that size.
    int (*start)(const tv_camera_bus_t *bus, tv_camera_format_t format, uint32_t *width, uint32_t *height);
};

extern const tv_camera_sensor_t tv_camera_ov2640, tv_camera_ov7670, tv_camera_ov7725, tv_camera_ov5640,
    tv_camera_gc2145, tv_camera_hm01b0, tv_camera_hm0360;

// Both return 0 or TV_CAMERA_ERR_BUS.
int tv_camera_set(const tv_camera_bus_t *bus, const tv_camera_sensor_t *sensor, const tv_camera_set_t *table, size_t count);
int tv_camera_get(const tv_camera_bus_t *bus, const tv_camera_sensor_t *sensor, uint16_t at, uint8_t *value);

#define TV_CAMERA_SET(bus, sensor, table) \
    tv_camera_set(bus, sensor, table, sizeof(table) / sizeof((table)[0]))

// How often width x height can be halved without falling below the wanted size; `most` at most.
uint32_t tv_camera_halvings(uint32_t width, uint32_t height, uint32_t wanted_w, uint32_t wanted_h, uint32_t most);

#endif // TV_CAMERA_SENSOR_H
