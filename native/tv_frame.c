// SPDX-License-Identifier: MIT
//
// Frame intake: centred square, resize, conversion to int8, one output row at a time, in
// exact integers (docs/format.md, "Frame intake"). Shrinking averages areas, enlarging is
// bilinear. Every source row is weighted into 3 * S sums of 32 bits: the weights of an axis
// add up to D <= 4096, and 255 * D * D + D * D / 2 still fits. Squares of up to 257 pixels, what
// small cameras send, are shrunk faster: their columns first, because two sums of at most
// 255 * 257, of neighbouring pixels, share a word; and their divisions are multiplications.

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

// floor(2^48 / d) + 1 for d above 2^16, at most 2^17: with it a multiplication and a shift divide. Exact
// for what is below 256 * d: the error, at most d of 2^48, times that stays below 2^48.
static uint32_t reciprocal(uint32_t d) {
    uint32_t quotient = 0, rest = 1;
    for (int digit = 0; digit < 4; digit++) {
        rest <<= 12;
        quotient = quotient << 12 | rest / d;
        rest %= d;
    }
    return quotient + 1;
}

// Two pixels, the left one in the lower half, times `weight`, into the sums of their columns: red of
// both in one word, then green, then blue.
static inline void add_565(uint32_t *sum, uint32_t v, uint32_t weight) {
    uint32_t r = v >> 11 & 0x1f001f, g = v >> 5 & 0x3f003f, b = v & 0x1f001f;
    sum[0] += weight * (r << 3 | (r >> 2 & 0x70007));
    sum[1] += weight * (g << 2 | (g >> 4 & 0x30003));
    sum[2] += weight * (b << 3 | (b >> 2 & 0x70007));
}

static inline uint32_t swap_bytes(uint32_t v, bool swap) {
    return swap ? (v & 0xff00ff) << 8 | (v >> 8 & 0xff00ff) : v;
}

// n pixels from (x, y) on, times `weight`, into sums of columns.
__attribute__((noinline)) static void add_columns(tv_frame_t *f, uint32_t x, uint32_t y, uint32_t n,
    uint32_t weight, uint32_t *sum) {
    uint8_t rgb[3 * CHUNK];
    if (f->format == TV_RGB565_LE || f->format == TV_RGB565_BE) {
        bool swap = f->format == TV_RGB565_BE;
        const uint8_t *p = f->data + (size_t)y * f->stride + 2 * x;
        for (; n > 1; n -= 2, p += 4, sum += 3) {
            add_565(sum, swap_bytes(tv_u32(p), swap), weight);
        }
        if (n) {
            add_565(sum, swap_bytes(tv_u16(p), swap), weight);
        }
        return;
    }
    fetch(f, x, y, n, rgb);
    for (const uint8_t *p = rgb; p < rgb + 3 * n; p += 3) {
        sum[0] += weight * p[0];
        sum[1] += weight * p[1];
        sum[2] += weight * p[2];
        sum += weight < 1 << 16 ? 0 : 3;
        weight = weight << 16 | weight >> 16; // the other half's turn
    }
}

// An output pixel that is being summed. A source pixel is `image` wide and an output s, in one unit.
typedef struct {
    uint32_t red, green, blue;
    uint32_t room; // what is left of the output
    int8_t *out;
} pixel_t;

typedef struct {
    uint32_t image, s;
    uint32_t half;   // what sums begin with
    uint32_t factor; // reciprocal() of what they are divided by
} scale_t;

static inline void add_pixel(pixel_t *o, uint32_t red, uint32_t green, uint32_t blue, scale_t k) {
    if (o->room > k.image) {
        o->red += k.image * red;
        o->green += k.image * green;
        o->blue += k.image * blue;
        o->room -= k.image;
    } else {
        uint32_t rest = k.image - o->room; // goes to the next output
        uint32_t r = (uint32_t)((uint64_t)(o->red + o->room * red) * k.factor >> 48);
        uint32_t g = (uint32_t)((uint64_t)(o->green + o->room * green) * k.factor >> 48);
        uint32_t b = (uint32_t)((uint64_t)(o->blue + o->room * blue) * k.factor >> 48);
        o->out[0] = (int8_t)((int32_t)r - 128);
        o->out[1] = (int8_t)((int32_t)g - 128);
        o->out[2] = (int8_t)((int32_t)b - 128);
        o->out += 3;
        o->red = k.half + rest * red;
        o->green = k.half + rest * green;
        o->blue = k.half + rest * blue;
        o->room = k.s - rest;
    }
}

// Output row y of a square of S ... MAX_PACKED pixels.
static void shrink_packed(const square_t *q, uint32_t y, int8_t *out) {
    uint32_t sums[3 * CHUNK / 2] = { 0 };
    uint32_t s = q->s, image = q->image, area = s * s;
    uint32_t unit = (1 << 17) / area; // of widths, so that areas are above 2^16, at most 2^17
    scale_t k = { unit * image, unit * s, unit * (area / 2), reciprocal(unit * area) };
    pixel_t o = { k.half, k.half, k.half, k.s, out };
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
        // Behind an odd last one comes a pixel of zeros, which adds nothing: s > image
        for (uint32_t *p = sums; p < sums + (n + 1) / 2 * 3; p += 3) {
            uint32_t red = p[0], green = p[1], blue = p[2];
            p[0] = p[1] = p[2] = 0; // for the next chunk
            add_pixel(&o, red & 0xffff, green & 0xffff, blue & 0xffff, k);
            add_pixel(&o, red >> 16, green >> 16, blue >> 16, k);
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
