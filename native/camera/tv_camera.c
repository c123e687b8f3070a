// SPDX-License-Identifier: MIT
//
// Frames through DCMI and DMA: one picture at a time (snapshot), into the buffer that the caller does not
// look at. Polled; the only thing that must be in time is DMA.

#include "tv_camera.h"
#include "tv_camera_regs.h"
#include "tv_camera_sensor.h"

#define MOST_BYTES (4u * 65535) // what DMA counts
#define TRIES (2)

enum { BUSY = 1 };

static uint32_t get(tv_camera_t *cam, uint32_t address) {
    return tv_camera_read32(cam->chip, address);
}

static void put(tv_camera_t *cam, uint32_t address, uint32_t value) {
    tv_camera_write32(cam->chip, address, value);
}

static void change(tv_camera_t *cam, uint32_t address, uint32_t clear, uint32_t set) {
    put(cam, address, (get(cam, address) & ~clear) | set);
}

static uint32_t now(const tv_camera_t *cam) {
    return cam->bus.ms(cam->bus.ctx);
}

uint32_t tv_camera_bytes(tv_camera_format_t format, uint32_t width, uint32_t height) {
    return width * height * (format == TV_CAMERA_GRAY8 ? 1 : 2);
}

// A stream that is switched off still ends its transfer: until then it must not be touched. Microseconds;
// bus.wait() is not asked, as it may run anything, and a finaliser may be what closes the camera.
static void stop(tv_camera_t *cam) {
    put(cam, TV_DCMI_CR, 0);
    change(cam, TV_DMA_CR, TV_DMA_ENABLE, 0);
    for (uint32_t begin = now(cam); get(cam, TV_DMA_CR) & TV_DMA_ENABLE && now(cam) - begin < 10;) {
    }
    put(cam, TV_DMA_HIFCR, TV_DMA_FLAGS);
    put(cam, TV_DCMI_ICR, TV_DCMI_FLAGS);
    cam->running = false;
}

static void start(tv_camera_t *cam) {
    uint8_t *to = cam->buffer[cam->filling];
    tv_camera_uncache(cam->chip, to, cam->size); // nothing of it may be written back later
    stop(cam);
    put(cam, TV_DMA_MUX, TV_DMA_MUX_DCMI);
    put(cam, TV_DMA_PAR, TV_DCMI_DR);
    put(cam, TV_DMA_M0AR, (uint32_t)(uintptr_t)to);
    put(cam, TV_DMA_NDTR, cam->size / 4);
    put(cam, TV_DMA_FCR, TV_DMA_FIFO);
    uint32_t stream = TV_DMA_INCREMENT | TV_DMA_WORDS | TV_DMA_HIGH | TV_DMA_BURST_4;
    put(cam, TV_DMA_CR, stream);
    put(cam, TV_DMA_CR, stream | TV_DMA_ENABLE);
    put(cam, TV_DCMI_CR, cam->control);
    put(cam, TV_DCMI_CR, cam->control | TV_DCMI_CAPTURE);
    cam->begun = now(cam);
    cam->running = true;
}

// 0: the frame is there, BUSY, or what went wrong.
static int poll(tv_camera_t *cam) {
    uint32_t dma = get(cam, TV_DMA_HISR), seen = get(cam, TV_DCMI_RIS);
    if (dma & TV_DMA_DONE) {
        return TV_CAMERA_OK;
    }
    if (dma & TV_DMA_ERROR) {
        return TV_CAMERA_ERR_DMA;
    }
    if (seen & TV_DCMI_OVERRUN) {
        return TV_CAMERA_ERR_OVERRUN;
    }
    // A frame has ended, all of it has been fetched, and DMA wants more.
    if (seen & TV_DCMI_FRAME && !(get(cam, TV_DCMI_SR) & TV_DCMI_NOT_EMPTY) && get(cam, TV_DMA_NDTR) != 0) {
        return TV_CAMERA_ERR_SHORT;
    }
    return BUSY;
}

static int await(tv_camera_t *cam) {
    int err;
    while ((err = poll(cam)) == BUSY) {
        if (now(cam) - cam->begun > TV_CAMERA_LIMIT_MS) {
            err = TV_CAMERA_ERR_TIMEOUT;
            break;
        }
        cam->bus.wait(cam->bus.ctx, 0);
        if (!cam->running) { // a callback has closed the camera: buffers and chip may be another's
            return TV_CAMERA_ERR_CLOSED;
        }
    }
    stop(cam);
    return err;
}

int tv_camera_check(const tv_camera_t *cam, tv_camera_format_t format, uint32_t width, uint32_t height) {
    const tv_camera_sensor_t *s = cam->sensor;
    if (width == 0 || height == 0 || width % 4 || height % 4) {
        return TV_CAMERA_ERR_SIZE;
    }
    if (width > s->width || height > s->height || tv_camera_bytes(format, width, height) > MOST_BYTES) {
        return TV_CAMERA_ERR_LARGE;
    }
    return s->mono && format != TV_CAMERA_GRAY8 ? TV_CAMERA_ERR_FORMAT : TV_CAMERA_OK;
}

