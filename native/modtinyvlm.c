// SPDX-License-Identifier: MIT
//
// The engine as a MicroPython module: `_tinyvlm`, the same names and errors as
// native/cpython/_tinyvlm.c gives a PC. The package device/tinyvlm is what programs import.
//
// Where a frame's working memory comes from: a board whose linker script defines the symbols
// _tinyvlm_arena_start and _tinyvlm_arena_end (say, all of a tightly coupled RAM) sets
// TINYVLM_ARENA_REGION to 1 in its mpconfigboard.h; elsewhere it is taken from the heap, once,
// when an Encoder is made.
//
// As a native .mpy, for firmware that is not ours, this file is compiled by natmod/natmod.c. What
// such a file cannot use of MicroPython is under #if MICROPY_ENABLE_DYNRUNTIME.

#include <string.h>

#if MICROPY_ENABLE_DYNRUNTIME
#include "natmod/port.h"
#else
#include "py/gc.h"
#include "py/mphal.h"
#include "py/objstr.h"
#include "py/runtime.h"
#endif

#include "modargs.h"
#include "tv.h"

#ifndef MODULE_TINYVLM_ENABLED
#define MODULE_TINYVLM_ENABLED (1)
#endif

#ifndef TINYVLM_ARENA_REGION
#define TINYVLM_ARENA_REGION (0)
#endif

#ifndef MP_NORETURN // MicroPython 1.25
#define MP_NORETURN NORETURN
#endif

#if MODULE_TINYVLM_ENABLED

typedef struct {
    mp_obj_base_t base;
    mp_obj_t file;      // keeps the caller's buffer, and so the weights, where they are
    tv_model_t model;
    void *arena;
    bool busy;          // Ctrl-C polling may run callbacks; they must not start another frame
} encoder_t;

typedef struct {
    encoder_t *self;
    uint32_t *times;    // layers + 1 sums of mp_hal_ticks_cpu(), the intake first; or NULL
    uint32_t begin;
    modargs_held_t held[7]; // the file, the frame, what is written; or what is compared
    size_t held_count;
    bool moved;         // one of them was resized by a callback
    #if MICROPY_ENABLE_DYNRUNTIME
    mp_obj_t raised;    // ended the frame, or MP_OBJ_NULL
    #endif
} hook_t;

#if TINYVLM_ARENA_REGION
// One region, so only one encoder at a time may be running in it.
static bool tinyvlm_region_busy;
#define BUSY(self) tinyvlm_region_busy
#else
#define BUSY(self) (self)->busy
#endif

static void check_busy(const encoder_t *self) {
    (void)self;
    if (BUSY(self)) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("the encoder is busy with a frame"));
    }
}

#if !MICROPY_ENABLE_DYNRUNTIME
// Has mp_handle_pending() anything to do?
static inline bool is_pending(void) {
    #if MICROPY_ENABLE_SCHEDULER
    if (MP_STATE_VM(sched_state) != MP_SCHED_IDLE) {
        return true;
    }
    #endif
    #if MICROPY_ENABLE_VM_ABORT
    if (MP_STATE_VM(vm_abort)) {
        return true;
    }
    #endif
    return MP_STATE_THREAD(mp_pending_exception) != MP_OBJ_NULL;
}
#endif

static int tinyvlm_hook(void *ctx, int layer, bool end) {
    hook_t *h = ctx;
    if (h->times != NULL) {
        uint32_t now = (uint32_t)mp_hal_ticks_cpu();
        if (end) {
            h->times[layer + 1] += now - h->begin;
        }
        h->begin = now;
    }
    if (end) {
        #if MICROPY_ENABLE_DYNRUNTIME
        h->raised = natmod_pending();
        h->moved = modargs_moved(h->held, h->held_count);
        if (h->raised != MP_OBJ_NULL || h->moved) {
            return 1;
        }
        #else
        if (is_pending()) {
            mp_handle_pending(true); // KeyboardInterrupt leaves from here
            h->moved = modargs_moved(h->held, h->held_count);
            if (h->moved) {
                return 1;
            }
        }
        #endif
        if (h->times != NULL) {
            h->begin = (uint32_t)mp_hal_ticks_cpu();
        }
    }
    return 0;
}

