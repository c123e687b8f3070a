// SPDX-License-Identifier: MIT
// The camera driver with the played chip behind it, as a shared library for tests/test_camera.py.

#include <string.h>

#include "camera/tv_camera_regs.h"
#include "camera/tv_camera_sensor.h"
#include "camera/tv_camera_sim.h"

static const tv_camera_sensor_t *const sensors[] = {
    &tv_camera_ov2640, &tv_camera_ov7670, &tv_camera_ov7725, &tv_camera_ov5640, &tv_camera_gc2145, &tv_camera_hm01b0, &tv_camera_hm0360,
};

static tv_camera_sim_t sim;
static tv_camera_t cam;
static int closes_in;   // waits, by a callback; 0: never
static unsigned waits;
static uint8_t buffers[2][4 * 65536 + 32] __attribute__((aligned(32)));

// As the firmware's: a callback may run, and close the camera or take it over.
static void wait(void *ctx, uint32_t ms) {
    waits++;
    tv_camera_sim_bus.wait(ctx, ms);
    if (closes_in && --closes_in == 0) {
        tv_camera_close(&cam);
    }
}

// sensor: index, or -1 for none; id 0: its own
void play(int sensor, unsigned id, unsigned other, unsigned acknowledges, unsigned jam) {
    memset(&sim, 0, sizeof(sim));
    memset(&cam, 0, sizeof(cam));
    sim.sensor = sensor < 0 ? NULL : sensors[sensor];
    sim.id = (uint16_t)(id ? id : sensor < 0 ? 0 : sensors[sensor]->id);
    sim.other = (uint8_t)other;
    sim.acknowledges = acknowledges;
    sim.jam = jam;
    cam.bus = tv_camera_sim_bus;
    cam.bus.ctx = cam.chip = &sim;
    cam.bus.wait = wait;
    closes_in = 0;
}

void close_in(int count) {
    closes_in = count;
}

unsigned waited(void) {
    return waits;
}

void late_dma(unsigned polls) {
    sim.late = polls;
}

void scene(const uint8_t *rgb, unsigned width, unsigned height) {
    sim.scene = rgb;
    sim.scene_w = width;
    sim.scene_h = height;
}

int detect(void) {
    return tv_camera_detect(&cam);
}

const char *name(void) {
    return cam.sensor == NULL ? "" : cam.sensor->name;
}

unsigned seen(unsigned index) {
    return index < cam.seen_count ? cam.seen[index] : 0;
}

unsigned chip_id(void) {
    return cam.id;
}

int begin(int format, unsigned width, unsigned height) {
    return tv_camera_open(&cam, (tv_camera_format_t)format, width, height, buffers[0], buffers[1]);
}

// -> which buffer, or an error; the pixels are copied to `to`
int capture(uint8_t *to) {
    uint8_t *pixels;
    int err = tv_camera_capture(&cam, &pixels);
    if (err) {
        return err;
    }
    memcpy(to, pixels, cam.size);
    return pixels == buffers[1];
}

// What the sensor sends, without DCMI in between.
unsigned expected(uint8_t *to, unsigned *width, unsigned *height) {
    tv_camera_sim_sent_t sent = tv_camera_sim_sent(&sim);
    uint32_t bytes = sent.width * (sent.format == TV_CAMERA_GRAY8 ? 1 : 2);
    for (uint32_t y = 0; y < sent.height; y++) {
        tv_camera_sim_row(&sim, &sent, y, to + y * bytes);
    }
    *width = sent.width;
    *height = sent.height;
    return sent.format;
}

void end(void) {
    tv_camera_close(&cam);
}

void jam(unsigned what) {
    sim.jam = what;
}

void sleep_ms(unsigned ms) {
    sim.time += ms;
}

unsigned now_ms(void) {
    return sim.time;
}

unsigned frames(void) {
    return sim.frames;
}

int fault(void) {
    return (int)sim.fault;
}

unsigned writes(void) {
    return sim.writes;
}

unsigned written(unsigned index) { // register << 8 | value
    return (unsigned)sim.write[index].at << 8 | sim.write[index].value;
}

unsigned clocks(void) {
    return (sim.rcc[0] & TV_RCC_DMA2) | (sim.rcc[1] & TV_RCC_DCMI);
}

unsigned stream_runs(void) {
    return sim.dma[0] & TV_DMA_ENABLE;
}

const char *words(int err) {
    return tv_camera_strerror(err);
}
