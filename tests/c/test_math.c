// SPDX-License-Identifier: MIT
//
// The two shifts of tv_kernels.h against gemmlowp's definition, written out as it is there.
//
//     test_math      prints "0 of N differ"

#include <stdio.h>
#include <stdlib.h>

#include "tv_kernels.h"

static uint32_t state = 1;

static uint32_t rnd(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

// SaturatingRoundingDoublingHighMul; a == b == INT32_MIN cannot happen here
static int32_t gemmlowp_high_mul(int32_t a, int32_t b) {
    int64_t ab = (int64_t)a * b;
    int32_t nudge = ab >= 0 ? 1 << 30 : 1 - (1 << 30);
    return (int32_t)((ab + nudge) / (1ll << 31));
}

// RoundingDivideByPOT
static int32_t gemmlowp_divide(int32_t x, int exponent) {
    int32_t mask = (int32_t)((1ll << exponent) - 1);
    int32_t remainder = x & mask;
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

int main(void) {
    const int n = 5000000;
    int differ = 0;
    for (int i = 0; i < n; i++) {
        // all magnitudes alike, and many values near a tie
        int32_t acc = (int32_t)(rnd() >> (2 + rnd() % 30));
        if (rnd() & 1) {
            acc = -acc;
        }
        int32_t mult = rnd() % 4 ? (int32_t)((1u << 30) + rnd() % (1u << 30)) : 1 << 30;
        uint32_t shift = 1 + rnd() % 30;
        int32_t high = gemmlowp_high_mul(acc, mult);
        differ += tv_high_mul(acc, mult) != high
            || tv_requantize(acc, mult, shift) != gemmlowp_divide(high, (int)shift);
    }
    printf("requantize: %d of %d differ\n", differ, n);
    return differ != 0;
}
