// SPDX-License-Identifier: MIT
//
// From the registers of a layer to what they ask for, and to how long that takes.

#include <string.h>

#include "tv_max78000_sim_step.h"

// All registers say the same in all quadrants, except for some bits. Those for streaming are 0.
static bool agree(const tv_max78000_sim_t *s, uint32_t first, uint32_t group, uint32_t layer, bool conv) {
    for (uint32_t r = 0; r < TV_M78_REGISTERS; r += r == TV_M78_FBUF ? 2 : 1) {
        uint32_t own = r == TV_M78_EN || (r == TV_M78_WPTR_BASE && !conv) ? UINT32_MAX
            : r == TV_M78_LCTRL0 ? 0xf000 : r == TV_M78_POST ? 0x1fff : 0;
        for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
            uint32_t other = s->quadrant[q].layer[r][layer] ^ s->quadrant[first].layer[r][layer];
            if (group >> q & 1 && (other & ~own || (r >= TV_M78_STRM0 && r <= TV_M78_FBUF
                && s->quadrant[q].layer[r][layer] != 0))) {
                return false;
            }
        }
    }
    return true;
}

static bool decode_sources(const tv_max78000_sim_t *s, uint32_t first, uint32_t group, uint32_t layer,
    tv_max78000_step_t *d) {
    uint32_t link = s->quadrant[first].layer[TV_M78_LCTRL0][layer] >> 12 & 15;
    d->sources = 1u << first | link;
    d->bias_quadrant = TV_M78_QUADRANTS;
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        if (!(group >> q & 1)) {
            continue;
        }
        uint32_t en = s->quadrant[q].layer[TV_M78_EN][layer];
        uint32_t post = s->quadrant[q].layer[TV_M78_POST][layer];
        d->enabled[q] = en & 0xffff;
        d->write_base[q] = s->quadrant[q].layer[TV_M78_WPTR_BASE][layer] & 0x1ffff;
        if (en >> 16 != (d->conv ? d->enabled[q] : 0)) {
            return false;
        }
        if (post >> 12 & 1 && d->sources >> q & 1) {
            if (!d->conv || d->bias_quadrant != TV_M78_QUADRANTS) {
                return false; // two quadrants cannot add biases
            }
            d->bias_quadrant = q;
            d->bias_start = post & 0xfff;
        }
    }
    return d->conv ? !(d->sources & ~group) : !link;
}

static bool decode_size(const uint32_t *reg, tv_max78000_step_t *d) {
    uint32_t twice = 2 * (reg[TV_M78_RCNT] >> 16 & 3);
    d->pad = twice / 2;
    d->h = (reg[TV_M78_RCNT] & 0x3ff) + 1;
    d->w = (reg[TV_M78_CCNT] & 0x3ff) + 1;
    d->pool_h = (reg[TV_M78_PRCNT] & 15) + 1;
    d->pool_w = (reg[TV_M78_PCCNT] & 15) + 1;
    d->stride = (reg[TV_M78_STRIDE] & 15) + 1;
    if ((reg[TV_M78_CCNT] ^ reg[TV_M78_RCNT]) >> 16 || d->h <= twice || d->w <= twice
        || d->pools != (d->pool_h > 1 || d->pool_w > 1)) {
        return false;
    }
    d->h -= twice;
    d->w -= twice;
    if (d->pool_h > d->h || d->pool_w > d->w || d->pad >= d->kernel) {
        return false;
    }
    d->hp = (d->h - d->pool_h) / d->stride + 1;
    d->wp = (d->w - d->pool_w) / d->stride + 1;
    d->ho = d->hp + twice + 1 - d->kernel;
    d->wo = d->wp + twice + 1 - d->kernel;
    // a 3x3 window needs three rows; a map of 1x1 may wrap around below 0
    return d->hp + twice >= d->kernel && d->wp + twice >= d->kernel;
}

