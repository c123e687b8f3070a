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

#define ROWS (8) // of output at once
#define COLUMNS_SIZE (256) // bytes of columns at once
#define SLACK (112) // what the vectors of outputs that are not there may read behind them

// One channel: what its outputs are made with.
typedef struct {
    int8x16_t taps[4];
    int32_t bias, mult, minus_shift, zero_point;
    uint32_t dx; // bytes from output to output
} channel_t;

// Bytes of two rows, in turns.
static inline int16x8_t two_rows(int16x8_t a, int16x8_t b) {
    return vreinterpretq_s16_s8(vmovntq_s16(vreinterpretq_s8_s16(a), b));
}

// Columns of `n` pixels of kernel rows, from pixel x of channel `at` on.
__attribute__((always_inline)) static inline void sort_columns(int8_t *to, const int16_t *const *rows, uint32_t at, uint32_t n, uint32_t kernel) {
    const int16_t *a = rows[0] + at, *b = rows[kernel > 1 ? 1 : 0] + at, *c = rows[kernel > 1 ? 2 : 0] + at;
    if (kernel <= 3) {
        for (; (int32_t)n > 0; n -= 8, to += 32, a += 8, b += 8, c += 8) {
            mve_pred16_t p = vctp16q(n);
            int16x8x2_t column = { { two_rows(vldrhq_z_s16(a, p), vldrhq_z_s16(b, p)), vldrhq_z_s16(c, p) } };
            vst2q_s16((int16_t *)(void *)to, column);
        }
        return;
    }
    const int16_t *d = rows[3] + at, *e = rows[4] + at;
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
        : [at] "r" (at), [t0] "w" (t[0]), [t1] "w" (t[1]), __VA_ARGS__ "m" (*(const int8_t (*)[])at))
#define THREE [t2] "w" (t[2]),
#define FOUR THREE [t3] "w" (t[3]),

// The sums of four windows side by side.
static inline int32x4_t four_windows(const int8_t *at, const int8x16_t *t, uint32_t kernel, uint32_t stride) {
    int32x4_t sum;
    int8x16_t x;
    int32_t s0, s1, s2, s3;
    if (kernel <= 3 && stride == 1) {
        WINDOWS(LOAD(0) FIRST(0) "vmladav.s8 %[s1], %q[x], %q[t1]\n"
            LOAD(8) FIRST(2) "vmladav.s8 %[s3], %q[x], %q[t1]\n", );
    } else if (kernel <= 3) {
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

static inline int32x4_t four_outputs(const int8_t *at, const channel_t *c, uint32_t kernel, uint32_t stride) {
    int32x4_t sum = vaddq_n_s32(four_windows(at, c->taps, kernel, stride), c->bias);
    return tv_requantize_mve(sum, c->mult, c->minus_shift, c->zero_point);
}

// `n` outputs whose columns are sorted.
static inline void outputs(const int8_t *at, int8_t *out, uint32_t n, const channel_t *c, uint32_t kernel, uint32_t stride) {
    uint32_t bytes = (kernel <= 3 ? 4 : 8) * 4 * stride, dx = c->dx;
    uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), dx);
    for (; n >= 4; n -= 4, at += bytes, out += 4 * dx) {
        vstrbq_scatter_offset_s32(out, offsets, four_outputs(at, c, kernel, stride));
    }
    if (n) {
        vstrbq_scatter_offset_p_s32(out, offsets, four_outputs(at, c, kernel, stride), vctp32q(n));
    }
}

