// SPDX-License-Identifier: MIT
//
// Power and clock, loading, start and end. The order of steps is the chip's.

#include <string.h>

#include "tv.h"
#include "tv_format.h"
#include "tv_max78000_core.h"

static uint32_t get(tv_max78000_t *dev, uint32_t address) {
    return tv_max78000_read32(dev->bus, address);
}

static void put(tv_max78000_t *dev, uint32_t address, uint32_t value) {
    tv_max78000_write32(dev->bus, address, value);
}

// A quadrant that keeps what was written to it has power and clock.
static bool answers(tv_max78000_t *dev, uint8_t quadrants) {
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        if (quadrants >> q & 1 && get(dev, TV_M78_QUADRANT(q) + TV_M78_SRAM) != TV_M78_SRAM_VALUE) {
            return false;
        }
    }
    return true;
}

static void put_all(tv_max78000_t *dev, uint8_t quadrants, uint32_t offset, uint32_t value) {
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        if (quadrants >> q & 1) {
            put(dev, TV_M78_QUADRANT(q) + offset, value);
        }
    }
}

int tv_max78000_on(tv_max78000_t *dev, const tv_max78000_plan_t *plan) {
    uint8_t mask = plan->quadrants;
    put(dev, TV_M78_RESET, 0xf);
    put(dev, TV_M78_RAM_POWER, mask);
    put(dev, TV_M78_POWER, mask);
    put(dev, TV_M78_ISOLATION, ~(uint32_t)mask & 0xf);
    put(dev, TV_M78_RESET, 0);
    put(dev, TV_M78_PCLKDIV, (get(dev, TV_M78_PCLKDIV) & ~(uint32_t)TV_M78_PCLKDIV_MASK) | TV_M78_PCLKDIV_CNN);
    put(dev, TV_M78_PCLKDIS0, get(dev, TV_M78_PCLKDIS0) & ~TV_M78_PCLKDIS0_CNN);
    dev->loaded = false;
    dev->kept = dev->kept && mask == dev->kept_quadrants;
    dev->quadrants = mask;
    put(dev, TV_M78_AOD_CTRL, 0);
    put_all(dev, mask, TV_M78_CTRL, TV_M78_CTRL_CLOCK | TV_M78_CTRL_PACKED);
    put_all(dev, mask, TV_M78_SRAM, TV_M78_SRAM_VALUE);
    if (!answers(dev, mask)) {
        tv_max78000_off(dev, false);
        return TV_MAX78000_ERR_POWER;
    }
    return TV_MAX78000_OK;
}

void tv_max78000_off(tv_max78000_t *dev, bool keep) {
    put(dev, TV_M78_PCLKDIS0, get(dev, TV_M78_PCLKDIS0) | TV_M78_PCLKDIS0_CNN);
    put(dev, TV_M78_RESET, 0xf);
    put(dev, TV_M78_ISOLATION, get(dev, TV_M78_ISOLATION) | 0xf);
    put(dev, TV_M78_POWER, 0);
    if (dev->loaded) {
        dev->kept_quadrants = dev->quadrants;
    }
    dev->kept = keep && (dev->loaded || dev->kept);
    if (!dev->kept) {
        put(dev, TV_M78_RAM_POWER, 0);
    }
    put(dev, TV_M78_RESET, 0);
    dev->quadrants = 0;
    dev->loaded = false;
}

// Where the bytes of the weights come from: the plan, or a few at a time through `read`.
typedef struct {
    const uint8_t *data;    // next byte
    uint32_t left;          // bytes at `data`
    uint32_t offset, size;  // of what was read, of all
    uint32_t crc;
    tv_max78000_read_t read;
    void *ctx;
    uint8_t buffer[TV_MAX78000_CHUNK];
} source_t;

static int next_chunk(source_t *s) {
    uint32_t size = s->size - s->offset;
    if (s->read == NULL || size == 0) {
        return TV_MAX78000_ERR_STREAM;
    }
    size = size < TV_MAX78000_CHUNK ? size : TV_MAX78000_CHUNK;
    if (s->read(s->ctx, s->buffer, s->offset, size) != 0) {
        return TV_MAX78000_ERR_STREAM;
    }
    s->crc = tv_crc32(s->crc, s->buffer, size);
    s->data = s->buffer;
    s->left = size;
    s->offset += size;
    return TV_MAX78000_OK;
}

// Blocks are whole words of 4 bytes, and so are chunks.
static int load_weights(tv_max78000_t *dev, const tv_max78000_plan_t *plan, tv_max78000_read_t read, void *ctx) {
    source_t s = { .size = plan->weights_size, .read = read, .ctx = ctx };
    if (read == NULL) {
        if (plan->weights == NULL) {
            return TV_MAX78000_ERR_STREAM;
        }
        s.data = plan->weights;
        s.left = s.offset = plan->weights_size;
    }
    for (uint32_t i = 0; i < plan->block_count; i++) {
        const uint8_t *p = plan->blocks + i * TV_M78_PLAN_BLOCK;
        uint32_t first = tv_u16(p + 2), stores = tv_m78_block_bytes(tv_u16(p + 4)) / 4;
        uint32_t to = TV_M78_QUADRANT(p[0] / 16u) + TV_M78_WEIGHTS + TV_M78_WEIGHTS_STEP * (p[0] % 16u) + 4 * first;
        put(dev, to + 1, 1); // a store of one byte: the stream begins at this word
        while (stores) {
            if (s.left == 0) {
                int err = next_chunk(&s);
                if (err) {
                    return err;
                }
            }
            uint32_t count = stores < s.left / 4 ? stores : s.left / 4;
            const uint8_t *from = s.data, *end = from + 4 * count;
            for (; from < end; from += 4, to += 4) {
                put(dev, to, (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3]);
            }
            s.data = end;
            s.left -= 4 * count;
            stores -= count;
        }
    }
    return read != NULL && s.crc != plan->weights_crc ? TV_MAX78000_ERR_DAMAGED : TV_MAX78000_OK;
}