// Is there room for what the hook calls? Only a native .mpy has to ask.
static void check_stack(void) {
    #if MICROPY_ENABLE_DYNRUNTIME
    natmod_check_stack();
    #endif
}

// Raises what the hook has stopped the engine for, if it has.
static void raise_stopped(const hook_t *h) {
    #if MICROPY_ENABLE_DYNRUNTIME
    if (h->raised != MP_OBJ_NULL) {
        nlr_raise(h->raised);
    }
    #endif
    if (h->moved) {
        modargs_raise_moved();
    }
}

static MP_NORETURN void raise_file_error(const tv_model_t *m, int err) {
    if (m->bad_layer < 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), tv_strerror(err));
    }
    size_t size;
    const char *name = tv_layer_name(m, (unsigned)m->bad_layer, &size);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("layer %d (%.*s): %s"),
        (int)m->bad_layer, (int)size, name, tv_strerror(err));
}

// Both sizes are known, so refuse before anything is allocated.
static MP_NORETURN void raise_no_room(uint32_t need, size_t have, size_t largest, const char *advice) {
    mp_raise_msg_varg(&mp_type_MemoryError,
        MP_ERROR_TEXT("arena: need %u bytes, have %u, largest free block %u; %s"),
        (unsigned)need, (unsigned)have, (unsigned)largest, advice);
}

static void *get_arena(uint32_t need) {
    #if TINYVLM_ARENA_REGION
    extern uint8_t _tinyvlm_arena_start, _tinyvlm_arena_end;
    size_t have = (size_t)(&_tinyvlm_arena_end - &_tinyvlm_arena_start);
    if (need > have) {
        raise_no_room(need, have, have, "use a smaller encoder");
    }
    return &_tinyvlm_arena_start;
    #else
    gc_collect();
    void *arena = m_malloc_maybe(need);
    if (arena == NULL) {
        gc_info_t info;
        gc_info(&info);
        raise_no_room(need, info.free, info.max_free * MICROPY_BYTES_PER_GC_BLOCK,
            "load the encoder first, or use a smaller one");
    }
    return arena;
    #endif
}

static mp_obj_t encoder_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    encoder_t *self = mp_obj_malloc(encoder_t, type);
    self->file = args[0];
    self->busy = false;
    self->arena = NULL;
    hook_t h = { .held_count = 1 };
    modargs_hold(&h.held[0], args[0]);
    check_stack();
    int err = tv_model_open(&self->model, h.held[0].buf.buf, h.held[0].buf.len, tinyvlm_hook, &h);
    raise_stopped(&h);
    if (err) {
        raise_file_error(&self->model, err);
    }
    self->arena = get_arena(self->model.arena_size);
    return MP_OBJ_FROM_PTR(self);
}

// The encoder's file as it was when it was opened.
static modargs_held_t file_of(const encoder_t *self) {
    modargs_held_t held = { .obj = self->file };
    held.buf.buf = (void *)self->model.data;
    held.buf.len = self->model.size;
    return held;
}

// The frame, or the known-answer image if frame is NULL.
static int run_engine(hook_t *h, tv_frame_t *frame, size_t dim, int8_t *out, int8_t *map) {
    const encoder_t *self = h->self;
    return frame != NULL
        ? tv_run(&self->model, frame, self->arena, (uint32_t)dim, out, map, tinyvlm_hook, h)
        : tv_selftest(&self->model, self->arena, out, tinyvlm_hook, h);
}

// The same, and the encoder is free again whatever ends it. args: encoder, buf, width, height,
// format, stride, what is written; the buffers among them must stay where they are.
static int run(size_t n_args, const mp_obj_t *args, tv_frame_t *frame, size_t dim, int8_t *out, int8_t *map, uint32_t *times) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    check_busy(self);
    hook_t h = { .self = self, .times = times, .held_count = 1 };
    h.held[0] = file_of(self);
    for (size_t i = 1; i < n_args; i += i == 1 ? 5 : 1) {
        modargs_hold(&h.held[h.held_count++], args[i]);
    }
    check_stack();
    if (modargs_moved(h.held, h.held_count)) {
        modargs_raise_moved();
    }
    #if MICROPY_ENABLE_DYNRUNTIME
    BUSY(self) = true;
    int err = run_engine(&h, frame, dim, out, map);
    BUSY(self) = false;
    #else
    BUSY(self) = true;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        BUSY(self) = false; // Ctrl-C
        nlr_jump(nlr.ret_val);
    }
    int err = run_engine(&h, frame, dim, out, map);
    nlr_pop();
    BUSY(self) = false;
    #endif
    raise_stopped(&h);
    if (err == TV_ERR_LIBRARY) {
        mp_raise_msg_varg(&mp_type_RuntimeError, MP_ERROR_TEXT("%s"), tv_strerror(err));
    }
    return err;
}

