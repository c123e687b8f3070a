// SPDX-License-Identifier: MIT
//
// Where is it? Scores of a dense map's cells. A cell's embedding is long where the image speaks
// clearly and short over sky or wall, so a cell's heat for a prototype is
//
//     (cosine - mean cosine with all prototypes) * length / mean length of the map's cells
//
// which is its share of the whole frame's score, less what every word gets there. Cosines alone
// point much worse (docs/design.md). Floats as in tv_score.c: nothing that could be contracted.

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tv_kernels.h"

#if TV_HAVE_DSP
#include "tv_dsp.h"
#endif

int tv_map_peaks(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, float *cosines, float *peaks, float *levels,
    tv_hook_t hook, void *hook_ctx) {
    float sum = 0;
    for (size_t c = 0; c < cells; c++) {
        const int8_t *cell = map + c * map_dim;
        int32_t square = 0;
        for (size_t i = 0; i < dim; i++) {
            square += cell[i] * cell[i];
        }
        levels[2 * c + 1] = sqrtf((float)square);
        sum += levels[2 * c + 1];
    }
    float mean = sum / (float)cells;
    for (size_t c = 0; c < cells; c++) {
        float *level = &levels[2 * c];
        level[1] = sum > 0 ? level[1] / mean : 0;
        if (tv_score(map + c * map_dim, vectors, rows, stored_dim, bits, dim, cosines, hook, hook_ctx)) {
            return TV_ERR_STOPPED;
        }
        level[0] = 0;
        for (size_t r = 0; r < rows; r++) {
            level[0] += cosines[r];
        }
        level[0] = rows > 1 ? level[0] / (float)rows : 0; // a word alone has nothing beside it
        for (size_t r = 0; r < rows; r++) {
            float heat = (cosines[r] - level[0]) * level[1];
            if (c == 0 || heat > peaks[r]) {
                peaks[r] = heat;
            }
        }
        if (hook && hook(hook_ctx, -1, true)) {
            return TV_ERR_STOPPED;
        }
    }
    return TV_OK;
}

void tv_map_heat(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *vector,
    size_t stored_dim, int bits, size_t dim, const float *levels, float *heat) {
    for (size_t c = 0; c < cells; c++) {
        float cosine;
        tv_score(map + c * map_dim, vector, 1, stored_dim, bits, dim, &cosine, NULL, NULL);
        heat[c] = (cosine - levels[2 * c]) * levels[2 * c + 1];
    }
}

#define BLOCK (8) // numbers summed at a time, in registers

// Sums of the next `count` (at most BLOCK) numbers of the cells in the mask.
#if TV_HAVE_DSP
#define MOST (255) // cells whose sums fit in 16 bits

static void sum_block(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *mask, size_t count, int32_t *sums) {
    uint32_t even = 0, odd = 0, high_even = 0, high_odd = 0; // two sums in a word
    bool fast = count == BLOCK && cells <= MOST;
    memset(sums, 0, BLOCK * sizeof(*sums));
    for (size_t c = 0; c < cells; c++, map += map_dim) {
        if (mask[c] == 0) {
            continue;
        }
        if (fast) {
            uint32_t low = tv_u32((const uint8_t *)map), high = tv_u32((const uint8_t *)map + 4);
            even = tv_sxtab16(even, low);
            odd = tv_sxtab16_ror8(odd, low);
            high_even = tv_sxtab16(high_even, high);
            high_odd = tv_sxtab16_ror8(high_odd, high);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            sums[i] += map[i];
        }
    }
    if (fast) {
        sums[0] = (int16_t)even;
        sums[1] = (int16_t)odd;
        sums[2] = (int32_t)even >> 16;
        sums[3] = (int32_t)odd >> 16;
        sums[4] = (int16_t)high_even;
        sums[5] = (int16_t)high_odd;
        sums[6] = (int32_t)high_even >> 16;
        sums[7] = (int32_t)high_odd >> 16;
    }
}
#else
static void sum_block(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *mask, size_t count, int32_t *sums) {
    int32_t total[BLOCK] = { 0 };
    for (size_t c = 0; c < cells; c++, map += map_dim) {
        if (mask[c] == 0) {
            continue;
        }
        if (count == BLOCK) { // written out: compilers leave such a loop a loop
            total[0] += map[0];
            total[1] += map[1];
            total[2] += map[2];
            total[3] += map[3];
            total[4] += map[4];
            total[5] += map[5];
            total[6] += map[6];
            total[7] += map[7];
        } else {
            for (size_t i = 0; i < count; i++) {
                total[i] += map[i];
            }
        }
    }
    memcpy(sums, total, sizeof(total));
}
#endif

// 127 * size / largest, rounded. Long division takes a Cortex-M 60 instructions.
static int32_t share(int32_t size, int32_t largest) {
    if (largest < 1 << 23) {
        return largest ? (int32_t)(((uint32_t)size * 254 + (uint32_t)largest) / (2 * (uint32_t)largest)) : 0;
    }
    return (int32_t)(((int64_t)size * 254 + largest) / (2 * (int64_t)largest));
}

void tv_map_mean(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *mask, size_t dim, int8_t *embedding) {
    int32_t largest = 0, sums[BLOCK];
    for (int pass = 0; pass < 2; pass++) { // sums twice, rather than memory for them
        for (size_t first = 0; first < dim; first += BLOCK) {
            size_t count = dim - first < BLOCK ? dim - first : BLOCK;
            sum_block(map + first, cells, map_dim, mask, count, sums);
            for (size_t i = 0; i < count; i++) {
                int32_t size = sums[i] < 0 ? -sums[i] : sums[i];
                if (pass == 0) {
                    largest = size > largest ? size : largest;
                } else {
                    int32_t scaled = share(size, largest);
                    embedding[first + i] = (int8_t)(sums[i] < 0 ? -scaled : scaled);
                }
            }
        }
    }
}
