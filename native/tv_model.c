// SPDX-License-Identifier: MIT
//
// Opening an encoder file: tv_format.h has the layout. Everything the engine later relies on
// is checked here, with 64-bit sums, so that running needs no checks. A file with a valid
// checksum is trusted no more than any other.

#include "tv_kernels.h"

const char *tv_strerror(int err) {
    switch (err) {
        case TV_OK:
            return "no error";
        case TV_ERR_MAGIC:
            return "this is not an encoder file (.tvlm)";
        case TV_ERR_VERSION:
            return "the file is of a version that this firmware does not read";
        case TV_ERR_TRUNCATED:
            return "the file is truncated";
        case TV_ERR_CRC:
            return "the checksum does not match, the file is damaged";
        case TV_ERR_HEADER:
            return "the header is inconsistent";
        case TV_ERR_SECTION:
            return "a section is missing or has a wrong size";
        case TV_ERR_OP:
            return "operation, kernel or stride is not supported";
        case TV_ERR_SHAPE:
            return "shapes do not fit the operation";
        case TV_ERR_TENSOR:
            return "a tensor does not fit into the arena";
        case TV_ERR_PRODUCER:
            return "an operand is not what an earlier layer writes";
        case TV_ERR_RING:
            return "a tensor keeps too few rows";
        case TV_ERR_PLANAR:
            return "pitch or margin of a planar tensor is wrong";
        case TV_ERR_WEIGHTS:
            return "weights or table lie outside the file";
        case TV_ERR_QUANT:
            return "bias, multiplier or shift is out of range";
        case TV_ERR_SCRATCH:
            return "scratch_size is too small for a kernel";
        case TV_ERR_SEGMENT:
            return "a streamed segment is too long, not closed or has a dense layer";
        case TV_ERR_OUTPUT:
            return "the layer cannot be the embedding or the dense map";
        case TV_ERR_FRAME_FORMAT:
            return "unknown pixel format";
        case TV_ERR_FRAME_JPEG:
            return "this is a JPEG; ask the camera for RGB565 or GRAYSCALE";
        case TV_ERR_FRAME_EMPTY:
            return "width and height must be at least 1";
        case TV_ERR_FRAME_LARGE:
            return "the frame is too large: its shorter side is at most 4096 pixels, "
                   "its longer one at most 65535";
        case TV_ERR_FRAME_ODD:
            return "a YUYV frame must have an even width";
        case TV_ERR_FRAME_STRIDE:
            return "stride is less than a row of pixels";
        case TV_ERR_FRAME_SHORT:
            return "the buffer is smaller than the frame";
        case TV_ERR_STOPPED:
            return "the run was stopped";
        case TV_ERR_NO_MAP:
            return "this encoder has no dense map";
        case TV_ERR_NO_TEST:
            return "the file has no known-answer test";
        case TV_ERR_TEST:
            return "the embedding of the test image differs from the file's";
        default:
            return "unknown error";
    }
}

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