// encoder, buf, width, height, format, stride, out
static mp_obj_t encoder_embed(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    size_t dim = self->model.dim;
    int8_t *out = modargs_embedding(args[6], &dim);
    run(n_args, args, &frame, dim, out, NULL, NULL);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_embed_obj, 7, 7, encoder_embed);

// encoder, buf, width, height, format, stride, out, map_out
static mp_obj_t encoder_embed_map(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    const tv_model_t *m = &self->model;
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    size_t dim = m->dim;
    int8_t *out = modargs_embedding(args[6], &dim);
    int8_t *map = modargs_buffer(args[7], MP_BUFFER_WRITE, "the map", (size_t)m->map_h * m->map_w * dim);
    if (run(n_args, args, &frame, dim, out, map, NULL) == TV_ERR_NO_MAP) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), tv_strerror(TV_ERR_NO_MAP));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_embed_map_obj, 8, 8, encoder_embed_map);

// encoder, buf, width, height, format, stride, out: array('I') of layers + 1 tick sums
static mp_obj_t encoder_profile(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    size_t count = self->model.layers + 1u;
    int8_t *embedding = m_new(int8_t, self->model.dim); // first: the collector may run __del__()
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    uint32_t *out = modargs_array(args[6], MP_BUFFER_WRITE, "the profile", count, sizeof(uint32_t));
    memset(out, 0, count * sizeof(uint32_t));
    run(n_args, args, &frame, self->model.dim, embedding, NULL, out);
    m_del(int8_t, embedding, self->model.dim);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_profile_obj, 7, 7, encoder_profile);

