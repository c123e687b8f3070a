// SPDX-License-Identifier: MIT
//
// What modtinyvlm.c uses of MicroPython and a native .mpy does not get: such a file reaches the
// firmware through one table of functions (py/nativeglue.h). The rest is made of that table here,
// or is Python, helpers.py, which is part of the same .mpy.

#ifndef NATMOD_PORT_H
#define NATMOD_PORT_H

#include <stdarg.h>
#include <string.h>

#include "py/dynruntime.h"
#include "py/smallint.h"

#ifndef mp_type_MemoryError
#define mp_type_MemoryError (*(mp_obj_type_t *)(mp_load_global(MP_QSTR_MemoryError)))
#endif

// Variables of a native .mpy must not be static: mpy_ld.py cannot link these.
extern mp_obj_dict_t *natmod_globals; // of the module: helpers.py's functions are in it
extern uint32_t natmod_ticks, natmod_ticks_seen;

static mp_obj_t natmod_call(qstr name) {
    mp_obj_t function = mp_obj_subscr(MP_OBJ_FROM_PTR(natmod_globals), MP_OBJ_NEW_QSTR(name), MP_OBJ_SENTINEL);
    return mp_call_function_n_kw(function, 0, 0, NULL);
}

// Runs callbacks; the exception that one of them or Ctrl-C raised, or MP_OBJ_NULL. It is returned
// because the engine cannot be left by a jump: nlr_push() is not in the table of every port.
static mp_obj_t natmod_pending(void) {
    mp_obj_t raised = natmod_call(MP_QSTR__pending);
    return raised == mp_const_none ? MP_OBJ_NULL : raised;
}

// Raises if the stack has no room for natmod_pending() inside of a frame. Only an error at its very
// start, recursion too deep, is not returned by it; that one has to come before the frame begins.
static void natmod_check_stack(void) {
    natmod_call(MP_QSTR__deeper);
}

typedef struct {
    char *text;
    size_t size, room;
} natmod_text_t;

static void natmod_add(void *data, const char *text, size_t size) {
    natmod_text_t *t = data;
    size = size < t->room - t->size ? size : t->room - t->size;
    memcpy(t->text + t->size, text, size);
    t->size += size;
}

// The longest message of the engine has 140 bytes, a layer's name included 400.
void mp_raise_msg_varg(const mp_obj_type_t *type, const char *format, ...) {
    char text[400];
    natmod_text_t t = { text, 0, sizeof(text) };
    mp_print_t print = { &t, natmod_add };
    va_list args;
    va_start(args, format);
    mp_vprintf(&print, format, args);
    va_end(args);
    mp_raise_type_arg(type, mp_obj_new_str(text, t.size));
}

// The table's function cuts off what does not fit in an int, 1 << 32 would be a 0; not what an object's
// __int__() gives.
static mp_int_t natmod_get_int(mp_obj_t obj) {
    if (mp_obj_is_small_int(obj)) {
        return MP_OBJ_SMALL_INT_VALUE(obj);
    }
    mp_int_t value = (mp_int_t)mp_obj_get_int_truncated(obj);
    if (mp_obj_get_type(obj) == mp_obj_get_type(MP_OBJ_NEW_SMALL_INT(0)) && mp_binary_op(MP_BINARY_OP_EQUAL, obj, mp_obj_new_int(value)) != mp_const_true) {
        mp_raise_msg((const mp_obj_type_t *)mp_load_global(MP_QSTR_OverflowError),
            "overflow converting long int to machine word");
    }
    return value;
}

#undef mp_obj_get_int
#define mp_obj_get_int(obj) natmod_get_int(obj)

mp_obj_t mp_obj_new_int_from_ull(unsigned long long value) {
    mp_obj_t low = mp_obj_new_int_from_uint((uint32_t)value);
    if (value <= UINT32_MAX) {
        return low;
    }
    mp_obj_t high = mp_obj_new_int_from_uint((uint32_t)(value >> 32));
    high = mp_binary_op(MP_BINARY_OP_LSHIFT, high, MP_OBJ_NEW_SMALL_INT(32));
    return mp_binary_op(MP_BINARY_OP_OR, high, low);
}

// time.ticks_cpu() wraps at the largest small int, this at 32 bits, as everywhere else.
static uint32_t mp_hal_ticks_cpu(void) {
    uint32_t now = (uint32_t)mp_obj_get_int_truncated(natmod_call(MP_QSTR__ticks));
    natmod_ticks += (now - natmod_ticks_seen) & (uint32_t)MP_SMALL_INT_POSITIVE_MASK;
    natmod_ticks_seen = now;
    return natmod_ticks;
}

void *m_malloc_maybe(size_t size) {
    return m_realloc_maybe(NULL, size, false);
}

typedef struct {
    size_t free;        // bytes
    size_t max_free;    // blocks
} gc_info_t;

static void gc_collect(void) {
    natmod_call(MP_QSTR__free);
}

// The largest free block is found by asking for it, to 2 % and never too large.
static void gc_info(gc_info_t *info) {
    info->free = (size_t)mp_obj_get_int_truncated(natmod_call(MP_QSTR__free));
    info->max_free = 0;
    size_t none = info->free / MICROPY_BYTES_PER_GC_BLOCK + 1;
    while (none - info->max_free > none / 64 + 1) {
        size_t blocks = info->max_free + (none - info->max_free) / 2;
        void *memory = m_malloc_maybe(blocks * MICROPY_BYTES_PER_GC_BLOCK);
        if (memory != NULL) {
            m_free(memory);
            info->max_free = blocks;
        } else {
            none = blocks;
        }
    }
}

#endif // NATMOD_PORT_H
