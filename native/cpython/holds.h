// SPDX-License-Identifier: MIT
//
// Does a buffer hold what a call asks for? Counts come from Python as they are, and on a 32-bit
// CPython rows times bytes leave size_t: so nobody multiplies but this. It knows no Python, so that
// tests/c/test_holds.c can be compiled for 32 bits everywhere.

#ifndef TINYVLM_HOLDS_H
#define TINYVLM_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

// Are `have` bytes enough for `count` of `item` bytes?
static inline bool tv_holds(uint64_t have, uint64_t count, uint64_t item) {
    return count * item <= have;
}

#endif // TINYVLM_HOLDS_H
