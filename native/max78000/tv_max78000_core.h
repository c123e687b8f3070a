// SPDX-License-Identifier: MIT
//
// What the driver's files share.

#ifndef TV_MAX78000_CORE_H
#define TV_MAX78000_CORE_H

#include "tv_max78000.h"
#include "tv_max78000_bus.h"
#include "tv_max78000_plan.h"
#include "tv_max78000_regs.h"

// Channels go through in passes of at most 64: how many, and how many channels each.
static inline void tv_m78_spread(uint32_t channels, uint32_t *passes, uint32_t *per_pass) {
    *passes = (channels + TV_M78_PROCESSORS - 1) / TV_M78_PROCESSORS;
    *per_pass = (channels + *passes - 1) / *passes;
    if (*passes > 1) {
        *per_pass = (*per_pass + 3) / 4 * 4;
    }
}

// Is this plan the one that was loaded?
int tv_m78_check_loaded(const tv_max78000_t *dev, const tv_max78000_plan_t *plan);

// Bytes of a block of weights in a plan.
static inline uint32_t tv_m78_block_bytes(uint32_t words) {
    return (9 * words + 3) / 4 * 4;
}

// The lowest processor of `mask` (not 0), from `from` on.
static inline uint32_t tv_m78_next(uint64_t mask, uint32_t from) {
    while (!(mask >> from & 1)) {
        from++;
    }
    return from;
}

#endif // TV_MAX78000_CORE_H
