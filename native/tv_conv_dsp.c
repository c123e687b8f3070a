// SPDX-License-Identifier: MIT
//
// Convolution for cores with the DSP extension (Cortex-M4, M7, M33): SMLAD adds two products
// of 16-bit halves to a sum in one instruction.
//
// Inputs are gathered into columns of doubled int16, three pixels to a tile, and stay in
// scratch while all channels pass over them. For a block of two channels the weights are
// widened once, then multiplied with every tile: tv_conv_m4.h and tv_conv_m7.h. Where a word
// of four bytes b0 b1 b2 b3 is widened, SXTB16 gives the pair (b0, b2), and with a rotation
// (b1, b3); both sides are in that order, so nothing has to be sorted.
//
// Doubled inputs make the sum 2 * acc, the operand that SMMULR wants for a rounding doubling
// high multiply. The output zero point is added together with the rounding constant, before
// the shift, which gives the same value as long as the sum fits into int32: for shifts up to 22,
// the largest that the file format allows.

#include "tv_conv.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

#define COLUMNS (3)

// What multiply_tiles works on: lines of tiles. The assembly uses the offsets; LDM needs the fields
// in this order.
typedef struct {
    tv_requant_t first;          // 0: of channel o
    uint8_t *out;                // 12: pixel 0, channel o; moves on by three pixels a tile
    uint32_t dx;                 // 16: bytes to the next pixel
    uint32_t dc;                 // 20: bytes to channel o + 1
    uint32_t step;               // 24: bytes from there to channel o of the next tile, 3 * dx - dc
    const uint32_t *line_end;    // 28: of the columns of this line
    tv_requant_t second;         // 32: of channel o + 1
    const uint32_t *weights;     // 44: widened, (o: 02, 13), (o + 1: 02, 13), next four
    int32_t bias[2];             // 48: doubled
    const uint32_t *weights_end; // 56
    uint32_t entry;              // 60: where in the unrolled loop to begin, in bytes
    uint32_t lines;              // 64: left to do
    uint32_t line_columns;       // 68: bytes of columns in a line
    uint32_t line_step;          // 72: bytes from the end of a line to the next one in the output
    const uint32_t *columns;     // 76: tile after tile, (pixel 0: 02, 13), (pixel 1: ...), ...
    uint32_t skip_weights;       // 80: bytes that the entry leaves out; tv_conv_m7.h alone
    uint32_t skip_columns;       // 84
} tiles_t;

typedef void multiply_t(tiles_t *t);

#define UNROLLED (8) // steps of four inputs
#if TV_DUAL_ISSUE
#include "tv_conv_m7.h"
#else
#include "tv_conv_m4.h"
#endif

// Four bytes into a column.
static inline uint32_t *widen_word(uint32_t *to, uint32_t word) {
    uint32_t even = tv_sxtb16(word), odd = tv_sxtb16_ror8(word);
    to[0] = tv_sadd16(even, even);
    to[1] = tv_sadd16(odd, odd);
    return to + 6;
}

// Four bytes in r, which become two pairs, in t and in r. A Cortex-M7 loads or stores beside each.
#define WIDEN(r, t, beside_1, beside_2) \
    "sxtb16 %[" t "], %[" r "], ror #8  \n" \
    beside_1 \
    "sxtb16 %[" r "], %[" r "]          \n" \
    beside_2 \
    "sadd16 %[" t "], %[" t "], %[" t "]\n" \
    "sadd16 %[" r "], %[" r "], %[" r "]\n"

