// SPDX-License-Identifier: MIT
//
// Cosine of an embedding with stored prototypes, for any prefix of the dimensions. All sums
// are integers. Floats appear only in the last line, as operations that IEEE 754 rounds
// correctly and that no compiler can contract: a PC and a Cortex-M7 agree to the last bit.

#include <math.h>

#include "tv_kernels.h"

#if TV_HAVE_DSP
#include "tv_dsp.h"
#endif

// Of rows of bytes: products with e, and squares. dim is at most 65535: |sum| <= 2^30
static void sums_of_bytes(const int8_t *e, const int8_t *row, size_t dim, int32_t *dot, int32_t *square) {
    int32_t d = 0, s = 0;
    #if TV_HAVE_DSP
    for (size_t fours = dim / 4; fours > 0; fours--, e += 4, row += 4) {
        uint32_t a = tv_u32((const uint8_t *)e), b = tv_u32((const uint8_t *)row);
        uint32_t even = tv_sxtb16(b), odd = tv_sxtb16_ror8(b);
        d = tv_smlad(tv_sxtb16(a), even, d);
        s = tv_smlad(even, even, s);
        d = tv_smlad(tv_sxtb16_ror8(a), odd, d);
        s = tv_smlad(odd, odd, s);
    }
    dim %= 4;
    #endif
    for (size_t i = 0; i < dim; i++) {
        d += e[i] * row[i];
        s += row[i] * row[i];
    }
    *dot = d;
    *square = s;
}

// Of rows of two numbers a byte.
static void sums_of_nibbles(const int8_t *e, const uint8_t *row, size_t dim, int32_t *dot, int32_t *square) {
    int32_t d = 0, s = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t nibble = i & 1 ? row[i / 2] >> 4 : row[i / 2] & 15, v = (nibble ^ 8) - 8;
        d += e[i] * v;
        s += v * v;
    }
    *dot = d;
    *square = s;
}

int tv_score(const int8_t *embedding, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, float *cosines, tv_hook_t hook, void *hook_ctx) {
    size_t step = tv_vector_size(stored_dim, bits), done = 0;
    int32_t own, again;
    sums_of_bytes(embedding, embedding, dim, &own, &again);
    for (size_t r = 0; r < rows; r++, vectors += step) {
        int32_t dot, square;
        if (bits == 8) {
            sums_of_bytes(embedding, (const int8_t *)vectors, dim, &dot, &square);
        } else {
            sums_of_nibbles(embedding, vectors, dim, &dot, &square);
        }
        float length = sqrtf((float)own * (float)square);
        cosines[r] = dot == 0 ? 0.0f : (float)dot / length;
        if (tv_is_due(&done, dim, hook) && hook(hook_ctx, -1, true)) {
            return TV_ERR_STOPPED;
        }
    }
    return TV_OK;
}