static mp_obj_t encoder_selftest(mp_obj_t self_in) {
    encoder_t *self = MP_OBJ_TO_PTR(self_in);
    const tv_model_t *m = &self->model;
    int8_t *got = m_new(int8_t, m->dim);
    int err = run(1, &self_in, NULL, m->dim, got, NULL, NULL);
    if (err == TV_ERR_TEST) {
        unsigned differ = 0, first = 0;
        const int8_t *want = (const int8_t *)m->test + 4;
        for (unsigned i = m->dim; i-- > 0;) {
            if (got[i] != want[i]) {
                differ++;
                first = i;
            }
        }
        mp_raise_msg_varg(&mp_type_RuntimeError,
            MP_ERROR_TEXT("the embedding of the test image differs from the file's: "
                "%u of %u dimensions, the first is dimension %u, %d instead of %d"),
            differ, (unsigned)m->dim, first, (int)got[first], (int)want[first]);
    }
    if (err) {
        mp_raise_msg_varg(&mp_type_RuntimeError, MP_ERROR_TEXT("%s"), tv_strerror(err));
    }
    m_del(int8_t, got, m->dim);
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_1(encoder_selftest_obj, encoder_selftest);

// encoder, i -> (name, op, (in h, w, c), (out h, w, c), macs)
static mp_obj_t encoder_layer(mp_obj_t self_in, mp_obj_t index_in) {
    encoder_t *self = MP_OBJ_TO_PTR(self_in);
    mp_int_t index = mp_obj_get_int(index_in);
    modargs_held_t file = file_of(self);
    if (modargs_moved(&file, 1)) {
        modargs_raise_moved();
    }
    if (index < 0 || index >= self->model.layers) {
        mp_raise_msg_varg(&mp_type_IndexError, MP_ERROR_TEXT("layer %d of %d"), (int)index, (int)self->model.layers);
    }
    tv_layer_t l;
    size_t size;
    tv_layer_get(&self->model, (unsigned)index, &l);
    const char *name = tv_layer_name(&self->model, (unsigned)index, &size);
    const char *op = tv_op_name(l.op);
    mp_obj_t items[5] = {
        mp_obj_new_str(name, size),
        mp_obj_new_str(op, strlen(op)),
        modargs_shape(l.in_h, l.in_w, l.in_c),
        modargs_shape(l.out_h, l.out_w, l.out_c),
        mp_obj_new_int_from_ull(tv_layer_macs(&l)),
    };
    return mp_obj_new_tuple(5, items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(encoder_layer_obj, encoder_layer);

static void set_backend(encoder_t *self, mp_obj_t name) {
    const char *wanted = mp_obj_str_get_str(name);
    check_busy(self); // a callback must not change the kernels of a frame
    const tv_backend_t *b;
    for (unsigned i = 0; (b = tv_backend(i)) != NULL; i++) {
        if (strcmp(tv_backend_name(b), wanted) == 0) {
            int err = tv_backend_use(&self->model, b);
            if (err) {
                raise_file_error(&self->model, err);
            }
            return;
        }
    }
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("no backend %s, see _tinyvlm.backends()"), wanted);
}

static void encoder_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    encoder_t *self = MP_OBJ_TO_PTR(self_in);
    const tv_model_t *m = &self->model;
    if (dest[0] != MP_OBJ_NULL) {
        if (attr == MP_QSTR_backend && dest[1] != MP_OBJ_NULL) {
            set_backend(self, dest[1]);
            dest[0] = MP_OBJ_NULL;
        }
        return; // the others are read only
    }
    // no switch: in a native .mpy qstrs are known at run time only
    if (attr == MP_QSTR_size) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(m->image);
    } else if (attr == MP_QSTR_dim) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(m->dim);
    } else if (attr == MP_QSTR_map) {
        mp_obj_t items[2] = { MP_OBJ_NEW_SMALL_INT(m->map_h), MP_OBJ_NEW_SMALL_INT(m->map_w) };
        dest[0] = m->map_h ? mp_obj_new_tuple(2, items) : mp_const_none;
    } else if (attr == MP_QSTR_arena) {
        dest[0] = mp_obj_new_int_from_uint(m->arena_size);
    } else if (attr == MP_QSTR_macs) {
        dest[0] = mp_obj_new_int_from_uint(m->macs);
    } else if (attr == MP_QSTR_fingerprint) {
        dest[0] = mp_obj_new_bytes(m->fingerprint, 8);
    } else if (attr == MP_QSTR_info) {
        dest[0] = m->info == NULL ? mp_obj_new_str("{}", 2)
            : mp_obj_new_str((const char *)m->info, m->info_size);
    } else if (attr == MP_QSTR_backend) {
        const char *name = tv_backend_name(m->backend);
        dest[0] = mp_obj_new_str(name, strlen(name));
    } else if (attr == MP_QSTR_layers) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(m->layers);
    } else {
        dest[1] = MP_OBJ_SENTINEL; // a method
    }
}

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_full_type_t encoder_type; // filled in by natmod.c, as the tables below are not constant there
#else
static const mp_rom_map_elem_t encoder_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_embed), MP_ROM_PTR(&encoder_embed_obj) },
    { MP_ROM_QSTR(MP_QSTR_embed_map), MP_ROM_PTR(&encoder_embed_map_obj) },
    { MP_ROM_QSTR(MP_QSTR_profile), MP_ROM_PTR(&encoder_profile_obj) },
    { MP_ROM_QSTR(MP_QSTR_selftest), MP_ROM_PTR(&encoder_selftest_obj) },
    { MP_ROM_QSTR(MP_QSTR_layer), MP_ROM_PTR(&encoder_layer_obj) },
};
static MP_DEFINE_CONST_DICT(encoder_locals_dict, encoder_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    encoder_type,
    MP_QSTR_Encoder,
    MP_TYPE_FLAG_NONE,
    make_new, encoder_make_new,
    attr, encoder_attr,
    locals_dict, &encoder_locals_dict
    );
#endif

typedef struct {
    const uint8_t *data;
    size_t rows, stored_dim, dim;
    int bits;
} vectors_t;

// In all that follows numbers come before buffers: an object's __int__() may resize these.

