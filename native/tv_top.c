// SPDX-License-Identifier: MIT
//
// The prototypes nearest to an embedding, for vocabularies so large that one cosine for each
// would not fit into RAM: only the best are kept, in order.

#include "tv.h"

#define BLOCK (16) // rows scored at a time, so that the embedding's own length is summed rarely

size_t tv_top(const int8_t *embedding, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, size_t count, uint16_t *index, float *cosines) {
    size_t found = 0;
    float block[BLOCK];
    for (size_t first = 0; first < rows; first += BLOCK) {
        size_t n = rows - first < BLOCK ? rows - first : BLOCK;
        tv_score(embedding, vectors + first * tv_vector_size(stored_dim, bits), n, stored_dim, bits, dim, block);
        for (size_t i = 0; i < n; i++) {
            if (found == count && (count == 0 || block[i] <= cosines[count - 1])) {
                continue; // of equal rows the first stays
            }
            size_t at = found < count ? found++ : count - 1;
            for (; at > 0 && cosines[at - 1] < block[i]; at--) {
                cosines[at] = cosines[at - 1];
                index[at] = index[at - 1];
            }
            cosines[at] = block[i];
            index[at] = (uint16_t)(first + i);
        }
    }
    return found;
}