// All channels of 1 ... ROWS rows. kernel and stride are constants.
__attribute__((always_inline)) static inline void depthwise_rows(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows,
    uint32_t kernel, uint32_t stride) {
    uint32_t channels = l->out_c, pitch = l->in.pitch, column = kernel <= 3 ? 4 : 8;
    uint32_t most = ((COLUMNS_SIZE / column - kernel) / stride + 1) & ~3u; // outputs at once
    const uint8_t *packed = l->weights, *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    const int16_t *in[2 * (ROWS - 1) + 7];
    const int16_t **outside[2 * (ROWS - 1) + 7]; // those of them that are blank
    uint32_t blanks = 0;
    for (uint32_t i = 0; i < (rows - 1) * stride + kernel; i++) {
        uint32_t iy = y * stride + i - l->pad_top; // wraps to a huge number above the image
        in[i] = iy < l->in_h ? (const int16_t *)(void *)tv_row(arena, &l->in, iy) : blank;
        if (in[i] == blank) {
            outside[blanks++] = &in[i];
        }
    }
    // Where the taps of a vector lie in the file: byte i of it is the one of row i % column, column
    // i / column. Those that the kernel has not are 0.
    uint8x16_t place[4], bytes = vidupq_n_u8(0, 1);
    mve_pred16_t real[4];
    uint32_t vectors = kernel <= 3 ? 1 : (kernel + 1) / 2;
    for (uint32_t v = 0; v < vectors; v++) {
        uint8x16_t ky = vandq_u8(bytes, vdupq_n_u8((uint8_t)(column - 1)));
        uint8x16_t kx = vaddq_n_u8(column == 4 ? vshrq_n_u8(bytes, 2) : vshrq_n_u8(bytes, 3), (uint8_t)(2 * v));
        place[v] = vaddq_u8(vmulq_n_u8(ky, (uint8_t)tv_align4(kernel)), kx);
        real[v] = vcmpltq_m_n_s8(vreinterpretq_s8_u8(kx), (int8_t)kernel, vcmpltq_n_s8(vreinterpretq_s8_u8(ky), (int8_t)kernel));
    }
    _Alignas(8) int8_t columns[COLUMNS_SIZE + SLACK];
    channel_t c;
    c.dx = channels;
    c.zero_point = l->out_zero_point;
    for (uint32_t o = 0; o < channels; o++, packed += kernel * tv_align4(kernel)) {
        for (uint32_t v = 0; v < vectors; v++) {
            c.taps[v] = vldrbq_gather_offset_z_s8((const int8_t *)packed, place[v], real[v]);
        }
        if (column == 4) {
            uint32_t carry = 0;
            c.taps[1] = vshlcq_s8(c.taps[0], &carry, 32);
        }
        c.bias = tv_i32(bias + 4 * o);
        c.mult = tv_i32(mult + 4 * o);
        c.minus_shift = -(int32_t)shift[o];
        for (uint32_t i = 0; i < rows; i++) {
            int8_t *out = tv_row(arena, &l->out, y + i) + o;
            for (uint32_t x = 0, n; x < l->out_w; x += n) {
                n = l->out_w - x < most ? l->out_w - x : most;
                sort_columns(columns, in + i * stride, o * pitch + x * stride, (n - 1) * stride + kernel, kernel);
                outputs(columns, out + x * channels, n, &c, kernel, stride);
            }
        }
        for (uint32_t j = 0; j < blanks; j++) {
            *outside[j] -= pitch; // they have but one channel
        }
    }
}

typedef void rows_t(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows);

#define ROWS_OF(kernel, stride) \
    static void rows_ ## kernel ## _ ## stride(const tv_layer_t *l, int8_t *arena, const int16_t *blank, uint32_t y, uint32_t rows) { \
        depthwise_rows(l, arena, blank, y, rows, kernel, stride); \
    }

ROWS_OF(1, 1)
ROWS_OF(1, 2)
ROWS_OF(3, 1)
ROWS_OF(3, 2)
ROWS_OF(5, 1)
ROWS_OF(5, 2)
ROWS_OF(7, 1)
ROWS_OF(7, 2)

void tv_depthwise_mve(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    static rows_t *const all[] = {
        rows_1_1, rows_1_2, rows_3_1, rows_3_2, rows_5_1, rows_5_2, rows_7_1, rows_7_2,
    };
    (void)scratch_size;
    int16_t *blank = scratch;
    for (uint32_t i = 0; i < l->in.pitch; i += 8) {
        vstrhq_p_s16(blank + i, vdupq_n_s16(l->in_zero_point), vctp16q(l->in.pitch - i));
    }
    rows_t *run = all[l->kernel - 1 + l->stride - 1];
    for (uint32_t done = 0; done < rows; done += ROWS) {
        run(l, arena, blank, y + done, rows - done < ROWS ? rows - done : ROWS);
    }
}

#endif
