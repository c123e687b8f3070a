// SPDX-License-Identifier: MIT
//
// Images into the data memories, results out of them, and the known-answer test, which does both.

#include "tv_kernels.h"
#include "tv_max78000_core.h"

// Channel after channel, and the processor that has it.
typedef struct {
    uint64_t processors;
    uint32_t passes, per_pass;
    uint32_t pass, index;  // of the channel; index: in the pass
    uint32_t processor;
} walk_t;

static void walk_begin(walk_t *walk, uint64_t processors, uint32_t channels) {
    tv_m78_spread(channels, &walk->passes, &walk->per_pass);
    walk->processors = processors;
    walk->pass = walk->index = 0;
    walk->processor = tv_m78_next(processors, 0);
}

static void walk_on(walk_t *walk) {
    if (++walk->index == walk->per_pass) {
        walk->index = 0;
        walk->pass++;
        walk->processor = tv_m78_next(walk->processors, 0);
    } else {
        walk->processor = tv_m78_next(walk->processors, walk->processor + 1);
    }
}

// One pixel of the network: `fold` rows of `run` bytes, `step` apart. A word holds the channels
// of four neighbouring processors.
static void put_pixel(tv_max78000_t *dev, const tv_max78000_plan_t *plan, const int8_t *from, uint32_t pixel) {
    uint32_t run = (uint32_t)plan->fold * plan->in_c, step = (uint32_t)plan->in_w * plan->in_c;
    uint32_t word = 0;
    walk_t walk;
    walk_begin(&walk, plan->in_processors, plan->fold * run);
    for (uint32_t left = plan->fold * run, i = 0; left; left--) {
        uint32_t processor = walk.processor;
        uint32_t address = TV_M78_DATA_ADDRESS(processor) + plan->in_offset + 4 * (pixel * walk.passes + walk.pass);
        word |= (uint32_t)(uint8_t)from[i] << 8 * (processor % 4);
        if (++i == run) {
            i = 0;
            from += step;
        }
        if (left > 1) {
            walk_on(&walk);
        }
        if (left == 1 || walk.processor <= processor || walk.processor / 4 != processor / 4) {
            tv_max78000_write32(dev->bus, address, word);
            word = 0;
        }
    }
}

// The same for a row of pixels where every word takes four neighbours of a run: one data memory
// after the other, whole words.
static void put_row(tv_max78000_t *dev, const tv_max78000_plan_t *plan, const int8_t *rows, uint32_t pixel) {
    uint32_t run = (uint32_t)plan->fold * plan->in_c, step = (uint32_t)plan->in_w * plan->in_c;
    uint32_t processor = tv_m78_next(plan->in_processors, 0);
    for (uint32_t row = 0; row < plan->fold; row++, rows += step) {
        for (uint32_t i = 0; i < run; i += 4, processor += 4) {
            uint32_t address = TV_M78_DATA_ADDRESS(processor) + plan->in_offset + 4 * pixel;
            const uint8_t *from = (const uint8_t *)rows + i;
            for (uint32_t left = plan->in_w / plan->fold; left; left--, address += 4, from += run) {
                tv_max78000_write32(dev->bus, address, tv_u32(from));
            }
        }
    }
}

static bool has_words(const tv_max78000_plan_t *plan) {
    uint32_t run = (uint32_t)plan->fold * plan->in_c, first = tv_m78_next(plan->in_processors, 0);
    uint64_t mask = plan->in_processors >> first;
    return run % 4 == 0 && plan->fold * run <= TV_M78_PROCESSORS && first % 4 == 0 && (mask & (mask + 1)) == 0;
}

