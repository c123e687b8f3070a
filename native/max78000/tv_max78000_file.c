// SPDX-License-Identifier: MIT
//
// Opening an encoder file for its plans, as tv_model_open() does for the engine; layers and weights
// of the engine may be missing.

#include "tv.h"
#include "tv_format.h"
#include "tv_max78000_core.h"
#include "tv_max78000_file.h"

// The section `tag`, or NULL: there is none, or it lies outside the file.
static const uint8_t *find(const uint8_t *data, size_t file_size, const char *tag, uint32_t *size) {
    *size = 0;
    if (file_size < TV_HEADER_SIZE || memcmp(data, "TVLM", 4) != 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < data[31]; i++) {
        const uint8_t *entry = data + TV_HEADER_SIZE + i * TV_SECTION_SIZE;
        if (TV_HEADER_SIZE + (i + 1) * TV_SECTION_SIZE > file_size) {
            return NULL;
        }
        if (memcmp(entry, tag, 4) == 0) {
            uint32_t offset = tv_u32(entry + 4), length = tv_u32(entry + 8);
            if ((uint64_t)offset + length > file_size) {
                return NULL;
            }
            *size = length;
            return data + offset;
        }
    }
    return NULL;
}

bool tv_max78000_file_has_plan(const void *data, size_t size) {
    uint32_t plan_size;
    return find(data, size, "PLNE", &plan_size) != NULL;
}

static int open_plan(const tv_max78000_file_t *f, tv_max78000_plan_t *plan, const uint8_t *data, uint32_t size,
    bool streamed) {
    int err = tv_max78000_plan_open(plan, data, size);
    if (err) {
        return err;
    }
    if (plan->weights == NULL && !plan->shared && !streamed) {
        return TV_MAX78000_ERR_TRUNCATED;
    }
    bool fits = memcmp(plan->fingerprint, f->fingerprint, 8) == 0
        && plan->in_h == f->image && plan->in_w == f->image && plan->in_c == 3;
    return fits ? TV_OK : TV_MAX78000_ERR_OTHER;
}

// map: NULL if there is none.
static int open_plans(tv_max78000_file_t *f, const uint8_t *plan, uint32_t plan_size, const uint8_t *map,
    uint32_t map_size, bool streamed) {
    if (plan == NULL) {
        return TV_ERR_SECTION;
    }
    int err = open_plan(f, &f->embedding, plan, plan_size, streamed);
    if (err) {
        return err;
    }
    f->dim = f->embedding.out_c;
    if (f->embedding.shared || f->embedding.out_h != 1 || f->embedding.out_w != 1) {
        return TV_MAX78000_ERR_OTHER;
    }
    if (map == NULL) {
        return TV_OK;
    }
    err = open_plan(f, &f->map, map, map_size, streamed);
    bool same = f->map.out_c == f->dim && f->map.fold == f->embedding.fold
        && (!f->map.shared || f->map.weights_crc == f->embedding.weights_crc);
    return err ? err : same ? TV_OK : TV_MAX78000_ERR_OTHER;
}

static int check_header(const uint8_t *p) {
    return memcmp(p, "TVLM", 4) != 0 ? TV_ERR_MAGIC : tv_u16(p + 4) != TV_VERSION ? TV_ERR_VERSION
        : tv_u16(p + 6) != TV_HEADER_SIZE ? TV_ERR_HEADER : tv_u32(p + 8) < TV_HEADER_SIZE ? TV_ERR_TRUNCATED
        : TV_OK;
}

static void take_header(tv_max78000_file_t *f, const uint8_t *p) {
    memset(f, 0, sizeof(*f));
    f->fingerprint = p + 16;
    f->image = tv_u16(p + 24);
    f->macs = tv_u32(p + 68);
}

