// SPDX-License-Identifier: MIT
// Internal flash and its controller.
//
// A page is 8 KB, and 16 bytes are programmed at a time, once between erasures (flash has ECC).
// The functions that make flash busy run from RAM with interrupts off. QEMU has no controller:
// there every erasure ends with EIO. Every wait is bounded.

#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"

#include "board.h"
#include "flash.h"

#define FLC_ADDR    REG(0x40029000)
#define FLC_CLKDIV  REG(0x40029004)
#define FLC_CTRL    REG(0x40029008)
#define FLC_INTR    REG(0x40029024)
#define FLC_DATA(n) REG(0x40029030 + 4 * (n))

#define CTRL_WRITE  (1u << 0)
#define CTRL_ERASE  (1u << 2)
#define CTRL_CODE   (0x55u << 8)
#define CTRL_BUSY   (1u << 24)
#define CTRL_UNLOCK (2u << 28)
#define CTRL_LOCK   (0xfu << 28)
#define INTR_DONE   (1u << 0)
#define INTR_FAIL   (1u << 1)

#define TURNS       (1000000u) // more than 100 ms; an erasure takes 30 ms or less

// One command. data: 4 words for CTRL_WRITE. Returns true if the controller says it is done.
__attribute__((section(".ramfunc"), noinline, long_call))
static bool command(uint32_t address, uint32_t what, const uint32_t *data) {
    FLC_CLKDIV = CPU_HZ / 1000000;
    if ((FLC_CLKDIV & 0xff) != CPU_HZ / 1000000) {
        return false; // an emulator without a controller
    }
    uint32_t turns = TURNS;
    while (FLC_CTRL & CTRL_BUSY && --turns) { // a command that took too long before
    }
    if (turns == 0) {
        return false;
    }
    FLC_INTR = 0;
    FLC_CTRL = (FLC_CTRL & ~CTRL_LOCK) | CTRL_UNLOCK;
    FLC_ADDR = address;
    if (data != NULL) {
        for (uint32_t i = 0; i < 4; i++) {
            FLC_DATA(i) = data[i];
        }
    } else {
        FLC_CTRL = (FLC_CTRL & ~(0xffu << 8)) | CTRL_CODE;
    }
    FLC_CTRL |= what;
    turns = TURNS;
    while ((FLC_CTRL & (CTRL_BUSY | what) || !(FLC_INTR & INTR_DONE)) && --turns) {
    }
    bool done = turns != 0 && !(FLC_INTR & INTR_FAIL);
    FLC_INTR = 0;
    FLC_CTRL = (FLC_CTRL & ~(CTRL_LOCK | 0xffu << 8)) | 3u << 28;
    GCR_SYSCTRL |= 1u << 6; // the cache's copy of flash is out of date
    for (turns = 100000; GCR_SYSCTRL & 1u << 6 && --turns;) {
    }
    (void)*(volatile uint32_t *)0x10000000; // and so is the line buffer's
    (void)*(volatile uint32_t *)(0x10000000 + FLASH_BLOCK);
    return done;
}

static int flash_command(const uint8_t *at, uint32_t what, const uint32_t *data) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    bool done = command((uint32_t)at & 0x7ffff, what, data);
    MICROPY_END_ATOMIC_SECTION(state);
    return done ? 0 : -MP_EIO;
}

static int flash_erase(const uint8_t *page) {
    return flash_command(page, CTRL_ERASE, NULL);
}

// Whole lines; the last one is filled up with what erased flash holds.
static int flash_program(const uint8_t *to, const uint8_t *from, size_t size) {
    int err = 0;
    for (size_t at = 0; at < size && err == 0; at += FLASH_LINE) {
        uint32_t line[4] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
        memcpy(line, from + at, MIN(FLASH_LINE, size - at));
        err = flash_command(to + at, CTRL_WRITE, line);
        err = err == 0 && memcmp(to + at, line, FLASH_LINE) != 0 ? -MP_EIO : err;
    }
    return err;
}

void flash_check(void) {
}

int disk_read(size_t offset, void *buf, size_t size) {
    memcpy(buf, _disk_start + offset, size);
    return 0;
}

int disk_write(size_t offset, const void *buf, size_t size, bool erase) {
    if (offset % FLASH_LINE || size % FLASH_LINE) {
        return -MP_EINVAL;
    }
    int err = 0;
    for (size_t page = 0; erase && page < size && err == 0; page += FLASH_BLOCK) {
        err = flash_erase(_disk_start + offset + page);
    }
    return err ? err : flash_program(_disk_start + offset, buf, size);
}

int disk_erase(size_t offset) {
    return flash_erase(_disk_start + offset);
}

// An interrupted deploy has to be repeated.
int romfs_prepare(size_t size) {
    int err = 0;
    for (size_t page = 0; page < size && err == 0; page += FLASH_BLOCK) {
        err = flash_erase(_romfs_start + page);
    }
    return err;
}

int romfs_write(size_t offset, const void *buf, size_t size) {
    return flash_program(_romfs_start + offset, buf, size);
}
