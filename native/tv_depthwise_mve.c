// SPDX-License-Identifier: MIT
//
// Depthwise convolution for cores with Helium (Cortex-M55, M85). VMLADAV multiplies sixteen bytes
// with sixteen, so a window should lie in as many in one piece: the input rows of a channel are
// sorted into columns, one a pixel, and an output is the product of the taps with the columns from
// its first one on. Kernels 1 and 3 have columns of 4 bytes: a window is one vector, and where the
// stride is 1 the next window lies in the same one. 5 and 7 have columns of 8 bytes: a window is
// three or four vectors, most of which are those of other windows, too.

#include "tv_kernels.h"

#if TV_HAVE_MVE

#include "tv_mve.h"
#include "tv_depthwise_mve.h"

#define INLINE __attribute__((always_inline)) static inline // kernel and stride are constants
#define ROWS (8) // of output at once
#define COLUMNS_SIZE (256) // bytes of columns at once
#define SLACK (112) // what the vectors of outputs that are not there may read behind them

// Bytes of two rows, in turns.
static inline int16x8_t two_rows(int16x8_t a, int16x8_t b) {
    return vreinterpretq_s16_s8(vmovntq_s16(vreinterpretq_s8_s16(a), b));
}

// Columns of `n` pixels, from pixel `at` on, of 1, 5 or 7 rows.
INLINE void sort_columns(int8_t *to, const int16_t *const *rows, uint32_t at, uint32_t n, uint32_t kernel) {
    const int16_t *a = rows[0] + at;
    if (kernel == 1) {
        for (; (int32_t)n > 0; n -= 8, to += 32, a += 8) {
            int16x8_t one = vldrhq_z_s16(a, vctp16q(n));
            int16x8x2_t column = { { one, one } };
            vst2q_s16((int16_t *)(void *)to, column);
        }
        return;
    }
    const int16_t *b = rows[1] + at, *c = rows[2] + at, *d = rows[3] + at, *e = rows[4] + at;
    const int16_t *f = rows[kernel == 7 ? 5 : 4] + at, *g = rows[kernel == 7 ? 6 : 4] + at;
    for (; (int32_t)n > 0; n -= 8, to += 64, a += 8, b += 8, c += 8, d += 8, e += 8, f += 8, g += 8) {
        mve_pred16_t p = vctp16q(n);
        int16x8_t last = vldrhq_z_s16(e, p);
        int16x8x4_t column = { {
            two_rows(vldrhq_z_s16(a, p), vldrhq_z_s16(b, p)),
            two_rows(vldrhq_z_s16(c, p), vldrhq_z_s16(d, p)),
            kernel == 5 ? last : two_rows(last, vldrhq_z_s16(f, p)),
            kernel == 5 ? last : vldrhq_z_s16(g, p),
        } };
        vst4q_s16((int16_t *)(void *)to, column);
    }
}

#define LOAD(offset)    "vldrb.8 %q[x], [%[at], #" #offset "]\n"
#define FIRST(s)        "vmladav.s8 %[s" #s "], %q[x], %q[t0]\n"
#define NEXT(s, t)      "vmladava.s8 %[s" #s "], %q[x], %q[t" #t "]\n"
#define WINDOWS(code, ...) \
    __asm (code \
        "vmov %q[sum][2], %q[sum][0], %[s0], %[s2]\n" \
        "vmov %q[sum][3], %q[sum][1], %[s1], %[s3]\n" \
        : [sum] "=&w" (sum), [x] "=&w" (x), [s0] "=&Te" (s0), [s1] "=&Te" (s1), [s2] "=&Te" (s2), [s3] "=&Te" (s3) \
        : [at] "r" (at), [t0] "w" (t[0]), __VA_ARGS__ "m" (*(const int8_t (*)[SLACK])at))
#define THREE [t1] "w" (t[1]), [t2] "w" (t[2]),
#define FOUR THREE [t3] "w" (t[3]),