// The line buffer's pointer has one right value.
static uint32_t line_buffer(const tv_max78000_step_t *d) {
    if (d->flat) {
        return (d->in_passes - 1) << 16 | (2 * (d->in_passes - 1) + 1);
    }
    return d->kernel == 3 ? d->wp + 2 * d->pad - 3 : 0;
}

static bool decode_writes(const uint32_t *reg, tv_max78000_step_t *d) {
    uint32_t step = (reg[TV_M78_LCTRL1] >> 4 & 15) + 1, choff = reg[TV_M78_WPTR_CHOFF];
    uint32_t start = reg[TV_M78_MCNT] >> 16, last = reg[TV_M78_MCNT] & 0xffff;
    d->instance_step = reg[TV_M78_WPTR_MOFF];
    d->pass_step = choff;
    if (!d->conv) {
        d->out_passes = last / 8 + 1;
        d->instance_step = reg[TV_M78_WPTR_TOFF];
        d->pixel_step = step * d->out_passes;
        d->pass_step = step;
        uint32_t processors = 0;
        for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
            for (uint32_t p = 0; p < 16; p++) {
                processors += d->enabled[q] >> p & 1;
            }
        }
        return start == 0 && last % 8 == 0 && reg[TV_M78_WPTR_MOFF] == 0
               && choff == (d->out_passes > 1 ? step : 0) && d->out_passes == d->in_passes
               && !(d->operands > 1 && d->in_passes > 1)
               && d->instance_step == (processors > 4 ? 0x2000u : 0x800u);
    }
    uint32_t unit = d->wide ? 4 : 1;
    d->pixel_step = step * unit;
    d->out_passes = choff ? d->pixel_step / choff : 1;
    d->places = (reg[TV_M78_LCTRL1] >> 8 & 0x1ff) / d->bits + 1;
    d->first_kernel = start;
    d->kernels = (last - start) / d->bits + 1;
    d->outputs = d->kernels / d->in_passes;
    uint32_t end = (start + d->kernels * d->bits + 7) / 8;
    return (choff == 0 || (d->out_passes * choff == d->pixel_step && d->out_passes > 1))
           && last >= start && start % 8 == 0 && d->instance_step == 0x2000
           && d->places <= TV_M78_PROCESSORS && d->kernels % d->in_passes == 0
           && d->outputs <= d->places * d->out_passes && d->outputs > d->places * (d->out_passes - 1)
           && end <= TV_M78_WORDS * (d->kernel == 3 ? 1u : 9u)
           && reg[TV_M78_WPTR_TOFF] == (d->kernel == 1);
}

