// SPDX-License-Identifier: MIT
//
// From a label's heat to its box. Things are rather in the middle of a frame than at its edge, so
// every cell's heat is lessened by the square of its distance from there. The region is the
// connected cells around the warmest one that are above a level between the map's mean and its
// maximum; their centre of warmth is the box's middle, their spread its size. Of a flat map nearly
// all cells are above: where little is known, the box is large and in the middle.
//
// Everything is counted in integers, so all machines draw the same box. The constants were chosen on
// photos and composites of training sets (docs/design.md).

#include <stdbool.h>

#include "tv.h"

#define UNIT (4096)         // of heat
#define MOST (100 * UNIT)   // beyond any heat there is
#define CENTRE (3 * UNIT / 2) // less heat at a distance of one side
#define MEAN (4)            // sixteenths: the level is 4/16 of the mean and 2/16 of the maximum,
#define MAXIMUM (2)
#define BELOW (UNIT * 14 / 100) // less this
#define WARMEST (63)        // weight of the warmest cell; with 255 x 255 cells all still fits
#define START (8)           // in the mask: the warmest cell
#define MARGIN (3)          // sixteenths of the square's side that a box is wider than its region

static int32_t whole(float heat) {
    float value = heat * (float)UNIT;
    if (!(value > (float)-MOST)) { // not a number, too
        return -MOST;
    }
    return value < (float)MOST ? (int32_t)value : MOST;
}

// CENTRE times the square of the distance from the middle, along one axis.
static int32_t away(size_t index, size_t count) {
    int32_t twice = 2 * (int32_t)index + 1 - (int32_t)count;
    return CENTRE * twice * twice / (4 * (int32_t)(count * count)); // count: at most 255
}

// Heat of cell `c` as the region sees it.
static int32_t warmth(const float *heat, size_t c, size_t height, size_t width) {
    return whole(heat[c]) - away(c % width, width) - away(c / width, height);
}

static uint64_t root(uint64_t value) {
    uint64_t found = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit > 0; bit >>= 1) {
        uint64_t more = found + bit;
        found = more * more <= value ? more : found;
    }
    return found;
}

// The region along one axis: the sums of its cells' weights, of these times position, and times its
// square. A cell is two steps wide; a uniform thing of n steps has a variance of n * n / 12, of
// which a cell by itself has 4 / 12.
typedef struct {
    uint64_t weight, sum, square;
} axis_t;

static void add(axis_t *a, uint32_t weight, size_t index) {
    uint64_t position = 2 * index + 1;
    a->weight += weight;
    a->sum += weight * position;
    a->square += weight * position * position;
}

static void measure(const axis_t *a, size_t count, uint32_t side, uint16_t *at, uint16_t *size) {
    uint64_t variance = a->square * a->weight - a->sum * a->sum; // times weight * weight
    uint64_t spread = root(12 * variance + 4 * a->weight * a->weight);
    int64_t all = (int64_t)(32 * count * a->weight); // the square, in units that need no fractions
    int64_t own = (int64_t)(2 * (8 * spread + MARGIN * count * a->weight));
    own = own < all ? own : all;
    int64_t first = (int64_t)(16 * a->sum) - own / 2, room = all - own;
    first = first < 0 ? 0 : first < room ? first : room;
    uint32_t pixels = (uint32_t)((2 * own * side + all) / (2 * all));
    pixels += pixels == 0; // a square of few pixels
    uint32_t from = (uint32_t)((2 * first * side + all) / (2 * all)), last = side - pixels;
    *at = (uint16_t)(from < last ? from : last); // both may have been rounded up
    *size = (uint16_t)pixels;
}

void tv_map_region(const float *heat, size_t height, size_t width, uint32_t side, uint8_t *mask, uint16_t *box) {
    size_t cells = height * width, warmest = 0;
    int64_t sum = 0, most = 0;
    for (size_t c = 0; c < cells; c++) {
        int64_t own = warmth(heat, c, height, width);
        sum += own;
        if (c == 0 || own > most) {
            most = own;
            warmest = c;
        }
    }
    // from here on in units of UNIT / 16 / cells, which need no division
    int64_t scale = 16 * (int64_t)cells;
    int64_t level = MEAN * sum + MAXIMUM * (int64_t)cells * most - scale * BELOW;
    int64_t range = scale * most - level;
    for (size_t c = 0; c < cells; c++) {
        mask[c] = scale * warmth(heat, c, height, width) > level ? 2 : 0; // 2: if connected
    }
    // Depth first, in time that grows with the cells alone: where the region was entered stands in the
    // mask, 4 and the number of the step.
    const size_t steps[] = { 1, (size_t)-1, width, (size_t)-width };
    size_t at = warmest;
    mask[at] = START;
    for (;;) {
        size_t column = at % width, s = 0;
        while (s < 4 && !((s < 2 ? column + steps[s] < width : at + steps[s] < cells) && mask[at + steps[s]] == 2)) {
            s++;
        }
        if (s < 4) {
            at += steps[s];
            mask[at] = (uint8_t)(4 + s);
        } else if (mask[at] != START) {
            at -= steps[mask[at] - 4];
        } else {
            break;
        }
    }
    axis_t x = { 0 }, y = { 0 };
    for (size_t c = 0; c < cells; c++) {
        mask[c] = mask[c] >= 4;
        if (mask[c]) {
            int64_t above = scale * warmth(heat, c, height, width) - level;
            uint32_t weight = 1 + (range > 0 && above > 0 ? (uint32_t)(WARMEST * above / range) : 0);
            add(&x, weight, c % width);
            add(&y, weight, c / width);
        }
    }
    measure(&x, width, side, &box[0], &box[2]);
    measure(&y, height, side, &box[1], &box[3]);
}