// The sums of four windows side by side.
static inline int32x4_t four_windows(const int8_t *at, const int8x16_t *t, uint32_t kernel, uint32_t stride) {
    int32x4_t sum;
    int8x16_t x;
    int32_t s0, s1, s2, s3;
    if (kernel == 1 && stride == 1) {
        WINDOWS(LOAD(0) FIRST(0) LOAD(4) FIRST(1) LOAD(8) FIRST(2) LOAD(12) FIRST(3), );
    } else if (kernel == 1) {
        WINDOWS(LOAD(0) FIRST(0) LOAD(8) FIRST(1) LOAD(16) FIRST(2) LOAD(24) FIRST(3), );
    } else if (kernel == 5 && stride == 1) {
        WINDOWS(LOAD(0) FIRST(0) LOAD(16) NEXT(0, 1) FIRST(2) LOAD(32) NEXT(0, 2) NEXT(2, 1) LOAD(48) NEXT(2, 2)
            LOAD(8) FIRST(1) LOAD(24) NEXT(1, 1) FIRST(3) LOAD(40) NEXT(1, 2) NEXT(3, 1) LOAD(56) NEXT(3, 2), THREE);
    } else if (kernel == 5) {
        WINDOWS(LOAD(0) FIRST(0) LOAD(16) NEXT(0, 1) FIRST(1) LOAD(32) NEXT(0, 2) NEXT(1, 1) FIRST(2)
            LOAD(48) NEXT(1, 2) NEXT(2, 1) FIRST(3) LOAD(64) NEXT(2, 2) NEXT(3, 1) LOAD(80) NEXT(3, 2), THREE);
    } else if (stride == 1) {
        WINDOWS(LOAD(0) FIRST(0) LOAD(16) NEXT(0, 1) FIRST(2) LOAD(32) NEXT(0, 2) NEXT(2, 1)
            LOAD(48) NEXT(0, 3) NEXT(2, 2) LOAD(64) NEXT(2, 3)
            LOAD(8) FIRST(1) LOAD(24) NEXT(1, 1) FIRST(3) LOAD(40) NEXT(1, 2) NEXT(3, 1)
            LOAD(56) NEXT(1, 3) NEXT(3, 2) LOAD(72) NEXT(3, 3), FOUR);
    } else {
        WINDOWS(LOAD(0) FIRST(0) LOAD(16) NEXT(0, 1) FIRST(1) LOAD(32) NEXT(0, 2) NEXT(1, 1) FIRST(2)
            LOAD(48) NEXT(0, 3) NEXT(1, 2) NEXT(2, 1) FIRST(3) LOAD(64) NEXT(1, 3) NEXT(2, 2) NEXT(3, 1)
            LOAD(80) NEXT(2, 3) NEXT(3, 2) LOAD(96) NEXT(3, 3), FOUR);
    }
    return sum;
}

// Input rows of 1 ... ROWS rows, and those of them that are outside the image, which have but one
// channel.
typedef struct {
    const int16_t *row[2 * (ROWS - 1) + 8];
    const int16_t **outside[2 * (ROWS - 1) + 8];
    uint32_t blanks;
} rows_t;

static void find_rows(rows_t *in, const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) {
    in->blanks = 0;
    for (uint32_t i = 0; i < (rows - 1) * l->stride + l->kernel; i++) {
        uint32_t iy = y * l->stride + i - l->pad_top; // wraps to a huge number above the image
        bool inside = iy < l->in_h;
        in->row[i] = inside ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : blank;
        if (!inside) {
            in->outside[in->blanks++] = &in->row[i];
        }
    }
}

static inline void next_channel(rows_t *in, uint32_t pitch) {
    for (uint32_t i = 0; i < in->blanks; i++) {
        *in->outside[i] -= pitch;
    }
}

// Where the taps of vector v lie in the file: byte i of it is the one of row i % column, column
// i / column. Those that the kernel has not are 0.
static inline uint8x16_t places(uint32_t kernel, uint32_t v, mve_pred16_t *real) {
    uint8x16_t bytes = vidupq_n_u8(0, 1);
    uint8x16_t ky = vandq_u8(bytes, vdupq_n_u8(kernel <= 3 ? 3 : 7));
    uint8x16_t kx = vaddq_n_u8(kernel <= 3 ? vshrq_n_u8(bytes, 2) : vshrq_n_u8(bytes, 3), (uint8_t)(2 * v));
    *real = vcmpltq_m_n_s8(vreinterpretq_s8_u8(kx), (int8_t)kernel, vcmpltq_n_s8(vreinterpretq_s8_u8(ky), (int8_t)kernel));
    return vaddq_u8(vmulq_n_u8(ky, (uint8_t)tv_align4(kernel)), kx);
}

