// SPDX-License-Identifier: MIT
//
// The simulator's memories, power and clocks. What a run computes is in tv_max78000_sim_layer.c.

#include <string.h>

#include "tv_max78000_sim.h"

#define SIMO_VREGO_C (0x4000440c)
#define CTRL_RESET (3u << 1)     // wait states
#define AOD_RESET (3)
#define POLLS (3)                // done after so many reads of CTRL

void tv_max78000_sim_fault(tv_max78000_sim_t *s, tv_max78000_fault_t fault, uint32_t address) {
    if (s->fault == TV_M78_FAULT_NONE) {
        s->fault = fault;
        s->fault_address = address;
    }
    s->faults++;
}

const char *tv_max78000_sim_strfault(tv_max78000_fault_t fault) {
    switch (fault) {
        case TV_M78_FAULT_NONE:
            return "no fault";
        case TV_M78_FAULT_ADDRESS:
            return "there is nothing at this address";
        case TV_M78_FAULT_POWER:
            return "a quadrant was accessed without power or clock";
        case TV_M78_FAULT_PACKED:
            return "a packed stream of weights was not begun or is not in order";
        case TV_M78_FAULT_BUSY:
            return "a memory was accessed while a network ran";
        case TV_M78_FAULT_START:
            return "a quadrant was started without a clock or without a leader";
        case TV_M78_FAULT_REGISTERS:
            return "registers of a layer contradict each other or are not modelled";
        case TV_M78_FAULT_MEMORY:
            return "a layer reads or writes outside a memory";
        case TV_M78_FAULT_OVERLAP:
            return "a layer writes over what it reads";
        default:
            return "unknown fault";
    }
}

static void fill(tv_max78000_sim_t *s, void *memory, size_t size) {
    uint8_t *p = memory;
    for (size_t i = 0; i < size; i++) {
        s->noise ^= s->noise << 13;
        s->noise ^= s->noise >> 17;
        s->noise ^= s->noise << 5;
        p[i] = (uint8_t)(s->noise >> 24);
    }
}

// What a quadrant loses with its power.
static void forget(tv_max78000_sim_t *s, tv_max78000_quadrant_t *q, bool weights) {
    if (weights) {
        fill(s, q->weights, sizeof(q->weights));
    }
    fill(s, q->layer, sizeof(q->layer));
    fill(s, q->bias, sizeof(q->bias));
    fill(s, q->data, sizeof(q->data));
    q->last_layer = q->layer[0][0] & 31;
}

static void reset(tv_max78000_quadrant_t *q) {
    q->ctrl = CTRL_RESET;
    q->sram = q->test = 0;
    memset(q->next, 0, sizeof(q->next));
}

void tv_max78000_sim_init(tv_max78000_sim_t *s, uint32_t noise) {
    memset(s, 0, sizeof(*s));
    s->noise = noise ? noise : 1;
    s->gates = TV_M78_PCLKDIS0_CNN;
    s->aod = AOD_RESET;
    s->power[2] = 0xf;
    for (uint32_t i = 0; i < TV_M78_QUADRANTS; i++) {
        forget(s, &s->quadrant[i], true);
        reset(&s->quadrant[i]);
    }
}

static void set_power(tv_max78000_sim_t *s, uint32_t index, uint32_t value) {
    if (index < 2 && s->jam & TV_M78_JAM_POWER) {
        return;
    }
    uint32_t fell = s->power[index] & ~value, rose = value & ~s->power[index];
    s->power[index] = value & 0xf;
    for (uint32_t i = 0; i < TV_M78_QUADRANTS; i++) {
        if (index < 2 && fell >> i & 1) {
            forget(s, &s->quadrant[i], index == 1 || s->jam & TV_M78_JAM_FORGET);
        }
        if (index == 3 && rose >> i & 1) {
            reset(&s->quadrant[i]);
            s->group &= ~(1u << i);
        }
    }
}

static bool alive(const tv_max78000_sim_t *s, uint32_t quadrant) {
    uint32_t on = s->power[0] & s->power[1] & ~s->power[2] & ~s->power[3];
    return on >> quadrant & 1 && !(s->gates & TV_M78_PCLKDIS0_CNN);
}

static bool weights_alive(const tv_max78000_sim_t *s, uint32_t quadrant) {
    return !((s->aod >> 8 | s->aod >> 12) >> quadrant & 1);
}

