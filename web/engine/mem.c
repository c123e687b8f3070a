// SPDX-License-Identifier: MIT
//
// The functions that C compilers call by themselves, without a C library. Compiled with -fno-builtin,
// or memcpy() would become a call of memcpy().

#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) word_t;

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; size >= 8; size -= 8, t += 8, f += 8) {
        *(word_t *)t = *(const word_t *)f;
    }
    for (; size; size--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f) { // word by word: what is written lies before what is read
        return memcpy(to, from, size);
    }
    while (size--) {
        t[size] = f[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *t = to;
    word_t all = (uint8_t)value * 0x0101010101010101u;
    for (; size >= 8; size -= 8, t += 8) {
        *(word_t *)t = all;
    }
    for (; size; size--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const uint8_t *x = a, *y = b;
    for (; size; size--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}
