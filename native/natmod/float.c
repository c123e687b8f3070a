// SPDX-License-Identifier: MIT
//
// float arithmetic for Armv6-M, whose libgcc has tables of jumps that mpy_ld.py cannot link. As
// IEEE 754 has it, to nearest even, for what the engine computes with: values that are normal or
// 0, no infinity, no NaN; a result below the smallest normal number becomes 0.

#include <stdbool.h>
#include <stdint.h>

// A float of the ABI is its bits in an integer register.
typedef uint32_t bits_t;

// sign, and significand * 2^(exponent - 150), the significand being 24 bits or 0
typedef struct {
    uint32_t sign, significand;
    int32_t exponent;
} parts_t;

static parts_t take_apart(bits_t x) {
    parts_t p = { x & 0x80000000u, x & 0x7fffffu, (int32_t)(x >> 23 & 255) };
    p.significand = p.exponent ? p.significand | 0x800000u : 0;
    return p;
}

// significand * 2^(exponent - 150) with a sign, rounded; the lowest bit may stand for all below it.
static bits_t put_together(uint32_t sign, uint32_t significand, int32_t exponent) {
    if (significand == 0) {
        return sign;
    }
    // to 30 bits, so that 6 are rounded away
    while (significand < 1u << 29) {
        significand <<= 1;
        exponent--;
    }
    while (significand >= 1u << 30) {
        significand = significand >> 1 | (significand & 1);
        exponent++;
    }
    significand += 31 + (significand >> 6 & 1);
    significand >>= 6;
    exponent += 6;
    if (significand >> 24) {
        significand >>= 1;
        exponent++;
    }
    return exponent <= 0 ? sign : sign | (((uint32_t)exponent << 23) + (significand - 0x800000u));
}

bits_t __aeabi_fadd(bits_t x, bits_t y) {
    parts_t a = take_apart(x), b = take_apart(y);
    if (a.significand == 0 || b.significand == 0) {
        return b.significand ? y : a.significand ? x : x & y;
    }
    if (a.exponent < b.exponent) {
        parts_t t = a;
        a = b;
        b = t;
    }
    // 6 bits more than the result has: enough for exact rounding, with a bit for the rest
    uint32_t p = a.significand << 6, q = b.significand << 6;
    int32_t shift = a.exponent - b.exponent;
    if (shift > 30) {
        q = 1;
    } else {
        q = q >> shift | ((q & ((1u << shift) - 1)) != 0);
    }
    if (a.sign == b.sign) {
        return put_together(a.sign, p + q, a.exponent - 6);
    }
    if (p == q) {
        return 0;
    }
    return p > q ? put_together(a.sign, p - q, a.exponent - 6) : put_together(b.sign, q - p, a.exponent - 6);
}

bits_t __aeabi_fsub(bits_t x, bits_t y) {
    return __aeabi_fadd(x, y ^ 0x80000000u);
}

bits_t __aeabi_fmul(bits_t x, bits_t y) {
    parts_t a = take_apart(x), b = take_apart(y);
    uint64_t product = (uint64_t)a.significand * b.significand; // 48 bits
    uint32_t upper = (uint32_t)(product >> 18) | ((product & 0x3ffff) != 0);
    return put_together(a.sign ^ b.sign, upper, a.exponent + b.exponent - 150 + 18);
}

bits_t __aeabi_fdiv(bits_t x, bits_t y) {
    parts_t a = take_apart(x), b = take_apart(y);
    if (a.significand == 0 || b.significand == 0) {
        return (x ^ y) & 0x80000000u; // 0 / 0 and x / 0 do not happen
    }
    // 28 bits of the quotient and one for the rest
    uint32_t quotient = 0, rest = a.significand;
    for (int i = 0; i < 28; i++) {
        quotient <<= 1;
        if (rest >= b.significand) {
            rest -= b.significand;
            quotient |= 1;
        }
        rest <<= 1;
    }
    return put_together(a.sign ^ b.sign, quotient << 1 | (rest != 0), a.exponent - b.exponent + 150 - 28);
}

bits_t __aeabi_ui2f(uint32_t x) {
    return put_together(0, x, 150);
}

bits_t __aeabi_i2f(int32_t x) {
    return x < 0 ? put_together(0x80000000u, 0u - (uint32_t)x, 150) : put_together(0, (uint32_t)x, 150);
}

// Larger than y? Bits of floats are ordered as sign and magnitude.
static int compare(bits_t x, bits_t y) {
    int32_t a = x & 0x80000000u ? -(int32_t)(x & 0x7fffffffu) : (int32_t)x;
    int32_t b = y & 0x80000000u ? -(int32_t)(y & 0x7fffffffu) : (int32_t)y;
    return a < b ? -1 : a > b;
}

int __aeabi_fcmpeq(bits_t x, bits_t y) {
    return compare(x, y) == 0;
}

int __aeabi_fcmplt(bits_t x, bits_t y) {
    return compare(x, y) < 0;
}

int __aeabi_fcmple(bits_t x, bits_t y) {
    return compare(x, y) <= 0;
}

int __aeabi_fcmpgt(bits_t x, bits_t y) {
    return compare(x, y) > 0;
}

int __aeabi_fcmpge(bits_t x, bits_t y) {
    return compare(x, y) >= 0;
}