// The rising enable bit of a quadrant that follows nobody starts it and those that follow it.
static void start(tv_max78000_sim_t *s, uint32_t first) {
    uint32_t group = 0;
    for (uint32_t i = 0; i < TV_M78_QUADRANTS; i++) {
        uint32_t ctrl = s->quadrant[i].ctrl;
        bool follows = ctrl & TV_M78_CTRL_FOLLOW && (ctrl >> TV_M78_CTRL_FOLLOW_SHIFT & 3) == first;
        if (i != first && !(follows && alive(s, i) && ctrl & TV_M78_CTRL_ENABLE)) {
            continue;
        }
        if (!(ctrl & TV_M78_CTRL_CLOCK) || s->quadrant[i].sram != TV_M78_SRAM_VALUE
            || !weights_alive(s, i) || s->quadrant[i].last_layer != s->quadrant[first].last_layer) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_START, TV_M78_QUADRANT(i));
            return;
        }
        group |= 1u << i;
    }
    s->group = group;
    s->polls = s->jam & TV_M78_JAM_LATE ? 1000 : POLLS;
    if (!tv_max78000_sim_run(s, first, group) || s->jam & TV_M78_JAM_DONE) {
        s->polls = UINT32_MAX;
    }
}

static uint32_t read_ctrl(tv_max78000_sim_t *s, uint32_t quadrant) {
    if (s->group >> quadrant & 1 && s->polls != UINT32_MAX && --s->polls == 0) {
        for (uint32_t i = 0; i < TV_M78_QUADRANTS; i++) {
            if (s->group >> i & 1) {
                s->quadrant[i].ctrl |= TV_M78_CTRL_DONE;
            }
        }
        s->group = 0;
        s->runs++;
    }
    return s->quadrant[quadrant].ctrl | (s->jam & TV_M78_JAM_STUCK ? TV_M78_CTRL_DONE : 0);
}

static void write_ctrl(tv_max78000_sim_t *s, uint32_t quadrant, uint32_t value) {
    tv_max78000_quadrant_t *q = &s->quadrant[quadrant];
    bool rises = value & TV_M78_CTRL_ENABLE && !(q->ctrl & TV_M78_CTRL_ENABLE);
    q->ctrl = value;
    if (rises && !(value & TV_M78_CTRL_FOLLOW)) {
        start(s, quadrant);
    }
    if (!(value & TV_M78_CTRL_ENABLE)) {
        s->group &= ~(1u << quadrant); // stopped
    }
}

static void write_test(tv_max78000_quadrant_t *q, uint32_t value) {
    static const uint32_t done[4][2] = {
        { TV_M78_TEST_DATA, 1u << 22 }, { TV_M78_TEST_WEIGHTS, 1u << 23 },
        { TV_M78_TEST_TRAM, 1u << 24 }, { TV_M78_TEST_BIAS, 1u << 25 },
    };
    q->test = value & 0xff;
    for (uint32_t i = 0; i < 4; i++) {
        q->test |= value & done[i][0] ? done[i][1] | 1u << 28 : 0;
    }
    if (value & TV_M78_TEST_DATA) {
        memset(q->data, 0, sizeof(q->data));
    }
    if (value & TV_M78_TEST_WEIGHTS) {
        memset(q->weights, 0, sizeof(q->weights));
    }
    if (value & TV_M78_TEST_BIAS) {
        memset(q->bias, 0, sizeof(q->bias));
    }
}

static bool write_packed(tv_max78000_quadrant_t *q, uint32_t r, uint32_t offset, uint32_t value) {
    if (offset % 4) { // begin at a word
        uint32_t word = offset / 4;
        if (offset % 4 != 1 || value != 1 || word >= TV_M78_WORDS) {
            return false;
        }
        q->next[r] = offset; // that of the next store + 1
        q->word[r] = (uint16_t)word;
        q->filled[r] = 0;
        return true;
    }
    if (q->next[r] == 0 || offset != q->next[r] - 1 || q->word[r] >= TV_M78_WORDS) {
        return false;
    }
    q->next[r] += 4;
    for (int shift = 24; shift >= 0; shift -= 8) {
        q->bytes[r][q->filled[r]++] = (uint8_t)(value >> shift);
        if (q->filled[r] == 9) {
            q->filled[r] = 0;
            if (q->word[r] >= TV_M78_WORDS) {
                return false;
            }
            memcpy(q->weights[r][q->word[r]++], q->bytes[r], 9);
        }
    }
    return true;
}

static bool write_weights(tv_max78000_quadrant_t *q, uint32_t r, uint32_t offset, uint32_t value) {
    if (q->ctrl & TV_M78_CTRL_PACKED) {
        return write_packed(q, r, offset, value);
    }
    uint32_t word = offset / 16, part = offset / 4 % 4;
    if (offset % 4 || word >= TV_M78_WORDS) {
        return false;
    }
    if (part < 3) {
        q->slot[r][part] = value;
        return true;
    }
    uint8_t *to = q->weights[r][word];
    to[0] = (uint8_t)q->slot[r][0];
    for (int i = 0; i < 8; i++) {
        to[1 + i] = (uint8_t)(q->slot[r][1 + i / 4] >> (24 - 8 * (i % 4)));
    }
    return true;
}