// A tile's columns: the bytes x ... end - 1, eight or a multiple, and as many from y and from z on.
static inline void widen_columns(uint32_t *to, const int8_t *x, const int8_t *y, const int8_t *z, const int8_t *end) {
    uint32_t a, b, c, d;
    __asm volatile (
        "1: ldr %[a], [%[x]], #8    \n"
        "ldr %[c], [%[x], #-4]      \n"
        "cmp %[x], %[end]           \n"
        WIDEN("a", "b", "", "")
        "str %[b], [%[to], #4]      \n"
        WIDEN("c", "d", "str %[a], [%[to]], #48  \n", "ldr %[a], [%[y]], #8    \n")
        "str %[d], [%[to], #-20]    \n"
        WIDEN("a", "b", "str %[c], [%[to], #-24] \n", "ldr %[c], [%[y], #-4]   \n")
        "str %[b], [%[to], #-36]    \n"
        WIDEN("c", "d", "str %[a], [%[to], #-40] \n", "ldr %[a], [%[z]], #8    \n")
        "str %[d], [%[to], #-12]    \n"
        WIDEN("a", "b", "str %[c], [%[to], #-16] \n", "ldr %[c], [%[z], #-4]   \n")
        "str %[b], [%[to], #-28]    \n"
        WIDEN("c", "d", "str %[a], [%[to], #-32] \n", "")
        "str %[d], [%[to], #-4]     \n"
        "str %[c], [%[to], #-8]     \n"
        "bne 1b                     \n"
        : [x] "+r" (x), [y] "+r" (y), [z] "+r" (z), [to] "+r" (to), [a] "=&r" (a), [b] "=&r" (b),
        [c] "=&r" (c), [d] "=&r" (d)
        : [end] "r" (end)
        : "cc", "memory");
}

// Columns of pixels whose k4 inputs lie `step` bytes apart: tile after tile up to `end`.
__attribute__((noinline)) static void widen_points(uint32_t *to, const uint32_t *end, const int8_t *from,
    uint32_t step, uint32_t k4) {
    uint32_t k8 = k4 & ~7u, tile_words = 6 * k4 / 4;
    if (k4 & 4) {
        uint32_t *last = to + 6 * k8 / 4;
        const uint8_t *word = (const uint8_t *)from + k8;
        for (; last < end; last += tile_words) {
            for (uint32_t p = 0; p < COLUMNS; p++, word += step) {
                widen_word(last + 2 * p, tv_u32(word));
            }
        }
    }
    for (; k8 && to < end; to += tile_words, from += COLUMNS * step) {
        widen_columns(to, from, from + step, from + 2 * step, from + k8);
    }
}

// Two channels' weights; packed as the file has them, widened as multiply_tiles wants them.
static void widen_weights(uint32_t *to, const uint8_t *from, uint32_t k4) {
    const uint8_t *end = from + (2 * k4 & ~15u);
    uint32_t a, b, c, d, e, f, g, h;
    if (k4 & 4) {
        uint32_t *last = to + k4 - 4;
        a = tv_u32(end);
        b = tv_u32(end + 4);
        last[0] = tv_sxtb16(a);
        last[1] = tv_sxtb16_ror8(a);
        last[2] = tv_sxtb16(b);
        last[3] = tv_sxtb16_ror8(b);
    }
    if (from == end) {
        return;
    }
    // A Cortex-M7 stores a word beside every SXTB16, STRD would go alone.
    const uint8_t *last = end - 16;
    __asm volatile (
        "1: ldr %[e], [%[from], #8] \n"
        "ldr %[g], [%[from], #12]   \n"
        "ldr %[c], [%[from], #4]    \n"
        "cmp %[from], %[last]       \n"
        "sxtb16 %[h], %[g], ror #8  \n"
        "ldr %[a], [%[from]], #16   \n"
        "sxtb16 %[g], %[g]          \n"
        "str %[h], [%[to], #28]     \n"
        "sxtb16 %[f], %[e], ror #8  \n"
        "str %[g], [%[to], #24]     \n"
        "sxtb16 %[e], %[e]          \n"
        "str %[f], [%[to], #20]     \n"
        "sxtb16 %[d], %[c], ror #8  \n"
        "str %[e], [%[to], #16]     \n"
        "sxtb16 %[c], %[c]          \n"
        "str %[d], [%[to], #12]     \n"
        "sxtb16 %[b], %[a], ror #8  \n"
        "str %[c], [%[to], #8]      \n"
        "sxtb16 %[a], %[a]          \n"
        "str %[b], [%[to], #4]      \n"
        "str %[a], [%[to]], #32     \n"
        "bne 1b                     \n"
        : [from] "+r" (from), [to] "+r" (to), [a] "=&r" (a), [b] "=&r" (b), [c] "=&r" (c),
        [d] "=&r" (d), [e] "=&r" (e), [f] "=&r" (f), [g] "=&r" (g), [h] "=&r" (h)
        : [last] "r" (last)
        : "cc", "memory");
}

