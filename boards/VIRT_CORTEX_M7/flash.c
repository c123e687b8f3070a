// SPDX-License-Identifier: MIT
// The external flash chip: 4 MB for LittleFS, 4 MB for ROMFS, both memory mapped at reset.
//
// With `flash=FILE` on the command line the chip is a file of the host: LittleFS first, ROMFS
// behind it. Every block goes to the file when it is written, not later, so that killing QEMU
// is the same as pulling the plug. Without a file the contents end with QEMU.
//
// The host file is the truth for LittleFS (its part of RAM is not used then); ROMFS is copied
// into RAM at reset, because its users want a pointer.

#include <string.h>

#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "board.h"
#include "semihost.h"

#define BLOCK_SIZE  (4096)
#define DISK_SIZE   ((size_t)_disk_size)
#define ROMFS_SIZE  ((size_t)_romfs_size)

static const char *file_name;
static int file = -1;

// Both return 0, or a negative errno.
static int file_read(size_t offset, void *buf, size_t len) {
    return semihost_seek(file, offset) == 0 && semihost_read(file, buf, len) == len ? 0 : -MP_EIO;
}

static int file_write(size_t offset, const void *buf, size_t len) {
    return semihost_seek(file, offset) == 0 && semihost_write(file, buf, len) == len ? 0 : -MP_EIO;
}

static bool romfs_present(void) {
    static const uint8_t magic[3] = { 0xd2, 0xcd, 0x31 };
    return memcmp(_romfs_start, magic, sizeof(magic)) == 0;
}

void flash_init(void) {
    file_name = board_option("flash");
    if (file_name == NULL) {
        return;
    }
    file = semihost_open(file_name, SEMIHOST_MODE_RW);
    // An image that QEMU's loader put there goes before the one in the file.
    if (file >= 0 && !romfs_present() && file_read(DISK_SIZE, _romfs_start, 16) == 0
        && romfs_present()) {
        file_read(DISK_SIZE, _romfs_start, ROMFS_SIZE);
    }
}

static int disk_read(size_t offset, void *buf, size_t len) {
    if (offset > DISK_SIZE || len > DISK_SIZE - offset) {
        return -MP_EINVAL;
    }
    if (file >= 0) {
        return file_read(offset, buf, len);
    }
    memcpy(buf, _disk_start + offset, len);
    return 0;
}

static int disk_write(size_t offset, const void *buf, size_t len) {
    if (offset > DISK_SIZE || len > DISK_SIZE - offset) {
        return -MP_EINVAL;
    }
    if (file >= 0) {
        return file_write(offset, buf, len);
    }
    memcpy(_disk_start + offset, buf, len);
    return 0;
}

// A block is erased to 0xff before it is programmed, as on the chip: a plug pulled in between
// leaves what it would leave there.
static int disk_erase(size_t block) {
    static uint8_t blank[BLOCK_SIZE];
    memset(blank, 0xff, sizeof(blank));
    return disk_write(block * BLOCK_SIZE, blank, sizeof(blank));
}

// The block device protocol of MicroPython's vfs, with offsets inside a block.

static mp_obj_t flash_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    (void)args;
    if (file_name != NULL && file < 0) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("can't open flash file %s"), file_name);
    }
    return MP_OBJ_FROM_PTR(mp_obj_malloc(mp_obj_base_t, type));
}

static size_t flash_offset(size_t n_args, const mp_obj_t *args) {
    size_t offset = n_args > 3 ? mp_obj_get_int(args[3]) : 0;
    return (size_t)mp_obj_get_int(args[1]) * BLOCK_SIZE + offset;
}

static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(disk_read(flash_offset(n_args, args), buf.buf, buf.len));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(disk_write(flash_offset(n_args, args), buf.buf, buf.len));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static mp_obj_t flash_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    (void)self;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(DISK_SIZE / BLOCK_SIZE);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_SIZE);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE:
            return MP_OBJ_NEW_SMALL_INT(disk_erase(mp_obj_get_int(arg)));
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

static int romfs_write(size_t offset, const void *buf, size_t len) {
    if (offset > ROMFS_SIZE || len > ROMFS_SIZE - offset) {
        return -MP_EINVAL;
    }
    memcpy(_romfs_start + offset, buf, len);
    return file >= 0 ? file_write(DISK_SIZE + offset, buf, len) : 0;
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
        // Spoil the old image first, so that a deploy that is cut off leaves none, not half of one.
        static const uint8_t blank[16] = { 0 };
        int err = (size_t)mp_obj_get_int(args[2]) > ROMFS_SIZE ? -MP_EINVAL : romfs_write(0, blank, sizeof(blank));
        return MP_OBJ_NEW_SMALL_INT(err < 0 ? err : 4); // bytes are written in fours
    }
    if (op == MP_VFS_ROM_IOCTL_WRITE && n_args == 4) {
        mp_buffer_info_t buf;
        mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
        return MP_OBJ_NEW_SMALL_INT(romfs_write(mp_obj_get_int(args[2]), buf.buf, buf.len));
    }
    return MP_OBJ_NEW_SMALL_INT(op == MP_VFS_ROM_IOCTL_WRITE_COMPLETE ? 0 : -MP_EINVAL);
}
