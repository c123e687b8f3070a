// SPDX-License-Identifier: MIT
//
// From cosines to answers: which labels are the nearest, and how sure that is. The exponential is
// made of integers, so that all machines agree to the last bit and no libm is needed; floats are
// as in tv_score.c, nothing that could be contracted.

#include <stdbool.h>

#include "tv.h"

#define ONE (1u << 31)

// 2^-x as a number of 2^-31, for x >= 0.
static uint32_t power(float x) {
    if (!(x < 31.0f)) { // not a number, too
        return 0;
    }
    uint32_t fixed = x > 0 ? (uint32_t)(x * 67108864.0f) : 0; // 5 + 26 bits
    uint32_t whole = fixed >> 26, fraction = (fixed & 0x3ffffff) << 5;
    // e^-u = 1 - u (1 - u/2 (1 - u/3 ...)), u < ln 2: the tenth term is below 2^-31
    uint32_t u = (uint32_t)((uint64_t)fraction * 1488522236u >> 31), sum = ONE;
    for (uint32_t n = 10; n > 0; n--) {
        sum = ONE - (uint32_t)((uint64_t)u * sum >> 31) / n;
    }
    return sum >> whole;
}

size_t tv_largest(const float *values, size_t rows, size_t count, uint16_t *index) {
    size_t found = 0;
    for (size_t i = 0; i < rows; i++) {
        if (found == count && (count == 0 || values[i] <= values[index[count - 1]])) {
            continue; // of equal ones the first stays
        }
        size_t at = found < count ? found++ : count - 1;
        for (; at > 0 && values[index[at - 1]] < values[i]; at--) {
            index[at] = index[at - 1];
        }
        index[at] = (uint16_t)i;
    }
    return found;
}

void tv_weigh(float *cosines, const uint16_t *index, size_t count, const float *factors) {
    for (size_t i = 0; i < count; i++) {
        cosines[index[i]] *= factors[i];
    }
}

size_t tv_rank(const float *cosines, size_t labels, size_t rows, float scale, float threshold,
    float none, float *scores, size_t count, uint16_t *index) {
    size_t found = tv_largest(cosines, labels, count, index);
    if (found == 0) {
        return 0;
    }
    float nearest = cosines[index[0]], total = 0;
    for (size_t i = labels; i < rows; i++) {
        nearest = cosines[i] > nearest ? cosines[i] : nearest;
    }
    bool other = cosines[index[0]] < nearest;
    nearest = none > nearest ? none : nearest;
    float steps = scale * 1.44269504f; // of 2^-1 instead of e^-1
    for (size_t i = 0; i < rows; i++) {
        float score = (float)power((nearest - cosines[i]) * steps);
        total += score;
        if (i < labels) {
            scores[i] = score;
        }
    }
    if (none >= -1) {
        total += (float)power((nearest - none) * steps);
    }
    for (size_t i = 0; i < labels; i++) {
        scores[i] /= total;
    }
    if (other) {
        return 0;
    }
    size_t sure = 0;
    while (sure < found && scores[index[sure]] >= threshold) {
        sure++;
    }
    return sure;
}