int tv_max78000_file_open(tv_max78000_file_t *f, const void *data, size_t size) {
    const uint8_t *p = data;
    if (size < TV_HEADER_SIZE) {
        return size < 4 || memcmp(p, "TVLM", 4) != 0 ? TV_ERR_MAGIC : TV_ERR_TRUNCATED;
    }
    int err = check_header(p);
    if (err) {
        return err;
    }
    uint32_t used = tv_u32(p + 8), plan_size, map_size;
    if (used > size) {
        return TV_ERR_TRUNCATED;
    }
    if (tv_crc32(0, p + TV_CRC_START, used - TV_CRC_START) != tv_u32(p + 12)) {
        return TV_ERR_CRC;
    }
    take_header(f, p);
    f->info = find(p, used, "INFO", &f->info_size);
    const uint8_t *plan = find(p, used, "PLNE", &plan_size), *map = find(p, used, "PLND", &map_size);
    return open_plans(f, plan, plan_size, map, map_size, false);
}

#define MOST_OF_A_PART (0x10000) // tables of the largest plan are some 50 KB

static int fetch(uint8_t *to, uint32_t at, uint32_t size, tv_max78000_read_t read, void *ctx) {
    while (size) {
        uint32_t count = size < TV_MAX78000_CHUNK ? size : TV_MAX78000_CHUNK;
        if (read(ctx, to, at, count) != 0) {
            return TV_ERR_TRUNCATED;
        }
        to += count;
        at += count;
        size -= count;
    }
    return TV_OK;
}

int tv_max78000_file_parts(tv_max78000_parts_t *parts, tv_max78000_read_t read, void *ctx) {
    memset(parts, 0, sizeof(*parts));
    int err = fetch(parts->header, 0, TV_HEADER_SIZE, read, ctx);
    err = err ? err : check_header(parts->header);
    for (uint32_t i = 0; err == TV_OK && i < parts->header[31]; i++) {
        uint8_t entry[TV_SECTION_SIZE], plan[TV_M78_PLAN_HEADER];
        err = fetch(entry, TV_HEADER_SIZE + i * TV_SECTION_SIZE, TV_SECTION_SIZE, read, ctx);
        if (err) {
            break;
        }
        tv_max78000_part_t *part = memcmp(entry, "PLNE", 4) == 0 ? &parts->plan
            : memcmp(entry, "PLND", 4) == 0 ? &parts->map : memcmp(entry, "INFO", 4) == 0 ? &parts->info : NULL;
        if (part == NULL || part->size) {
            continue;
        }
        part->at = tv_u32(entry + 4);
        part->size = tv_u32(entry + 8);
        if ((uint64_t)part->at + part->size > tv_u32(parts->header + 8)) {
            return TV_ERR_SECTION;
        }
        if (part != &parts->info) {
            uint32_t whole = part->size;
            if (whole < sizeof(plan)) {
                return TV_MAX78000_ERR_TRUNCATED;
            }
            err = fetch(plan, part->at, sizeof(plan), read, ctx);
            part->size = err ? 0 : tv_u32(plan + 24);
            if (err == TV_OK && memcmp(plan, "TVMX", 4) != 0) {
                err = TV_MAX78000_ERR_MAGIC;
            } else if (err == TV_OK && (part->size > whole || tv_u32(plan + 28) > whole - part->size)) {
                err = TV_MAX78000_ERR_TRUNCATED;
            }
        }
        if (part->size > MOST_OF_A_PART && err == TV_OK) {
            err = TV_ERR_SECTION;
        }
        parts->need += part->size;
    }
    return err;
}

int tv_max78000_file_stream(tv_max78000_file_t *f, const tv_max78000_parts_t *parts, uint8_t *head,
    tv_max78000_read_t read, void *ctx) {
    uint8_t *map = head + parts->plan.size, *info = map + parts->map.size;
    take_header(f, parts->header);
    int err = fetch(head, parts->plan.at, parts->plan.size, read, ctx);
    err = err ? err : fetch(map, parts->map.at, parts->map.size, read, ctx);
    err = err ? err : fetch(info, parts->info.at, parts->info.size, read, ctx);
    if (err) {
        return err;
    }
    f->info = parts->info.size ? info : NULL;
    f->info_size = parts->info.size;
    f->weights_at = parts->plan.at + parts->plan.size;
    f->map_weights_at = parts->map.at + parts->map.size;
    return open_plans(f, parts->plan.size ? head : NULL, parts->plan.size,
        parts->map.size ? map : NULL, parts->map.size, true);
}
