// SPDX-License-Identifier: MIT
//
// From a label's heat to its box: the connected cells around the warmest one that are warmer than
// the average. Warmth is taken as an integer, so all machines draw the same box.

#include <stdbool.h>

#include "tv.h"

// One side of the box. The map says little about a thing's size: it is the mean of the region's and
// of half the square. Its middle is the region's centre of warmth.
static void extent(uint64_t moment, uint64_t weight, size_t first, size_t end, size_t count,
    uint32_t side, uint16_t *at, uint16_t *size) {
    int64_t whole = (int64_t)(8 * weight * count); // the square, in units that need no fractions
    int64_t own = (int64_t)(2 * weight * (2 * (end - first) + count));
    int64_t left = (int64_t)(4 * moment) - own / 2;
    left = left < 0 ? 0 : left > whole - own ? whole - own : left;
    *at = (uint16_t)((2 * left * side + whole) / (2 * whole));
    *size = (uint16_t)((2 * own * side + whole) / (2 * whole));
}

void tv_map_region(const float *heat, size_t height, size_t width, uint32_t side, uint8_t *mask, uint16_t *box) {
    size_t cells = height * width, warmest = 0;
    float level = 0;
    for (size_t c = 0; c < cells; c++) {
        level += heat[c];
        warmest = heat[c] > heat[warmest] ? c : warmest;
    }
    level /= (float)cells;
    for (size_t c = 0; c < cells; c++) {
        mask[c] = c == warmest ? 1 : heat[c] > level ? 2 : 0; // 2: if connected
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t c = 0; c < cells; c++) {
            size_t column = c % width;
            if (mask[c] == 2 && ((column > 0 && mask[c - 1] == 1) || (column < width - 1 && mask[c + 1] == 1)
                || (c >= width && mask[c - width] == 1) || (c + width < cells && mask[c + width] == 1))) {
                mask[c] = 1;
                grown = true;
            }
        }
    }
    uint64_t weight = 0, x = 0, y = 0;
    size_t left = width, right = 0, top = height, bottom = 0;
    float most = heat[warmest] - level;
    for (size_t c = 0; c < cells; c++) {
        mask[c] &= 1;
        if (mask[c]) {
            size_t column = c % width, row = c / width;
            float share = most > 0 ? (heat[c] - level) / most : 0; // at most 1
            uint32_t warmth = share > 0 ? (uint32_t)(share * 65535.0f) + 1 : 1;
            weight += warmth;
            x += (uint64_t)warmth * (2 * column + 1);
            y += (uint64_t)warmth * (2 * row + 1);
            left = column < left ? column : left;
            right = column + 1 > right ? column + 1 : right;
            top = row < top ? row : top;
            bottom = row + 1 > bottom ? row + 1 : bottom;
        }
    }
    extent(x, weight, left, right, width, side, &box[0], &box[2]);
    extent(y, weight, top, bottom, height, side, &box[1], &box[3]);
}
