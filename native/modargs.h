// SPDX-License-Identifier: MIT
//
// Arguments from Python, for modtinyvlm.c and modmax78000.c: buffers, frames and shapes.

#ifndef MODARGS_H
#define MODARGS_H

#if MICROPY_ENABLE_DYNRUNTIME
#include "natmod/port.h"
#else
#include "py/binary.h"
#include "py/runtime.h"
#endif

#include "tv.h"

// The memory of an object, at least `need` bytes, its items being bytes. name: what it is for, in
// messages.
void *modargs_buffer(mp_obj_t obj, mp_uint_t flags, const char *name, size_t need);

// The same for `count` items of `item` bytes, aligned.
void *modargs_array(mp_obj_t obj, mp_uint_t flags, const char *name, size_t count, size_t item);

// The same for floats; whole numbers of as many bytes are refused.
float *modargs_floats(mp_obj_t obj, mp_uint_t flags, const char *name, size_t count);

// Memory for an embedding. *dim: dimensions that there are; then, how many of them it has room for.
int8_t *modargs_embedding(mp_obj_t obj, size_t *dim);

// args: buf, width, height, format, stride
void modargs_frame(tv_frame_t *frame, const mp_obj_t *args);

// A buffer in use while callbacks may run: these can resize it, and then it lies somewhere else.
typedef struct {
    mp_obj_t obj;
    mp_buffer_info_t buf;
} modargs_held_t;

void modargs_hold(modargs_held_t *held, mp_obj_t obj);
bool modargs_moved(const modargs_held_t *held, size_t count);
void modargs_raise_moved(void);

// (height, width, channels)
mp_obj_t modargs_shape(mp_int_t height, mp_int_t width, mp_int_t channels);

#endif // MODARGS_H