// args: rows, stored_dim, bits, dim
static void get_sizes(vectors_t *v, const mp_obj_t *args) {
    mp_int_t rows = mp_obj_get_int(args[0]), stored_dim = mp_obj_get_int(args[1]);
    mp_int_t bits = mp_obj_get_int(args[2]), dim = mp_obj_get_int(args[3]);
    if (rows < 0 || rows > UINT16_MAX * 2 || (bits != 4 && bits != 8)
        || dim < 1 || dim > stored_dim || stored_dim > UINT16_MAX) {
        mp_raise_msg_varg(&mp_type_ValueError,
            MP_ERROR_TEXT("cannot score %d rows with %d of %d dimensions of %d bits"),
            (int)rows, (int)dim, (int)stored_dim, (int)bits);
    }
    v->rows = (size_t)rows;
    v->stored_dim = (size_t)stored_dim;
    v->bits = (int)bits;
    v->dim = (size_t)dim;
}

static void get_vectors(vectors_t *v, mp_obj_t obj) {
    uint64_t size = (uint64_t)v->rows * tv_vector_size(v->stored_dim, v->bits);
    v->data = modargs_buffer(obj, MP_BUFFER_READ, "vectors", size > SIZE_MAX ? SIZE_MAX : (size_t)size);
}

static size_t get_count(mp_obj_t obj, mp_int_t most, const char *name) {
    mp_int_t count = mp_obj_get_int(obj);
    if (count < 0 || count > most) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s %d is not in 0 ... %d"), name, (int)count, (int)most);
    }
    return (size_t)count;
}

typedef struct {
    const int8_t *data;
    size_t cells, dim;
} map_t;

// args: map, cells
static void get_map(map_t *m, const mp_obj_t *args, size_t dim) {
    size_t cells = get_count(args[1], TV_MAX_CELLS, "cells");
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[0], &buf, MP_BUFFER_READ);
    if (cells < 1 || buf.len % cells != 0 || buf.len / cells < dim) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("a map of %u bytes has not %d cells of %u dimensions"),
            (unsigned)buf.len, (int)cells, (unsigned)dim);
    }
    m->data = buf.buf;
    m->cells = cells;
    m->dim = buf.len / cells;
}

// What a call that compares needs for its hook. which: bit i is set where args[i] is a buffer in use.
static hook_t hold(const mp_obj_t *args, unsigned which) {
    hook_t h = { .times = NULL };
    for (; which != 0; which >>= 1, args++) {
        if (which & 1) {
            modargs_hold(&h.held[h.held_count++], *args);
        }
    }
    check_stack();
    return h;
}

// embedding, vectors, rows, stored_dim, bits, dim, out
static mp_obj_t tinyvlm_score(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vectors_t v;
    get_sizes(&v, args + 2);
    get_vectors(&v, args[1]);
    const int8_t *embedding = modargs_buffer(args[0], MP_BUFFER_READ, "the embedding", v.dim);
    float *out = modargs_floats(args[6], MP_BUFFER_WRITE, "out", v.rows);
    hook_t h = hold(args, 1 << 0 | 1 << 1 | 1 << 6);
    tv_score(embedding, v.data, v.rows, v.stored_dim, v.bits, v.dim, out, tinyvlm_hook, &h);
    raise_stopped(&h);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_score_obj, 7, 7, tinyvlm_score);

// An array('H') of row indices.
static const uint16_t *get_index(mp_obj_t obj, size_t count, size_t rows) {
    const uint16_t *index = modargs_array(obj, MP_BUFFER_READ, "index", count, sizeof(uint16_t));
    for (size_t i = 0; i < count; i++) {
        if (index[i] >= rows) {
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("row %d of %d"), (int)index[i], (int)rows);
        }
    }
    return index;
}

// Raises if what is written shares memory with something else that the call uses.
static void check_apart(const char *name, const void *written, size_t size, const char *other, const void *used, size_t used_size) {
    uintptr_t a = (uintptr_t)written, b = (uintptr_t)used;
    if (size > 0 && used_size > 0 && a < b + used_size && b < a + size) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s and %s must not share memory"), name, other);
    }
}

