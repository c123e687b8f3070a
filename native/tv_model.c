// SPDX-License-Identifier: MIT
//
// Opening an encoder file, and what it says about its layers. tv_format.h has the layout,
// tv_check.c the checks of the layers.

#include "tv_kernels.h"

uint32_t tv_crc32(uint32_t crc, const void *data, size_t size) {
    // a nibble at a time: 64 bytes of table, two steps a byte
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158,
        0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4,
        0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *p = data;
    crc = ~crc;
    while (size--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

const char *tv_op_name(uint8_t op) {
    switch (op) {
        case TV_OP_CONV:
            return "conv";
        case TV_OP_DEPTHWISE:
            return "depthwise";
        case TV_OP_ADD:
            return "add";
        case TV_OP_SPACE_TO_DEPTH:
            return "spacetodepth";
        default:
            return "avgpool";
    }
}

static void get_tensor(tv_tensor_t *t, const uint8_t *p) {
    t->offset = tv_u32(p);
    t->row_bytes = tv_u32(p + 4);
    t->rows = tv_u16(p + 8);
    t->pitch = tv_u16(p + 10);
}

// Not past the end, so that even the pointer of an unchecked record is a valid one.
static const uint8_t *weights_at(const tv_model_t *model, uint32_t offset) {
    return model->weights + (offset <= model->weights_size ? offset : model->weights_size);
}

void tv_layer_get(const tv_model_t *model, unsigned index, tv_layer_t *layer) {
    const uint8_t *p = model->records + index * (size_t)TV_LAYER_SIZE;
    layer->op = p[0];
    layer->flags = p[1];
    layer->kernel = p[2];
    layer->stride = p[3];
    layer->pad_top = p[4];
    layer->pad_left = p[5];
    layer->in_zero_point = tv_i8(p + 6);
    layer->out_zero_point = tv_i8(p + 7);
    layer->in_h = tv_u16(p + 8);
    layer->in_w = tv_u16(p + 10);
    layer->in_c = tv_u16(p + 12);
    layer->out_h = tv_u16(p + 14);
    layer->out_w = tv_u16(p + 16);
    layer->out_c = tv_u16(p + 18);
    get_tensor(&layer->in, p + 20);
    get_tensor(&layer->out, p + 32);
    get_tensor(&layer->in2, p + 44);
    layer->in2_zero_point = tv_i8(p + 56);
    layer->out_margin = p[57];
    layer->weights = weights_at(model, tv_u32(p + 60));
    layer->table = weights_at(model, tv_u32(p + 64));
}

uint64_t tv_layer_macs(const tv_layer_t *l) {
    if (l->op != TV_OP_CONV && l->op != TV_OP_DEPTHWISE) {
        return 0;
    }
    uint32_t taps = (uint32_t)l->kernel * l->kernel * (l->op == TV_OP_CONV ? l->in_c : 1);
    return (uint64_t)l->out_h * l->out_w * l->out_c * taps;
}

uint64_t tv_layer_scratch(const tv_layer_t *l) {
    switch (l->op) {
        case TV_OP_CONV:
            return 10 * tv_stored_taps(l); // the weights of two channels and three pixels, as int16
        case TV_OP_DEPTHWISE:
            return 2 * (uint64_t)l->in.pitch; // a row outside the image
        default:
            return 0;
    }
}

const char *tv_layer_name(const tv_model_t *model, unsigned index, size_t *size) {
    const uint8_t *p = model->names;
    *size = 0;
    if (p == NULL) {
        return "";
    }
    while (index--) {
        p += 1 + *p;
    }
    *size = *p;
    return (const char *)p + 1;
}

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
        return TV_ERR_SECTION;
    }
    m->info = find_section(m, "INFO", &m->info_size);
    m->names = find_section(m, "NAME", &size);
    if (m->names != NULL) {
        uint64_t used = 0;
        for (unsigned i = 0; i < m->layers; i++) {
            if (used >= size) {
                return TV_ERR_SECTION;
            }
            used += 1u + m->names[used];
        }
        if (used != size) {
            return TV_ERR_SECTION;
        }
    }
    return TV_OK;
}

int tv_model_open(tv_model_t *m, const void *data, size_t size) {
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
    if (tv_crc32(0, p + TV_CRC_START, m->size - TV_CRC_START) != tv_u32(p + 12)) {
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
    get_tensor(&m->input, p + 56);
    m->macs = tv_u32(p + 68);
    if (m->image == 0 || m->image > TV_MAX_IMAGE || tv_u16(p + 26) != m->image || tv_u16(p + 28) != 3
        || m->layers == 0 || m->layers > INT16_MAX || m->embed_layer >= m->layers
        || (m->dense_layer != TV_NO_LAYER && m->dense_layer >= m->layers)
        || m->scratch_offset % 4
        || (uint64_t)m->scratch_offset + m->scratch_size > m->arena_size
        || m->input.pitch || tv_check_tensor(m, &m->input, m->image, m->image, 3)) {
        return TV_ERR_HEADER;
    }
    if (12 * (uint32_t)m->image > m->scratch_size) {
        return TV_ERR_SCRATCH;
    }
    int err = check_sections(m);
    if (!err) {
        err = tv_check_layers(m);
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
