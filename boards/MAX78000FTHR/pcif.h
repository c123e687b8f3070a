// SPDX-License-Identifier: MIT
// The camera interface.
#ifndef PCIF_H
#define PCIF_H

#include <stddef.h>
#include <stdint.h>

// A frame takes 93 ms times the sensor's prescaler, which is 8 at most, and one must be waited for.
#define PCIF_LIMIT_MS (2000)

enum { PCIF_OK, PCIF_OVERRUN, PCIF_TIMEOUT };

// The next frame of the sensor, bytes as it sends them. *got: how many came.
int pcif_capture(uint8_t *to, size_t size, size_t *got);

#endif // PCIF_H
