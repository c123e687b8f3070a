// SPDX-License-Identifier: MIT
//
// The instructions of the Armv7E-M / Armv8-M DSP extension that the fast kernels use, and
// requantization with them: six instructions instead of the forty of a portable build.

#ifndef TV_DSP_H
#define TV_DSP_H

#include <stdint.h>

// Is this a Cortex-M7, which issues a load beside a multiplication? Of the cores with Armv7E-M it
// alone has floats of double precision. A build for an M7 without them may say so itself.
#ifndef TV_DUAL_ISSUE
#if defined(__ARM_ARCH_7EM__) && (__ARM_FP & 8)
#define TV_DUAL_ISSUE (1)
#else
#define TV_DUAL_ISSUE (0)
#endif
#endif

// (sign extended byte 0, byte 2) in the lower and upper half
static inline uint32_t tv_sxtb16(uint32_t x) {
    uint32_t r;
    __asm ("sxtb16 %0, %1" : "=r" (r) : "r" (x));
    return r;
}

// (byte 1, byte 3)
static inline uint32_t tv_sxtb16_ror8(uint32_t x) {
    uint32_t r;
    __asm ("sxtb16 %0, %1, ror #8" : "=r" (r) : "r" (x));
    return r;
}

// The same, added to what is in the halves of a sum
static inline uint32_t tv_sxtab16(uint32_t sum, uint32_t x) {
    uint32_t r;
    __asm ("sxtab16 %0, %1, %2" : "=r" (r) : "r" (sum), "r" (x));
    return r;
}

static inline uint32_t tv_sxtab16_ror8(uint32_t sum, uint32_t x) {
    uint32_t r;
    __asm ("sxtab16 %0, %1, %2, ror #8" : "=r" (r) : "r" (sum), "r" (x));
    return r;
}

static inline uint32_t tv_sadd16(uint32_t a, uint32_t b) {
    uint32_t r;
    __asm ("sadd16 %0, %1, %2" : "=r" (r) : "r" (a), "r" (b));
    return r;
}

// sum + products of the lower and of the upper halves
static inline int32_t tv_smlad(uint32_t a, uint32_t b, int32_t sum) {
    int32_t r;
    __asm ("smlad %0, %1, %2, %3" : "=r" (r) : "r" (a), "r" (b), "r" (sum));
    return r;
}

// sum + the upper word of a * b, rounded
static inline int32_t tv_smmlar(int32_t a, int32_t b, int32_t sum) {
    int32_t r;
    __asm ("smmlar %0, %1, %2, %3" : "=r" (r) : "r" (a), "r" (b), "r" (sum));
    return r;
}

static inline int32_t tv_ssat8(int32_t x) {
    int32_t r;
    __asm ("ssat %0, #8, %1" : "=r" (r) : "r" (x));
    return r;
}

// low half of a, high half of b
static inline uint32_t tv_pkhbt(uint32_t a, uint32_t b) {
    uint32_t r;
    __asm ("pkhbt %0, %1, %2" : "=r" (r) : "r" (a), "r" (b));
    return r;
}

// How a doubled sum becomes an int8. With h = SMMULR(sum, mult), the rounding doubling high
// multiply of the sum itself, it is clamp((h + (h >> 31) + round) >> shift), where `round`
// holds half of 1 << shift and the output zero point << shift. Two shortcuts, both exact:
// SMMLAR adds `round` in the same instruction; and the sign of the sum is used for the sign
// of h, because where they differ (h = 0) the result is the same. After ReLU (zero point
// -128) the term h >> 31 is not needed at all: it only moves results that the clamp takes.
typedef struct {
    int32_t mult;
    int32_t round;
    uint32_t shift; // 1 ... 22, or `round` leaves int32
} tv_requant_t;

static inline tv_requant_t tv_requant(int32_t mult, uint32_t shift, int32_t zero_point) {
    tv_requant_t r = { mult, (2 * zero_point + 1) * (1 << (shift - 1)), shift };
    return r;
}

static inline int32_t tv_requant_linear(int32_t sum, const tv_requant_t *r) {
    return tv_ssat8(tv_smmlar(sum, r->mult, r->round + (sum >> 31)) >> r->shift);
}

// For assembly: `sum` becomes the result, `t` is destroyed.
#define TV_REQUANT_LINEAR(sum, mult, round, shift, t) \
    "add " t ", " round ", " sum ", asr #31\n" \
    "smmlar " sum ", " sum ", " mult ", " t "\n" \
    "asr " sum ", " sum ", " shift "\n" \
    "ssat " sum ", #8, " sum "\n"

#define TV_REQUANT_RELU(sum, mult, round, shift, t) \
    "smmlar " sum ", " sum ", " mult ", " round "\n" \
    "asr " sum ", " sum ", " shift "\n" \
    "ssat " sum ", #8, " sum "\n"

#endif
