// SPDX-License-Identifier: MIT
//
// What the simulator computes: pool, combine, convolve, shift, write; layer by layer.

#include <string.h>

#include "tv_max78000_sim_step.h"

#define UNDEFINED (0xdbdbdbdb)  // in lanes of an output word that belong to no channel

static int32_t operand(const uint32_t *data, const tv_max78000_step_t *d, uint32_t lane,
    uint32_t pixel, uint32_t pass, uint32_t index) {
    if (d->chw) {
        lane = pixel % 4;
        pixel /= 4;
    } else {
        pixel = (pixel * d->in_passes + pass) * d->operands + index;
    }
    return (int8_t)(data[d->read_base + pixel] >> 8 * lane & 0xff);
}

static int32_t clip(int64_t value) {
    return value < -128 ? -128 : value > 127 ? 127 : (int32_t)value;
}

static int32_t combined(const uint32_t *data, const tv_max78000_step_t *d, uint32_t lane, uint32_t pixel, uint32_t pass) {
    int32_t value = operand(data, d, lane, pixel, pass, 0);
    for (uint32_t i = 1; i < d->operands; i++) {
        int32_t other = operand(data, d, lane, pixel, pass, i);
        value = d->function == 0 ? value - other : d->function == 1 ? value + other
            : d->function == 2 ? value | other : value ^ other;
    }
    return clip(value);
}

// Operand `index`, or all combined (index = operands), over the window at (y, x).
static int32_t pooled(const uint32_t *data, const tv_max78000_step_t *d, uint32_t lane,
    uint32_t y, uint32_t x, uint32_t pass, uint32_t index) {
    int32_t sum = 0, maximum = -128, count = (int32_t)(d->pool_h * d->pool_w);
    for (uint32_t i = 0; i < d->pool_h; i++) {
        for (uint32_t j = 0; j < d->pool_w; j++) {
            uint32_t pixel = (y * d->stride + i) * d->w + x * d->stride + j;
            int32_t value = index < d->operands ? operand(data, d, lane, pixel, pass, index)
                : combined(data, d, lane, pixel, pass);
            maximum = value > maximum ? value : maximum;
            sum += value;
        }
    }
    int32_t half = d->round ? count / 2 : 0;
    return d->maximum || count == 1 ? maximum : (sum + (sum < 0 ? -half : half)) / count;
}

static int8_t input(const uint32_t *data, const tv_max78000_step_t *d, uint32_t lane,
    uint32_t y, uint32_t x, uint32_t pass) {
    if (d->operands == 1 || !d->pool_first) {
        return (int8_t)pooled(data, d, lane, y, x, pass, d->operands == 1 ? 0 : d->operands);
    }
    int32_t value = pooled(data, d, lane, y, x, pass, 0);
    for (uint32_t i = 1; i < d->operands; i++) {
        int32_t other = pooled(data, d, lane, y, x, pass, i);
        value = d->function == 0 ? value - other : d->function == 1 ? value + other
            : d->function == 2 ? value | other : value ^ other;
    }
    return (int8_t)clip(value);
}

// Words that the layer reads in each instance; 0: too many.
static uint32_t words_read(const tv_max78000_step_t *d) {
    uint64_t words = (uint64_t)d->h * d->w * d->in_passes * d->operands;
    words = d->chw ? (words + 3) / 4 : words;
    return d->read_base + words > TV_M78_DATA_WORDS ? 0 : (uint32_t)words;
}

// Is the instance one that the layer reads?
static bool reads_instance(const tv_max78000_step_t *d, uint32_t instance) {
    return d->enabled[instance / 4] >> 4 * (instance % 4) & 15;
}

// One word of output; `mask`: the bits that are defined.
static bool store(tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t group,
    uint32_t address, uint32_t mask, uint32_t value, uint32_t layer) {
    uint32_t instance = address / TV_M78_DATA_WORDS, word = address % TV_M78_DATA_WORDS;
    if (instance >= 16 || !(group >> instance / 4 & 1)) {
        tv_max78000_sim_fault(s, TV_M78_FAULT_MEMORY, layer);
        return false;
    }
    if (reads_instance(d, instance) && word >= d->read_base && word < d->read_base + words_read(d)) {
        tv_max78000_sim_fault(s, TV_M78_FAULT_OVERLAP, layer);
        return false;
    }
    s->quadrant[instance / 4].data[instance % 4][word] = (value & mask) | (UNDEFINED & ~mask);
    return true;
}

