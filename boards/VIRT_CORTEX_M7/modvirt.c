// SPDX-License-Identifier: MIT
// The module `virt`: what only this board has.

#include "py/runtime.h"

#include "board.h"
#include "flash.h"

extern const mp_obj_type_t flash_type;

// virt.instructions(): how many were executed since reset, or None without -icount.
static mp_obj_t virt_instructions(void) {
    return clock_counts_instructions() ? mp_obj_new_int_from_ull(clock_instructions()) : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(virt_instructions_obj, virt_instructions);

// virt.count(f, *args): instructions that the call f(*args) takes, MicroPython's own included.
// None where QEMU was started without -icount. Exact: the same call gives the same count.
static mp_obj_t virt_count(size_t n_args, const mp_obj_t *args) {
    uint64_t t0 = clock_instructions();
    uint64_t t1 = clock_instructions();
    mp_call_function_n_kw(args[0], n_args - 1, 0, args + 1);
    uint64_t t2 = clock_instructions();
    if (!clock_counts_instructions()) {
        return mp_const_none;
    }
    // What lies between two reads of the clock is part of t2 - t1 as well.
    return mp_obj_new_int_from_ull((t2 - t1) - (t1 - t0));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR(virt_count_obj, 1, virt_count);

static mp_obj_t region(qstr name, const uint8_t *start, size_t size, size_t used) {
    mp_obj_t item[4] = {
        MP_OBJ_NEW_QSTR(name),
        mp_obj_new_int_from_uint((uintptr_t)start),
        mp_obj_new_int_from_uint(size),
        mp_obj_new_int_from_uint(used),
    };
    return mp_obj_new_tuple(4, item);
}

// virt.memory(): a list of (name, address, size, bytes the linker has used), an STM32H743's.
static mp_obj_t virt_memory(void) {
    size_t data = (size_t)(_ebss - _sdata);
    mp_obj_t item[] = {
        region(MP_QSTR_flash, NULL, (size_t)_flash_size, (size_t)_flash_end),
        region(MP_QSTR_arena, _tinyvlm_arena_start,
            (size_t)(_tinyvlm_arena_end - _tinyvlm_arena_start), 0),
        region(MP_QSTR_heap, _heap_start, (size_t)(_heap_end - _heap_start), 0),
        region(MP_QSTR_data, _sdata, data, data),
        region(MP_QSTR_stack, _sstack, (size_t)(_estack - _sstack), 0),
        region(MP_QSTR_disk, _disk_start, (size_t)_disk_size, 0),
        region(MP_QSTR_romfs, _romfs_start, (size_t)_romfs_size, 0),
    };
    return mp_obj_new_list(MP_ARRAY_SIZE(item), item);
}
static MP_DEFINE_CONST_FUN_OBJ_0(virt_memory_obj, virt_memory);

static const mp_rom_map_elem_t virt_module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_virt) },
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&flash_type) },
    { MP_ROM_QSTR(MP_QSTR_count), MP_ROM_PTR(&virt_count_obj) },
    { MP_ROM_QSTR(MP_QSTR_instructions), MP_ROM_PTR(&virt_instructions_obj) },
    { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&virt_memory_obj) },
};
static MP_DEFINE_CONST_DICT(virt_module_globals, virt_module_globals_table);

const mp_obj_module_t virt_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&virt_module_globals,
};
MP_REGISTER_MODULE(MP_QSTR_virt, virt_module);