// cosines, index, count, factors: array('f') of count. (A native .mpy cannot take a
// float as an argument: how it is passed depends on the firmware's floating point registers.)
static mp_obj_t tinyvlm_weigh(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    size_t count = get_count(args[2], UINT16_MAX, "count");
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[0], &buf, MP_BUFFER_WRITE);
    float *cosines = modargs_floats(args[0], MP_BUFFER_WRITE, "cosines", 0);
    const uint16_t *index = get_index(args[1], count, buf.len / sizeof(float));
    const float *factors = modargs_floats(args[3], MP_BUFFER_READ, "factors", count);
    check_apart("cosines", cosines, buf.len, "index", index, count * sizeof(uint16_t));
    check_apart("cosines", cosines, buf.len, "factors", factors, count * sizeof(float));
    tv_weigh(cosines, index, count, factors);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_weigh_obj, 4, 4, tinyvlm_weigh);

// values, rows, count, index -> how many
static mp_obj_t tinyvlm_largest(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    size_t rows = get_count(args[1], UINT16_MAX + 1, "rows"), count = get_count(args[2], UINT16_MAX, "count");
    const float *values = modargs_floats(args[0], MP_BUFFER_READ, "values", rows);
    uint16_t *index = modargs_array(args[3], MP_BUFFER_WRITE, "index", count, sizeof(uint16_t));
    return MP_OBJ_NEW_SMALL_INT(tv_largest(values, rows, count, index));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_largest_obj, 4, 4, tinyvlm_largest);

// cosines, labels, rows, array('f') of scale, threshold and none, scores, count, index -> how many
static mp_obj_t tinyvlm_rank(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    size_t rows = get_count(args[2], UINT16_MAX * 2, "rows");
    size_t labels = get_count(args[1], rows < UINT16_MAX ? (mp_int_t)rows : UINT16_MAX, "labels");
    size_t count = get_count(args[5], UINT16_MAX, "count");
    const float *how = modargs_floats(args[3], MP_BUFFER_READ, "scale, threshold and none", 3);
    const float *cosines = modargs_floats(args[0], MP_BUFFER_READ, "cosines", rows);
    float *scores = modargs_floats(args[4], MP_BUFFER_WRITE, "scores", labels);
    uint16_t *index = modargs_array(args[6], MP_BUFFER_WRITE, "index", count, sizeof(uint16_t));
    size_t size = labels * sizeof(float), list = count * sizeof(uint16_t);
    check_apart("scores", scores, size, "cosines", cosines, rows * sizeof(float));
    check_apart("scores", scores, size, "index", index, list);
    check_apart("index", index, list, "cosines", cosines, rows * sizeof(float));
    return MP_OBJ_NEW_SMALL_INT(tv_rank(cosines, labels, rows, how[0], how[1], how[2], scores,
        count, index));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_rank_obj, 7, 7, tinyvlm_rank);

// embedding, vectors, labels, rows, stored_dim, bits, dim, shown, its count, its gains, array('f') of
// scale, threshold and none, count, index, scores -> how many
static mp_obj_t tinyvlm_best(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vectors_t v;
    get_sizes(&v, args + 3);
    size_t labels = get_count(args[2], v.rows < UINT16_MAX ? (mp_int_t)v.rows : UINT16_MAX, "labels");
    size_t shown = get_count(args[8], (mp_int_t)labels, "shown"), count = get_count(args[11], UINT16_MAX, "count");
    get_vectors(&v, args[1]);
    const int8_t *embedding = modargs_buffer(args[0], MP_BUFFER_READ, "the embedding", v.dim);
    const float *how = modargs_floats(args[10], MP_BUFFER_READ, "scale, threshold and none", 3);
    hook_t h = hold(args, 1 << 0 | 1 << 1 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13);
    const tv_prototypes_t p = {
        .vectors = v.data, .labels = labels, .rows = v.rows, .stored_dim = v.stored_dim, .dim = v.dim,
        .bits = v.bits, .shown = modargs_array(args[7], MP_BUFFER_READ, "shown", shown, sizeof(uint16_t)),
        .shown_count = shown, .gains = modargs_floats(args[9], MP_BUFFER_READ, "gains", shown),
        .hook = tinyvlm_hook, .hook_ctx = &h,
    };
    uint16_t *index = modargs_array(args[12], MP_BUFFER_WRITE, "index", count, sizeof(uint16_t));
    float *scores = modargs_floats(args[13], MP_BUFFER_WRITE, "scores", count);
    size_t found = tv_best(embedding, &p, how[0], how[1], how[2], count, index, scores);
    raise_stopped(&h);
    return MP_OBJ_NEW_SMALL_INT(found);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_best_obj, 14, 14, tinyvlm_best);