int tv_camera_open(tv_camera_t *cam, tv_camera_format_t format, uint32_t width, uint32_t height,
    uint8_t *one, uint8_t *two) {
    const tv_camera_sensor_t *s = cam->sensor;
    int err = tv_camera_check(cam, format, width, height);
    if (err) {
        return err;
    }
    cam->format = format;
    cam->width = (uint16_t)width;
    cam->height = (uint16_t)height;
    cam->size = tv_camera_bytes(format, width, height);
    cam->buffer[0] = one;
    cam->buffer[1] = two;
    cam->filling = 0;
    change(cam, TV_RCC_AHB1ENR, 0, TV_RCC_DMA2);
    change(cam, TV_RCC_AHB2ENR, 0, TV_RCC_DCMI);
    change(cam, TV_RCC_AHB2RSTR, 0, TV_RCC_DCMI);
    change(cam, TV_RCC_AHB2RSTR, TV_RCC_DCMI, 0);
    put(cam, TV_DCMI_IER, 0);
    stop(cam);
    uint32_t sent_w = width, sent_h = height;
    err = s->start(&cam->bus, format, &sent_w, &sent_h);
    if (cam->buffer[0] == NULL) { // a callback has closed the camera meanwhile
        return TV_CAMERA_ERR_CLOSED;
    }
    if (err) {
        tv_camera_close(cam);
        return err;
    }
    uint32_t clocks = s->mono ? 1 : 2; // of the pixel clock, a pixel
    cam->control = TV_DCMI_ENABLE | TV_DCMI_SNAPSHOT | s->polarity;
    cam->control |= !s->mono && format == TV_CAMERA_GRAY8 ? TV_DCMI_EVERY_OTHER : 0;
    if (sent_w != width || sent_h != height) {
        uint32_t left = (sent_w - width) / 4 * 2, top = (sent_h - height) / 2; // not inside a pair Y U Y V
        cam->control |= TV_DCMI_CROP;
        put(cam, TV_DCMI_CWSTRT, top << 16 | left * clocks);
        put(cam, TV_DCMI_CWSIZE, (height - 1) << 16 | (width * clocks - 1));
    }
    start(cam);
    return TV_CAMERA_OK;
}

int tv_camera_capture(tv_camera_t *cam, uint8_t **pixels) {
    int err = BUSY;
    for (int i = 0; i < TRIES && err != TV_CAMERA_OK && err != TV_CAMERA_ERR_TIMEOUT && err != TV_CAMERA_ERR_CLOSED; i++) {
        if (i || !cam->running || now(cam) - cam->begun > TV_CAMERA_STALE_MS) {
            start(cam);
        }
        err = await(cam);
    }
    if (err) {
        return err;
    }
    *pixels = cam->buffer[cam->filling];
    tv_camera_uncache(cam->chip, *pixels, cam->size);
    cam->filling ^= 1;
    start(cam);
    return TV_CAMERA_OK;
}

void tv_camera_close(tv_camera_t *cam) {
    if (get(cam, TV_RCC_AHB2ENR) & TV_RCC_DCMI) {
        stop(cam);
        put(cam, TV_DMA_MUX, 0);
        change(cam, TV_RCC_AHB2ENR, TV_RCC_DCMI, 0);
    }
    cam->running = false;
    cam->buffer[0] = cam->buffer[1] = NULL;
}

const char *tv_camera_strerror(int err) {
    switch (err) {
        case TV_CAMERA_OK:
            return "no error";
        case TV_CAMERA_ERR_NO_SENSOR:
            return "no camera sensor answers";
        case TV_CAMERA_ERR_ID:
            return "the chip at a sensor's address is an unknown one";
        case TV_CAMERA_ERR_BUS:
            return "the sensor stopped answering while it was set up; check its wires";
        case TV_CAMERA_ERR_SIZE:
            return "width and height must be multiples of 4";
        case TV_CAMERA_ERR_LARGE:
            return "the frame is larger than the sensor's picture, or than 262,140 bytes";
        case TV_CAMERA_ERR_FORMAT:
            return "this sensor has no colours; ask for GRAYSCALE";
        case TV_CAMERA_ERR_TIMEOUT:
            return "no frame came in time; check pixel clock and syncs";
        case TV_CAMERA_ERR_OVERRUN:
            return "the camera was faster than DMA, twice";
        case TV_CAMERA_ERR_SHORT:
            return "a frame ended before its last pixel, twice; check the data and sync wires";
        case TV_CAMERA_ERR_DMA:
            return "DMA cannot write to the frame's buffer";
        case TV_CAMERA_ERR_CLOSED:
            return "the camera was closed by a callback while it was waited for";
        default:
            return "unknown error";
    }
}
