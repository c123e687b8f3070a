// SPDX-License-Identifier: MIT
//
// From an embedding to answers: cosines, ranks, heat, regions. The input says how many rows of which
// kind, then what is in them. Two ways that must agree do, a box lies in its square, and a region is
// where its mask says.

#include <stdlib.h>
#include <string.h>

#include "tv.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static const uint8_t *next;
static size_t left;

// `count` bytes of the input, or zeros behind its end, in a buffer of just that size.
static void *take(size_t count) {
    uint8_t *p = calloc(count ? count : 1, 1);
    size_t some = count < left ? count : left;
    memcpy(p, next, some);
    next += some;
    left -= some;
    return p;
}

static unsigned number(unsigned below) {
    unsigned low = left > 0 ? next[0] : 0, high = left > 1 ? next[1] : 0;
    size_t some = left < 2 ? left : 2;
    next += some;
    left -= some;
    return (low | high << 8) % below;
}

static void check(bool good) {
    if (!good) {
        abort();
    }
}

static void answers(void) {
    bool many = number(16) == 0; // most are quick
    size_t labels = 1 + number(many ? 40 : 6), rows = labels + number(5);
    size_t stored = 1 + number(many ? 70 : 12), dim = 1 + number((unsigned)stored);
    int bits = number(2) ? 8 : 4;
    size_t count = number(12), shown = number((unsigned)labels);
    int8_t *embedding = take(stored);
    uint8_t *vectors = take(rows * tv_vector_size(stored, bits));
    float *gains = take(4 * (shown + 1)), *levels = take(12), *cosines = calloc(rows, 4);
    float *scores = calloc(labels, 4), *best = calloc(count + 1, 4);
    uint16_t *order = calloc(count + 1, 2), *index = calloc(count + 1, 2), *which = calloc(shown + 1, 2);
    for (size_t i = 0; i < shown; i++) {
        which[i] = (uint16_t)i;
    }
    tv_score(embedding, vectors, rows, stored, bits, dim, cosines, NULL, NULL);
    tv_weigh(cosines, which, shown, gains);
    size_t found = tv_rank(cosines, labels, rows, levels[0], levels[1], levels[2], scores, count, order);
    tv_prototypes_t p = { vectors, labels, rows, stored, dim, bits, which, shown, gains, NULL, NULL };
    size_t same = tv_best(embedding, &p, levels[0], levels[1], levels[2], count, index, best);
    bool finite = true;
    for (size_t i = 0; i < rows; i++) {
        finite = finite && cosines[i] - cosines[i] == 0;
    }
    check(found <= count && same <= count);
    if (finite && count > 0) { // not a number compares with nothing
        check(found == same);
        for (size_t i = 0; i < (count < labels ? count : labels); i++) {
            check(order[i] == index[i] && memcmp(&scores[order[i]], &best[i], 4) == 0);
        }
    }
    free(embedding), free(vectors), free(gains), free(levels), free(cosines), free(scores), free(best);
    free(order), free(index), free(which);
}

static void places(void) {
    unsigned most = number(16) == 0 ? 9 : 4;
    size_t height = 1 + number(most), width = 1 + number(most), cells = height * width, dim = 1 + number(20);
    size_t rows = 1 + number(5), used = 1 + number((unsigned)dim);
    uint32_t side = 1 + number(65535);
    int8_t *map = take(cells * dim), *embedding = calloc(dim, 1);
    uint8_t *vectors = take(rows * dim), *mask = calloc(cells, 1);
    float *cosines = calloc(rows, 4), *peaks = calloc(rows, 4), *levels = calloc(2 * cells, 4), *heat = calloc(cells, 4);
    tv_map_peaks(map, cells, dim, vectors, rows, dim, 8, used, cosines, peaks, levels, NULL, NULL);
    tv_map_heat(map, cells, dim, vectors, dim, 8, used, levels, heat);
    if (number(2)) { // any floats
        free(heat);
        heat = take(4 * cells);
    }
    uint16_t box[4];
    tv_map_region(heat, height, width, side, mask, box);
    check(box[2] >= 1 && box[3] >= 1 && box[0] + (uint32_t)box[2] <= side && box[1] + (uint32_t)box[3] <= side);
    size_t marked = 0;
    for (size_t c = 0; c < cells; c++) {
        check(mask[c] <= 1);
        marked += mask[c];
    }
    check(marked > 0);
    tv_map_mean(map, cells, dim, mask, used, embedding);
    free(map), free(embedding), free(vectors), free(mask), free(cosines), free(peaks), free(levels), free(heat);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    next = input;
    left = size;
    if (number(2)) {
        answers();
    } else {
        places();
    }
    return 0;
}