// map, cells, vectors, rows, stored_dim, bits, dim, cosines, peaks, levels
static mp_obj_t tinyvlm_map_peaks(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vectors_t v;
    map_t m;
    get_sizes(&v, args + 3);
    get_map(&m, args, v.dim);
    get_vectors(&v, args[2]);
    float *cosines = modargs_floats(args[7], MP_BUFFER_WRITE, "cosines", v.rows);
    float *peaks = modargs_floats(args[8], MP_BUFFER_WRITE, "peaks", v.rows);
    float *levels = modargs_floats(args[9], MP_BUFFER_WRITE, "levels", 2 * m.cells);
    hook_t h = hold(args, 1 << 0 | 1 << 2 | 1 << 7 | 1 << 8 | 1 << 9);
    tv_map_peaks(m.data, m.cells, m.dim, v.data, v.rows, v.stored_dim, v.bits, v.dim, cosines, peaks, levels,
        tinyvlm_hook, &h);
    raise_stopped(&h);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_map_peaks_obj, 10, 10, tinyvlm_map_peaks);

// map, cells, vectors, row, stored_dim, bits, dim, levels, heat
static mp_obj_t tinyvlm_map_heat(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vectors_t v;
    map_t m;
    mp_obj_t rows = MP_OBJ_NEW_SMALL_INT(mp_obj_get_int(args[3]) + 1); // the last of these rows
    mp_obj_t sizes[4] = { rows, args[4], args[5], args[6] };
    get_sizes(&v, sizes);
    get_map(&m, args, v.dim);
    get_vectors(&v, args[2]);
    if (v.rows == 0) {
        mp_raise_msg(&mp_type_ValueError, MP_ERROR_TEXT("rows count from 0"));
    }
    float *levels = modargs_floats(args[7], MP_BUFFER_READ, "levels", 2 * m.cells);
    float *heat = modargs_floats(args[8], MP_BUFFER_WRITE, "heat", m.cells);
    const uint8_t *vector = v.data + (v.rows - 1) * tv_vector_size(v.stored_dim, v.bits);
    tv_map_heat(m.data, m.cells, m.dim, vector, v.stored_dim, v.bits, v.dim, levels, heat);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_map_heat_obj, 9, 9, tinyvlm_map_heat);

// map, cells, mask, embedding
static mp_obj_t tinyvlm_map_mean(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    map_t m;
    get_map(&m, args, 1);
    const uint8_t *mask = modargs_buffer(args[2], MP_BUFFER_READ, "the mask", m.cells);
    size_t dim = m.dim;
    int8_t *embedding = modargs_embedding(args[3], &dim);
    tv_map_mean(m.data, m.cells, m.dim, mask, dim, embedding);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_map_mean_obj, 4, 4, tinyvlm_map_mean);

// heat, height, width, side, mask, box: array('H') of 4
static mp_obj_t tinyvlm_map_region(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    size_t height = get_count(args[1], 255, "height"), width = get_count(args[2], 255, "width");
    size_t side = get_count(args[3], UINT16_MAX, "side");
    if (height == 0 || width == 0) {
        mp_raise_msg(&mp_type_ValueError, MP_ERROR_TEXT("a map has cells"));
    }
    const float *heat = modargs_floats(args[0], MP_BUFFER_READ, "heat", height * width);
    uint8_t *mask = modargs_buffer(args[4], MP_BUFFER_WRITE, "the mask", height * width);
    uint16_t *box = modargs_array(args[5], MP_BUFFER_WRITE, "box", 4, sizeof(uint16_t));
    tv_map_region(heat, height, width, (uint32_t)side, mask, box);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_map_region_obj, 6, 6, tinyvlm_map_region);

// data[, crc of what came before]
static mp_obj_t tinyvlm_crc32(size_t n_args, const mp_obj_t *args) {
    uint32_t crc = n_args > 1 ? (uint32_t)mp_obj_get_int_truncated(args[1]) : 0;
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[0], &buf, MP_BUFFER_READ);
    return mp_obj_new_int_from_uint(tv_crc32(crc, buf.buf, buf.len));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tinyvlm_crc32_obj, 1, 2, tinyvlm_crc32);