// memcpy() of a few bytes, without the call.
static inline void copy_bytes(int8_t *to, const int8_t *from, int32_t n) {
    for (; n >= 4; n -= 4, to += 4, from += 4) {
        uint32_t word = tv_u32((const uint8_t *)from);
        memcpy(to, &word, 4);
    }
    for (; n > 0; n--) {
        *to++ = *from++;
    }
}

// The inputs of output pixel x of row y, kernel x kernel x in_c bytes, as the weights lie.
static void gather_window(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, int8_t *to) {
    int32_t k = l->kernel, c = l->in_c, in_w = l->in_w;
    int32_t iy = (int32_t)(y * l->stride) - l->pad_top;
    int32_t ix = (int32_t)(x * l->stride) - l->pad_left;
    int32_t left = ix < 0 ? -ix : 0; // taps left of the image, then in it, then right of it
    int32_t right = ix + k > in_w ? ix + k - in_w : 0;
    for (int32_t ky = 0; ky < k; ky++, iy++, to += k * c) {
        if (iy < 0 || iy >= l->in_h) {
            memset(to, l->in_zero_point, (size_t)(k * c));
            continue;
        }
        if (left + right) {
            memset(to, l->in_zero_point, (size_t)(k * c));
        }
        const int8_t *from = tv_row(arena, &l->in, (uint32_t)iy) + (ix + left) * c;
        copy_bytes(to + left * c, from, (k - left - right) * c);
    }
}

// Columns of pixels x ... end - 1 of row y where kernel and image are those of a first layer, three
// by three pixels of three channels: nine bytes of each of three rows are put together in registers.
// Returns where it ends: before a window that leaves the image, or at a cut tile.
static uint32_t widen_windows(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, uint32_t end,
    uint32_t *columns) {
    uint32_t top = y * l->stride - l->pad_top, step = 3 * l->stride; // top wraps above the image
    if (x * l->stride < l->pad_left || top >= l->in_h || top + 3 > l->in_h) {
        return x;
    }
    uint32_t left = x * l->stride - l->pad_left;
    const uint8_t *a = (const uint8_t *)tv_row(arena, &l->in, top) + 3 * left;
    const uint8_t *b = (const uint8_t *)tv_row(arena, &l->in, top + 1) + 3 * left;
    const uint8_t *c = (const uint8_t *)tv_row(arena, &l->in, top + 2) + 3 * left;
    for (; x + COLUMNS <= end && left + 2 * l->stride + 3 <= l->in_w; x += COLUMNS, columns += 6 * 7) {
        for (uint32_t *to = columns; to < columns + 6; to += 2, a += step, b += step, c += step) {
            uint32_t *next = widen_word(to, tv_u32(a));
            next = widen_word(next, tv_u32(a + 4));
            next = widen_word(next, tv_u32(b) << 8 | a[8]);
            next = widen_word(next, tv_u32(b + 3));
            next = widen_word(next, tv_u32(c) << 16 | tv_u16(b + 7));
            next = widen_word(next, tv_u32(c + 2));
            widen_word(next, tv_u32(c + 5) >> 8);
        }
        left += COLUMNS * l->stride;
    }
    return x;
}

