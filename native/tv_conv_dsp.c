// SPDX-License-Identifier: MIT
//
// Convolution for cores with the DSP extension (Cortex-M4, M7, M33): SMLAD adds two products
// of 16-bit halves to a sum in one instruction.
//
// Inputs are gathered into columns of doubled int16, three pixels to a tile, and stay in
// scratch while all channels pass over them. For a block of two channels the weights are
// widened once, then multiplied with every tile: 16 instructions for 24 products. Where a word
// of four bytes b0 b1 b2 b3 is widened, SXTB16 gives the pair (b0, b2), and with a rotation
// (b1, b3); both sides are in that order, so nothing has to be sorted.
//
// Doubled inputs make the sum 2 * acc, the operand that SMMULR wants for a rounding doubling
// high multiply. The output zero point is added together with the rounding constant, before
// the shift, which is the same number as long as it does not leave int32: shifts up to 22.
// Larger ones (a channel that is almost always zero) take a slower way.

#include "tv_kernels.h"

#if defined(__ARM_FEATURE_DSP)

#include "tv_dsp.h"

#define COLUMNS (3)

// What multiply_tiles works on: lines of tiles. The assembly knows the offsets.
typedef struct {
    const uint32_t *weights;     // 0: widened, (o: 02, 13), (o + 1: 02, 13), next four; 8 words at least
    const uint32_t *columns;     // 4: tile after tile, (pixel 0: 02, 13), (pixel 1: ...), ...
    int32_t bias[2];             // 8: doubled
    tv_requant_t requant[2];     // 16, 28
    uint8_t *out;                // 40: pixel 0, channel o; moves on by three pixels a tile
    uint32_t dx;                 // 44: bytes to the next pixel
    uint32_t dc;                 // 48: bytes to channel o + 1
    uint32_t step;               // 52: bytes from there to channel o of the next tile, 3 * dx - dc
    const uint32_t *line_end;    // 56: of the columns of this line
    const uint32_t *weights_end; // 60
    uint32_t lines;              // 64: left to do
    uint32_t line_columns;       // 68: bytes of columns in a line
    uint32_t line_step;          // 72: bytes from the end of a line to the next one in the output
} tiles_t;

typedef void multiply_t(tiles_t *t);

// Four inputs of three pixels and two channels: 24 products.
#define MULTIPLY_4 \
    "ldm r0!, {r8-r11}          \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r2, r8, r12, r2      \n" \
    "smlad r5, r10, r12, r5     \n" \
    "smlad r2, r9, lr, r2       \n" \
    "smlad r5, r11, lr, r5      \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r3, r8, r12, r3      \n" \
    "smlad r6, r10, r12, r6     \n" \
    "smlad r3, r9, lr, r3       \n" \
    "smlad r6, r11, lr, r6      \n" \
    "ldrd r12, lr, [r1], #8     \n" \
    "smlad r4, r8, r12, r4      \n" \
    "smlad r7, r10, r12, r7     \n" \
    "smlad r4, r9, lr, r4       \n"

