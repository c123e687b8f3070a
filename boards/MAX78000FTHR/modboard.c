// SPDX-License-Identifier: MIT
// The module `board`: what only this board has.

#include "py/mphal.h"
#include "py/runtime.h"

#include "board.h"
#include "flash.h"
#include "pcif.h"

extern const mp_obj_type_t flash_type;

// board.capture(buffer): the next frame of the camera interface, bytes as the sensor sends them.
// -> True, or False if the sensor was too fast for the CPU. OSError if the buffer is not full after two
// seconds. Not tried on a chip yet.
static mp_obj_t board_capture(mp_obj_t buffer) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buffer, &buf, MP_BUFFER_WRITE);
    size_t got;
    int err = pcif_capture(buf.buf, buf.len, &got);
    if (err == PCIF_TIMEOUT) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("the camera sent %u of %u bytes"), (unsigned)got, (unsigned)buf.len);
    }
    return mp_obj_new_bool(err == PCIF_OK);
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_capture_obj, board_capture);

static mp_obj_t region(qstr name, const uint8_t *start, size_t size, size_t used) {
    mp_obj_t item[4] = {
        MP_OBJ_NEW_QSTR(name),
        mp_obj_new_int_from_uint((uintptr_t)start),
        mp_obj_new_int_from_uint(size),
        mp_obj_new_int_from_uint(used),
    };
    return mp_obj_new_tuple(4, item);
}

// board.memory(): a list of (name, address, size, bytes the linker has used).
static mp_obj_t board_memory(void) {
    size_t data = (size_t)(_ebss - _sdata);
    mp_obj_t item[] = {
        region(MP_QSTR_firmware, _flash_start, (size_t)(_flash_end - _flash_start), (size_t)(_firmware_end - _flash_start)),
        region(MP_QSTR_romfs, _romfs_start, (size_t)_romfs_size, 0),
        region(MP_QSTR_disk, _disk_start, (size_t)_disk_size, 0),
        region(MP_QSTR_data, _sdata, data, data),
        region(MP_QSTR_heap, _heap_start, (size_t)(_heap_end - _heap_start), 0),
        region(MP_QSTR_stack, _sstack, (size_t)(_estack - _sstack), 0),
    };
    return mp_obj_new_list(MP_ARRAY_SIZE(item), item);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_memory_obj, board_memory);

static const mp_rom_map_elem_t board_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_board) },
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&flash_type) },
    { MP_ROM_QSTR(MP_QSTR_capture), MP_ROM_PTR(&board_capture_obj) },
    { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&board_memory_obj) },
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&board_globals,
};
MP_REGISTER_MODULE(MP_QSTR_board, board_module);
