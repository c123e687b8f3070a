// SPDX-License-Identifier: MIT
//
// The two functions through which everything goes that the driver does. On the chip they are a
// volatile load and store; with the simulator they are tv_max78000_sim_bus.c. The driver's object
// code is the same. `bus` is the caller's and passed on.
//
// An address that is not a multiple of 4 means a store of one byte (there is one such register).

#ifndef TV_MAX78000_BUS_H
#define TV_MAX78000_BUS_H

#include <stdint.h>

uint32_t tv_max78000_read32(void *bus, uint32_t address);
void tv_max78000_write32(void *bus, uint32_t address, uint32_t value);

#endif // TV_MAX78000_BUS_H