// r0 weights, r1 columns, r2-r4 sums of channel o, r5-r7 of o + 1, r8-r11 weights, r12 and lr
// inputs. On the stack: the end of the weights, the struct's address.
#define MULTIPLY_TILES(name, requant, store) \
    __attribute__((naked, noinline)) static void name(__attribute__((unused)) tiles_t *t) { \
        __asm volatile ( \
            "push {r0, r4-r11, lr}      \n" \
            "ldr r2, [r0, #60]          \n" \
            "push {r2}                  \n" \
            "ldr r1, [r0, #4]           \n" \
            "1: ldrd r2, r5, [r0, #8]   \n" \
            "ldr r0, [r0]               \n" \
            "mov r3, r2                 \n" \
            "mov r4, r2                 \n" \
            "mov r6, r5                 \n" \
            "mov r7, r5                 \n" \
            "2: " MULTIPLY_4 \
            "smlad r7, r11, lr, r7      \n" \
            MULTIPLY_4 \
            "ldr r12, [sp]              \n" \
            "smlad r7, r11, lr, r7      \n" \
            "cmp r0, r12                \n" \
            "bne 2b                     \n" \
            "ldr r0, [sp, #4]           \n" \
            "ldrd r11, r12, [r0, #40]   \n" /* out, dx */ \
            "ldrd r8, r9, [r0, #16]     \n" /* requant[0]: mult, round */ \
            "ldr r10, [r0, #24]         \n" /* shift */ \
            requant("r2", "r8", "r9", "r10", "lr") \
            requant("r3", "r8", "r9", "r10", "lr") \
            requant("r4", "r8", "r9", "r10", "lr") \
            store " r2, [r11]             \n" \
            store " r3, [r11, r12]        \n" \
            store " r4, [r11, r12, lsl #1]\n" \
            "ldrd r8, r9, [r0, #28]     \n" \
            "ldr r10, [r0, #36]         \n" \
            "ldrd r2, r3, [r0, #48]     \n" /* dc, step */ \
            requant("r5", "r8", "r9", "r10", "lr") \
            requant("r6", "r8", "r9", "r10", "lr") \
            requant("r7", "r8", "r9", "r10", "lr") \
            "add r11, r2                \n" \
            store " r5, [r11]             \n" \
            store " r6, [r11, r12]        \n" \
            store " r7, [r11, r12, lsl #1]\n" \
            "add r11, r3                \n" \
            "ldr r12, [r0, #56]         \n" \
            "str r11, [r0, #40]         \n" \
            "cmp r1, r12                \n" \
            "bne 1b                     \n" \
            "ldrd r2, r3, [r0, #64]     \n" /* lines, line_columns */ \
            "ldr r4, [r0, #72]          \n" /* line_step */ \
            "subs r2, #1                \n" \
            "add r12, r3                \n" \
            "add r11, r4                \n" \
            "str r2, [r0, #64]          \n" \
            "str r12, [r0, #56]         \n" \
            "str r11, [r0, #40]         \n" \
            "bne 1b                     \n" \
            "add sp, #8                 \n" \
            "pop {r4-r11, pc}           \n" \
            ); \
    }

MULTIPLY_TILES(multiply_relu_bytes, TV_REQUANT_RELU, "strb")
MULTIPLY_TILES(multiply_relu_halves, TV_REQUANT_RELU, "strh")
MULTIPLY_TILES(multiply_linear_bytes, TV_REQUANT_LINEAR, "strb")
MULTIPLY_TILES(multiply_linear_halves, TV_REQUANT_LINEAR, "strh")

