// SPDX-License-Identifier: MIT
//
// The plans inside an encoder file (.tvlm): sections PLNE and PLND. Such a file may lack all that
// only the engine needs.

#ifndef TV_MAX78000_FILE_H
#define TV_MAX78000_FILE_H

#include "tv_max78000.h"

typedef struct {
    tv_max78000_plan_t embedding, map;  // map.out_h is 0: there is no dense map
    const uint8_t *fingerprint;         // 8 bytes
    const uint8_t *info;                // JSON, not terminated; or NULL
    uint32_t info_size;
    uint32_t weights_at, map_weights_at; // of a streamed file: where they begin
    uint32_t macs;
    uint16_t image;                     // the encoder sees image x image pixels, RGB
    uint16_t dim;
} tv_max78000_file_t;

// Has this file a plan? Looks at the table of sections only.
bool tv_max78000_file_has_plan(const void *data, size_t size);

// Check and describe a file. 0, a code of the engine (tv.h) or one of the driver (below -39);
// TV_MAX78000_ERR_OTHER: the plans are not those of this encoder.
int tv_max78000_file_open(tv_max78000_file_t *file, const void *data, size_t size);
#define TV_MAX78000_ERR_OTHER (-60)

// The same for a file that is not in memory: all but the weights is read at once; the weights are
// read when they are loaded, by tv_max78000_load(), from weights_at on.
typedef struct {
    uint32_t at, size;          // in the file; size 0: there is none
} tv_max78000_part_t;

typedef struct {
    uint8_t header[72];
    tv_max78000_part_t plan, map, info; // of plans only what comes before the weights
    uint32_t need;              // bytes that tv_max78000_file_stream() wants
} tv_max78000_parts_t;

// Where things are in a file; `read` counts from its beginning. Errors as above.
int tv_max78000_file_parts(tv_max78000_parts_t *parts, tv_max78000_read_t read, void *ctx);

// head: parts->need bytes. It and `parts` must stay, `file` points into them.
int tv_max78000_file_stream(tv_max78000_file_t *file, const tv_max78000_parts_t *parts, uint8_t *head,
    tv_max78000_read_t read, void *ctx);

#endif // TV_MAX78000_FILE_H
