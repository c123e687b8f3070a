// SPDX-License-Identifier: MIT
//
// Frame intake: centred square, resize, conversion to int8, one output row at a time, in
// exact integers (docs/format.md, "Frame intake"). Shrinking averages areas, enlarging is
// bilinear. Every source row is weighted into 3 * S sums of 32 bits: the weights of an axis
// add up to D <= 4096, and 255 * D * D + D * D / 2 still fits. Squares of up to 257 pixels, what
// small cameras send, are shrunk faster: their columns first, because two sums of at most
// 255 * 257 share a word.

#include "tv_kernels.h"

#define MAX_SQUARE (4096)
#define CHUNK (32) // source pixels that are converted at a time; RGB of them on the stack

static uint32_t row_size(const tv_frame_t *f) {
    switch (f->format) {
        case TV_GRAY8:
            return f->width;
        case TV_RGB888:
        case TV_BGR888:
            return 3 * f->width;
        default:
            return 2 * f->width;
    }
}

// Raw pixels may begin like a JPEG by chance, so a buffer that is large enough for the frame
// must also have a second marker where the first segment says.
static bool is_jpeg(const tv_frame_t *f, bool too_short) {
    const uint8_t *p = f->data;
    if (f->size < 6 || p[0] != 0xff || p[1] != 0xd8 || p[2] != 0xff) {
        return false;
    }
    size_t next = 4 + (size_t)(p[4] << 8 | p[5]);
    return too_short || (p[3] >= 0xc0 && next + 2 <= f->size && p[next] == 0xff && p[next + 1] >= 0xc0);
}

int tv_frame_check(tv_frame_t *f, uint64_t *need) {
    uint64_t dummy;
    need = need ? need : &dummy;
    *need = 0;
    if (f->format >= TV_FORMATS) {
        return TV_ERR_FRAME_FORMAT;
    }
    if (f->width == 0 || f->height == 0) {
        return TV_ERR_FRAME_EMPTY;
    }
    uint32_t square = f->width < f->height ? f->width : f->height;
    if (square > MAX_SQUARE || f->width > UINT16_MAX || f->height > UINT16_MAX) {
        return TV_ERR_FRAME_LARGE;
    }
    if (f->format == TV_YUYV && f->width % 2) {
        return TV_ERR_FRAME_ODD;
    }
    uint32_t row = row_size(f);
    if (f->stride == 0) {
        f->stride = row;
    }
    if (f->stride < row) {
        return TV_ERR_FRAME_STRIDE;
    }
    *need = (f->height - 1) * (uint64_t)f->stride + row;
    bool too_short = f->size < *need;
    if (is_jpeg(f, too_short)) {
        return TV_ERR_FRAME_JPEG;
    }
    return too_short ? TV_ERR_FRAME_SHORT : TV_OK;
}

