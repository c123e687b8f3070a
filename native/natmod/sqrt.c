// SPDX-License-Identifier: MIT
//
// sqrtf() for cores without the instruction, correctly rounded as IEEE 754 has it; natmod's
// Makefile gives it another name. The engine takes roots of sums of squares only: 0 or at least 1,
// never denormal, infinite or negative.

#include <math.h>
#include <stdint.h>
#include <string.h>

float sqrtf(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if (bits == 0) {
        return x;
    }
    int32_t exponent = (int32_t)(bits >> 23) - 127;
    uint32_t rest = (bits & 0x7fffff) | 0x800000;
    rest <<= 1 + (exponent & 1);
    // 25 bits of the root, one at a time: one more than are kept
    uint32_t root = 0, square = 0;
    for (uint32_t bit = 0x1000000; bit != 0; bit >>= 1) {
        uint32_t next = square + bit;
        if (rest >= next) {
            rest -= next;
            square = next + bit;
            root += bit;
        }
        rest <<= 1;
    }
    root = (root >> 1) + (root & 1); // a root of 24 bits is never half way: no tie
    bits = ((uint32_t)((exponent >> 1) + 126) << 23) + root;
    memcpy(&x, &bits, sizeof(bits));
    return x;
}
