// SPDX-License-Identifier: MIT
//
// Cameras with a parallel port on an STM32H7: which sensor is there, what it is told, and frames
// through DCMI and DMA. Plain C99: no allocation, no globals, no interrupt.
//
//     tv_camera_t cam = { .bus = bus, .chip = NULL };
//     int err = tv_camera_detect(&cam);                      // cam.sensor
//     err = tv_camera_open(&cam, TV_CAMERA_RGB565, 160, 120, one, two);
//     uint8_t *pixels;
//     err = tv_camera_capture(&cam, &pixels);                // one or two, in turns
//     tv_camera_close(&cam);
//
// Two buffers: while the caller works on one, DMA fills the other; a frame is the caller's until the
// next tv_camera_capture(). Every register of the chip is reached through tv_camera_read32() and
// tv_camera_write32(), so that tv_camera_sim.c can stand in for the chip. Functions return 0 or a
// negative code; tv_camera_strerror() gives the words. Every wait is bounded.
//
// Nothing here has run on a chip yet.

#ifndef TV_CAMERA_H
#define TV_CAMERA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TV_CAMERA_OK = 0,
    TV_CAMERA_ERR_NO_SENSOR = -80,
    TV_CAMERA_ERR_ID = -81,
    TV_CAMERA_ERR_BUS = -82,
    TV_CAMERA_ERR_SIZE = -83,
    TV_CAMERA_ERR_LARGE = -84,
    TV_CAMERA_ERR_FORMAT = -85,
    TV_CAMERA_ERR_TIMEOUT = -86,
    TV_CAMERA_ERR_OVERRUN = -87,
    TV_CAMERA_ERR_SHORT = -88,
    TV_CAMERA_ERR_DMA = -89,
    TV_CAMERA_ERR_CLOSED = -90,
};

// One sentence part in lower case without a full stop.
const char *tv_camera_strerror(int err);

typedef enum {
    TV_CAMERA_RGB565, // high byte first, as all these sensors send it
    TV_CAMERA_GRAY8,
    TV_CAMERA_YUV422, // Y U Y V
} tv_camera_format_t;

// The control bus, and time. Functions return 0, or anything else if nobody acknowledges.
typedef struct {
    int (*write)(void *ctx, uint8_t address, const uint8_t *data, size_t size); // 7-bit address
    int (*read)(void *ctx, uint8_t address, uint8_t *data, size_t size);
    uint32_t (*ms)(void *ctx);                 // any clock of milliseconds
    void (*wait)(void *ctx, uint32_t ms);      // 0: between two polls; may run anything, and not return
    void *ctx;
} tv_camera_bus_t;

// A sensor: tv_camera_sensor.h
typedef struct tv_camera_sensor tv_camera_sensor_t;

#define TV_CAMERA_SEEN (8)

typedef struct {
    tv_camera_bus_t bus;
    void *chip;                         // handed to tv_camera_read32() and ..._write32()
    const tv_camera_sensor_t *sensor;
    uint16_t id;                        // what tv_camera_detect() read last, from a sensor's address
    uint8_t seen[TV_CAMERA_SEEN];       // addresses that answered, when no sensor was found
    uint8_t seen_count;
    tv_camera_format_t format;
    uint16_t width, height;
    uint8_t *buffer[2];
    uint32_t size;                      // bytes of a frame
    uint8_t filling;                    // the buffer that DMA fills
    bool running;                       // and whether it does
    uint32_t begun;                     // when, in ms
    uint32_t control;                   // DCMI_CR without CAPTURE
} tv_camera_t;

// Which sensor answers? TV_CAMERA_ERR_NO_SENSOR fills `seen`; TV_CAMERA_ERR_ID: a chip at a sensor's
// address (seen[0]) says an unknown `id`.
int tv_camera_detect(tv_camera_t *cam);

// What tv_camera_open() wants of each buffer; they begin at a cache line and reach to the end of one.
#define TV_CAMERA_ALIGN (32)
uint32_t tv_camera_bytes(tv_camera_format_t format, uint32_t width, uint32_t height);

// Can this sensor do that? Width and height are multiples of 4, the frame has at most 262,140 bytes.
int tv_camera_check(const tv_camera_t *cam, tv_camera_format_t format, uint32_t width, uint32_t height);

// Sets up sensor, DCMI and DMA; the middle of the picture is taken where the sensor cannot scale to the
// size exactly.
int tv_camera_open(tv_camera_t *cam, tv_camera_format_t format, uint32_t width, uint32_t height,
    uint8_t *one, uint8_t *two);

// The next frame, at most about half a second old: *pixels is one of the two buffers. Waits for it up to
// TV_CAMERA_LIMIT_MS; what went wrong once is tried again.
#define TV_CAMERA_LIMIT_MS (1000)
#define TV_CAMERA_STALE_MS (500)
int tv_camera_capture(tv_camera_t *cam, uint8_t **pixels);

// Stops DMA and DCMI and takes their clock. May be called at any time, and twice.
void tv_camera_close(tv_camera_t *cam);

// What the board provides.
uint32_t tv_camera_read32(void *chip, uint32_t address);
void tv_camera_write32(void *chip, uint32_t address, uint32_t value);
// DMA has written these bytes past the cache, or is about to.
void tv_camera_uncache(void *chip, void *data, size_t size);

#endif // TV_CAMERA_H
