// SPDX-License-Identifier: MIT
//
// Convolution for cores with Helium (Cortex-M55, M85): VMLADAVA adds sixteen products of bytes
// to a sum in one instruction.
//
// A tile is four pixels. A pair of channels is multiplied with one tile after the other: eight
// sums, as many as there are registers that VMLADAVA can add to. The tiles say where their
// pixels' inputs lie and where the outputs go: in place for kernel 1, else gathered in scratch.
// Which pixels make a tile does not matter, so tiles go on over the ends of lines, and the last
// one repeats its last pixel.
//
// The file has four weights of a channel, then four of the other; VLD2 sorts them. It wants
// an address that is a multiple of 4, and it reads 32 bytes: where the weights lie elsewhere, or
// end before that, they are copied first.

#include "tv_conv.h"

#if TV_HAVE_MVE

#include "tv_mve.h"

#define TILE (4)
#define TILES (16) // at once; a table of them is on the stack

typedef struct {
    const int8_t *from[TILE];
    int8_t *to[TILE];
} tile_t;

// What multiply_... work on. The assembly uses the offsets from `mult`; LDM needs the fields in this
// order.
typedef struct {
    const uint8_t *weights; // -40
    const uint8_t *end;     // -36: of those in whole steps of 16 inputs
    int32_t bias[2 * TILE]; // -32: of the first channel four times, of the second one
    int32_t mult;           // 0
    int32_t minus_shift;    // 4
    int32_t mult2;          // 8
    int32_t minus_shift2;   // 12
    uint32_t at, at2;       // 16, 20: from an output of channel 0 to these
    const tile_t *last;     // 24: where the tiles end
    uint32_t entry;         // 28: where in the unrolled loop to begin, in bytes
} pair_t;

// pair: its field mult. rest: which of the last sixteen inputs there are.
typedef void multiply_t(const int32_t *pair, const tile_t *tiles, mve_pred16_t rest, int32_t zero_point);

// Sixteen inputs of four pixels, by two channels. r0, r2, r4, r6 are the sums of the first one.
#define WEIGHTS \
    "vld20.32 {q0, q1}, [r9]    \n" \
    "vld21.32 {q0, q1}, [r9]!   \n"

#define UNROLLED (4) // steps
#define STEP_BYTES (56)
#define LOOP_END_BYTES (8)
#define STEP \
    WEIGHTS \
    "vldrb.8 q2, [r1], #16      \n" \
    "vmladava.s8 r0, q2, q0     \n" \
    "vldrb.8 q3, [r3], #16      \n" \
    "vmladava.s8 r8, q2, q1     \n" \
    "vmladava.s8 r2, q3, q0     \n" \
    "vldrb.8 q2, [r5], #16      \n" \
    "vmladava.s8 r10, q3, q1    \n" \
    "vmladava.s8 r4, q2, q0     \n" \
    "vldrb.8 q3, [r7], #16      \n" \
    "vmladava.s8 r12, q2, q1    \n" \
    "vmladava.s8 r6, q3, q0     \n" \
    "vmladava.s8 lr, q3, q1     \n"

// The same for the inputs that are left, zeros for those that are not there.
#define REST \
    WEIGHTS \
    "vpstt                      \n" \
    "vldrbt.u8 q2, [r1]         \n" \
    "vldrbt.u8 q3, [r3]         \n" \
    "vmladava.s8 r0, q2, q0     \n" \
    "vmladava.s8 r8, q2, q1     \n" \
    "vmladava.s8 r2, q3, q0     \n" \
    "vmladava.s8 r10, q3, q1    \n" \
    "vpstt                      \n" \
    "vldrbt.u8 q2, [r5]         \n" \
    "vldrbt.u8 q3, [r7]         \n" \
    "vmladava.s8 r4, q2, q0     \n" \
    "vmladava.s8 r12, q2, q1    \n" \
    "vmladava.s8 r6, q3, q0     \n" \
    "vmladava.s8 lr, q3, q1     \n"

