// SPDX-License-Identifier: MIT
// The camera interface: a FIFO of 8 words, which the CPU empties as fast as the sensor fills it.
//
// At 8.33 MHz, the sensor's clock undivided, a word comes every 48 cycles of the CPU at most; the loop
// takes about 30 (estimated from its instructions). An interrupt in between may take 8 words' time.

#include <string.h>

#include "board.h"
#include "pcif.h"

#define PCIF_CTRL   REG(0x4000e008)
#define PCIF_INT_FL REG(0x4000e010)
#define PCIF_FIFO   REG(0x4000e030)

#define ONE_IMAGE   (1u)
#define THRESHOLD_1 (1u << 5)
#define ENABLE      (1u << 31) // 8 bits wide
#define FULL        (1u << 1)
#define NOT_EMPTY   (1u << 3)
#define ALL_FLAGS   (15u)

int pcif_capture(uint8_t *to, size_t size, size_t *got) {
    int err = PCIF_OK;
    size_t at = 0;
    PCIF_CTRL = 0;
    PCIF_INT_FL = ALL_FLAGS;
    PCIF_CTRL = ENABLE | THRESHOLD_1 | ONE_IMAGE;
    uint32_t begin = clock_ms();
    while (at < size) {
        uint32_t flags = PCIF_INT_FL;
        if (flags & FULL) {
            err = PCIF_OVERRUN;
            break;
        }
        if (flags & NOT_EMPTY) {
            PCIF_INT_FL = NOT_EMPTY; // first: a word that comes now sets it again
            uint32_t word = PCIF_FIFO;
            memcpy(to + at, &word, size - at < 4 ? size - at : 4);
            at += 4;
        } else if (clock_ms() - begin > PCIF_LIMIT_MS) {
            err = PCIF_TIMEOUT;
            break;
        }
    }
    PCIF_CTRL = 0;
    *got = at < size ? at : size;
    return err;
}