static inline uint8_t clamp255(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline void from_565(uint8_t *rgb, uint32_t v) {
    uint32_t r = v >> 11, g = v >> 5 & 63, b = v & 31;
    rgb[0] = (uint8_t)(r << 3 | r >> 2);
    rgb[1] = (uint8_t)(g << 2 | g >> 4);
    rgb[2] = (uint8_t)(b << 3 | b >> 2);
}

// full-range BT.601; `>>` of a negative int rounds down here
static inline void from_yuv(uint8_t *rgb, int32_t y, int32_t u, int32_t v) {
    u -= 128;
    v -= 128;
    rgb[0] = clamp255(y + ((359 * v + 128) >> 8));
    rgb[1] = clamp255(y - ((88 * u + 183 * v + 128) >> 8));
    rgb[2] = clamp255(y + ((454 * u + 128) >> 8));
}

// n pixels from (x, y) on, as R, G, B
static void fetch(tv_frame_t *f, uint32_t x, uint32_t y, uint32_t n, uint8_t *rgb) {
    const uint8_t *p = f->data;
    if (f->format != TV_TEST_IMAGE) {
        p += (size_t)y * f->stride;
    }
    switch (f->format) {
        case TV_GRAY8:
            for (p += x; n; n--, p++, rgb += 3) {
                rgb[0] = rgb[1] = rgb[2] = *p;
            }
            break;
        case TV_RGB565_LE:
            for (p += 2 * x; n; n--, p += 2, rgb += 3) {
                from_565(rgb, p[0] | (uint32_t)p[1] << 8);
            }
            break;
        case TV_RGB565_BE:
            for (p += 2 * x; n; n--, p += 2, rgb += 3) {
                from_565(rgb, p[1] | (uint32_t)p[0] << 8);
            }
            break;
        case TV_RGB888:
            memcpy(rgb, p + 3 * x, 3 * n);
            break;
        case TV_BGR888:
            for (p += 3 * x; n; n--, p += 3, rgb += 3) {
                rgb[0] = p[2];
                rgb[1] = p[1];
                rgb[2] = p[0];
            }
            break;
        case TV_YUYV:
            for (; n; n--, x++, rgb += 3) {
                const uint8_t *pair = p + (x & ~(uint32_t)1) * 2;
                from_yuv(rgb, pair[x % 2 * 2], pair[1], pair[3]);
            }
            break;
        default: // the known-answer image: three steps of xorshift32 a pixel
            for (uint32_t i = 0; i < 3 * n; i++) {
                f->state ^= f->state << 13;
                f->state ^= f->state >> 17;
                f->state ^= f->state << 5;
                rgb[i] = (uint8_t)(f->state >> 24);
            }
            break;
    }
}

typedef struct {
    tv_frame_t *frame;
    uint32_t x0, y0; // corner of the square in the frame
    uint32_t s;      // its side
    uint32_t image;  // S
    uint32_t *sums;  // 3 * S
} square_t;

// Row j of the square, shrunk to S pixels, times `weight`, into the sums.
// In units of 1 / S source pixel a source pixel is S wide and an output s.
static void add_area(const square_t *q, uint32_t j, uint32_t weight) {
    uint8_t rgb[3 * CHUNK];
    uint32_t *to = q->sums;
    uint32_t r = 0, g = 0, b = 0;
    uint32_t room = q->s; // what is left of the output at hand
    for (uint32_t x = 0; x < q->s; x += CHUNK) {
        uint32_t n = q->s - x < CHUNK ? q->s - x : CHUNK;
        fetch(q->frame, q->x0 + x, q->y0 + j, n, rgb);
        for (const uint8_t *p = rgb; n; n--, p += 3) {
            uint32_t width = q->image;
            if (width >= room) {
                to[0] += weight * (r + room * p[0]);
                to[1] += weight * (g + room * p[1]);
                to[2] += weight * (b + room * p[2]);
                to += 3;
                r = g = b = 0;
                width -= room;
                room = q->s;
            }
            r += width * p[0];
            g += width * p[1];
            b += width * p[2];
            room -= width;
        }
    }
}

#define MAX_PACKED (257)

typedef struct {
    uint32_t rb, g; // red, blue << 16; green
} packed_t;

// floor(2^(32 + l) / d) + 1 where 2^l is the greatest power of two below d: with it a multiplication
// and a shift divide. Exact for what is below 256 * d while d < 2^22: the error, at most d of
// 2^(32 + l), times that stays below 2^(32 + l).
typedef struct {
    uint32_t factor, shift;
} divisor_t;

static divisor_t divisor(uint32_t d) {
    divisor_t r = { 0, 0 };
    while (2u << r.shift < d) {
        r.shift++;
    }
    uint32_t rest = 1u << r.shift;
    for (int i = 0; i < 32; i++) {
        rest *= 2;
        r.factor = 2 * r.factor + (rest >= d);
        rest -= rest >= d ? d : 0;
    }
    r.factor++;
    return r;
}

static inline int8_t divide(uint32_t sum, divisor_t d) {
    return (int8_t)((int32_t)((uint32_t)((uint64_t)sum * d.factor >> 32) >> d.shift) - 128);
}

static inline void add_565(packed_t *sum, uint32_t v, uint32_t weight) {
    uint32_t rb = v >> 11 | (v & 31) << 16, g = v >> 5 & 63;
    sum->rb += weight * (rb << 3 | (rb >> 2 & 0x70007));
    sum->g += weight * (g << 2 | g >> 4);
}

// n pixels from (x, y) on, times `weight`, into sums of columns.
static void add_columns(tv_frame_t *f, uint32_t x, uint32_t y, uint32_t n, uint32_t weight, packed_t *sum) {
    uint8_t rgb[3 * CHUNK];
    const uint8_t *p = f->data + (size_t)y * f->stride;
    switch (f->format) {
        case TV_RGB565_LE:
            for (p += 2 * x; n; n--, p += 2) {
                add_565(sum++, tv_u16(p), weight);
            }
            break;
        case TV_RGB565_BE:
            for (p += 2 * x; n; n--, p += 2) {
                add_565(sum++, (uint32_t)p[0] << 8 | p[1], weight);
            }
            break;
        default:
            fetch(f, x, y, n, rgb);
            for (p = rgb; n; n--, p += 3, sum++) {
                sum->rb += weight * (p[0] | (uint32_t)p[2] << 16);
                sum->g += weight * p[1];
            }
            break;
    }
}

// Output row y of a square of S ... MAX_PACKED pixels.
static void shrink_packed(const square_t *q, uint32_t y, int8_t *out) {
    packed_t sums[CHUNK] = { { 0, 0 } };
    uint32_t s = q->s, image = q->image, half = s * s / 2;
    divisor_t area = divisor(s * s);
    uint32_t r = half, g = half, b = half;
    uint32_t room = s; // what is left of the output at hand
    uint32_t top = y * s, bottom = top + s;
    for (uint32_t x = 0; x < s; x += CHUNK) {
        uint32_t n = s - x < CHUNK ? s - x : CHUNK;
        uint32_t j = top / image, to = (j + 1) * image; // s >= image: the first row ends inside
        add_columns(q->frame, q->x0 + x, q->y0 + j, n, to - top, sums);
        for (; to < bottom; to += image) {
            j++;
            uint32_t weight = bottom - to < image ? bottom - to : image;
            add_columns(q->frame, q->x0 + x, q->y0 + j, n, weight, sums);
        }
        for (packed_t *p = sums; n; n--, p++) {
            uint32_t red = p->rb & 0xffff, green = p->g, blue = p->rb >> 16;
            p->rb = p->g = 0; // for the next chunk
            if (room > image) {
                r += image * red;
                g += image * green;
                b += image * blue;
                room -= image;
            } else {
                uint32_t rest = image - room; // goes to the next output
                *out++ = divide(r + room * red, area);
                *out++ = divide(g + room * green, area);
                *out++ = divide(b + room * blue, area);
                r = half + rest * red;
                g = half + rest * green;
                b = half + rest * blue;
                room = s - rest;
            }
        }
    }
}

// pixel - 128 is the pixel with its highest bit flipped. `to` may be `from`.
static void to_signed(int8_t *to, const uint8_t *from, uint32_t n) {
    for (; n >= 4; n -= 4, to += 4, from += 4) {
        uint32_t word;
        memcpy(&word, from, 4);
        word ^= 0x80808080;
        memcpy(to, &word, 4);
    }
    for (; n; n--) {
        *to++ = (int8_t)(*from++ ^ 0x80);
    }
}

// Where the centre of output i lies between two source pixels: *j and *j + 1, in 1 / 2S.
// *j is -1 for an output that lies before the first pixel's centre.
static uint32_t between(uint32_t s, uint32_t image, uint32_t i, int32_t *j) {
    uint32_t n = (2 * i + 1) * s + image; // 2S more than format.md's n: not negative
    *j = (int32_t)(n / (2 * image)) - 1;
    return n % (2 * image);
}

static uint32_t clamp_index(int32_t j, uint32_t s) {
    return j < 0 ? 0 : (uint32_t)j < s ? (uint32_t)j : s - 1;
}

// Row j of the square, enlarged to S pixels, times `weight`, into the sums.
static void add_bilinear(const square_t *q, uint32_t j, uint32_t weight) {
    uint8_t pair[6];
    uint32_t *to = q->sums;
    int32_t have = -2;
    for (uint32_t i = 0; i < q->image; i++) {
        int32_t x;
        uint32_t right = between(q->s, q->image, i, &x), left = 2 * q->image - right;
        if (x != have) {
            fetch(q->frame, q->x0 + clamp_index(x, q->s), q->y0 + j, 1, pair);
            fetch(q->frame, q->x0 + clamp_index(x + 1, q->s), q->y0 + j, 1, pair + 3);
            have = x;
        }
        for (int c = 0; c < 3; c++) {
            *to++ += weight * (left * pair[c] + right * pair[c + 3]);
        }
    }
}

void tv_intake(tv_frame_t *frame, uint32_t image, uint32_t y, int8_t *out, uint32_t *sums) {
    uint32_t s = frame->width < frame->height ? frame->width : frame->height;
    square_t q = { frame, (frame->width - s) / 2, (frame->height - s) / 2, s, image, sums };
    uint32_t d; // weights of one axis add up to this
    if (s == image) { // nothing to resize
        const uint8_t *rgb = (const uint8_t *)out;
        if (frame->format == TV_RGB888) {
            rgb = frame->data + (size_t)(q.y0 + y) * frame->stride + 3 * q.x0;
        } else {
            fetch(frame, q.x0, q.y0 + y, image, (uint8_t *)out);
        }
        to_signed(out, rgb, 3 * image);
        return;
    }
    if (s > image && s <= MAX_PACKED) {
        shrink_packed(&q, y, out);
        return;
    }
    memset(sums, 0, 3 * image * sizeof(*sums));
    if (s >= image) {
        d = s;
        uint32_t top = y * s, bottom = top + s;
        for (uint32_t j = top / image; j * image < bottom; j++) {
            uint32_t from = j * image > top ? j * image : top;
            uint32_t to = (j + 1) * image < bottom ? (j + 1) * image : bottom;
            add_area(&q, j, to - from);
        }
    } else {
        d = 2 * image;
        int32_t j;
        uint32_t below = between(s, image, y, &j);
        add_bilinear(&q, clamp_index(j, s), d - below);
        if (below) {
            add_bilinear(&q, clamp_index(j + 1, s), below);
        }
    }
    uint32_t area = d * d, half = area / 2;
    for (const uint32_t *end = sums + 3 * image; sums < end;) {
        *out++ = (int8_t)((int32_t)((*sums++ + half) / area) - 128);
    }
}
