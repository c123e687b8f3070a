// SPDX-License-Identifier: MIT
// A cache of a Cortex-M7 with 16 KB, as the plugin (blocks.c) and its test simulate it: lines of 32
// bytes, which of them is there, nothing of what is in them. Two lines of a set for instructions,
// four for data (Arm DDI 0489). Which line of a full set goes is not published: here the one that
// was used longest ago.

#ifndef CACHE_H
#define CACHE_H

#include <stdint.h>

#define CACHE_LINE (32)            // bytes
#define CACHE_LINES (16384 / CACHE_LINE)

typedef struct {
    uint32_t ways;
    uint32_t line[CACHE_LINES]; // address / 32 + 1; 0: empty. `ways` of a set, the latest first
} cache_t;

// Looks for a line and takes it in if it is not there. Returns 1 if it had to be filled.
static inline int cache_fill(cache_t *cache, uint32_t address) {
    uint32_t line = address / CACHE_LINE, sets = CACHE_LINES / cache->ways, way = 0;
    uint32_t *set = &cache->line[line % sets * cache->ways];
    while (way < cache->ways && set[way] != line + 1) {
        way++;
    }
    int filled = way == cache->ways;
    for (way -= (uint32_t)filled; way > 0; way--) {
        set[way] = set[way - 1];
    }
    set[0] = line + 1;
    return filled;
}

#endif