bool tv_max78000_sim_decode(const tv_max78000_sim_t *s, uint32_t first, uint32_t group,
    uint32_t layer, tv_max78000_step_t *d) {
    uint32_t reg[TV_M78_REGISTERS];
    for (uint32_t r = 0; r < TV_M78_REGISTERS; r++) {
        reg[r] = s->quadrant[first].layer[r][layer];
    }
    uint32_t oned = reg[TV_M78_ONED], lctrl0 = reg[TV_M78_LCTRL0], post = reg[TV_M78_POST];
    memset(d, 0, sizeof(*d));
    d->conv = !(post >> 24 & 1);
    d->operands = oned >> 13 & 1 ? (oned >> 18 & 15) + 1 : 1;
    d->function = oned >> 14 & 3;
    d->kernel = d->conv && (oned >> 8 & 15) == 0 ? 3 : 1;
    d->time_slots = (oned & 15) + 1;
    d->chw = lctrl0 >> 6 & 1;
    d->pools = lctrl0 >> 7 & 1;
    d->maximum = lctrl0 >> 8 & 1;
    d->relu = lctrl0 >> 9 & 1;
    d->wide = lctrl0 >> 16 & 1;
    d->abs = post >> 26 & 1;
    d->round = s->quadrant[first].ctrl & TV_M78_CTRL_ROUND;
    d->pool_first = oned >> 16 & 1 || !d->pools;
    d->bits = (uint32_t)((const uint8_t[]) { 8, 1, 2, 4 })[post >> 22 & 3];
    d->left = post >> 17 & 1 ? 16 - (post >> 13 & 15) : 16 + (post >> 13 & 15);
    d->read_base = reg[TV_M78_RPTR_BASE];
    d->in_passes = (reg[TV_M78_LCTRL1] & 15) + 1;
    if (post >> 27 & 1) {
        d->in_passes += 16 * (post >> 18 & 15);
        d->flat = true;
    }
    bool combines = oned >> 13 & 1;
    if (!agree(s, first, group, layer, d->conv) || !decode_size(reg, d)
        || !decode_sources(s, first, group, layer, d) || !decode_writes(reg, d)) {
        return false;
    }
    if ((lctrl0 & 0x43f) != 0x20 || !(lctrl0 >> 11 & 1) || lctrl0 >> 17 || post >> 28 // not modelled
        || (oned & 0x10f0) || ((oned >> 8 & 15) != 0) != (d->kernel == 1 && (d->conv || !combines))
        || (combines ? d->operands < 2 || (oned >> 17 & 1) != d->conv : oned >> 14 != 0)
        || (!d->conv && ((post >> 25 & 1) == combines || post & 0x04ffffff & ~(1u << 24) || d->relu || d->wide))
        || (d->conv && post >> 25 & 1)
        || (d->conv && d->time_slots != 1)
        || (d->wide && (d->relu || d->abs || layer != s->quadrant[first].last_layer))
        || (d->flat && (!d->conv || d->kernel != 1 || d->h != 1 || d->w != 1 || d->operands > 1))
        || (!d->flat && post >> 18 & 15)
        || (d->chw && (layer != 0 || d->in_passes > 1 || d->operands > 1))
        || reg[TV_M78_TPTR] != line_buffer(d)
        || d->read_base >= TV_M78_DATA_WORDS) {
        return false;
    }
    return true;
}

uint32_t tv_max78000_sim_cycles(const tv_max78000_step_t *d, const tv_max78000_step_t *before) {
    uint64_t passes = d->in_passes, n = d->operands, pad = d->pad;
    if (!d->conv && d->out_passes > 1 && d->pools) {
        passes = 2 * passes - 1;
    }
    // costs of a padded and of a real position of the input
    uint64_t window = (uint64_t)d->pool_h * d->pool_w, times = 1, extra = 0;
    uint64_t padded = 2 * passes * n, real = passes * n * (window + 1);
    if (n > 1 && !d->pool_first) {
        times = passes;
        padded = 2 * passes;
        real = passes * (n * window + 1);
        extra = (d->ho * pad + d->wo * pad - pad * pad) * (d->first_kernel / 8);
    }
    if (!d->conv) {
        return (uint32_t)(d->hp * d->wp * (real + passes * d->time_slots));
    }
    uint64_t inner = d->kernel - 1 - pad, outer = d->wo - pad;
    uint64_t margin = pad * (padded + 1);
    uint64_t top = 2 * margin + times * d->wp * (padded + 1);
    uint64_t warm = 2 * margin + times * d->wp * (real + 1);
    uint64_t row = margin + times * (inner * (real + 1) + outer * real) + pad * padded;
    uint64_t bottom = margin + times * (inner * (padded + 1) + outer * padded) + pad * padded;
    uint64_t out = passes * d->wo * d->outputs;
    if (d->outputs == 1 && passes == 1) {
        out += 1;
    } else if (d->outputs == 1 && before && before->out_passes == 1 && d->hp == 1 && d->wp == 1
               && before->ho * before->wo == passes) {
        out += before->ho; // a single output of a flattened layer: one a row of what it reads
    }
    // wo - pad and hp - inner may be negative for tiny maps; the sum is right modulo 2**64
    return (uint32_t)(extra + pad * top + inner * warm + (row + out) * (d->hp - inner)
        + pad * (bottom + out) + d->flat);
}