// Pooled and combined input of the enabled processors of some quadrants, processors next to each
// other; returns how many there are, 0 if that is too much.
static uint32_t gather(tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t quadrants) {
    uint32_t count = 0, at = 0;
    for (uint32_t p = 0; p < TV_M78_PROCESSORS; p++) {
        count += quadrants >> p / 16 & 1 && d->enabled[p / 16] >> p % 16 & 1;
    }
    if ((uint64_t)d->hp * d->wp * d->in_passes * count > sizeof(s->input)) {
        return 0;
    }
    for (uint32_t p = 0; p < TV_M78_PROCESSORS; p++) {
        if (!(quadrants >> p / 16 & 1 && d->enabled[p / 16] >> p % 16 & 1)) {
            continue;
        }
        const uint32_t *data = s->quadrant[p / 16].data[p % 16 / 4];
        for (uint32_t y = 0; y < d->hp; y++) {
            for (uint32_t x = 0; x < d->wp; x++) {
                for (uint32_t e = 0; e < d->in_passes; e++) {
                    s->input[((y * d->wp + x) * d->in_passes + e) * count + at] = input(data, d, p % 4, y, x, e);
                }
            }
        }
        at++;
    }
    return count;
}

// The weight at `tap` of a kernel; `at` counts bits of kernel bytes.
static int8_t weight(const uint8_t (*words)[9], const tv_max78000_step_t *d, uint32_t at, uint32_t tap) {
    uint32_t index = at / 8;
    uint32_t byte = d->kernel == 3 ? words[index][tap] : words[index / 9][8 - index % 9];
    uint32_t value = byte >> at % 8 << (8 - d->bits) & 0xff; // the sign is in bit 7
    return (int8_t)((int32_t)(int8_t)value >> (8 - d->bits));
}

// The kernels of output `index`, in the order of the input: tap, pass, processor.
static void load_kernel(tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t index, uint32_t count) {
    uint32_t at = 0, taps = d->kernel * d->kernel;
    for (uint32_t p = 0; p < TV_M78_PROCESSORS; p++) {
        if (!(d->sources >> p / 16 & 1 && d->enabled[p / 16] >> p % 16 & 1)) {
            continue;
        }
        for (uint32_t e = 0; e < d->in_passes; e++) {
            uint32_t bit = d->first_kernel + (index * d->in_passes + e) * d->bits;
            for (uint32_t tap = 0; tap < taps; tap++) {
                s->kernel[(tap * d->in_passes + e) * count + at] =
                    weight((const uint8_t (*)[9])s->quadrant[p / 16].weights[p % 16], d, bit, tap);
            }
        }
        at++;
    }
}

static int32_t convolve(const tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t y, uint32_t x, uint32_t count) {
    uint32_t run = d->in_passes * count;
    int32_t sum = 0;
    for (uint32_t i = 0; i < d->kernel; i++) {
        uint32_t row = y + i - d->pad; // huge where it is above the map
        for (uint32_t j = 0; j < d->kernel; j++) {
            uint32_t column = x + j - d->pad;
            if (row >= d->hp || column >= d->wp) {
                continue;
            }
            const int8_t *in = s->input + (row * d->wp + column) * run;
            const int8_t *w = s->kernel + (i * d->kernel + j) * run;
            for (uint32_t k = 0; k < run; k++) {
                sum += in[k] * w[k];
            }
        }
    }
    return sum;
}

static uint32_t finish(const tv_max78000_step_t *d, int64_t sum) {
    if (d->wide) {
        return (uint32_t)sum;
    }
    int32_t right = 7 + 16 - (int32_t)d->left;
    int32_t value = clip(right > 0 ? (sum + ((int64_t)1 << (right - 1))) >> right : sum * ((int64_t)1 << -right));
    if (d->abs) {
        value = value < 0 ? clip(-value) : value;
    } else if (d->relu && value < 0) {
        value = 0;
    }
    return (uint32_t)value & 0xff;
}

