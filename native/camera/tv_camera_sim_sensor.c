// SPDX-License-Identifier: MIT
//
// The played sensors: what is on the bus, and which pictures come out by the registers' values.

#include <string.h>

#include "tv_camera_sensor.h"
#include "tv_camera_sim.h"

int tv_camera_sim_register(const tv_camera_sim_t *s, uint32_t at) {
    for (uint32_t i = s->writes < TV_CAMERA_SIM_WRITES ? s->writes : TV_CAMERA_SIM_WRITES; i--;) {
        if (s->write[i].at == at) {
            return s->write[i].value;
        }
    }
    return -1;
}

static uint32_t reg(const tv_camera_sim_t *s, uint32_t at) {
    int value = tv_camera_sim_register(s, at);
    return value < 0 ? 0 : (uint32_t)value;
}

static uint32_t word(const tv_camera_sim_t *s, uint32_t at) {
    return reg(s, at) << 8 | reg(s, at + 1);
}

static bool is(const tv_camera_sim_t *s, const tv_camera_sensor_t *sensor) {
    return s->sensor == sensor;
}

// What the wires do, by the bits that public drivers set together with the polarity of their ports.
static uint32_t polarity(const tv_camera_sim_t *s) {
    bool falling, hsync_high = false, vsync_high = false;
    if (is(s, &tv_camera_ov2640)) { // its VSYNC is the other way round than the OV7670's
        falling = reg(s, 0x115) & 0x10;
        hsync_high = reg(s, 0x115) & 0x08;
        vsync_high = reg(s, 0x115) & 0x02;
    } else if (is(s, &tv_camera_ov7670) || is(s, &tv_camera_ov7725)) {
        falling = reg(s, 0x15) & 0x10;
        hsync_high = reg(s, 0x15) & 0x08;
        vsync_high = !(reg(s, 0x15) & 0x02);
    } else if (is(s, &tv_camera_ov5640)) { // bit 0: the data sheet has it the other way round
        falling = !(reg(s, 0x4740) & 0x20);
        hsync_high = reg(s, 0x4740) & 0x02;
        vsync_high = !(reg(s, 0x4740) & 0x01);
    } else if (is(s, &tv_camera_gc2145)) {
        falling = reg(s, 0x86) & 0x04;
        hsync_high = !(reg(s, 0x86) & 0x02);
        vsync_high = !(reg(s, 0x86) & 0x01);
    } else {
        falling = is(s, &tv_camera_hm01b0) ? reg(s, 0x3068) & 0x01 : !(reg(s, 0x3112) & 0x04);
    }
    return (falling ? 0 : TV_CAMERA_RISING) | (hsync_high ? TV_CAMERA_HSYNC_HIGH : 0)
           | (vsync_high ? TV_CAMERA_VSYNC_HIGH : 0);
}

tv_camera_sim_sent_t tv_camera_sim_sent(const tv_camera_sim_t *s) {
    tv_camera_sim_sent_t sent = { 0, 0, TV_CAMERA_GRAY8, polarity(s), false };
    bool rgb = false;
    if (is(s, &tv_camera_ov2640)) {
        uint32_t high = reg(s, 0x5c);
        sent.width = 4 * (reg(s, 0x5a) | (high & 3) << 8);
        sent.height = 4 * (reg(s, 0x5b) | (high >> 2 & 1) << 8);
        rgb = (reg(s, 0xda) & 0x0c) == 0x08;
        sent.on = reg(s, 0x105) == 0 && reg(s, 0xe0) == 0 && reg(s, 0x112) == 0x40
            && sent.width <= 800u >> (reg(s, 0x50) & 7) && sent.height <= 600u >> (reg(s, 0x50) >> 3 & 7);
    } else if (is(s, &tv_camera_ov7670)) {
        uint32_t n = reg(s, 0x0c) & 4 ? reg(s, 0x72) & 3 : 0;
        sent.width = 640u >> n;
        sent.height = 480u >> n;
        rgb = (reg(s, 0x12) & 5) == 4 && (reg(s, 0x40) & 0x30) == 0x10;
        sent.on = n == 0 || ((reg(s, 0x3e) & 0x1f) == (0x18 | n) && (reg(s, 0x73) & 7) == n);
    } else if (is(s, &tv_camera_ov7725)) {
        sent.width = 4 * reg(s, 0x29);
        sent.height = 2 * reg(s, 0x2c);
        rgb = (reg(s, 0x12) & 0x0f) == 0x06;
        sent.on = 640u >> (reg(s, 0xa0) & 3) == sent.width && 480u >> (reg(s, 0xa0) >> 2 & 3) == sent.height
            && (rgb || reg(s, 0x0c) & 0x10); // else U comes first
    } else if (is(s, &tv_camera_ov5640)) {
        sent.width = word(s, 0x3808);
        sent.height = word(s, 0x380a);
        rgb = reg(s, 0x4300) == 0x61 && reg(s, 0x501f) == 1;
        sent.on = reg(s, 0x3008) == 0x02 && reg(s, 0x3017) == 0xff && reg(s, 0x3018) == 0xff;
    } else if (is(s, &tv_camera_gc2145)) {
        sent.width = word(s, 0x97);
        sent.height = word(s, 0x95);
        rgb = reg(s, 0x84) == 0x06;
        uint32_t step = reg(s, 0x99) & 15;
        sent.on = reg(s, 0x90) == 1 && reg(s, 0xf2) == 0x0f && step
            && (word(s, 0x93) + sent.width) * step <= 1600 && (word(s, 0x91) + sent.height) * step <= 1200;
    } else if (is(s, &tv_camera_hm01b0)) {
        bool half = reg(s, 0x390) == 3;
        sent.width = half ? 162 : 324;
        sent.height = half ? 122 : 244;
        sent.on = reg(s, 0x100) == 1 && reg(s, 0x3010) == 1;
    } else if (is(s, &tv_camera_hm0360)) {
        uint32_t n = reg(s, 0x380) & 3;
        sent.width = 640u >> n;
        sent.height = 480u >> n;
        sent.on = reg(s, 0x100) == 1 && reg(s, 0x3030) == 1 && reg(s, 0x381) == n;
    }
    if (s->sensor != NULL && !s->sensor->mono) {
        sent.format = rgb ? TV_CAMERA_RGB565 : TV_CAMERA_YUV422;
    }
    return sent;
}