// k4 bytes into every third pair of words of a tile.
static void widen_column(uint32_t *to, const int8_t *from, uint32_t k4) {
    const uint8_t *in = (const uint8_t *)from, *end = in + k4;
    for (const uint8_t *even_end = in + (k4 & ~7u); in < even_end; in += 8, to += 12) {
        uint32_t a = tv_u32(in), b = tv_u32(in + 4);
        uint32_t a02 = tv_sxtb16(a), a13 = tv_sxtb16_ror8(a);
        uint32_t b02 = tv_sxtb16(b), b13 = tv_sxtb16_ror8(b);
        to[0] = tv_sadd16(a02, a02);
        to[1] = tv_sadd16(a13, a13);
        to[6] = tv_sadd16(b02, b02);
        to[7] = tv_sadd16(b13, b13);
    }
    if (in < end) {
        uint32_t a = tv_u32(in);
        uint32_t a02 = tv_sxtb16(a), a13 = tv_sxtb16_ror8(a);
        to[0] = tv_sadd16(a02, a02);
        to[1] = tv_sadd16(a13, a13);
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
        if (from == end) {
            return;
        }
    }
    __asm volatile (
        "1: ldr %[a], [%[from]], #4 \n" // LDM would want an aligned address
        "ldr %[c], [%[from]], #4    \n"
        "ldr %[e], [%[from]], #4    \n"
        "ldr %[g], [%[from]], #4    \n"
        "sxtb16 %[b], %[a], ror #8  \n"
        "sxtb16 %[a], %[a]          \n"
        "sxtb16 %[d], %[c], ror #8  \n"
        "sxtb16 %[c], %[c]          \n"
        "strd %[a], %[b], [%[to]], #8 \n"
        "sxtb16 %[f], %[e], ror #8  \n"
        "sxtb16 %[e], %[e]          \n"
        "strd %[c], %[d], [%[to]], #8 \n"
        "sxtb16 %[h], %[g], ror #8  \n"
        "sxtb16 %[g], %[g]          \n"
        "strd %[e], %[f], [%[to]], #8 \n"
        "cmp %[from], %[end]        \n"
        "strd %[g], %[h], [%[to]], #8 \n"
        "bne 1b                     \n"
        : [from] "+r" (from), [to] "+r" (to), [a] "=&r" (a), [b] "=&r" (b), [c] "=&r" (c),
        [d] "=&r" (d), [e] "=&r" (e), [f] "=&r" (f), [g] "=&r" (g), [h] "=&r" (h)
        : [end] "r" (end)
        : "cc", "memory");
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
        const int8_t *from = tv_row(arena, &l->in, (uint32_t)iy) + (ix + left) * c;
        if (left + right) {
            memset(to, l->in_zero_point, (size_t)(k * c));
            memcpy(to + left * c, from, (size_t)((k - left - right) * c));
        } else {
            memcpy(to, from, (size_t)(k * c));
        }
    }
}

// The inputs of output pixels x, x + 1, x + 2 of row y. `bytes` has room for k4 bytes.
static void gather_tile(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, uint32_t pixels,
    uint32_t *tile, int8_t *bytes, uint32_t k4) {
    uint32_t c = l->in_c;
    for (uint32_t p = 0; p < COLUMNS; p++, x++, tile += 2) {
        uint32_t at = x < pixels ? x : pixels - 1; // columns past the end: anything will do
        if (l->kernel == 1) {
            const int8_t *from = tv_row(arena, &l->in, y * l->stride) + (size_t)at * l->stride * c;
            if (c != k4) {
                memcpy(bytes, from, c);
                from = bytes;
            }
            widen_column(tile, from, k4);
        } else {
            gather_window(l, arena, y, at, bytes);
            widen_column(tile, bytes, k4);
        }
    }
}

// A chunk of output: whole lines, or a part of one, whose columns are in scratch.
typedef struct {
    uint32_t y, lines;      // first line and how many
    uint32_t x, width;      // first pixel, and how many of each line
} chunk_t;

// Some tiles of some lines: to where they belong, or to a buffer.
static void multiply_tiles(multiply_t *multiply, tiles_t *job, const uint32_t *columns, uint32_t words,
    uint8_t *out, uint32_t dx, uint32_t dc, uint32_t lines) {
    job->columns = columns;
    job->line_end = columns + words;
    job->out = out;
    job->dx = dx;
    job->dc = dc;
    job->step = COLUMNS * dx - dc;
    job->lines = lines;
    multiply(job);
}

