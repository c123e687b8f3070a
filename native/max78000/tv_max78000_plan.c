// SPDX-License-Identifier: MIT
//
// Opening a plan: every value that later becomes an address is checked here.

#include <string.h>

#include "tv.h"
#include "tv_format.h"
#include "tv_max78000_core.h"

static uint64_t u64(const uint8_t *p) {
    return tv_u32(p) | (uint64_t)tv_u32(p + 4) << 32;
}

static uint32_t count_bits(uint64_t mask) {
    uint32_t count = 0;
    for (; mask; mask &= mask - 1) {
        count++;
    }
    return count;
}

static uint64_t in_quadrants(uint8_t quadrants) {
    uint64_t mask = 0;
    for (uint32_t q = 0; q < TV_M78_QUADRANTS; q++) {
        mask |= quadrants >> q & 1 ? UINT64_C(0xffff) << 16 * q : 0;
    }
    return mask;
}

// All registers of all layers, in all quadrants, and nothing else.
static int check_registers(const tv_max78000_plan_t *plan) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->register_count; i++) {
        const uint8_t *p = plan->registers + i * TV_M78_PLAN_REGISTER;
        uint32_t offset = tv_u16(p), layer = (offset - TV_M78_LAYER) % 0x80 / 4;
        if (offset < TV_M78_LAYER || offset >= TV_M78_LAYER_END || offset % 4 || layer >= plan->layers
            || (offset - TV_M78_LAYER) / 0x80 == 19 || p[2] == 0 || p[2] & ~plan->quadrants || p[3]) {
            return TV_MAX78000_ERR_REGISTERS;
        }
        found += count_bits(p[2]);
    }
    uint32_t all = (TV_M78_REGISTERS - 1) * plan->layers * count_bits(plan->quadrants);
    return found == all ? TV_MAX78000_OK : TV_MAX78000_ERR_REGISTERS;
}

static int check_biases(const tv_max78000_plan_t *plan, uint32_t biases) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->bias_run_count; i++) {
        const uint8_t *p = plan->bias_runs + i * TV_M78_PLAN_RUN;
        if (p[0] >= TV_M78_QUADRANTS || !(plan->quadrants >> p[0] & 1) || p[1]
            || (uint32_t)tv_u16(p + 2) + tv_u16(p + 4) > TV_M78_BIASES) {
            return TV_MAX78000_ERR_BIAS;
        }
        found += tv_u16(p + 4);
    }
    return found == biases ? TV_MAX78000_OK : TV_MAX78000_ERR_BIAS;
}

static int check_blocks(const tv_max78000_plan_t *plan) {
    uint32_t size = 0;
    for (uint32_t i = 0; i < plan->block_count; i++) {
        const uint8_t *p = plan->blocks + i * TV_M78_PLAN_BLOCK;
        uint32_t words = tv_u16(p + 4);
        if (p[0] >= TV_M78_PROCESSORS || !(plan->quadrants >> p[0] / 16 & 1) || p[1] || words == 0
            || tv_u16(p + 2) + words > TV_M78_WORDS) {
            return TV_MAX78000_ERR_WEIGHTS;
        }
        size += tv_m78_block_bytes(words);
    }
    return size == plan->weights_size && (!plan->shared || size == 0) ? TV_MAX78000_OK : TV_MAX78000_ERR_WEIGHTS;
}

// Does a map of h x w x c lie in the data memories of its processors?
static bool fits(const tv_max78000_plan_t *plan, uint32_t h, uint32_t w, uint32_t c, uint32_t scale,
    uint32_t offset, uint64_t processors) {
    uint32_t passes, per_pass;
    if (h == 0 || w == 0 || c == 0 || c > 1024 || offset % 4 || processors & ~in_quadrants(plan->quadrants)) {
        return false;
    }
    tv_m78_spread(c, &passes, &per_pass);
    uint64_t words = (uint64_t)h * w * passes * scale;
    return count_bits(processors) == per_pass && offset / 4 + words <= TV_M78_DATA_WORDS;
}

static int check_maps(const tv_max78000_plan_t *plan) {
    uint32_t fold = plan->fold;
    if (fold == 0 || fold > 16 || plan->in_h % fold || plan->in_w % fold
        || !fits(plan, plan->in_h / fold, plan->in_w / fold, plan->in_c * fold * fold, 1,
            plan->in_offset, plan->in_processors)) {
        return TV_MAX78000_ERR_INPUT;
    }
    if ((plan->out_bytes != 1 && plan->out_bytes != 4)
        || !fits(plan, plan->out_h, plan->out_w, plan->out_c, plan->out_bytes,
            plan->out_offset, plan->out_processors)) {
        return TV_MAX78000_ERR_OUTPUT;
    }
    for (uint32_t c = 0; plan->out_bytes == 4 && c < plan->out_c; c++) {
        int32_t bias = tv_i32(plan->table + 4 * c), mult = tv_i32(plan->table + 4 * (plan->out_c + c));
        uint8_t shift = plan->table[8 * plan->out_c + c];
        if (bias < -(1 << 29) || bias > 1 << 29 || mult < 1 << 30 || shift < 1 || shift > 30) {
            return TV_MAX78000_ERR_QUANT;
        }
    }
    return TV_MAX78000_OK;
}