// Columns of `width` output pixels of row y, starting at x; past the end, repeat the last pixel.
// `bytes` has room for three times k4 bytes.
static void gather_line(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, uint32_t width,
    uint32_t *columns, int8_t *bytes, uint32_t k4) {
    uint32_t c = l->in_c, step = l->stride * c, tile_words = 6 * k4 / 4, done = 0;
    if (l->kernel == 1 && c == k4) {
        const int8_t *from = tv_row(arena, &l->in, y * l->stride) + (size_t)x * step;
        uint32_t tiles = width / COLUMNS;
        uint32_t *end = columns + tiles * tile_words;
        widen_points(columns, end, from, step, k4);
        columns = end;
        done = tiles * COLUMNS;
    }
    for (; done < width; columns += tile_words) {
        if (l->kernel == 3 && c == 3) {
            uint32_t whole = widen_windows(l, arena, y, x + done, x + width, columns) - x - done;
            done += whole;
            columns += whole / COLUMNS * tile_words;
            if (done == width) {
                return;
            }
        }
        int8_t *to = bytes;
        for (uint32_t p = 0; p < COLUMNS; p++, to += k4, done++) {
            uint32_t at = x + (done < width ? done : width - 1);
            if (l->kernel == 1) {
                copy_bytes(to, tv_row(arena, &l->in, y * l->stride) + at * step, (int32_t)c);
            } else {
                gather_window(l, arena, y, at, to);
            }
        }
        widen_points(columns, columns + tile_words, bytes, k4, k4);
    }
}

// One output, of one or two bytes.
static inline void store(uint8_t *to, int16_t value, bool half) {
    if (half) {
        memcpy(to, &value, 2);
    } else {
        *to = (uint8_t)value;
    }
}

// A single pixel, all channels: every weight is used once, so it is widened just before its use.
static void one_pixel(const tv_layer_t *l, const uint32_t *columns, uint32_t k4, tv_out_t out) {
    uint32_t channels = l->out_c;
    const uint8_t *packed = l->weights, *bias = l->table, *mult = bias + 4 * l->table_c, *shift = mult + 4 * l->table_c;
    for (uint32_t o = 0; o < channels; o += 2) {
        uint32_t next = o + 1 < channels ? o + 1 : o;
        int32_t sum[2] = { 2 * tv_i32(bias + 4 * o), 2 * tv_i32(bias + 4 * next) };
        const uint32_t *x = columns;
        const uint8_t *end = packed + 2 * k4;
        uint32_t a, b, c, d, x02, x13;
        __asm volatile (
            "1: ldr %[a], [%[packed]]   \n"
            "ldr %[b], [%[packed], #4]  \n"
            "ldr %[x02], [%[x]], #24    \n"
            "add.w %[packed], %[packed], #8 \n"
            "sxtb16 %[c], %[a], ror #8  \n"
            "ldr %[x13], [%[x], #-20]   \n"
            "sxtb16 %[a], %[a]          \n"
            "cmp %[packed], %[end]      \n"
            "sxtb16 %[d], %[b], ror #8  \n"
            "smlad %[s0], %[a], %[x02], %[s0] \n"
            "sxtb16 %[b], %[b]          \n"
            "smlad %[s1], %[d], %[x13], %[s1] \n"
            "smlad %[s0], %[c], %[x13], %[s0] \n"
            "smlad %[s1], %[b], %[x02], %[s1] \n"
            "bne 1b                     \n"
            : [packed] "+r" (packed), [x] "+r" (x), [s0] "+r" (sum[0]), [s1] "+r" (sum[1]), [a] "=&r" (a),
            [b] "=&r" (b), [c] "=&r" (c), [d] "=&r" (d), [x02] "=&r" (x02), [x13] "=&r" (x13)
            : [end] "r" (end), "m" (*(const uint32_t (*)[])columns)
            : "cc");
        for (uint32_t i = 0, at = o; i < 2 && at < channels; i++, at++) {
            tv_requant_t r = tv_requant(tv_i32(mult + 4 * at), shift[at], l->out_zero_point);
            int16_t q = (int16_t)tv_requant_linear(sum[i], &r);
            store((uint8_t *)out.base + (size_t)at * out.dc, q, l->out.pitch != 0);
        }
    }
}

// A chunk of output: whole lines, or a part of one, whose columns are in scratch.
typedef struct {
    uint32_t y, lines;      // first line and how many
    uint32_t x, width;      // first pixel, and how many of each line
} chunk_t;

