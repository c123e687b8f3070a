// SPDX-License-Identifier: MIT
//
// Registers over SCCB, which is I2C without a repeated start, and: who is there?

#include "tv_camera_sensor.h"

// GC2145 comes before OV5640 at the same address: what it is asked, the other takes for half an address.
static const tv_camera_sensor_t *const sensors[] = {
    &tv_camera_ov2640, &tv_camera_ov7725, &tv_camera_ov7670, &tv_camera_gc2145, &tv_camera_ov5640,
    &tv_camera_hm01b0, &tv_camera_hm0360,
};
#define SENSORS (sizeof(sensors) / sizeof(sensors[0]))

static int put(const tv_camera_bus_t *bus, const tv_camera_sensor_t *s, tv_camera_set_t set) {
    uint8_t bytes[3] = { (uint8_t)(set.at >> 8), (uint8_t)set.at, set.value };
    return bus->write(bus->ctx, s->address, s->wide ? bytes : bytes + 1, s->wide ? 3 : 2);
}

int tv_camera_set(const tv_camera_bus_t *bus, const tv_camera_sensor_t *s, const tv_camera_set_t *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (table[i].at == TV_CAMERA_WAIT) {
            bus->wait(bus->ctx, table[i].value);
        } else if (put(bus, s, table[i]) != 0) {
            return TV_CAMERA_ERR_BUS;
        }
    }
    return TV_CAMERA_OK;
}

int tv_camera_get(const tv_camera_bus_t *bus, const tv_camera_sensor_t *s, uint16_t at, uint8_t *value) {
    uint8_t bytes[2] = { (uint8_t)(at >> 8), (uint8_t)at };
    if (bus->write(bus->ctx, s->address, s->wide ? bytes : bytes + 1, s->wide ? 2 : 1) != 0
        || bus->read(bus->ctx, s->address, value, 1) != 0) {
        return TV_CAMERA_ERR_BUS;
    }
    return TV_CAMERA_OK;
}

uint32_t tv_camera_halvings(uint32_t width, uint32_t height, uint32_t wanted_w, uint32_t wanted_h, uint32_t most) {
    uint32_t n = 0;
    while (n < most && width >> (n + 1) >= wanted_w && height >> (n + 1) >= wanted_h) {
        n++;
    }
    return n;
}

static bool answers(const tv_camera_bus_t *bus, uint8_t address) {
    uint8_t byte;
    return bus->read(bus->ctx, address, &byte, 1) == 0;
}

int tv_camera_detect(tv_camera_t *cam) {
    const tv_camera_bus_t *bus = &cam->bus;
    cam->sensor = NULL;
    cam->seen_count = 0;
    bool other = false;
    for (size_t i = 0; i < SENSORS; i++) {
        const tv_camera_sensor_t *s = sensors[i];
        uint8_t high, low;
        if (!answers(bus, s->address) || (s->before_id.at && put(bus, s, s->before_id) != 0)
            || tv_camera_get(bus, s, s->id_at, &high) != 0 || tv_camera_get(bus, s, (uint16_t)(s->id_at + 1), &low) != 0) {
            continue;
        }
        uint16_t id = (uint16_t)(high << 8 | low);
        if (id == s->id || (s == &tv_camera_ov2640 && id == 0x2641)) { // an earlier revision
            cam->sensor = s;
            cam->id = id;
            return TV_CAMERA_OK;
        }
        if (!other) { // the first question fits the chip best
            other = true;
            cam->id = id;
            cam->seen[0] = s->address;
        }
    }
    if (other) {
        cam->seen_count = 1;
        return TV_CAMERA_ERR_ID;
    }
    for (uint8_t address = 0x08; address < 0x78 && cam->seen_count < TV_CAMERA_SEEN; address++) {
        if (answers(bus, address)) {
            cam->seen[cam->seen_count++] = address;
        }
    }
    return TV_CAMERA_ERR_NO_SENSOR;
}
