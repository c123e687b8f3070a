// SPDX-License-Identifier: MIT
//
// A program on QEMU's mps3-an547 (Cortex-M55), without a C library's start: from reset to main(),
// printing, and reading the file "nets": for each encoder its size in 4 bytes, and the encoder.

#ifndef MPS3_AN547_H
#define MPS3_AN547_H

#include <stdio.h>
#include <string.h>

#include "semihost.h"
#include "tv.h"

extern uint8_t _stack[], _arena_start[], _arena_end[], _file_start[], _file_end[];

#define REG(address) (*(volatile uint32_t *)(address))
#define PRINT(...) do { \
        char line[200]; \
        snprintf(line, sizeof(line), __VA_ARGS__); \
        semihost_call(0x04, line); /* SYS_WRITE0 */ \
} while (0)

int main(void);

static void stop(const char *why) {
    PRINT("%s\n", why);
    semihost_exit(1);
}

__attribute__((used)) static void fault_at(const uint32_t *frame) {
    PRINT("fault at %08lx: CFSR %08lx, BFAR %08lx\n", (unsigned long)frame[6], (unsigned long)REG(0xe000ed28),
        (unsigned long)REG(0xe000ed38));
    semihost_exit(1);
}

__attribute__((naked)) static void fault(void) {
    __asm volatile ("mov r0, sp\n b fault_at");
}

__attribute__((used)) static void start(void) {
    semihost_exit(main());
}

void Reset_Handler(void);

__attribute__((naked)) void Reset_Handler(void) {
    __asm volatile ( // the FPU, and with it Helium, is off
        "ldr r0, =0xe000ed88    \n"
        "ldr r1, [r0]           \n"
        "orr r1, #0xf00000      \n"
        "str r1, [r0]           \n"
        "dsb                    \n"
        "isb                    \n"
        "b start                \n"
        );
}

static const void *const vectors[16] __attribute__((section(".vectors"), used)) = {
    _stack, (void *)Reset_Handler, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};

// The next encoder of the file, at the end of RAM but for `gap` bytes. Its size goes to *size; NULL
// after the last one.
static uint8_t *next_file(int nets, size_t *size, uint32_t gap) {
    uint8_t length[4];
    if (semihost_read(nets, length, 4) != 4) {
        return NULL;
    }
    *size = length[0] | length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (*size + gap > (size_t)(_file_end - _file_start)) {
        stop("an encoder is too large");
    }
    uint8_t *at = _file_end - gap - *size;
    if (semihost_read(nets, at, *size) != *size) {
        stop("nets: is cut");
    }
    return at;
}

// The arena, at the end of its RAM, with 0xa5 in it.
static void *arena_of(const tv_model_t *m) {
    uint32_t size = (m->arena_size + 7) & ~7u;
    if (size > (size_t)(_arena_end - _arena_start)) {
        stop("an arena is too large");
    }
    return memset(_arena_end - size, 0xa5, size);
}

#endif // MPS3_AN547_H