#if TV_DUAL_ISSUE
// All channels of a chunk of whole tiles where a pixel has eight inputs and a depthwise layer reads
// what comes out: one channel after the other, its weights in registers.
__attribute__((noinline)) static void multiply_eights(const tv_layer_t *l, const chunk_t *chunk, const uint32_t *columns, tv_out_t out) {
    uint32_t channels = l->out_c, tiles = chunk->width / COLUMNS;
    const uint8_t *packed = l->weights, *bias = l->table, *mult = bias + 4 * l->table_c, *shift = mult + 4 * l->table_c;
    int8_t *to = out.base + (chunk->width - 1) * out.dx;
    const uint32_t *last = columns + (tiles - 1) * 12;
    for (uint32_t o = 0; o < channels; o++, bias += 4, mult += 4, to += out.dc) {
        uint32_t a = tv_u32(packed), b = tv_u32(packed + 8);
        tv_requant_t r = tv_requant(tv_i32(mult), shift[o], -128);
        r.shift |= (tiles - 1) << 8;
        eights_t job = {
            { tv_sxtb16(a), tv_sxtb16_ror8(a), tv_sxtb16(b), tv_sxtb16_ror8(b) }, r, 2 * tv_i32(bias)
        };
        packed += o & 1 ? 12 : 4; // two channels' lie in turns
        for (uint32_t line = 0; line < chunk->lines; line++) {
            multiply_eights_line(&job, last + line * tiles * 12, to + line * l->out.row_bytes);
        }
    }
}
#endif

// A pair of channels of a chunk where pixels or channels are left over: whole tiles are written
// directly by `whole`, as far as there is such a kernel; the cut tile at the end of a line and all
// tiles of a lone channel (next = o) through a buffer, by `bytes`.
static void multiply_cut(const tv_layer_t *l, multiply_t *whole, multiply_t *bytes, const tiles_t *pair,
    const uint32_t *columns, const chunk_t *chunk, uint32_t o, uint32_t next, uint8_t *to) {
    uint32_t tiles = (chunk->width + COLUMNS - 1) / COLUMNS;
    uint32_t direct = next != o && whole != NULL ? chunk->width / COLUMNS : 0;
    uint32_t dx = pair->dx, tile_words = pair->line_columns / 4 / tiles;
    int8_t cut[2 * COLUMNS];
    tiles_t job = *pair, one = *pair; // of whole tiles; and of one tile, into the buffer
    one.dx = 2;
    one.dc = 1;
    one.step = COLUMNS * one.dx - one.dc;
    for (uint32_t line = 0; line < chunk->lines; line++, to += l->out.row_bytes) {
        job.columns = columns;
        job.lines = 1;
        if (direct) {
            columns += direct * tile_words;
            job.line_end = columns;
            job.out = to;
            whole(&job);
        }
        for (uint32_t t = direct; t < tiles; t++) {
            one.columns = columns;
            columns += tile_words;
            one.line_end = columns;
            one.lines = 1;
            one.out = (uint8_t *)cut;
            bytes(&one);
            uint32_t left = chunk->width - t * COLUMNS;
            uint8_t *p = to + (size_t)t * COLUMNS * dx;
            for (uint32_t i = 0; i < left && i < COLUMNS; i++, p += dx) {
                store(p, cut[2 * i], l->out.pitch != 0);
                store(p + (next - o) * pair->dc, cut[2 * i + next - o], l->out.pitch != 0);
            }
        }
    }
}

// Biases and scales of a channel and the one after it, or of the last one twice (next = 0).
static inline void set_channels(tiles_t *job, const uint8_t *bias, const uint8_t *mult, const uint8_t *shift,
    int32_t zero_point, uint32_t next) {
    job->bias[0] = 2 * tv_i32(bias);
    job->bias[1] = 2 * tv_i32(bias + 4 * next);
    job->first = tv_requant(tv_i32(mult), shift[0], zero_point);
    job->second = tv_requant(tv_i32(mult + 4 * next), shift[next], zero_point);
}