// A pair of channels of all tiles. tv_requantize_mve() says how a sum becomes a value.
#define MULTIPLY(name, REST, STORE) \
    __attribute__((naked)) static void name(const int32_t *pair __attribute__((unused)), const tile_t *tiles __attribute__((unused)), \
    mve_pred16_t rest __attribute__((unused)), int32_t zero_point __attribute__((unused))) { \
        __asm volatile ( \
            "push {r4-r11, lr}          \n" \
            "vpush {d8-d15}             \n" \
            "ldr r12, [r0, #28]         \n" /* entry */ \
            "adr.w r4, 1f               \n" \
            "add r4, r12                \n" \
            "orr r4, #1                 \n" \
            "push {r0, r1, r4}          \n" \
            "vmsr p0, r2                \n" \
            "vdup.32 q6, r3             \n" \
            "vmvn.i32 q4, #127          \n" \
            "vmov.i32 q5, #127          \n" \
            "0:                         \n" \
            "ldrd r9, r11, [sp]         \n" \
            "ldm r11!, {r1, r3, r5, r7} \n" \
            "vldrw.32 q7, [r11], #16    \n" \
            "str r11, [sp, #4]          \n" \
            "ldmdb r9!, {r0, r2, r4, r6, r8, r10, r12, lr} \n" \
            "ldrd r9, r11, [r9, #-8]    \n" \
            "ldr pc, [sp, #8]           \n" \
            "1:                         \n" \
            STEP STEP STEP STEP \
            "cmp.w r9, r11              \n" \
            "bne.w 1b                   \n" \
            REST \
            "vmov q0[2], q0[0], r0, r4  \n" \
            "ldrd r9, r11, [sp]         \n" \
            "vmov q1[2], q1[0], r8, r12 \n" \
            "vmov q0[3], q0[1], r2, r6  \n" \
            "vmov q1[3], q1[1], r10, lr \n" \
            "ldm r9, {r0, r2, r4, r6, r8, r10, r12} \n" \
            "vshr.s32 q2, q0, #31       \n" \
            "vshr.s32 q3, q1, #31       \n" \
            "vqrdmlah.s32 q2, q0, r0    \n" \
            "vqrdmlah.s32 q3, q1, r4    \n" \
            "vrshl.s32 q2, r2           \n" \
            "vrshl.s32 q3, r6           \n" \
            "vadd.i32 q2, q2, q6        \n" \
            "vadd.i32 q3, q3, q6        \n" \
            "vmax.s32 q2, q2, q4        \n" \
            "vmax.s32 q3, q3, q4        \n" \
            "vmin.s32 q2, q2, q5        \n" \
            "vmin.s32 q3, q3, q5        \n" \
            STORE " q3, [r10, q7]       \n" \
            STORE " q2, [r8, q7]        \n" \
            "cmp r11, r12               \n" \
            "bne 0b                     \n" \
            "add sp, #12                \n" \
            "vpop {d8-d15}              \n" \
            "pop {r4-r11, pc}           \n" \
            ); \
    }

MULTIPLY(multiply_bytes, "", "vstrb.32")
MULTIPLY(multiply_halves, "", "vstrh.32")
MULTIPLY(multiply_rest_bytes, REST, "vstrb.32")
MULTIPLY(multiply_rest_halves, REST, "vstrh.32")

// The inputs of `n` output pixels of row y from x on, as the weights lie, `step` bytes from pixel to
// pixel.
static void gather(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t x, uint32_t n, int8_t *to, uint32_t step) {
    int32_t k = l->kernel, c = l->in_c, in_w = l->in_w, stride = l->stride;
    int32_t iy = (int32_t)y * stride - l->pad_top;
    mve_pred16_t p = vctp8q((uint32_t)(k * c));
    for (int32_t ky = 0; ky < k; ky++, iy++, to += k * c) {
        bool inside = iy >= 0 && iy < l->in_h;
        const int8_t *row = inside ? tv_row(arena, &l->in, (uint32_t)iy) : NULL;
        int32_t ix = (int32_t)x * stride - l->pad_left;
        int8_t *at = to;
        for (uint32_t i = 0; i < n; i++, at += step, ix += stride) {
            if (!inside) {
                tv_fill_mve(at, l->in_zero_point, k * c);
                continue;
            }
            if (k * c <= 16) {
                for (; i + 1 < n && ix >= 0 && ix + k <= in_w; i++, at += step, ix += stride) {
                    vstrbq_p_s8(at, vldrbq_z_s8(row + ix * c, p), p);
                }
            }
            int32_t left = ix < 0 ? -ix : 0; // taps left of the image, then in it, then right of it
            int32_t right = ix + k > in_w ? ix + k - in_w : 0;
            int8_t *next = tv_fill_mve(at, l->in_zero_point, left * c);
            next = tv_copy_mve(next, row + (ix + left) * c, (k - left - right) * c);
            tv_fill_mve(next, l->in_zero_point, right * c);
        }
    }
}

// Two channels of a single pixel.
static void multiply_one(const pair_t *pair, const tile_t *tile, mve_pred16_t rest, int32_t zero_point, bool halves) {
    const int8_t *from = tile->from[0];
    const uint8_t *w = pair->weights;
    int32_t sum = pair->bias[0], sum2 = pair->bias[TILE];
    for (; w != pair->end; w += 32, from += 16) {
        int32x4x2_t two = vld2q_s32((const int32_t *)(const void *)w);
        int8x16_t x = vldrbq_s8(from);
        sum = vmladavaq_s8(sum, x, vreinterpretq_s8_s32(two.val[0]));
        sum2 = vmladavaq_s8(sum2, x, vreinterpretq_s8_s32(two.val[1]));
    }
    if (rest) {
        int32x4x2_t two = vld2q_s32((const int32_t *)(const void *)w);
        int8x16_t x = vldrbq_z_s8(from, rest);
        sum = vmladavaq_s8(sum, x, vreinterpretq_s8_s32(two.val[0]));
        sum2 = vmladavaq_s8(sum2, x, vreinterpretq_s8_s32(two.val[1]));
    }
    int8_t q2 = tv_clamp8(tv_requantize(sum2, pair->mult2, (uint32_t)-pair->minus_shift2) + zero_point);
    int8_t q = tv_clamp8(tv_requantize(sum, pair->mult, (uint32_t)-pair->minus_shift) + zero_point);
    int8_t *to = tile->to[0] + pair->at, *to2 = tile->to[0] + pair->at2;
    if (halves) {
        *(int16_t *)(void *)to2 = q2;
        *(int16_t *)(void *)to = q;
    } else {
        *to2 = q2;
        *to = q;
    }
}

