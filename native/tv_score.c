// SPDX-License-Identifier: MIT
//
// Cosine of an embedding with stored prototypes, for any prefix of the dimensions. All sums
// are integers. Floats appear only in the last line, as operations that IEEE 754 rounds
// correctly and that no compiler can contract: a PC and a Cortex-M7 agree to the last bit.

#include <math.h>

#include "tv_kernels.h"

static inline int32_t element(const uint8_t *row, size_t i, int bits) {
    if (bits == 8) {
        return (int8_t)row[i];
    }
    int32_t nibble = i & 1 ? row[i / 2] >> 4 : row[i / 2] & 15;
    return (nibble ^ 8) - 8;
}

static void sums(const int8_t *e, const uint8_t *row, size_t dim, int bits, int32_t *dot, int32_t *square) {
    int32_t d = 0, s = 0; // dim is at most 65535: |sum| <= 2^30
    for (size_t i = 0; i < dim; i++) {
        int32_t v = element(row, i, bits);
        d += e[i] * v;
        s += v * v;
    }
    *dot = d;
    *square = s;
}

void tv_score(const int8_t *embedding, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, float *cosines) {
    size_t step = tv_vector_size(stored_dim, bits);
    int32_t own = 0;
    for (size_t i = 0; i < dim; i++) {
        own += embedding[i] * embedding[i];
    }
    for (size_t r = 0; r < rows; r++, vectors += step) {
        int32_t dot, square;
        if (bits == 8) {
            sums(embedding, vectors, dim, 8, &dot, &square);
        } else {
            sums(embedding, vectors, dim, 4, &dot, &square);
        }
        float length = sqrtf((float)own * (float)square);
        cosines[r] = dot == 0 ? 0.0f : (float)dot / length;
    }
}
