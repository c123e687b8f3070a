// SPDX-License-Identifier: MIT
// MicroPython's view of a board's flash: the class `Flash`, LittleFS's block device, and ROMFS.

#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "board.h"
#include "flash.h"

// The block device protocol of MicroPython's vfs, with offsets inside a block.

static mp_obj_t flash_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    (void)args;
    flash_check();
    return MP_OBJ_FROM_PTR(mp_obj_malloc(mp_obj_base_t, type));
}

// args: self, block, buffer[, offset in the block]. false: not all of it lies in flash. Numbers come
// before the buffer: an object's __int__() may resize it.
static bool get_place(size_t n_args, const mp_obj_t *args, mp_uint_t flags, mp_buffer_info_t *buf, size_t *at) {
    size_t block = (size_t)mp_obj_get_int(args[1]), offset = n_args > 3 ? (size_t)mp_obj_get_int(args[3]) : 0;
    mp_get_buffer_raise(args[2], buf, flags);
    if (block >= DISK_SIZE / FLASH_BLOCK || offset > DISK_SIZE) {
        return false; // also what would wrap around below
    }
    *at = block * FLASH_BLOCK + offset;
    return *at <= DISK_SIZE && buf->len <= DISK_SIZE - *at;
}

static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    size_t at;
    bool fits = get_place(n_args, args, MP_BUFFER_WRITE, &buf, &at);
    return MP_OBJ_NEW_SMALL_INT(fits ? disk_read(at, buf.buf, buf.len) : -MP_EINVAL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    size_t at;
    bool fits = get_place(n_args, args, MP_BUFFER_READ, &buf, &at);
    // the simple protocol, without an offset: whole blocks, not erased before
    return MP_OBJ_NEW_SMALL_INT(fits ? disk_write(at, buf.buf, buf.len, n_args < 4) : -MP_EINVAL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static mp_obj_t flash_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    (void)self;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(DISK_SIZE / FLASH_BLOCK);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(FLASH_BLOCK);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
            size_t block = (size_t)mp_obj_get_int(arg);
            return MP_OBJ_NEW_SMALL_INT(block < DISK_SIZE / FLASH_BLOCK ? disk_erase(block * FLASH_BLOCK) : -MP_EINVAL);
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
        size_t size = (size_t)mp_obj_get_int(args[2]);
        int err = size > ROMFS_SIZE ? -MP_EINVAL : romfs_prepare(size);
        return MP_OBJ_NEW_SMALL_INT(err < 0 ? err : FLASH_LINE); // the unit of writes
    }
    if (op == MP_VFS_ROM_IOCTL_WRITE && n_args == 4) {
        size_t offset = (size_t)mp_obj_get_int(args[2]);
        mp_buffer_info_t buf;
        mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
        bool fits = offset <= ROMFS_SIZE && buf.len <= ROMFS_SIZE - offset && offset % FLASH_LINE == 0;
        return MP_OBJ_NEW_SMALL_INT(fits ? romfs_write(offset, buf.buf, buf.len) : -MP_EINVAL);
    }
    return MP_OBJ_NEW_SMALL_INT(op == MP_VFS_ROM_IOCTL_WRITE_COMPLETE ? 0 : -MP_EINVAL);
}
