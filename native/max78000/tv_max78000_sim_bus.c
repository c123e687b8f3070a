// SPDX-License-Identifier: MIT
//
// The driver's bus with the simulator behind it: `bus` is a tv_max78000_sim_t.

#include "tv_max78000_bus.h"
#include "tv_max78000_sim.h"

uint32_t tv_max78000_read32(void *bus, uint32_t address) {
    return tv_max78000_sim_read(bus, address);
}

void tv_max78000_write32(void *bus, uint32_t address, uint32_t value) {
    tv_max78000_sim_write(bus, address, value);
}
