// SPDX-License-Identifier: MIT
// A played camera interface for boards/MAX78000FTHR/pcif.c, compiled with REG(a) = *played(a). Time
// goes by one tick an access; the sensor sends a word every `period` ticks, `words` of them.

#include <stdint.h>

#define FIFO_WORDS (8)
enum { CTRL = 0x4000e008, INT_FL = 0x4000e010, FIFO = 0x4000e030 };

static uint32_t slot, ticks, period, words, sent, taken, full, stall_at, stall, ctrl;

void play(uint32_t period_, uint32_t words_, uint32_t stall_at_, uint32_t stall_) {
    ticks = sent = taken = full = 0;
    period = period_, words = words_, stall_at = stall_at_, stall = stall_;
}

uint32_t last_ctrl(void) {
    return ctrl;
}

uint32_t clock_ms(void) {
    return ++ticks / 100;
}

static void go_on(void) {
    ticks += 1 + (taken == stall_at ? stall : 0); // an interrupt
    stall_at = taken == stall_at ? UINT32_MAX : stall_at;
    while (sent < words && (sent + 1) * period <= ticks) {
        full |= sent - taken == FIFO_WORDS - 1; // and what comes when it is full is lost
        taken += sent - taken == FIFO_WORDS;
        sent++;
    }
}

volatile uint32_t *played(uint32_t address) {
    static uint32_t last;
    ctrl = last == CTRL ? slot : ctrl;
    last = address;
    go_on();
    switch (address) {
        case INT_FL:
            slot = (sent > taken ? 8 : 0) | (full ? 2 : 0);
            break;
        case FIFO:
            slot = sent > taken ? 0x04030201 + 0x01010101 * (taken++ & 31) : 0xdeadbeef;
            break;
        default:
            slot = 0;
    }
    return &slot;
}
