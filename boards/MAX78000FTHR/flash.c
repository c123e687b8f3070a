// SPDX-License-Identifier: MIT
// Internal flash: the flash controller, LittleFS's block device `board.Flash`, and ROMFS.
//
// A page is 8 KB, and 16 bytes are programmed at a time, once between erasures (flash has ECC).
// The functions that make flash busy run from RAM with interrupts off. QEMU has no controller:
// there every erasure ends with EIO. Every wait is bounded.

#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "board.h"

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

#define PAGE_SIZE   (8192)
#define LINE_SIZE   (16)
#define TURNS       (1000000u) // more than 100 ms; an erasure takes 30 ms or less

#define DISK_SIZE   ((size_t)_disk_size)
#define ROMFS_SIZE  ((size_t)_romfs_size)

// One command. data: 4 words for CTRL_WRITE. Returns true if the controller says it is done.
__attribute__((section(".ramfunc"), noinline, long_call))
static bool command(uint32_t address, uint32_t what, const uint32_t *data) {
    FLC_CLKDIV = CPU_HZ / 1000000;
    if ((FLC_CLKDIV & 0xff) != CPU_HZ / 1000000) {
        return false; // an emulator without a controller
    }
    uint32_t turns = TURNS;
    while (FLC_CTRL & CTRL_BUSY && --turns) { // one that took too long before
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
    GCR_SYSCTRL |= 1u << 6; // what the cache knows of flash is old
    for (turns = 100000; GCR_SYSCTRL & 1u << 6 && --turns;) {
    }
    (void)*(volatile uint32_t *)0x10000000; // and what the line buffer holds
    (void)*(volatile uint32_t *)(0x10000000 + PAGE_SIZE);
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
    for (size_t at = 0; at < size && err == 0; at += LINE_SIZE) {
        uint32_t line[4] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
        memcpy(line, from + at, MIN(LINE_SIZE, size - at));
        err = flash_command(to + at, CTRL_WRITE, line);
        err = err == 0 && memcmp(to + at, line, LINE_SIZE) != 0 ? -MP_EIO : err;
    }
    return err;
}

// The block device protocol of MicroPython's vfs, with offsets inside a block.

static mp_obj_t flash_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    (void)args;
    return MP_OBJ_FROM_PTR(mp_obj_malloc(mp_obj_base_t, type));
}

static uint8_t *disk_at(size_t n_args, const mp_obj_t *args, size_t size) {
    size_t block = (size_t)mp_obj_get_int(args[1]), offset = n_args > 3 ? (size_t)mp_obj_get_int(args[3]) : 0;
    if (block >= DISK_SIZE / PAGE_SIZE || offset > DISK_SIZE) {
        return NULL; // also what would wrap around below
    }
    offset += block * PAGE_SIZE;
    return offset <= DISK_SIZE && size <= DISK_SIZE - offset ? _disk_start + offset : NULL;
}

static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_WRITE);
    const uint8_t *at = disk_at(n_args, args, buf.len);
    if (at == NULL) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
    memcpy(buf.buf, at, buf.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_READ);
    uint8_t *at = disk_at(n_args, args, buf.len);
    if (at == NULL || (uintptr_t)at % LINE_SIZE || buf.len % LINE_SIZE) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
    int err = 0;
    for (size_t page = 0; n_args < 4 && page < buf.len && err == 0; page += PAGE_SIZE) {
        err = flash_erase(at + page); // the simple protocol: whole blocks, erased here
    }
    return MP_OBJ_NEW_SMALL_INT(err ? err : flash_program(at, buf.buf, buf.len));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static mp_obj_t flash_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    (void)self;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(DISK_SIZE / PAGE_SIZE);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(PAGE_SIZE);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
            size_t block = (size_t)mp_obj_get_int(arg);
            return MP_OBJ_NEW_SMALL_INT(block < DISK_SIZE / PAGE_SIZE ? flash_erase(_disk_start + block * PAGE_SIZE) : -MP_EINVAL);
        }
        default:
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(flash_ioctl_obj, flash_ioctl);

static const mp_rom_map_elem_t flash_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&flash_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&flash_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&flash_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_locals_dict, flash_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    flash_type,
    MP_QSTR_Flash,
    MP_TYPE_FLAG_NONE,
    make_new, flash_make_new,
    locals_dict, &flash_locals_dict
    );

// ROMFS: what `mpremote romfs query` and `romfs deploy` talk to.

static MP_DEFINE_MEMORYVIEW_OBJ(romfs_obj, 'B', 0, 0, NULL);

// The old image is gone from here on. A deploy that is cut off in the middle has to be repeated.
static int romfs_prepare(size_t size) {
    int err = size > ROMFS_SIZE ? -MP_EINVAL : 0;
    for (size_t page = 0; page < size && err == 0; page += PAGE_SIZE) {
        err = flash_erase(_romfs_start + page);
    }
    return err;
}

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    mp_int_t op = mp_obj_get_int(args[0]);
    if (op == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return MP_OBJ_NEW_SMALL_INT(1);
    }
    if (n_args < 2 || mp_obj_get_int(args[1]) != 0) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
    if (op == MP_VFS_ROM_IOCTL_GET_SEGMENT) {
        romfs_obj.items = _romfs_start;
        romfs_obj.len = ROMFS_SIZE;
        return MP_OBJ_FROM_PTR(&romfs_obj);
    }
    if (op == MP_VFS_ROM_IOCTL_WRITE_PREPARE && n_args == 3) {
        int err = romfs_prepare((size_t)mp_obj_get_int(args[2]));
        return MP_OBJ_NEW_SMALL_INT(err < 0 ? err : LINE_SIZE); // bytes are written in so many
    }
    if (op == MP_VFS_ROM_IOCTL_WRITE && n_args == 4) {
        mp_buffer_info_t buf;
        mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
        size_t offset = (size_t)mp_obj_get_int(args[2]);
        bool fits = offset <= ROMFS_SIZE && buf.len <= ROMFS_SIZE - offset && offset % LINE_SIZE == 0;
        return MP_OBJ_NEW_SMALL_INT(fits ? flash_program(_romfs_start + offset, buf.buf, buf.len) : -MP_EINVAL);
    }
    return MP_OBJ_NEW_SMALL_INT(op == MP_VFS_ROM_IOCTL_WRITE_COMPLETE ? 0 : -MP_EINVAL);
}