// Channels o and next (o + 1, or o itself where it is the last of an odd number), all tiles of a
// chunk. Three whole pixels go straight to their place; a cut tile at the end of a line, and
// all tiles of a lone channel, by way of a buffer.
static void multiply_chunk(const tv_layer_t *l, int8_t *arena, const chunk_t *chunk, tiles_t *job,
    multiply_t *multiply, const uint32_t *columns, uint32_t tile_words, uint32_t o, uint32_t next) {
    uint32_t tiles = (chunk->width + COLUMNS - 1) / COLUMNS;
    uint32_t whole = next != o ? chunk->width / COLUMNS : 0;
    uint32_t size = l->out.pitch ? 2 : 1, row_bytes = l->out.row_bytes;
    tv_out_t out = tv_out(l, arena, chunk->y);
    uint8_t *to = (uint8_t *)out.base + (size_t)chunk->x * out.dx + (size_t)o * out.dc;
    job->line_columns = tiles * tile_words * 4;
    job->line_step = row_bytes - whole * COLUMNS * out.dx;
    if (tiles == whole) {
        multiply_tiles(multiply, job, columns, whole * tile_words, to, out.dx, out.dc, chunk->lines);
        return;
    }
    for (uint32_t line = 0; line < chunk->lines; line++, to += row_bytes) {
        if (whole) {
            multiply_tiles(multiply, job, columns, whole * tile_words, to, out.dx, out.dc, 1);
            columns += whole * tile_words;
        }
        for (uint32_t t = whole; t < tiles; t++, columns += tile_words) {
            int16_t cut[2 * COLUMNS];
            multiply_tiles(multiply, job, columns, tile_words, (uint8_t *)cut, 2 * size, size, 1);
            uint32_t left = chunk->width - t * COLUMNS;
            uint8_t *p = to + (size_t)t * COLUMNS * out.dx;
            const uint8_t *from = (const uint8_t *)cut;
            for (uint32_t i = 0; i < left && i < COLUMNS; i++, p += out.dx, from += 2 * size) {
                memcpy(p, from, size);
                memcpy(p + (next - o) * out.dc, from + (next - o) * size, size);
            }
        }
    }
}

void tv_conv_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    uint32_t k4 = tv_align4((uint32_t)l->kernel * l->kernel * l->in_c);
    uint32_t k8 = (k4 + 7) & ~7u; // multiply_tiles takes eight at a time
    uint32_t channels = l->out_c, tile_words = 6 * k8 / 4;
    uint32_t *weights = scratch, *columns = weights + k8;
    const uint8_t *bias = l->table, *mult = bias + 4 * channels, *shift = mult + 4 * channels;
    bool flat = tv_is_flat(l), halves = l->out.pitch != 0;
    uint32_t width = flat ? rows * l->out_w : l->out_w, lines = flat ? 1 : rows;
    uint32_t line_tiles = (width + COLUMNS - 1) / COLUMNS;
    uint32_t room = (scratch_size - 4 * k8) / (6 * k8); // tiles, at least 1: tv_layer_scratch()
    multiply_t *multiply = l->out_zero_point == -128
        ? (halves ? multiply_relu_halves : multiply_relu_bytes)
        : (halves ? multiply_linear_halves : multiply_linear_bytes);
    tiles_t job;
    job.weights = weights;
    job.weights_end = weights + k8;
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
        uint32_t *tile = columns;
        for (uint32_t line = 0; line < chunk.lines; line++) {
            for (uint32_t x = 0; x < chunk.width; x += COLUMNS, tile += tile_words) {
                gather_tile(l, arena, chunk.y + line, chunk.x + x, width, tile, (int8_t *)weights, k4);
                if (k8 != k4) {
                    memset(tile + tile_words - 6, 0, 24);
                }
            }
        }
        if (k8 != k4) {
            memset(weights + k4, 0, 16);
        }
        const uint8_t *packed = l->weights;
        for (uint32_t o = 0; o < channels; o += 2, packed += 2 * k4) {
            uint32_t next = o + 1 < channels ? o + 1 : o;
            job.bias[0] = 2 * tv_i32(bias + 4 * o);
            job.bias[1] = 2 * tv_i32(bias + 4 * next);
            job.requant[0] = tv_requant(tv_i32(mult + 4 * o), shift[o], l->out_zero_point);
            job.requant[1] = tv_requant(tv_i32(mult + 4 * next), shift[next], l->out_zero_point);
            widen_weights(weights, packed, k4);
            multiply_chunk(l, arena, &chunk, &job, multiply, columns, tile_words, o, next);
        }
        chunk.x += chunk.width;
        if (chunk.x >= width) {
            chunk.x = 0;
            chunk.y += chunk.lines;
        }
    }
    tv_fill_margins(l, arena, y, rows);
}

#endif