static bool same_tensor(const tv_tensor_t *a, const tv_tensor_t *b) {
    return a->offset == b->offset && a->row_bytes == b->row_bytes
           && a->rows == b->rows && a->pitch == b->pitch;
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

// Taps of one output channel as stored, padding included.
static uint64_t stored_taps(const tv_layer_t *l) {
    uint32_t k = l->kernel;
    return l->op == TV_OP_CONV ? (k * k * (uint64_t)l->in_c + 3) / 4 * 4 : k * tv_align4(k);
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
            return 6 * stored_taps(l); // three pixels of int16
        case TV_OP_DEPTHWISE:
            return 2 * (uint64_t)l->kernel * l->in.pitch; // one channel's window of int16
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

// Does the tensor, of shape h x w x c, lie in the arena, and do its rows not overlap?
static int check_tensor(const tv_model_t *m, const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c) {
    uint64_t content = t->pitch ? (uint64_t)c * t->pitch : (uint64_t)w * c;
    if (h == 0 || w == 0 || c == 0) {
        return TV_ERR_SHAPE;
    }
    if (t->pitch && t->pitch < w) {
        return TV_ERR_PLANAR;
    }
    if (t->rows == 0 || t->rows > h || (t->rows > 1 && t->row_bytes < content)) {
        return TV_ERR_TENSOR;
    }
    uint64_t end = t->offset + (uint64_t)(t->rows - 1) * t->row_bytes + content;
    return end <= m->arena_size ? TV_OK : TV_ERR_TENSOR;
}

// kernel, stride, padding and shapes
static int check_shape(const tv_layer_t *l) {
    uint32_t k = l->kernel, s = l->stride;
    if (l->op == TV_OP_ADD) {
        bool same = l->in_h == l->out_h && l->in_w == l->out_w && l->in_c == l->out_c;
        return same ? TV_OK : TV_ERR_SHAPE;
    }
    if (k == 0 || s == 0 || l->out_h == 0 || l->out_w == 0) {
        return TV_ERR_OP;
    }
    uint32_t last_y = (l->out_h - 1u) * s, last_x = (l->out_w - 1u) * s; // windows' first taps
    if (l->op == TV_OP_AVGPOOL) {
        bool ok = l->pad_top == 0 && l->pad_left == 0 && l->in_c == l->out_c
            && last_y + k <= l->in_h && last_x + k <= l->in_w;
        return ok ? TV_OK : TV_ERR_SHAPE;
    }
    if (k > 7 || k % 2 == 0 || s > 2) {
        return TV_ERR_OP;
    }
    bool ok = l->pad_top < k && l->pad_left < k
        && last_y < l->in_h + (uint32_t)l->pad_top && last_x < l->in_w + (uint32_t)l->pad_left
        && (l->op == TV_OP_CONV || l->in_c == l->out_c);
    return ok ? TV_OK : TV_ERR_SHAPE;
}

// Memory layout of the operands as the kernel of this layer needs it.
static int check_layout(const tv_layer_t *l) {
    uint32_t window = l->op == TV_OP_ADD ? 1 : l->kernel;
    if (l->in.rows < l->in_h && l->in.rows < window) {
        return TV_ERR_RING;
    }
    if ((l->op == TV_OP_DEPTHWISE) != (l->in.pitch != 0) || (l->op == TV_OP_ADD && l->in2.pitch)) {
        return TV_ERR_PLANAR;
    }
    if (l->op == TV_OP_DEPTHWISE
        && (l->in.pitch < l->pad_left + (uint32_t)l->in_w
            || l->in.pitch < (l->out_w - 1u) * l->stride + l->kernel)) {
        return TV_ERR_PLANAR;
    }
    if (l->out.pitch ? l->out.pitch < l->out_margin + (uint32_t)l->out_w : l->out_margin) {
        return TV_ERR_PLANAR;
    }
    return TV_OK;
}

static bool inside(const tv_model_t *m, uint32_t offset, uint64_t size) {
    return size <= m->weights_size && offset <= m->weights_size - size;
}

static bool multiplier_ok(int32_t mult) {
    return mult >= 1 << 30;
}

// weights and table: inside WGHT, and free of overflow
static int check_weights(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l) {
    uint32_t weights = tv_u32(record + 60), table = tv_u32(record + 64);
    if (l->op == TV_OP_AVGPOOL) {
        return l->in_zero_point == l->out_zero_point ? TV_OK : TV_ERR_QUANT;
    }
    if (l->op == TV_OP_ADD) {
        if (!inside(m, table, TV_ADD_TABLE_SIZE)) {
            return TV_ERR_WEIGHTS;
        }
        const uint8_t *t = l->table;
        bool ok = multiplier_ok(tv_i32(t)) && multiplier_ok(tv_i32(t + 4))
            && multiplier_ok(tv_i32(t + 8))
            && t[12] <= 30 && t[13] <= 30 && t[14] >= 1 && t[14] <= 30;
        return ok ? TV_OK : TV_ERR_QUANT;
    }
    uint64_t taps = stored_taps(l);
    uint64_t channels = l->op == TV_OP_CONV ? (l->out_c + 1u) / 2 * 2 : l->out_c;
    if (!inside(m, weights, channels * taps) || !inside(m, table, 9 * (uint64_t)l->out_c)) {
        return TV_ERR_WEIGHTS;
    }
    for (uint32_t c = 0; c < l->out_c; c++) {
        const uint8_t *t = l->table + 4 * c;
        int64_t bias = tv_i32(t);
        uint8_t shift = l->table[8 * l->out_c + c];
        if ((bias < 0 ? -bias : bias) + (int64_t)taps * (1 << 14) >= TV_MAX_ACC
            || !multiplier_ok(tv_i32(t + 4 * l->out_c)) || shift < 1 || shift > 30) {
            return TV_ERR_QUANT;
        }
    }
    return TV_OK;
}

// Who wrote this operand? Looks backwards from record `index`: returns the record that writes
// exactly this tensor, -1 for the image, or an error below that.
static int find_producer(const tv_model_t *m, int index, const tv_layer_t *reader,
    const tv_tensor_t *t, int8_t zero_point) {
    for (int i = index - 1; i >= 0; i--) {
        tv_layer_t l;
        tv_layer_get(m, (unsigned)i, &l);
        if (!same_tensor(&l.out, t) || (l.flags & TV_FLAG_DENSE)) {
            continue;
        }
        if (l.out_h != reader->in_h || l.out_w != reader->in_w || l.out_c != reader->in_c
            || l.out_zero_point != zero_point) {
            return TV_ERR_PRODUCER;
        }
        return l.out.pitch && l.out_margin != reader->pad_left ? TV_ERR_PLANAR : i;
    }
    bool image = same_tensor(&m->input, t) && zero_point == m->input_zero_point
        && reader->in_h == m->image && reader->in_w == m->image && reader->in_c == 3;
    return image ? -1 : TV_ERR_PRODUCER;
}

// One layer. `first` is the first record of its segment.
static int check_layer(const tv_model_t *m, int index, int first) {
    const uint8_t *record = m->records + (size_t)index * TV_LAYER_SIZE;
    tv_layer_t l;
    tv_layer_get(m, (unsigned)index, &l);
    if (l.op < TV_OP_CONV || l.op > TV_OP_AVGPOOL || l.flags > (TV_FLAG_DENSE | TV_FLAG_STREAM)) {
        return TV_ERR_OP;
    }
    int err = check_tensor(m, &l.in, l.in_h, l.in_w, l.in_c);
    if (!err) {
        err = check_tensor(m, &l.out, l.out_h, l.out_w, l.out_c);
    }
    if (!err && l.op == TV_OP_ADD) {
        err = check_tensor(m, &l.in2, l.in_h, l.in_w, l.in_c);
    }
    if (!err) {
        err = check_shape(&l);
    }
    if (!err) {
        err = check_layout(&l);
    }
    if (!err) {
        err = check_weights(m, record, &l);
    }
    if (err) {
        return err;
    }
    if (tv_layer_scratch(&l) > m->scratch_size) {
        return TV_ERR_SCRATCH;
    }
    int producer = find_producer(m, index, &l, &l.in, l.in_zero_point);
    if (producer < -1) {
        return producer;
    }
    if (first > 0 && producer < first && l.in.rows != l.in_h) {
        return TV_ERR_RING; // a ring does not outlive its segment
    }
    if (producer != index - 1 && index != first) {
        return TV_ERR_PRODUCER; // a stage reads the stage before it
    }
    if (l.op == TV_OP_ADD) {
        producer = find_producer(m, index, &l, &l.in2, l.in2_zero_point);
        if (producer < -1) {
            return producer;
        }
        if (first > 0 && producer < first && l.in2.rows != l.in_h) {
            return TV_ERR_RING;
        }
    }
    return TV_OK;
}

static int check_layers(tv_model_t *m) {
    int first = 0;
    for (int i = 0; i < m->layers; i++) {
        m->bad_layer = (int16_t)i;
        int err = check_layer(m, i, first);
        if (err) {
            return err;
        }
        uint8_t flags = m->records[(size_t)i * TV_LAYER_SIZE + 1];
        bool last = !(flags & TV_FLAG_STREAM);
        if (i - first >= TV_MAX_STAGES || (!last && i == m->layers - 1)
            || ((flags & TV_FLAG_DENSE) && (!last || i != first || i == 0))) {
            return TV_ERR_SEGMENT;
        }
        if (last) {
            first = i + 1;
        }
    }

    tv_layer_t l;
    m->bad_layer = (int16_t)m->embed_layer;
    tv_layer_get(m, m->embed_layer, &l);
    if (l.out_h != 1 || l.out_w != 1 || l.out.pitch || l.out_zero_point
        || (l.flags & (TV_FLAG_DENSE | TV_FLAG_STREAM))) {
        return TV_ERR_OUTPUT;
    }
    m->dim = l.out_c;
    if (m->dense_layer != TV_NO_LAYER) {
        m->bad_layer = (int16_t)m->dense_layer;
        tv_layer_get(m, m->dense_layer, &l);
        if (l.out_c != m->dim || l.out.rows != l.out_h || l.out.pitch || l.out_zero_point
            || !(l.flags & TV_FLAG_DENSE)) {
            return TV_ERR_OUTPUT;
        }
        m->map_h = l.out_h;
        m->map_w = l.out_w;
    }
    m->bad_layer = -1;
    return TV_OK;
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
        || m->input.pitch || check_tensor(m, &m->input, m->image, m->image, 3)) {
        return TV_ERR_HEADER;
    }
    if (12 * (uint32_t)m->image > m->scratch_size) {
        return TV_ERR_SCRATCH;
    }
    int err = check_sections(m);
    if (!err) {
        err = check_layers(m);
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
