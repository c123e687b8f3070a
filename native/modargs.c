// SPDX-License-Identifier: MIT
//
// Arguments from Python. natmod/natmod.c includes this file, as it does modtinyvlm.c.

#include <string.h>

#include "modargs.h"

// Items of another kind are refused: the bytes of floats, say, would be taken for int8.
static void *get_items(mp_obj_t obj, mp_uint_t flags, const char *name, size_t need, size_t item) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(obj, &buf, flags);
    size_t size = mp_binary_get_size('@', (char)buf.typecode, NULL);
    if (size > item) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s must have items of %u byte%s, these have %u bytes"),
            name, (unsigned)item, item == 1 ? "" : "s", (unsigned)size);
    }
    if (buf.len < need) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s needs %u byte%s, the buffer has %u"),
            name, (unsigned)need, need == 1 ? "" : "s", (unsigned)buf.len);
    }
    return buf.buf;
}

void *modargs_buffer(mp_obj_t obj, mp_uint_t flags, const char *name, size_t need) {
    return get_items(obj, flags, name, need, 1);
}

int8_t *modargs_embedding(mp_obj_t obj, size_t *dim) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(obj, &buf, MP_BUFFER_WRITE);
    *dim = buf.len < *dim ? buf.len : *dim;
    return get_items(obj, MP_BUFFER_WRITE, "the embedding", 1, 1);
}

void *modargs_array(mp_obj_t obj, mp_uint_t flags, const char *name, size_t count, size_t item) {
    void *buf = get_items(obj, flags, name, count * item, item);
    if ((uintptr_t)buf % item != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s must be aligned, an array"), name);
    }
    return buf;
}

float *modargs_floats(mp_obj_t obj, mp_uint_t flags, const char *name, size_t count) {
    float *items = modargs_array(obj, flags, name, count, sizeof(float));
    mp_buffer_info_t buf;
    mp_get_buffer_raise(obj, &buf, flags);
    if (mp_binary_get_size('@', (char)buf.typecode, NULL) == sizeof(float) && buf.typecode != 'f') {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s must be an array('f'), of floats"), name);
    }
    return items;
}

void modargs_frame(tv_frame_t *frame, const mp_obj_t *args) {
    mp_int_t n[4];
    for (int i = 0; i < 4; i++) { // first: an object's __int__() may resize the buffer
        n[i] = mp_obj_get_int(args[1 + i]);
        if (n[i] < 0 || n[i] > (i == 2 ? 255 : INT32_MAX)) {
            const qstr names[] = { MP_QSTR_width, MP_QSTR_height, MP_QSTR_format, MP_QSTR_stride };
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q %d is out of range"), names[i], (int)n[i]);
        }
    }
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[0], &buf, MP_BUFFER_READ);
    memset(frame, 0, sizeof(*frame));
    frame->data = buf.buf;
    frame->size = buf.len;
    frame->width = (uint32_t)n[0];
    frame->height = (uint32_t)n[1];
    frame->format = (uint8_t)n[2];
    frame->stride = (uint32_t)n[3];
    uint64_t need;
    int err = tv_frame_check(frame, &need);
    if (err == TV_ERR_FRAME_SHORT) {
        unsigned bytes = need > UINT32_MAX ? UINT32_MAX : (unsigned)need;
        mp_raise_msg_varg(&mp_type_ValueError,
            MP_ERROR_TEXT("the frame needs %u bytes, the buffer has %u"), bytes, (unsigned)buf.len);
    }
    if (err) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), tv_strerror(err));
    }
}

void modargs_hold(modargs_held_t *held, mp_obj_t obj) {
    held->obj = obj;
    mp_get_buffer_raise(obj, &held->buf, MP_BUFFER_READ);
}

bool modargs_moved(const modargs_held_t *held, size_t count) {
    for (; count > 0; held++, count--) {
        mp_buffer_info_t now;
        if (!mp_get_buffer(held->obj, &now, MP_BUFFER_READ)
            || now.buf != held->buf.buf || now.len < held->buf.len) {
            return true;
        }
    }
    return false;
}

void modargs_raise_moved(void) {
    mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("a buffer that the encoder uses was resized"));
}

mp_obj_t modargs_shape(mp_int_t height, mp_int_t width, mp_int_t channels) {
    mp_obj_t items[3] = {
        MP_OBJ_NEW_SMALL_INT(height), MP_OBJ_NEW_SMALL_INT(width), MP_OBJ_NEW_SMALL_INT(channels),
    };
    return mp_obj_new_tuple(3, items);
}