int tv_max78000_rows(tv_max78000_t *dev, const tv_max78000_plan_t *plan, const int8_t *rows, uint32_t y, uint32_t count) {
    int err = tv_m78_check_loaded(dev, plan);
    uint32_t fold = plan->fold, width = plan->in_w, channels = plan->in_c;
    if (err) {
        return err;
    }
    if (y % fold || count % fold || y > plan->in_h || count > plan->in_h - y) {
        return TV_MAX78000_ERR_ROWS;
    }
    uint32_t pixel = y / fold * (width / fold);
    bool words = has_words(plan);
    for (; count; count -= fold, rows += (size_t)fold * width * channels, pixel += width / fold) {
        if (words) {
            put_row(dev, plan, rows, pixel);
            continue;
        }
        for (uint32_t x = 0; x < width / fold; x++) {
            put_pixel(dev, plan, rows + (size_t)x * fold * channels, pixel + x);
        }
    }
    return TV_MAX78000_OK;
}

static int32_t result(tv_max78000_t *dev, const tv_max78000_plan_t *plan, const walk_t *walk, uint32_t pixel) {
    uint32_t lane = walk->processor % 4;
    uint32_t at = TV_M78_DATA_ADDRESS(walk->processor) + plan->out_offset
        + 4u * plan->out_bytes * (pixel * walk->passes + walk->pass);
    if (plan->out_bytes == 4) {
        return (int32_t)tv_max78000_read32(dev->bus, at + 4 * lane);
    }
    return (int8_t)(tv_max78000_read32(dev->bus, at) >> 8 * lane & 0xff);
}

// A sum as the engine rescales it. Sums of a working accelerator stay below 2**28.
static int8_t rescale(const tv_max78000_plan_t *plan, uint32_t c, int32_t sum) {
    const uint8_t *table = plan->table;
    int32_t most = 1 << 28;
    sum = sum < -most ? -most : sum > most ? most : sum;
    sum += tv_i32(table + 4 * c);
    sum = tv_requantize(sum, tv_i32(table + 4 * (plan->out_c + c)), table[8 * plan->out_c + c]);
    return tv_clamp8(sum + plan->out_zero_point);
}

// The first `dim` results of every pixel, in order: to `out` or `sums`, or into a checksum of the int8 results.
static int results(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t dim, int8_t *out, int32_t *sums, uint32_t *crc) {
    int err = tv_m78_check_loaded(dev, plan);
    for (uint32_t pixel = 0; !err && pixel < (uint32_t)plan->out_h * plan->out_w; pixel++) {
        walk_t walk;
        walk_begin(&walk, plan->out_processors, plan->out_c);
        for (uint32_t c = 0; c < dim; c++) {
            int32_t value = result(dev, plan, &walk, pixel);
            if (sums != NULL) {
                *sums++ = value;
            } else {
                int8_t small = plan->out_bytes == 4 ? rescale(plan, c, value) : (int8_t)value;
                if (out != NULL) {
                    *out++ = small;
                } else {
                    *crc = tv_crc32(*crc, &small, 1);
                }
            }
            if (c + 1 < dim) {
                walk_on(&walk);
            }
        }
    }
    return err;
}

int tv_max78000_results(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t dim, int8_t *out) {
    return results(dev, plan, dim, out, NULL, NULL);
}

int tv_max78000_results32(tv_max78000_t *dev, const tv_max78000_plan_t *plan, int32_t *out) {
    return results(dev, plan, plan->out_c, NULL, out, NULL);
}

int tv_max78000_selftest(tv_max78000_t *dev, const tv_max78000_plan_t *plan, int8_t *row,
    uint32_t polls, tv_max78000_wait_t wait, void *ctx) {
    uint32_t state = plan->test_seed, crc = 0;
    for (uint32_t y = 0; y < plan->in_h; y += plan->fold) {
        for (uint32_t i = 0; i < (uint32_t)plan->fold * plan->in_w * plan->in_c; i++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            row[i] = (int8_t)((int32_t)(state >> 24) - 128);
        }
        int err = tv_max78000_rows(dev, plan, row, y, plan->fold);
        if (err) {
            return err;
        }
    }
    int err = tv_max78000_run(dev, plan, polls, wait, ctx);
    err = err ? err : results(dev, plan, plan->out_c, NULL, NULL, &crc);
    if (!err && crc != plan->test_crc) {
        dev->loaded = false; // whatever is in there, it is not this plan
        err = TV_MAX78000_ERR_TEST;
    }
    return err;
}