// All channels of a chunk whose columns are gathered.
static void multiply_chunk(const tv_layer_t *l, int8_t *arena, const chunk_t *chunk,
    uint32_t *weights, const uint32_t *columns, uint32_t k4) {
    uint32_t channels = l->out_c, steps = k4 / 4 - 1;
    tv_out_t out = tv_out(l, arena, chunk->y);
    out.base += (size_t)chunk->x * out.dx;
    if (chunk->width * chunk->lines == 1) {
        one_pixel(l, columns, k4, out);
        return;
    }
    // Linear outputs for a depthwise layer are rare: their kernel is spared.
    bool halves = l->out.pitch != 0, relu = l->out_zero_point == -128;
    multiply_t *bytes = relu ? multiply_relu_bytes : multiply_linear_bytes;
    multiply_t *multiply = !halves ? bytes : relu ? multiply_relu_halves : NULL;
    uint32_t tiles = (chunk->width + COLUMNS - 1) / COLUMNS, whole = chunk->width / COLUMNS;
#if TV_DUAL_ISSUE
    if (k4 == 8 && halves && relu && tiles == whole) {
        multiply_eights(l, chunk, columns, out);
        return;
    }
#endif
    tiles_t job;
    job.dx = out.dx;
    job.dc = out.dc;
    job.step = COLUMNS * out.dx - out.dc;
    job.weights = weights;
    job.weights_end = weights + k4;
    uint32_t skip = (0 - steps) % UNROLLED;
    job.entry = steps == 0 ? UNROLLED * STEP_BYTES + LOOP_END_BYTES : skip * STEP_BYTES;
    job.skip_weights = 16 * skip;
    job.skip_columns = 24 * skip;
    job.line_columns = tiles * 6 * k4;
    job.line_step = l->out.row_bytes - whole * COLUMNS * out.dx;
    job.columns = columns;
    const uint32_t *line_end = columns + whole * (6 * k4 / 4);
    const uint8_t *packed = l->weights, *bias = l->table, *mult = bias + 4 * l->table_c, *shift = mult + 4 * l->table_c;
    uint8_t *to = (uint8_t *)out.base;
    uint32_t o = 0, lone = channels & 1;
    for (; o + lone < channels; o += 2, packed += 2 * k4, to += 2 * out.dc) {
        set_channels(&job, bias + 4 * o, mult + 4 * o, shift + o, l->out_zero_point, 1);
        widen_weights(weights, packed, k4);
        if (tiles == whole && multiply != NULL) {
            job.out = to;
            job.line_end = line_end;
            job.lines = chunk->lines;
            multiply(&job);
        } else {
            multiply_cut(l, multiply, bytes, &job, columns, chunk, o, o + 1, to);
        }
    }
    if (lone) {
        set_channels(&job, bias + 4 * o, mult + 4 * o, shift + o, l->out_zero_point, 0);
        widen_weights(weights, packed, k4);
        multiply_cut(l, multiply, bytes, &job, columns, chunk, o, o, to);
    }
}

void tv_conv_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    uint32_t k4 = tv_align4((uint32_t)l->kernel * l->kernel * l->in_c);
    uint32_t tile_words = 6 * k4 / 4;
    uint32_t *weights = scratch, *columns = weights + k4;
    bool flat = tv_is_flat(l);
    uint32_t width = flat ? rows * l->out_w : l->out_w, lines = flat ? 1 : rows;
    uint32_t line_tiles = (width + COLUMNS - 1) / COLUMNS;
    uint32_t room = (scratch_size - 4 * k4) / (6 * k4); // tiles, at least 1: tv_layer_scratch()
    chunk_t chunk = { .y = y };
    while (chunk.y < y + lines) {
        if (room < line_tiles) {
            chunk.lines = 1;
            chunk.width = width - chunk.x < room * COLUMNS ? width - chunk.x : room * COLUMNS;
        } else {
            uint32_t left = y + lines - chunk.y;
            chunk.lines = left < room / line_tiles ? left : room / line_tiles;
            chunk.width = width;
        }
        uint32_t *line_columns = columns;
        for (uint32_t line = 0; line < chunk.lines; line++) {
            gather_line(l, arena, chunk.y + line, chunk.x, chunk.width, line_columns, (int8_t *)weights, k4);
            line_columns += (chunk.width + COLUMNS - 1) / COLUMNS * tile_words;
        }
        multiply_chunk(l, arena, &chunk, weights, columns, k4);
        chunk.x += chunk.width;
        if (chunk.x >= width) {
            chunk.x = 0;
            chunk.y += chunk.lines;
        }
    }
    tv_fill_margins(l, arena, y, rows);
}

#endif
