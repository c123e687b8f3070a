// SPDX-License-Identifier: MIT
//
// Opening an encoder file for its plans. tv_model_open() is the model, but layers and weights of
// the engine need not be there.

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
            uint32_t offset = tv_u32(entry + 4);
            *size = tv_u32(entry + 8);
            return (uint64_t)offset + *size <= file_size ? data + offset : NULL;
        }
    }
    return NULL;
}

bool tv_max78000_file_has_plan(const void *data, size_t size) {
    uint32_t plan_size;
    return find(data, size, "PLNE", &plan_size) != NULL;
}

static int open_plan(const tv_max78000_file_t *f, tv_max78000_plan_t *plan, const uint8_t *data, uint32_t size) {
    int err = tv_max78000_plan_open(plan, data, size);
    if (err) {
        return err;
    }
    if (plan->weights == NULL && !plan->shared) {
        return TV_MAX78000_ERR_TRUNCATED;
    }
    bool fits = memcmp(plan->fingerprint, f->fingerprint, 8) == 0
        && plan->in_h == f->image && plan->in_w == f->image && plan->in_c == 3;
    return fits ? TV_OK : TV_MAX78000_ERR_OTHER;
}

int tv_max78000_file_open(tv_max78000_file_t *f, const void *data, size_t size) {
    const uint8_t *p = data;
    memset(f, 0, sizeof(*f));
    if (size < 4 || memcmp(p, "TVLM", 4) != 0) {
        return TV_ERR_MAGIC;
    }
    if (size < TV_HEADER_SIZE) {
        return TV_ERR_TRUNCATED;
    }
    if (tv_u16(p + 4) != TV_VERSION) {
        return TV_ERR_VERSION;
    }
    if (tv_u16(p + 6) != TV_HEADER_SIZE) {
        return TV_ERR_HEADER;
    }
    uint32_t used = tv_u32(p + 8), plan_size;
    if (used < TV_HEADER_SIZE || used > size) {
        return TV_ERR_TRUNCATED;
    }
    if (tv_max78000_crc32(0, p + TV_CRC_START, used - TV_CRC_START) != tv_u32(p + 12)) {
        return TV_ERR_CRC;
    }
    f->fingerprint = p + 16;
    f->image = tv_u16(p + 24);
    f->macs = tv_u32(p + 68);
    f->info = find(p, used, "INFO", &f->info_size);
    const uint8_t *plan = find(p, used, "PLNE", &plan_size);
    if (plan == NULL) {
        return TV_ERR_SECTION;
    }
    int err = open_plan(f, &f->embedding, plan, plan_size);
    if (err) {
        return err;
    }
    f->dim = f->embedding.out_c;
    if (f->embedding.shared || f->embedding.out_h != 1 || f->embedding.out_w != 1) {
        return TV_MAX78000_ERR_OTHER;
    }
    plan = find(p, used, "PLND", &plan_size);
    if (plan == NULL) {
        return TV_OK;
    }
    err = open_plan(f, &f->map, plan, plan_size);
    bool same = f->map.out_c == f->dim && f->map.fold == f->embedding.fold;
    return err ? err : same ? TV_OK : TV_MAX78000_ERR_OTHER;
}