int tv_max78000_load(tv_max78000_t *dev, const tv_max78000_plan_t *plan, tv_max78000_read_t read, void *ctx) {
    if (plan->quadrants & ~dev->quadrants) {
        return TV_MAX78000_ERR_OFF;
    }
    bool there = (dev->loaded || dev->kept) && dev->weights_crc == plan->weights_crc
        && memcmp(dev->fingerprint, plan->fingerprint, 8) == 0;
    dev->loaded = false;
    if (plan->shared && !there) {
        return TV_MAX78000_ERR_LOADED;
    }
    put(dev, TV_M78_AOD_CTRL, 0);
    put_all(dev, plan->quadrants, TV_M78_CTRL, TV_M78_CTRL_CLOCK | TV_M78_CTRL_PACKED);
    put_all(dev, plan->quadrants, TV_M78_SRAM, TV_M78_SRAM_VALUE);
    put_all(dev, plan->quadrants, TV_M78_LCNT_MAX, plan->layers - 1u);
    if (!there) {
        dev->kept = false;
        int err = load_weights(dev, plan, read, ctx);
        if (err) {
            return err;
        }
        memcpy(dev->fingerprint, plan->fingerprint, 8);
        dev->weights_crc = plan->weights_crc;
    }
    const uint8_t *bias = plan->biases;
    for (uint32_t i = 0; i < plan->bias_run_count; i++) {
        const uint8_t *p = plan->bias_runs + i * TV_M78_PLAN_RUN;
        uint32_t to = TV_M78_QUADRANT(p[0]) + TV_M78_BIAS + 4u * tv_u16(p + 2);
        for (uint32_t count = tv_u16(p + 4); count; count--, to += 4) {
            put(dev, to, *bias++);
        }
    }
    for (uint32_t i = 0; i < plan->register_count; i++) {
        const uint8_t *p = plan->registers + i * TV_M78_PLAN_REGISTER;
        put_all(dev, p[2], tv_u16(p), tv_u32(p + 4));
    }
    dev->loaded = true;
    dev->kept = false;
    dev->plan_crc = plan->crc;
    return TV_MAX78000_OK;
}

int tv_m78_check_loaded(const tv_max78000_t *dev, const tv_max78000_plan_t *plan) {
    if (plan->quadrants & ~dev->quadrants) {
        return TV_MAX78000_ERR_OFF;
    }
    return dev->loaded && dev->plan_crc == plan->crc ? TV_MAX78000_OK : TV_MAX78000_ERR_LOADED;
}

int tv_max78000_start(tv_max78000_t *dev, const tv_max78000_plan_t *plan) {
    int err = tv_m78_check_loaded(dev, plan);
    if (err) {
        return err;
    }
    uint32_t ctrl = TV_M78_CTRL_CLOCK | TV_M78_CTRL_PACKED | (plan->round ? TV_M78_CTRL_ROUND : 0);
    put(dev, TV_M78_QUADRANT(0), ctrl | TV_M78_CTRL_FOLLOW);
    if (get(dev, TV_M78_QUADRANT(0)) & TV_M78_CTRL_DONE) {
        return TV_MAX78000_ERR_STUCK; // results of an earlier run would be taken for new ones
    }
    for (uint32_t q = 1; q < TV_M78_QUADRANTS; q++) { // all follow quadrant 0, which starts last
        if (plan->quadrants >> q & 1) {
            put(dev, TV_M78_QUADRANT(q), ctrl | TV_M78_CTRL_FOLLOW | TV_M78_CTRL_ENABLE);
        }
    }
    put(dev, TV_M78_QUADRANT(0), ctrl | TV_M78_CTRL_ENABLE);
    return TV_MAX78000_OK;
}

int tv_max78000_wait(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t polls, tv_max78000_wait_t wait, void *ctx) {
    int err = tv_m78_check_loaded(dev, plan);
    if (err) {
        return err;
    }
    if (polls == 0) {
        polls = plan->cycles < 1u << 30 ? 2 * plan->cycles + 10000 : UINT32_MAX;
    }
    err = TV_MAX78000_ERR_TIMEOUT;
    while (polls--) {
        if (get(dev, TV_M78_QUADRANT(0)) & TV_M78_CTRL_DONE) {
            err = TV_MAX78000_OK;
            break;
        }
        if (wait != NULL && wait(ctx) != 0) {
            err = TV_MAX78000_ERR_STOPPED;
            break;
        }
    }
    // acknowledge, or stop
    uint32_t mask = TV_M78_CTRL_DONE | TV_M78_CTRL_ENABLE;
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        if (plan->quadrants >> q & 1) {
            put(dev, TV_M78_QUADRANT(q), get(dev, TV_M78_QUADRANT(q)) & ~mask);
        }
    }
    if (err == TV_MAX78000_ERR_TIMEOUT && !answers(dev, plan->quadrants)) {
        tv_max78000_off(dev, false); // somebody else has switched it off
        err = TV_MAX78000_ERR_POWER;
    }
    return err;
}

int tv_max78000_run(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t polls, tv_max78000_wait_t wait, void *ctx) {
    int err = tv_max78000_start(dev, plan);
    return err ? err : tv_max78000_wait(dev, plan, polls, wait, ctx);
}