int tv_max78000_plan_open(tv_max78000_plan_t *plan, const void *data, size_t size) {
    const uint8_t *p = data;
    memset(plan, 0, sizeof(*plan));
    if (size == 0) {
        return TV_MAX78000_ERR_TRUNCATED;
    }
    if (memcmp(p, "TVMX", size < 4 ? size : 4) != 0) {
        return TV_MAX78000_ERR_MAGIC;
    }
    if (size < TV_M78_PLAN_HEADER) {
        return TV_MAX78000_ERR_TRUNCATED;
    }
    if (tv_u16(p + 4) != TV_M78_PLAN_VERSION) {
        return TV_MAX78000_ERR_VERSION;
    }
    uint32_t whole = tv_u32(p + 8), head = tv_u32(p + 24);
    plan->weights_size = tv_u32(p + 28);
    if (tv_u16(p + 6) != TV_M78_PLAN_HEADER || head < TV_M78_PLAN_HEADER || head > whole
        || whole - head != plan->weights_size) {
        return TV_MAX78000_ERR_HEADER;
    }
    if (size < head || (size > head && size < whole)) {
        return TV_MAX78000_ERR_TRUNCATED;
    }
    plan->weights_crc = tv_u32(p + 32);
    plan->weights = size >= whole ? p + head : NULL;
    if (tv_crc32(0, p + TV_M78_PLAN_CRC_START, head - TV_M78_PLAN_CRC_START) != tv_u32(p + 12)
        || (plan->weights && plan->weights_size && tv_crc32(0, plan->weights, plan->weights_size) != plan->weights_crc)) {
        return TV_MAX78000_ERR_CRC;
    }

    plan->crc = tv_u32(p + 12);
    plan->fingerprint = p + 16;
    plan->quadrants = p[36];
    plan->layers = p[37];
    plan->round = p[38] & TV_M78_FLAG_ROUND;
    plan->shared = p[38] & TV_M78_FLAG_SHARED;
    plan->fold = p[39];
    plan->cycles = tv_u32(p + 40);
    plan->register_count = tv_u16(p + 44);
    plan->bias_run_count = tv_u16(p + 46);
    plan->block_count = tv_u16(p + 48);
    uint32_t biases = tv_u16(p + 50);
    plan->in_h = tv_u16(p + 52);
    plan->in_w = tv_u16(p + 54);
    plan->in_c = tv_u16(p + 56);
    plan->in_offset = tv_u32(p + 60);
    plan->in_processors = u64(p + 64);
    plan->out_h = tv_u16(p + 72);
    plan->out_w = tv_u16(p + 74);
    plan->out_c = tv_u16(p + 76);
    plan->out_bytes = p[78];
    plan->out_zero_point = tv_i8(p + 79);
    plan->out_offset = tv_u32(p + 80);
    plan->out_processors = u64(p + 84);
    plan->test_seed = tv_u32(p + 92);
    plan->test_crc = tv_u32(p + 96);
    // Quadrant 0 leads the others.
    if (!(plan->quadrants & 1) || plan->quadrants >> TV_M78_QUADRANTS || plan->layers == 0
        || plan->layers > TV_M78_LAYERS || p[38] & ~(TV_M78_FLAG_ROUND | TV_M78_FLAG_SHARED)) {
        return TV_MAX78000_ERR_HEADER;
    }
    uint32_t channels = plan->out_bytes == 4 ? plan->out_c : 0;
    uint32_t need = TV_M78_PLAN_HEADER + TV_M78_PLAN_REGISTER * plan->register_count
        + TV_M78_PLAN_RUN * plan->bias_run_count + biases + TV_M78_PLAN_BLOCK * plan->block_count
        + TV_M78_PLAN_CHANNEL * channels;
    if (need != head) {
        return TV_MAX78000_ERR_HEADER;
    }
    plan->registers = p + TV_M78_PLAN_HEADER;
    plan->bias_runs = plan->registers + TV_M78_PLAN_REGISTER * plan->register_count;
    plan->biases = plan->bias_runs + TV_M78_PLAN_RUN * plan->bias_run_count;
    plan->blocks = plan->biases + biases;
    plan->table = plan->blocks + TV_M78_PLAN_BLOCK * plan->block_count;
    int err = check_registers(plan);
    err = err ? err : check_biases(plan, biases);
    err = err ? err : check_blocks(plan);
    return err ? err : check_maps(plan);
}
