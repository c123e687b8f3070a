// SPDX-License-Identifier: MIT
//
// What the kernels for Helium share.

#ifndef TV_MVE_H
#define TV_MVE_H

#include <arm_mve.h>

#include "tv_kernels.h"

// Four sums of one channel become int8 values, in the low bytes of the words. VQRDMLAH adds to the
// rounding doubling high multiply the sign of the sum, with which the shift rounds half away from
// zero; where that is not the sign of the product (then 0) the result is the same.
static inline int32x4_t tv_requantize_mve(int32x4_t sum, int32_t mult, int32_t minus_shift, int32_t zero_point) {
    int32x4_t q = vqrdmlahq_n_s32(vshrq_n_s32(sum, 31), sum, mult);
    q = vaddq_n_s32(vrshlq_n_s32(q, minus_shift), zero_point);
    int16x8_t halves = vqmovnbq_s32(vreinterpretq_s16_s32(q), q);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(halves), halves));
}

// memcpy() and memset() of a few bytes, without the call. Both return where they ended.
static inline int8_t *tv_copy_mve(int8_t *to, const int8_t *from, int32_t n) {
    for (int32_t i = 0; i < n; i += 16) {
        mve_pred16_t p = vctp8q((uint32_t)(n - i));
        vstrbq_p_s8(to + i, vldrbq_z_s8(from + i, p), p);
    }
    return to + n;
}

static inline int8_t *tv_fill_mve(int8_t *to, int8_t value, int32_t n) {
    for (int32_t i = 0; i < n; i += 16) {
        vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(n - i)));
    }
    return to + n;
}

#endif // TV_MVE_H