static uint32_t read_weights(const tv_max78000_quadrant_t *q, uint32_t r, uint32_t offset) {
    const uint8_t *b = q->weights[r][offset / 16];
    uint32_t part = offset / 4 % 4;
    if (part == 0 || part == 3) {
        return part ? 0 : b[0];
    }
    b += 4 * part - 3;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

// One access inside a living quadrant; false: there is nothing. *value: read into or written.
static bool access(tv_max78000_sim_t *s, uint32_t quadrant, uint32_t offset, uint32_t *value, bool write) {
    tv_max78000_quadrant_t *q = &s->quadrant[quadrant];
    uint32_t *reg = NULL;
    if (offset >= TV_M78_WEIGHTS && offset < TV_M78_WEIGHTS + 16 * TV_M78_WEIGHTS_STEP) {
        uint32_t at = offset - TV_M78_WEIGHTS, r = at / TV_M78_WEIGHTS_STEP;
        at %= TV_M78_WEIGHTS_STEP;
        if (!weights_alive(s, quadrant)) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_POWER, TV_M78_QUADRANT(quadrant) + offset);
            return true;
        }
        if (write) {
            if (!write_weights(q, r, at, *value)) {
                tv_max78000_sim_fault(s, TV_M78_FAULT_PACKED, TV_M78_QUADRANT(quadrant) + offset);
            }
            return true;
        }
        *value = at / 16 < TV_M78_WORDS ? read_weights(q, r, at) : 0;
        return at / 16 < TV_M78_WORDS;
    }
    if (offset % 4) {
        return false;
    }
    if (offset == TV_M78_CTRL || offset == TV_M78_TEST) {
        if (!write) {
            *value = offset == TV_M78_CTRL ? read_ctrl(s, quadrant) : q->test;
        } else if (offset == TV_M78_CTRL) {
            write_ctrl(s, quadrant, *value);
        } else {
            write_test(q, *value);
        }
        return true;
    }
    if (offset == TV_M78_SRAM) {
        reg = &q->sram;
    } else if (offset == TV_M78_LCNT_MAX) {
        reg = &q->last_layer;
        *value &= write ? 31 : UINT32_MAX;
    } else if (offset >= TV_M78_LAYER && offset < TV_M78_LAYER_END) {
        reg = &q->layer[(offset - TV_M78_LAYER) / 0x80][(offset - TV_M78_LAYER) % 0x80 / 4];
    } else if (offset >= TV_M78_DATA && offset < TV_M78_DATA + 4 * TV_M78_DATA_STEP) {
        reg = &q->data[(offset - TV_M78_DATA) / TV_M78_DATA_STEP][offset % TV_M78_DATA_STEP / 4];
    } else if (offset >= TV_M78_BIAS && offset < TV_M78_BIAS + 4 * TV_M78_BIASES) {
        uint8_t *bias = &q->bias[(offset - TV_M78_BIAS) / 4];
        *bias = write ? (uint8_t)*value : *bias;
        *value = *bias;
        return true;
    } else {
        return false;
    }
    if (write) {
        *reg = *value;
    } else {
        *value = *reg;
    }
    return true;
}

static uint32_t bus(tv_max78000_sim_t *s, uint32_t address, uint32_t value, bool write) {
    uint32_t *reg = NULL;
    if (address >= TV_M78_QUADRANT(0) && address < TV_M78_QUADRANT(4)) {
        uint32_t quadrant = (address - TV_M78_QUADRANT(0)) / 0x400000, offset = (address - TV_M78_QUADRANT(0)) % 0x400000;
        if (!alive(s, quadrant)) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_POWER, address);
            return 0;
        }
        if (s->group && offset >= TV_M78_BIAS) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_BUSY, address);
            return 0;
        }
        if (!access(s, quadrant, offset, &value, write)) {
            tv_max78000_sim_fault(s, TV_M78_FAULT_ADDRESS, address);
            return 0;
        }
        return value;
    }
    if (address >= TV_M78_POWER && address <= TV_M78_RESET && address % 4 == 0) {
        uint32_t index = (address - TV_M78_POWER) / 4;
        if (write) {
            set_power(s, index, value);
        }
        return s->power[index];
    }
    if (address == TV_M78_PCLKDIV) {
        reg = &s->clock;
    } else if (address == TV_M78_PCLKDIS0) {
        reg = &s->gates;
    } else if (address == TV_M78_AOD_CTRL) {
        reg = &s->aod;
    } else if (address == SIMO_VREGO_C) {
        return 0; // the core's supply: a board's business
    } else {
        tv_max78000_sim_fault(s, TV_M78_FAULT_ADDRESS, address);
        return 0;
    }
    if (address == TV_M78_AOD_CTRL && s->gates & TV_M78_PCLKDIS0_CNN) {
        tv_max78000_sim_fault(s, TV_M78_FAULT_POWER, address);
        return 0;
    }
    *reg = write ? value : *reg;
    return *reg;
}

uint32_t tv_max78000_sim_read(tv_max78000_sim_t *s, uint32_t address) {
    return bus(s, address, 0, false);
}

void tv_max78000_sim_write(tv_max78000_sim_t *s, uint32_t address, uint32_t value) {
    bus(s, address, value, true);
}