static bool run_conv(tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t first, uint32_t group, uint32_t layer) {
    uint32_t count = gather(s, d, d->sources);
    uint32_t word = d->write_base[first];
    if (count == 0 || count * d->in_passes * d->kernel * d->kernel > sizeof(s->kernel)) {
        tv_max78000_sim_fault(s, TV_M78_FAULT_REGISTERS, layer);
        return false;
    }
    for (uint32_t index = 0; index < d->outputs; index++) {
        uint32_t pass = index / d->places, place = index % d->places;
        int64_t bias = 0;
        load_kernel(s, d, index, count);
        if (d->bias_quadrant < TV_M78_QUADRANTS) {
            bias = (int8_t)s->quadrant[d->bias_quadrant].bias[(d->bias_start + index) % TV_M78_BIASES] * 128;
        }
        for (uint32_t pixel = 0; pixel < d->ho * d->wo; pixel++) {
            uint32_t value = finish(d, convolve(s, d, pixel / d->wo, pixel % d->wo, count) + bias);
            uint32_t to = word + place / 4 * d->instance_step + pixel * d->pixel_step + pass * d->pass_step;
            uint32_t lane = place % 4, mask = UINT32_MAX;
            if (d->wide) {
                to += lane;
            } else { // lanes of the same word that were written before stay, later ones come
                uint32_t instance = to / TV_M78_DATA_WORDS;
                if (lane > 0 && instance < 16) {
                    value = value << 8 * lane
                        | (s->quadrant[instance / 4].data[instance % 4][to % TV_M78_DATA_WORDS] & ((1u << 8 * lane) - 1));
                }
                mask >>= 8 * (3 - lane);
            }
            if (!store(s, d, group, to, mask, value, layer)) {
                return false;
            }
        }
    }
    return true;
}

static bool run_pass(tv_max78000_sim_t *s, const tv_max78000_step_t *d, uint32_t group, uint32_t layer) {
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        uint32_t enabled = d->enabled[q], start = 0, places = 0;
        if (!(group >> q & 1) || enabled == 0) {
            continue;
        }
        while (!(enabled >> start & 15)) {
            start += 4;
        }
        while (enabled >> (start + places)) {
            places++;
        }
        uint32_t count = gather(s, d, 1u << q);
        if (count == 0 || places > 4 * d->time_slots) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_REGISTERS, layer);
            return false;
        }
        for (uint32_t i = 0; i < d->hp * d->wp * d->in_passes; i++) {
            uint32_t pixel = i / d->in_passes, pass = i % d->in_passes, at = 0;
            for (uint32_t slot = 0; slot < (places + 3) / 4; slot++) {
                uint32_t value = 0, mask = 0;
                for (uint32_t lane = 0; lane < 4; lane++) {
                    if (enabled >> (start + 4 * slot + lane) & 1) {
                        value |= (uint32_t)(uint8_t)s->input[i * count + at++] << 8 * lane;
                        mask |= 0xffu << 8 * lane;
                    }
                }
                uint32_t to = d->write_base[q] + slot * d->instance_step + pixel * d->pixel_step + pass * d->pass_step;
                if (!store(s, d, group, to, mask, value, layer)) {
                    return false;
                }
            }
        }
    }
    return true;
}

bool tv_max78000_sim_run(tv_max78000_sim_t *s, uint32_t first, uint32_t group) {
    tv_max78000_step_t steps[2];
    uint32_t last = s->quadrant[first].last_layer;
    s->cycles = 1;
    for (uint32_t layer = 0; layer <= last; layer++) {
        tv_max78000_step_t *d = &steps[layer % 2];
        if (!tv_max78000_sim_decode(s, first, group, layer, d)) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_REGISTERS, layer);
            return false;
        }
        if (words_read(d) == 0) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_MEMORY, layer);
            return false;
        }
        if (!(d->conv ? run_conv(s, d, first, group, layer) : run_pass(s, d, group, layer))) {
            return false;
        }
        s->layer_cycles[layer] = tv_max78000_sim_cycles(d, layer ? &steps[(layer + 1) % 2] : NULL);
        s->cycles += s->layer_cycles[layer];
    }
    return true;
}
