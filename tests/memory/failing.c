// SPDX-License-Identifier: MIT
//
// MicroPython with a heap that is full when it is told to be: the linker puts these functions in the
// place of gc_alloc() and gc_realloc() (micropython.mk beside it).
//
//     failing.at(n, once): the n-th allocation from now on fails, that one alone or all after it, too
//     failing.off(): none fails any more; returns how many were asked for
//     failing.throw(): as if Ctrl-C was pressed now

#include "py/gc.h"
#include "py/runtime.h"

void *__real_gc_alloc(size_t size, unsigned int flags);
void *__real_gc_realloc(void *p, size_t size, bool move);
void *__wrap_gc_alloc(size_t size, unsigned int flags);
void *__wrap_gc_realloc(void *p, size_t size, bool move);

static bool armed, once;
static mp_int_t asked, nth;

static bool fails(void) {
    return armed && (++asked == nth || (!once && asked > nth));
}

void *__wrap_gc_alloc(size_t size, unsigned int flags) {
    return fails() ? NULL : __real_gc_alloc(size, flags);
}

void *__wrap_gc_realloc(void *p, size_t size, bool move) {
    bool grows = p == NULL || size > gc_nbytes(p); // less always fits
    return grows && fails() ? NULL : __real_gc_realloc(p, size, move);
}

static mp_obj_t failing_at(mp_obj_t n, mp_obj_t one) {
    asked = 0;
    nth = mp_obj_get_int(n);
    once = mp_obj_is_true(one);
    armed = true;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(failing_at_obj, failing_at);

static mp_obj_t failing_off(void) {
    armed = false;
    return MP_OBJ_NEW_SMALL_INT(asked);
}
static MP_DEFINE_CONST_FUN_OBJ_0(failing_off_obj, failing_off);

static mp_obj_t failing_throw(void) {
    mp_sched_keyboard_interrupt();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(failing_throw_obj, failing_throw);

static const mp_rom_map_elem_t failing_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_failing) },
    { MP_ROM_QSTR(MP_QSTR_at), MP_ROM_PTR(&failing_at_obj) },
    { MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&failing_off_obj) },
    { MP_ROM_QSTR(MP_QSTR_throw), MP_ROM_PTR(&failing_throw_obj) },
};
static MP_DEFINE_CONST_DICT(failing_globals, failing_globals_table);

const mp_obj_module_t failing_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&failing_globals,
};

MP_REGISTER_MODULE(MP_QSTR_failing, failing_module);