static void depthwise_3(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) {
    uint32_t channels = l->out_c, stride = l->stride, width = l->out_w;
    uint32_t most = ((COLUMNS_SIZE / 4 - 3) / stride + 1) & ~3u; // outputs of a row at once
    bool pairs = stride == 1 && rows % 2 == 0;
    _Alignas(8) int8_t columns[COLUMNS_SIZE + SLACK];
    rows_t in;
    mve_pred16_t real;
    channels_t c;
    c.zero_point = l->out_zero_point;
    c.columns = columns;
    c.row_bytes = l->out.row_bytes;
    c.step = 4 * channels;
    c.offsets = vmulq_n_u32(vidupq_n_u32(0, 1), channels);
    c.place = places(3, 0, &real);
    c.first_rows = in.row;
    c.all_bands = pairs ? rows / 2 : rows;
    c.pitch = 2 * l->in.pitch;
    c.outside = in.outside;
    for (uint32_t x = 0; x < width; x += most) {
        find_rows(&in, l, arena, blank, y, rows);
        c.blanks = in.blanks;
        c.outputs = width - x < most ? width - x : most;
        c.pixels = (c.outputs - 1) * stride + 3;
        c.at = 2 * x * stride;
        c.first_out = tv_row(arena, &l->out, y) + x * channels;
        c.packed = l->weights;
        c.bias = l->table;
        c.mults = c.bias + 4 * channels;
        c.shift = c.mults + 4 * channels;
        c.channels = channels;
        if (pairs) {
            channels_3_pairs(&c.mult);
        } else if (stride == 1) {
            channels_3_1(&c.mult);
        } else {
            channels_3_2(&c.mult);
        }
    }
}

// The same for kernels 1, 5 and 7.
INLINE void depthwise_rows(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows,
    uint32_t kernel, uint32_t stride) {
    uint32_t channels = l->out_c, pitch = l->in.pitch, width = l->out_w, taps_size = kernel * tv_align4(kernel);
    uint32_t column = kernel == 1 ? 4 : 8, vectors = (kernel + 1) / 2;
    uint32_t most = ((COLUMNS_SIZE / column - kernel) / stride + 1) & ~3u; // outputs at once
    const uint8_t *packed = l->weights, *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    _Alignas(8) int8_t columns[COLUMNS_SIZE + SLACK];
    rows_t in;
    find_rows(&in, l, arena, blank, y, rows);
    uint8x16_t place[4];
    mve_pred16_t real[4];
    int8x16_t taps[4];
    for (uint32_t v = 0; v < vectors; v++) {
        place[v] = places(kernel, v, &real[v]);
    }
    uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), channels);
    int8_t *first = tv_row(arena, &l->out, y);
    for (uint32_t o = 0; o < channels; o++, packed += taps_size, first++) {
        for (uint32_t v = 0; v < vectors; v++) {
            taps[v] = vldrbq_gather_offset_z_s8((const int8_t *)packed, place[v], real[v]);
        }
        int32_t b = tv_i32(bias + 4 * o), m = tv_i32(mult + 4 * o), minus_shift = -(int32_t)shift[o];
        for (uint32_t i = 0; i < rows; i++) {
            int8_t *out = first + i * l->out.row_bytes;
            for (uint32_t x = 0, n; x < width; x += n) {
                n = width - x < most ? width - x : most;
                sort_columns(columns, in.row + i * stride, o * pitch + x * stride, (n - 1) * stride + kernel, kernel);
                const int8_t *at = columns;
                for (int32_t left = (int32_t)n; left > 0; left -= 4, at += 4 * column * stride, out += 4 * channels) {
                    int32x4_t sum = vaddq_n_s32(four_windows(at, taps, kernel, stride), b);
                    sum = tv_requantize_mve(sum, m, minus_shift, l->out_zero_point);
                    vstrbq_scatter_offset_p_s32(out, offsets, sum, vctp32q((uint32_t)left));
                }
                out += (int32_t)(n - ((n + 3) & ~3u)) * (int32_t)channels;
            }
        }
        next_channel(&in, pitch);
    }
}

typedef void depthwise_t(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows);

#define DEPTHWISE(name, kernel, stride) \
    static void name(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) { \
        depthwise_rows(l, arena, blank, y, rows, kernel, stride); \
    }

DEPTHWISE(depthwise_1_1, 1, 1)
DEPTHWISE(depthwise_1_2, 1, 2)
DEPTHWISE(depthwise_5_1, 5, 1)
DEPTHWISE(depthwise_5_2, 5, 2)
DEPTHWISE(depthwise_7_1, 7, 1)
DEPTHWISE(depthwise_7_2, 7, 2)

void tv_depthwise_mve(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    static depthwise_t *const all[] = {
        depthwise_1_1, depthwise_1_2, depthwise_3, depthwise_3, depthwise_5_1, depthwise_5_2, depthwise_7_1, depthwise_7_2,
    };
    (void)scratch_size;
    int16_t *blank = scratch;
    for (uint32_t i = 0; i < l->in.pitch; i += 8) {
        vstrhq_p_s16(blank + i, vdupq_n_s16(l->in_zero_point), vctp16q(l->in.pitch - i));
    }
    for (uint32_t done = 0; done < rows; done += ROWS) {
        all[l->kernel - 1 + l->stride - 1](l, arena, blank, y + done, rows - done < ROWS ? rows - done : ROWS);
    }
}

#endif
