// SPDX-License-Identifier: MIT
// Watchdog 0: resets the board if it is not stopped in a third of a second. Started around what may hang
// the bus, and only there.

#include "board.h"

#define WDT_CTRL        REG(0x40003000)
#define WDT_RST         REG(0x40003004)
#define WDT_CLKSEL      REG(0x40003008)

#define RESET_AFTER     (7u << 4) // 2**24 cycles of PCLK, 50 MHz
#define ENABLE          (1u << 8)
#define RESETS          (1u << 11)
#define HAS_RESET       (1u << 31)

static void sequence(uint32_t first, uint32_t second) {
    WDT_RST = first;
    WDT_RST = second;
}

void watchdog_start(void) {
    GCR_PCLKDIS1 &= ~(1u << 27); // its clock
    WDT_CLKSEL = 0;
    WDT_CTRL = RESET_AFTER | RESETS;
    sequence(0xa5, 0x5a); // count from 0
    sequence(0xfe, 0xed); // allow what follows
    WDT_CTRL = RESET_AFTER | RESETS | ENABLE;
}

void watchdog_stop(void) {
    sequence(0xa5, 0x5a);
    sequence(0xde, 0xad);
    WDT_CTRL = RESET_AFTER;
}

// Was it the reason of the last reset? Says so once.
bool watchdog_has_bitten(void) {
    GCR_PCLKDIS1 &= ~(1u << 27);
    bool bitten = WDT_CTRL & HAS_RESET;
    watchdog_stop();
    return bitten;
}