// All channels of the tiles whose inputs are where the tiles say.
static void multiply_tiles(const tv_layer_t *l, const tile_t *tiles, const tile_t *last, int8_t *copy, uint32_t dc, bool single) {
    uint32_t taps = (uint32_t)l->kernel * l->kernel * l->in_c, steps = taps / 16, rest = taps % 16;
    uint32_t channels = l->out_c, k4 = tv_align4(taps);
    const uint8_t *bias = l->table, *mult = bias + 4 * l->table_c, *shift = mult + 4 * l->table_c;
    const uint8_t *packed = l->weights;
    bool halves = l->out.pitch != 0, unaligned = (uintptr_t)packed & 3;
    multiply_t *multiply = rest ? (halves ? multiply_rest_halves : multiply_rest_bytes)
        : halves ? multiply_halves : multiply_bytes;
    pair_t pair;
    pair.last = last;
    pair.entry = steps ? (0 - steps) % UNROLLED * STEP_BYTES : UNROLLED * STEP_BYTES + LOOP_END_BYTES;
    for (uint32_t o = 0; o < channels; o += 2, packed += 2 * k4) {
        uint32_t next = o + 1 < channels ? o + 1 : o; // a lone channel comes last, over what it is paired with
        pair.weights = packed;
        if (unaligned || (rest && o + 2 >= channels)) {
            tv_copy_mve(copy, (const int8_t *)packed, (int32_t)(2 * k4));
            pair.weights = (const uint8_t *)copy;
        }
        pair.end = pair.weights + 32 * steps;
        vstrwq_s32(pair.bias, vdupq_n_s32(tv_i32(bias + 4 * o)));
        vstrwq_s32(pair.bias + TILE, vdupq_n_s32(tv_i32(bias + 4 * next)));
        pair.mult = tv_i32(mult + 4 * o);
        pair.mult2 = tv_i32(mult + 4 * next);
        pair.minus_shift = -(int32_t)shift[o];
        pair.minus_shift2 = -(int32_t)shift[next];
        pair.at = o * dc;
        pair.at2 = next * dc;
        if (single) {
            multiply_one(&pair, tiles, vctp8q(rest), l->out_zero_point, halves);
        } else {
            multiply(&pair.mult, tiles, vctp8q(rest), l->out_zero_point);
        }
    }
}

void tv_conv_mve(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    uint32_t k16 = ((uint32_t)tv_stored_taps(l) + 15) & ~15u;
    int8_t *copy = scratch, *columns = copy + 2 * k16;
    uint32_t most = TILE * TILES;
    if (l->kernel > 1) {
        uint32_t room = (scratch_size - 2 * k16) / k16 & ~(TILE - 1u); // at least one tile: tv_layer_scratch()
        most = room < most ? room : most;
    }
    uint32_t x = 0, left = rows * l->out_w, step = l->stride * l->in_c, at = y;
    tile_t tiles[TILES];
    while (left) {
        uint32_t n = left < most ? left : most, i = 0;
        tv_out_t out = { NULL, 0, 0 };
        while (i < n) { // pixels of one line
            uint32_t end = i + l->out_w - x;
            end = end < n ? end : n;
            out = tv_out(l, arena, at);
            const int8_t *row = l->kernel > 1 ? columns + i * k16 : tv_row(arena, &l->in, at * l->stride) + x * step;
            uint32_t from_step = l->kernel > 1 ? k16 : step;
            int8_t *to = out.base + x * out.dx;
            if (l->kernel > 1) {
                gather(l, arena, at, x, end - i, columns + i * k16, k16);
            }
            for (; i < end; i++, x++, row += from_step, to += out.dx) {
                tiles[i / TILE].from[i % TILE] = row;
                tiles[i / TILE].to[i % TILE] = to;
            }
            if (x == l->out_w) {
                x = 0;
                at++;
            }
        }
        for (; i % TILE; i++) {
            tiles[i / TILE].from[i % TILE] = tiles[(n - 1) / TILE].from[(n - 1) % TILE];
            tiles[i / TILE].to[i % TILE] = tiles[(n - 1) / TILE].to[(n - 1) % TILE];
        }
        multiply_tiles(l, tiles, tiles + i / TILE, copy, out.dc, n == 1);
        left -= n;
    }
    tv_fill_margins(l, arena, y, rows);
}

#endif
