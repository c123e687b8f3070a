// SPDX-License-Identifier: MIT
//
// Opening an encoder file. tv_format.h has the layout, tv_check.c the checks of the layers.

#include "tv_kernels.h"

#define CHUNK (1u << 18) // bytes between two calls of the hook, 8 instructions each

// The section `tag`, or NULL. *size is in the file's bounds.
static const uint8_t *find_section(const tv_model_t *m, const char *tag, uint32_t *size) {
    const uint8_t *entry = m->data + TV_HEADER_SIZE;
    *size = 0;
    for (unsigned i = 0; i < m->data[31]; i++, entry += TV_SECTION_SIZE) {
        if (memcmp(entry, tag, 4) == 0) {
            *size = tv_u32(entry + 8);
            return m->data + tv_u32(entry + 4);
        }
    }
    return NULL;
}

// Strict, as Python decodes: no overlong forms, no surrogates, nothing past U+10FFFF.
static bool is_utf8(const uint8_t *p, size_t size) {
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    while (size > 0) {
        uint32_t c = *p++, more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3, i;
        if (--size < more || (more > 0 && (c < 0xc0 || c > 0xf7))) {
            return false;
        }
        size -= more;
        c = more ? c & (0x3f >> more) : c;
        for (i = 0; i < more; i++) {
            if (*p >> 6 != 2) {
                return false;
            }
            c = c << 6 | (*p++ & 0x3f);
        }
        if (c < least[more] || c >> 11 == 0x1b || c > 0x10ffff) {
            return false;
        }
    }
    return true;
}

static int check_sections(tv_model_t *m) {
    uint32_t sections = m->data[31], size;
    if (TV_HEADER_SIZE + sections * TV_SECTION_SIZE > m->size) {
        return TV_ERR_SECTION;
    }
    for (uint32_t i = 0; i < sections; i++) {
        const uint8_t *entry = m->data + TV_HEADER_SIZE + i * TV_SECTION_SIZE;
        if ((uint64_t)tv_u32(entry + 4) + tv_u32(entry + 8) > m->size) {
            return TV_ERR_SECTION;
        }
    }
    m->records = find_section(m, "LAYR", &size);
    if (m->records == NULL || size != m->layers * (uint64_t)TV_LAYER_SIZE) {
        return TV_ERR_SECTION;
    }
    m->weights = find_section(m, "WGHT", &m->weights_size);
    if (m->weights == NULL) {
        m->weights = find_section(m, "CMNN", &m->weights_size);
        if (m->weights == NULL) {
            return TV_ERR_SECTION;
        }
        #if defined(TINYVLM_CMSIS_NN)
        m->backend = &tv_cmsis_nn;
        if ((uintptr_t)m->weights % 4) {
            return TV_ERR_UNALIGNED;
        }
        #else
        return TV_ERR_NO_LIBRARY;
        #endif
    }
    m->info = find_section(m, "INFO", &m->info_size);
    if (m->info_size > TV_MAX_INFO || !is_utf8(m->info, m->info_size)) {
        return TV_ERR_SECTION;
    }
    m->names = find_section(m, "NAME", &size);
    if (m->names != NULL) {
        uint64_t used = 0;
        for (unsigned i = 0; i < m->layers; i++) {
            if (used >= size) {
                return TV_ERR_SECTION;
            }
            uint8_t length = m->names[used++];
            if (used + length > size || !is_utf8(m->names + used, length)) {
                return TV_ERR_SECTION;
            }
            used += length;
        }
        if (used != size) {
            return TV_ERR_SECTION;
        }
    }
    return TV_OK;
}

int tv_model_open(tv_model_t *m, const void *data, size_t size, tv_hook_t hook, void *hook_ctx) {
    const uint8_t *p = data;
    memset(m, 0, sizeof(*m));
    m->backend = tv_backend(0);
    m->data = p;
    m->bad_layer = -1;
    if (size == 0) {
        return TV_ERR_TRUNCATED;
    }
    if (memcmp(p, "TVLM", size < 4 ? size : 4) != 0) {
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
    m->size = tv_u32(p + 8);
    if (m->size < TV_HEADER_SIZE || m->size > size) {
        return TV_ERR_TRUNCATED;
    }
    uint32_t crc = 0, n;
    for (uint32_t at = TV_CRC_START; at < m->size; at += n) {
        n = m->size - at < CHUNK ? m->size - at : CHUNK;
        crc = tv_crc32(crc, p + at, n);
        if (hook && hook(hook_ctx, -1, true)) {
            return TV_ERR_STOPPED;
        }
    }
    if (crc != tv_u32(p + 12)) {
        return TV_ERR_CRC;
    }

    m->fingerprint = p + 16;
    m->image = tv_u16(p + 24);
    m->input_zero_point = tv_i8(p + 30);
    m->layers = tv_u16(p + 36);
    m->embed_layer = tv_u16(p + 38);
    m->dense_layer = tv_u16(p + 40);
    m->arena_size = tv_u32(p + 44);
    m->scratch_offset = tv_u32(p + 48);
    m->scratch_size = tv_u32(p + 52);
    tv_tensor_get(&m->input, p + 56);
    m->macs = tv_u32(p + 68);
    if (m->image == 0 || m->image > TV_MAX_IMAGE || tv_u16(p + 26) != m->image || tv_u16(p + 28) != 3
        || m->layers == 0 || m->layers > TV_MAX_LAYERS || m->embed_layer >= m->layers
        || (m->dense_layer != TV_NO_LAYER && m->dense_layer >= m->layers)
        || m->arena_size > TV_MAX_ARENA || m->scratch_offset % 4
        || (uint64_t)m->scratch_offset + m->scratch_size > m->arena_size
        || m->input.pitch || tv_check_tensor(m, &m->input, m->image, m->image, 3)) {
        return TV_ERR_HEADER;
    }
    if (12 * (uint32_t)m->image > m->scratch_size) {
        return TV_ERR_SCRATCH;
    }
    int err = check_sections(m);
    if (!err) {
        err = tv_check_layers(m, hook, hook_ctx);
    }
    if (!err) {
        uint32_t test_size;
        m->test = find_section(m, "TEST", &test_size);
        if (m->test != NULL && test_size != 4 + (uint32_t)m->dim) {
            err = TV_ERR_SECTION;
        }
    }
    return err;
}