// backends(): names of the kernels in this firmware, the default first.
static mp_obj_t tinyvlm_backends(void) {
    mp_obj_t list = mp_obj_new_list(0, NULL);
    const tv_backend_t *b;
    for (unsigned i = 0; (b = tv_backend(i)) != NULL; i++) {
        mp_obj_list_append(list, mp_obj_new_str(tv_backend_name(b), strlen(tv_backend_name(b))));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(tinyvlm_backends_obj, tinyvlm_backends);

// heap(): (free bytes, largest free block), for messages that say why something does not fit.
static mp_obj_t tinyvlm_heap(void) {
    gc_info_t info;
    gc_collect();
    gc_info(&info);
    mp_obj_t pair[2] = {
        mp_obj_new_int_from_uint(info.free),
        mp_obj_new_int_from_uint(info.max_free * MICROPY_BYTES_PER_GC_BLOCK),
    };
    return mp_obj_new_tuple(2, pair);
}
static MP_DEFINE_CONST_FUN_OBJ_0(tinyvlm_heap_obj, tinyvlm_heap);

#if !MICROPY_ENABLE_DYNRUNTIME
static const mp_rom_map_elem_t tinyvlm_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__tinyvlm) },
    { MP_ROM_QSTR(MP_QSTR_Encoder), MP_ROM_PTR(&encoder_type) },
    { MP_ROM_QSTR(MP_QSTR_score), MP_ROM_PTR(&tinyvlm_score_obj) },
    { MP_ROM_QSTR(MP_QSTR_weigh), MP_ROM_PTR(&tinyvlm_weigh_obj) },
    { MP_ROM_QSTR(MP_QSTR_largest), MP_ROM_PTR(&tinyvlm_largest_obj) },
    { MP_ROM_QSTR(MP_QSTR_rank), MP_ROM_PTR(&tinyvlm_rank_obj) },
    { MP_ROM_QSTR(MP_QSTR_best), MP_ROM_PTR(&tinyvlm_best_obj) },
    { MP_ROM_QSTR(MP_QSTR_map_peaks), MP_ROM_PTR(&tinyvlm_map_peaks_obj) },
    { MP_ROM_QSTR(MP_QSTR_map_heat), MP_ROM_PTR(&tinyvlm_map_heat_obj) },
    { MP_ROM_QSTR(MP_QSTR_map_mean), MP_ROM_PTR(&tinyvlm_map_mean_obj) },
    { MP_ROM_QSTR(MP_QSTR_map_region), MP_ROM_PTR(&tinyvlm_map_region_obj) },
    { MP_ROM_QSTR(MP_QSTR_crc32), MP_ROM_PTR(&tinyvlm_crc32_obj) },
    { MP_ROM_QSTR(MP_QSTR_backends), MP_ROM_PTR(&tinyvlm_backends_obj) },
    { MP_ROM_QSTR(MP_QSTR_heap), MP_ROM_PTR(&tinyvlm_heap_obj) },
    { MP_ROM_QSTR(MP_QSTR_GRAY8), MP_ROM_INT(TV_GRAY8) },
    { MP_ROM_QSTR(MP_QSTR_RGB565_LE), MP_ROM_INT(TV_RGB565_LE) },
    { MP_ROM_QSTR(MP_QSTR_RGB565_BE), MP_ROM_INT(TV_RGB565_BE) },
    { MP_ROM_QSTR(MP_QSTR_RGB888), MP_ROM_INT(TV_RGB888) },
    { MP_ROM_QSTR(MP_QSTR_BGR888), MP_ROM_INT(TV_BGR888) },
    { MP_ROM_QSTR(MP_QSTR_YUYV), MP_ROM_INT(TV_YUYV) },
};
static MP_DEFINE_CONST_DICT(tinyvlm_globals, tinyvlm_globals_table);

const mp_obj_module_t tinyvlm_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&tinyvlm_globals,
};

MP_REGISTER_MODULE(MP_QSTR__tinyvlm, tinyvlm_module);
#endif

#endif // MODULE_TINYVLM_ENABLED
