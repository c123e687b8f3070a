// SPDX-License-Identifier: MIT
// The cache of boards/VIRT_CORTEX_M7 on a trace: "ways addresses ...", prints 1 for each that is filled.
#include <stdio.h>
#include <stdlib.h>

#include "cache.h"

int main(int argc, char **argv) {
    static cache_t cache;
    cache.ways = (uint32_t)strtoul(argv[1], NULL, 0);
    for (int i = 2; i < argc; i++) {
        printf("%d", cache_fill(&cache, (uint32_t)strtoul(argv[i], NULL, 0)));
    }
}