// The mean of the scene's pixels behind one of the picture's; black beside the scene. The picture's
// height sees the scene's shorter side.
static void pixel(const tv_camera_sim_t *s, const tv_camera_sim_sent_t *sent, uint32_t x, uint32_t y, uint32_t *rgb) {
    int32_t side = (int32_t)(s->scene_w < s->scene_h ? s->scene_w : s->scene_h), h = (int32_t)sent->height;
    int32_t middle_x = (int32_t)s->scene_w * h - (int32_t)sent->width * side;
    int32_t middle_y = ((int32_t)s->scene_h - side) * h;
    int32_t left = (2 * (int32_t)x * side + middle_x) / (2 * h), right = (2 * ((int32_t)x + 1) * side + middle_x) / (2 * h);
    int32_t top = (2 * (int32_t)y * side + middle_y) / (2 * h), bottom = (2 * ((int32_t)y + 1) * side + middle_y) / (2 * h);
    uint32_t count = 0;
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int32_t v = top; v < (bottom > top ? bottom : top + 1); v++) {
        for (int32_t u = left; u < (right > left ? right : left + 1); u++) {
            if (u >= 0 && u < (int32_t)s->scene_w && v >= 0 && v < (int32_t)s->scene_h) {
                const uint8_t *p = s->scene + 3 * ((uint32_t)v * s->scene_w + (uint32_t)u);
                rgb[0] += p[0], rgb[1] += p[1], rgb[2] += p[2];
                count++;
            }
        }
    }
    for (int i = 0; i < 3 && count; i++) {
        rgb[i] = (rgb[i] + count / 2) / count;
    }
}

static uint8_t clip(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void tv_camera_sim_row(const tv_camera_sim_t *s, const tv_camera_sim_sent_t *sent, uint32_t y, uint8_t *row) {
    for (uint32_t x = 0; x < sent->width; x++) {
        uint32_t c[3];
        pixel(s, sent, x, y, c);
        uint32_t luma = (77 * c[0] + 150 * c[1] + 29 * c[2] + 128) >> 8;
        if (sent->format == TV_CAMERA_GRAY8) {
            row[x] = (uint8_t)luma;
        } else if (sent->format == TV_CAMERA_RGB565) {
            uint32_t word = c[0] >> 3 << 11 | c[1] >> 2 << 5 | c[2] >> 3;
            row[2 * x] = (uint8_t)(word >> 8);
            row[2 * x + 1] = (uint8_t)word;
        } else {
            int32_t colour = (int32_t)c[x % 2 ? 0 : 2] - (int32_t)luma;
            row[2 * x] = (uint8_t)luma;
            row[2 * x + 1] = clip(128 + (x % 2 ? 183 : 144) * colour / 256);
        }
    }
}

static uint8_t bank_register(const tv_camera_sim_t *s) {
    return is(s, &tv_camera_ov2640) ? 0xff : is(s, &tv_camera_gc2145) ? 0xfe : 0;
}

static int write(void *ctx, uint8_t address, const uint8_t *data, size_t size) {
    tv_camera_sim_t *s = ctx;
    if (s->sensor == NULL || address != s->sensor->address) {
        return s->other && address == s->other ? 0 : -1;
    }
    if (s->acknowledges == 0) {
        return -1;
    }
    s->acknowledges--;
    size_t head = s->sensor->wide ? 2 : 1;
    if (size < head) {
        return 0;
    }
    uint32_t at = s->sensor->wide ? (uint32_t)data[0] << 8 | data[1] : (uint32_t)s->bank << 8 | data[0];
    s->pointer = (uint16_t)at;
    if (size > head) {
        if (s->writes < TV_CAMERA_SIM_WRITES) {
            s->write[s->writes].at = (uint16_t)at;
            s->write[s->writes].value = data[head];
        }
        s->writes++;
        if (!s->sensor->wide && data[0] == bank_register(s) && bank_register(s)) {
            s->bank = data[head] & 3;
        }
    }
    return 0;
}

static int read(void *ctx, uint8_t address, uint8_t *data, size_t size) {
    tv_camera_sim_t *s = ctx;
    memset(data, 0, size);
    if (s->sensor == NULL || address != s->sensor->address) {
        return s->other && address == s->other ? 0 : -1;
    }
    uint32_t low = s->sensor->wide ? 0xffff : 0xff;
    uint32_t id_at = s->sensor->id_at | (is(s, &tv_camera_ov2640) ? 0x100u : 0u); // in the sensor's bank
    uint32_t at = is(s, &tv_camera_ov2640) ? s->pointer : s->pointer & low;
    data[0] = at == id_at ? (uint8_t)(s->id >> 8) : at == id_at + 1 ? (uint8_t)s->id : 0;
    return 0;
}

static uint32_t ms(void *ctx) {
    return ((tv_camera_sim_t *)ctx)->time;
}

static void wait(void *ctx, uint32_t ms) {
    ((tv_camera_sim_t *)ctx)->time += ms ? ms : 1;
}

const tv_camera_bus_t tv_camera_sim_bus = { write, read, ms, wait, NULL };
