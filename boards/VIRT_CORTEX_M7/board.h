// SPDX-License-Identifier: MIT
// What the parts of this board know of each other.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cortex_m.h"

#define FLASH_BLOCK (4096)
#define FLASH_LINE  (4)

// Symbols of virt_cortex_m7.ld: only their addresses mean something (a _size's address is the size).
extern uint8_t _flash_size[], _flash_end[], _sidata[], _sdata[], _edata[], _sbss[], _ebss[];
extern uint8_t _stack_guard[], _sstack[], _estack[], _heap_start[], _heap_end[];
extern uint8_t _tinyvlm_arena_start[], _tinyvlm_arena_end[];

// console.c
void console_pump(void);

// clock.c
void clock_init(void);
bool clock_counts_instructions(void);
uint64_t clock_instructions(void);

// flash.c
void flash_init(void);

// option.c: the value of "name=..." on QEMU's semihosting command line, or NULL.
const char *board_option(const char *name);

// What C code below MicroPython's last stack check may need: littlefs, printing, the console's interrupt.
#define STACK_MARGIN (4096)

// ../qemu/main.c
int board_main(void);

#endif // BOARD_H
