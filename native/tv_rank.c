// SPDX-License-Identifier: MIT
//
// From cosines to answers: which labels are the nearest, and how sure that is. The exponential and its
// sum are integers, so that all machines agree to the last bit and no libm is needed; floats are as
// in tv_score.c, nothing that could be contracted.

#include <stdbool.h>

#include "tv_kernels.h"

#define ONE (1u << 31)
#define BLOCK (16) // rows scored at a time, so that the embedding's own length is summed rarely

// 2^-x as a number of 2^-31, for x >= 0. A hundred instructions: not worth a copy at every call.
__attribute__((noinline)) static uint32_t power(float x) {
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

// A softmax's sum, row by row: all powers are relative to the nearest so far, and what was summed is
// lessened when a nearer one comes. So one pass is enough, and no cosine has to be kept.
typedef struct {
    float steps;    // of 2^-1 instead of e^-1, by cosine
    float nearest;
    uint64_t total; // of 2^-31; below 2^48
} softmax_t;

static void add(softmax_t *s, float cosine) {
    if (s->total == 0 || cosine > s->nearest) {
        uint32_t less = power((cosine - s->nearest) * s->steps);
        s->total = (s->total >> 31) * less + ((s->total & (ONE - 1)) * less >> 31) + ONE;
        s->nearest = cosine;
    } else {
        s->total += power((s->nearest - cosine) * s->steps);
    }
}

// The sum of all, "none of them" being the last. Asked once a call.
__attribute__((noinline)) static float whole(softmax_t *s, float none) {
    if (none >= -1) {
        add(s, none);
    }
    uint64_t total = s->total;
    float unit = 1;
    for (; total >> 32 != 0; total >>= 1) {
        unit *= 2;
    }
    return (float)(uint32_t)total * unit;
}

static float share(const softmax_t *s, float cosine, float total) {
    return (float)power((s->nearest - cosine) * s->steps) / total;
}

size_t tv_rank(const float *cosines, size_t labels, size_t rows, float scale, float threshold,
    float none, float *scores, size_t count, uint16_t *index) {
    size_t found = tv_largest(cosines, labels, count, index);
    if (found == 0) {
        return 0;
    }
    softmax_t s = { scale * 1.44269504f, 0, 0 };
    for (size_t i = 0; i < rows; i++) {
        add(&s, cosines[i]);
    }
    float nearest = s.nearest, total = whole(&s, none);
    for (size_t i = 0; i < labels; i++) {
        scores[i] = share(&s, cosines[i], total);
    }
    if (cosines[index[0]] < nearest) {
        return 0; // what stands for none of them is
    }
    size_t sure = 0;
    while (sure < found && scores[index[sure]] >= threshold) {
        sure++;
    }
    return sure;
}

size_t tv_best(const int8_t *embedding, const tv_prototypes_t *p, float scale, float threshold,
    float none, size_t count, uint16_t *index, float *scores) {
    softmax_t s = { scale * 1.44269504f, 0, 0 };
    size_t found = 0, shown = 0, done = 0;
    float block[BLOCK];
    for (size_t first = 0; first < p->rows; first += BLOCK) {
        size_t n = p->rows - first < BLOCK ? p->rows - first : BLOCK;
        tv_score(embedding, p->vectors + first * tv_vector_size(p->stored_dim, p->bits), n,
            p->stored_dim, p->bits, p->dim, block, NULL, NULL);
        if (tv_is_due(&done, n * p->dim, p->hook) && p->hook(p->hook_ctx, -1, true)) {
            return 0;
        }
        for (size_t i = 0; i < n; i++) {
            size_t row = first + i;
            if (shown < p->shown_count && p->shown[shown] == row) {
                block[i] *= p->gains[shown++];
            }
            add(&s, block[i]);
            if (row >= p->labels || (found == count && (count == 0 || block[i] <= scores[count - 1]))) {
                continue; // of equal ones the first stays
            }
            size_t at = found < count ? found++ : count - 1;
            for (; at > 0 && scores[at - 1] < block[i]; at--) {
                scores[at] = scores[at - 1];
                index[at] = index[at - 1];
            }
            scores[at] = block[i];
            index[at] = (uint16_t)row;
        }
    }
    bool other = found > 0 && scores[0] < s.nearest;
    float total = whole(&s, none);
    for (size_t i = 0; i < found; i++) {
        scores[i] = share(&s, scores[i], total);
    }
    size_t sure = 0;
    while (!other && sure < found && scores[sure] >= threshold) {
        sure++;
    }
    return sure;
}
