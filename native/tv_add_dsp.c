// SPDX-License-Identifier: MIT
//
// Residual addition for cores with the DSP extension: the arithmetic of tv_add.c with the
// roundings folded into SMMLAR (tv_dsp.h).

#include "tv_kernels.h"

#if TV_HAVE_DSP

#include "tv_dsp.h"

// One operand is rounded twice, the other, of the larger scale, once, and SMMLAR adds them.
static void add_line(const tv_layer_t *l, int8_t *arena, uint32_t y, uint32_t n) {
    const uint8_t *t = l->table;
    int32_t mult1 = tv_i32(t), mult2 = tv_i32(t + 4);
    uint32_t shift2 = t[12] ? t[12] : t[13];
    int32_t zero1 = l->in_zero_point * (1 << (TV_ADD_LEFT_SHIFT + 1));
    int32_t zero2 = l->in2_zero_point * (1 << (TV_ADD_LEFT_SHIFT + 1));
    tv_requant_t requant = tv_requant(tv_i32(t + 8), t[14], l->out_zero_point);
    const int8_t *a = tv_row(arena, &l->in, y), *b = tv_row(arena, &l->in2, y);
    int8_t *to = tv_row(arena, &l->out, y);
    if (t[12]) { // the operand with the larger scale first
        const int8_t *other = a;
        a = b;
        b = other;
        int32_t zero = zero1, mult = mult1;
        zero1 = zero2;
        zero2 = zero;
        mult1 = mult2;
        mult2 = mult;
    }
    int32_t half2 = 1 << (shift2 - 1);
    // (x - zero point) * 2^21, doubled operands
    if (n & 1) {
        n--;
        int32_t sum = (int32_t)((uint32_t)b[n] << (TV_ADD_LEFT_SHIFT + 1)) - zero2;
        sum = tv_smmlar(sum, mult2, half2 + (sum >> 31)) >> shift2;
        int32_t first = (int32_t)((uint32_t)a[n] << (TV_ADD_LEFT_SHIFT + 1)) - zero1;
        sum = tv_smmlar(first, mult1, sum);
        sum = tv_smmlar(2 * sum, requant.mult, requant.round + (sum >> 31)) >> requant.shift;
        to[n] = (int8_t)tv_ssat8(sum);
    }
    if (n == 0) {
        return;
    }
    // Two at a time. Registers do not suffice: what is wanted once a time comes from memory.
    const struct {
        int32_t zero2, half2;
        uint32_t shift2;
        int32_t zero1, round;
        uint32_t shift;
        const int8_t *end;
    } k = { zero2, half2, shift2, zero1, requant.round, requant.shift, b + n };
    int32_t x, y1, p, q, v, u;
    __asm volatile (
        "1: ldrsb %[x], [%[b]], #1      \n"
        "ldr %[q], [%[k]]               \n" // zero2
        "ldrsb %[y], [%[b]], #1         \n"
        "ldr %[u], [%[k], #4]           \n" // half2
        "ldrsb %[p], [%[a]], #1         \n"
        "rsb %[x], %[q], %[x], lsl #21  \n"
        "rsb %[y], %[q], %[y], lsl #21  \n"
        "ldrsb %[q], [%[a]], #1         \n"
        "add %[t], %[u], %[x], asr #31  \n"
        "smmlar %[x], %[x], %[mult2], %[t] \n"
        "add %[u], %[u], %[y], asr #31  \n"
        "ldr %[t], [%[k], #8]           \n" // shift2
        "smmlar %[y], %[y], %[mult2], %[u] \n"
        "ldr %[u], [%[k], #12]          \n" // zero1
        "asr %[x], %[x], %[t]           \n"
        "rsb %[p], %[u], %[p], lsl #21  \n"
        "asr %[y], %[y], %[t]           \n"
        "rsb %[q], %[u], %[q], lsl #21  \n"
        "smmlar %[x], %[p], %[mult1], %[x] \n"
        "ldr %[t], [%[k], #16]          \n" // round
        "smmlar %[y], %[q], %[mult1], %[y] \n"
        "ldr %[u], [%[k], #20]          \n" // shift
        "lsl %[p], %[x], #1             \n"
        "add %[x], %[t], %[x], asr #31  \n"
        "lsl %[q], %[y], #1             \n"
        "smmlar %[x], %[p], %[mult], %[x] \n"
        "add %[y], %[t], %[y], asr #31  \n"
        "smmlar %[y], %[q], %[mult], %[y] \n"
        "ldr %[t], [%[k], #24]          \n" // end
        "asr %[x], %[x], %[u]           \n"
        "cmp %[b], %[t]                 \n"
        "asr %[y], %[y], %[u]           \n"
        "ssat %[x], #8, %[x]            \n"
        "ssat %[y], #8, %[y]            \n"
        "strb %[x], [%[to]], #1         \n"
        "strb %[y], [%[to]], #1         \n"
        "bne 1b                         \n"
        : [a] "+r" (a), [b] "+r" (b), [to] "+r" (to), [x] "=&r" (x), [y] "=&r" (y1), [p] "=&r" (p),
        [q] "=&r" (q), [t] "=&r" (v), [u] "=&r" (u)
        : [k] "r" (&k), [mult1] "r" (mult1), [mult2] "r" (mult2), [mult] "r" (requant.mult), "m" (k)
        : "cc", "memory");
}

void tv_add_dsp(const tv_layer_t *l, int8_t *arena, void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows) {
    const uint8_t *shift = (const uint8_t *)l->table + 12; // of both operands and of the sum
    if (shift[2] > TV_MAX_SHIFT || (shift[0] > 0) == (shift[1] > 0)) {
        tv_add(l, arena, scratch, scratch_size, y, rows);
        return;
    }
    uint32_t width = (uint32_t)l->out_w * l->out_c;
    if (tv_is_flat(l)) {
        add_line(l, arena, y, rows * width);
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        add_line(l, arena, y + i, width);
    }
}

#endif
