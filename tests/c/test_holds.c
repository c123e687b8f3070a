// SPDX-License-Identifier: MIT
//
// native/cpython/holds.h as a 32-bit CPython has it: without an operating system's headers and
// libraries, which are seldom there for 32 bits. Ends with the number of the check that failed, or 0.

#include <stddef.h>

#include "holds.h"

_Static_assert(sizeof(size_t) == 4, "this is for 32 bits");

static int failed(void) {
    volatile size_t have = 16, rows = 65536, size = 65536; // volatile: the program computes, not the compiler
    if (tv_holds(have, rows, size)) { // 2^32 bytes
        return 1;
    }
    rows = 0x7fffffff;
    if (tv_holds(have, rows, 65535)) { // the most rows of the most bytes
        return 2;
    }
    rows = 4;
    return tv_holds(have, rows, 4) && !tv_holds(have, rows, 5) ? 0 : 3;
}

void _start(void) { // Linux: exit()
    __asm__ volatile ("int $0x80" : : "a" (1), "b" (failed()));
}
