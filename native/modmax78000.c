// SPDX-License-Identifier: MIT
//
// An encoder on the accelerator of a MAX78000, as a MicroPython module: `_tinyvlm_max78000`. Its
// Encoder has the names and errors of `_tinyvlm.Encoder` (modtinyvlm.c); device/tinyvlm takes it
// for files that have a plan (native/max78000/tv_max78000_file.h). There is no arena: images go
// into the accelerator's memories a few rows at a time. Weights come from a buffer, which may be
// flash, or out of an open file, 256 bytes at a time.
//
// A board that has the accelerator defines TINYVLM_MAX78000 and provides the functions of
// tv_max78000_bus.h and tv_max78000_board.h. TINYVLM_MAX78000=sim (native/micropython.mk) puts
// the simulator behind them, in the region _tinyvlm_memory_start: 1.5 MB.

#include <string.h>

#include "py/mphal.h"
#include "py/objstr.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "modargs.h"
#include "tv.h"
#include "tv_kernels.h"
#include "max78000/tv_max78000_board.h"
#include "max78000/tv_max78000_file.h"

#if TINYVLM_MAX78000_SIM
#include "max78000/tv_max78000_sim.h"
#endif

#ifndef MP_NORETURN // MicroPython 1.25
#define MP_NORETURN NORETURN
#endif

#define LIMIT_MS (200) // an inference takes 1 ms

typedef struct {
    mp_obj_base_t base;
    modargs_held_t data;        // the caller's buffer, or the open file
    bool streamed;
    uint8_t *head;              // of a streamed file: all but the weights
    tv_max78000_parts_t parts;
    tv_max78000_file_t file;
    int8_t *rows;               // file.embedding.fold rows of the image
    uint32_t *scratch;          // 12 bytes a pixel of a row, for the intake
} encoder_t;

// One chip. Its state outlives a soft reset, as the chip's does.
static tv_max78000_t chip;
static bool begun;
static bool busy; // loading weights: a file's read() may run anything, but not use the chip

static void check_busy(void) {
    if (busy) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("the accelerator is busy loading weights"));
    }
}

static MP_NORETURN void raise(int err) {
    const char *words = err == TV_MAX78000_ERR_OTHER ? "the plan for the MAX78000 is one of another encoder"
        : err <= TV_MAX78000_ERR_MAGIC ? tv_max78000_strerror(err) : tv_strerror(err);
    bool hardware = err <= TV_MAX78000_ERR_POWER && err != TV_MAX78000_ERR_OTHER;
    mp_raise_msg_varg(hardware ? &mp_type_RuntimeError : &mp_type_ValueError, MP_ERROR_TEXT("%s"), words);
}

static void check(int err) {
    if (err) {
        raise(err);
    }
}

// Bytes of a file-like object.
typedef struct {
    mp_obj_t file;
    uint32_t begin;
} source_t;

static int read_file(void *ctx, uint8_t *buffer, uint32_t offset, uint32_t size) {
    const source_t *source = ctx;
    int error;
    return mp_stream_seek(source->file, (mp_off_t)(source->begin + offset), MP_SEEK_SET, &error) == (mp_off_t)-1
           || mp_stream_rw(source->file, buffer, size, &error, MP_STREAM_RW_READ) != size;
}

static source_t source_of(mp_obj_t file, uint32_t begin) {
    mp_get_stream_raise(file, MP_STREAM_OP_READ | MP_STREAM_OP_IOCTL);
    return (source_t) { file, begin };
}

static mp_obj_t encoder_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    encoder_t *self = mp_obj_malloc(encoder_t, type);
    mp_buffer_info_t *data = &self->data.buf;
    self->data.obj = args[0];
    self->streamed = !mp_get_buffer(args[0], data, MP_BUFFER_READ);
    self->head = NULL;
    self->parts.need = 0;
    if (self->streamed) {
        source_t source = source_of(args[0], 0);
        check(tv_max78000_file_parts(&self->parts, read_file, &source));
        self->head = m_new(uint8_t, self->parts.need);
        check(tv_max78000_file_stream(&self->file, &self->parts, self->head, read_file, &source));
    } else {
        check(tv_max78000_file_open(&self->file, data->buf, data->len));
    }
    self->rows = m_new(int8_t, self->file.embedding.fold * self->file.image * 3);
    self->scratch = m_new(uint32_t, 3 * self->file.image);
    return MP_OBJ_FROM_PTR(self);
}

// May raise what a file's read() raises: nothing counts as loaded then.
static int load(const encoder_t *self, const tv_max78000_plan_t *plan) {
    if (!self->streamed) {
        return tv_max78000_load(&chip, plan, NULL, NULL);
    }
    bool map = plan == &self->file.map;
    source_t source = source_of(self->data.obj, map ? self->file.map_weights_at : self->file.weights_at);
    nlr_buf_t nlr;
    busy = true;
    if (nlr_push(&nlr) != 0) {
        busy = false;
        nlr_jump(nlr.ret_val);
    }
    int err = tv_max78000_load(&chip, plan, read_file, &source);
    nlr_pop();
    busy = false;
    return err;
}

// The plan, and the weights of the other one where it shares them.
static int load_all(const encoder_t *self, const tv_max78000_plan_t *plan) {
    int err = load(self, plan);
    if (err == TV_MAX78000_ERR_LOADED) {
        err = load(self, &self->file.embedding);
        err = err ? err : load(self, plan);
    }
    return err;
}

static int selftest(const encoder_t *self, const tv_max78000_plan_t *plan);

// Power, clock, weights and registers, as far as they are missing.
static int prepare(const encoder_t *self, const tv_max78000_plan_t *plan) {
    check_busy();
    if (!begun) {
        chip.bus = tv_max78000_board_begin();
        begun = true;
    }
    int err = 0;
    if (plan->quadrants & ~chip.quadrants || !chip.loaded) { // or off, or kept weights only
        tv_max78000_board_guard(true);
        err = tv_max78000_on(&chip, plan);
        tv_max78000_board_guard(false);
    }
    if (!err && !(chip.loaded && chip.plan_crc == plan->crc)) {
        bool kept = chip.kept;
        err = load_all(self, plan);
        if (!err && kept) { // did the weights survive off(True)?
            err = selftest(self, plan);
            err = err == TV_MAX78000_ERR_TEST ? load_all(self, plan) : err;
        }
    }
    return err;
}

typedef struct {
    mp_uint_t begin;
    bool waits, late;
} patience_t;

// Nothing may raise from here: the run must be acknowledged.
static int wait(void *ctx) {
    patience_t *patience = ctx;
    patience->begin = patience->waits ? patience->begin : mp_hal_ticks_ms();
    patience->waits = true;
    tv_max78000_board_pause();
    patience->late = mp_hal_ticks_ms() - patience->begin > LIMIT_MS;
    return patience->late;
}

// After a run that did not end the next one begins with the power switch.
static int in_time(int err, const patience_t *patience) {
    err = err == TV_MAX78000_ERR_STOPPED && patience->late ? TV_MAX78000_ERR_TIMEOUT : err;
    if (err == TV_MAX78000_ERR_TIMEOUT || err == TV_MAX78000_ERR_STUCK) {
        tv_max78000_off(&chip, false);
    }
    return err;
}

// The known answer of a plan that is loaded.
static int selftest(const encoder_t *self, const tv_max78000_plan_t *plan) {
    patience_t patience = { 0, false, false };
    tv_max78000_board_guard(true);
    int err = tv_max78000_selftest(&chip, plan, self->rows, 0, wait, &patience);
    tv_max78000_board_guard(false);
    return in_time(err, &patience);
}

static uint32_t lap(uint32_t *times, unsigned index, uint32_t begin) {
    uint32_t now = (uint32_t)mp_hal_ticks_cpu();
    if (times != NULL) {
        times[index] += now - begin;
    }
    return now;
}

// args: encoder, buf, width, height, format, stride, what is written. times: intake, accelerator,
// results; or NULL
static void run(size_t n_args, const mp_obj_t *args, const tv_max78000_plan_t *plan, tv_frame_t *frame, size_t dim,
    int8_t *out, uint32_t *times) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    const tv_max78000_file_t *file = &self->file;
    modargs_held_t held[4];
    size_t count = 0;
    if (!self->streamed) {
        held[count++] = self->data;
    }
    for (size_t i = 1; i < n_args; i += i == 1 ? 5 : 1) {
        modargs_hold(&held[count++], args[i]);
    }
    if (modargs_moved(held, count)) {
        modargs_raise_moved();
    }
    check(prepare(self, plan));
    if (modargs_moved(held, count)) {
        modargs_raise_moved();
    }
    uint32_t begin = (uint32_t)mp_hal_ticks_cpu();
    for (uint32_t y = 0; y < file->image; y += plan->fold) {
        for (uint32_t i = 0; i < plan->fold; i++) {
            tv_intake(frame, file->image, y + i, self->rows + i * file->image * 3, self->scratch);
        }
        check(tv_max78000_rows(&chip, plan, self->rows, y, plan->fold));
    }
    begin = lap(times, 0, begin);
    patience_t patience = { 0, false, false };
    tv_max78000_board_guard(true);
    int err = tv_max78000_run(&chip, plan, 0, wait, &patience);
    tv_max78000_board_guard(false);
    check(in_time(err, &patience));
    begin = lap(times, 1, begin);
    check(tv_max78000_results(&chip, plan, (uint32_t)dim, out));
    lap(times, 2, begin);
}

// encoder, buf, width, height, format, stride, out
static mp_obj_t encoder_embed(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    size_t dim = self->file.dim;
    int8_t *out = modargs_embedding(args[6], &dim);
    run(n_args, args, &self->file.embedding, &frame, dim, out, NULL);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_embed_obj, 7, 7, encoder_embed);

// encoder, buf, width, height, format, stride, out, map_out
static mp_obj_t encoder_embed_map(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    const tv_max78000_plan_t *plan = &self->file.map;
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    size_t dim = self->file.dim;
    int8_t *out = modargs_embedding(args[6], &dim);
    if (plan->out_h == 0) {
        raise(TV_ERR_NO_MAP);
    }
    int8_t *map = modargs_buffer(args[7], MP_BUFFER_WRITE, "the map", (size_t)plan->out_h * plan->out_w * dim);
    run(n_args, args, &self->file.embedding, &frame, dim, out, NULL);
    run(n_args, args, plan, &frame, dim, map, NULL);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_embed_map_obj, 8, 8, encoder_embed_map);

// encoder, buf, width, height, format, stride, out: array('I') of 3 tick sums
static mp_obj_t encoder_profile(size_t n_args, const mp_obj_t *args) {
    encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    int8_t *out = m_new(int8_t, self->file.dim); // first: the collector may run __del__()
    tv_frame_t frame;
    modargs_frame(&frame, args + 1);
    uint32_t *times = modargs_array(args[6], MP_BUFFER_WRITE, "the profile", 3, sizeof(uint32_t));
    memset(times, 0, 3 * sizeof(uint32_t));
    run(n_args, args, &self->file.embedding, &frame, self->file.dim, out, times);
    m_del(int8_t, out, self->file.dim);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_profile_obj, 7, 7, encoder_profile);

// Both plans' known answers, through the accelerator.
static mp_obj_t encoder_selftest(mp_obj_t self_in) {
    encoder_t *self = MP_OBJ_TO_PTR(self_in);
    const tv_max78000_plan_t *plans[2] = { &self->file.embedding, &self->file.map };
    if (!self->streamed && modargs_moved(&self->data, 1)) {
        modargs_raise_moved();
    }
    for (int i = 0; i < 2; i++) {
        if (plans[i]->out_h) {
            check(prepare(self, plans[i]));
            check(selftest(self, plans[i]));
        }
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_1(encoder_selftest_obj, encoder_selftest);

// encoder, i -> (name, op, (in h, w, c), (out h, w, c), macs): the whole network is one "layer"
static mp_obj_t encoder_layer(mp_obj_t self_in, mp_obj_t index_in) {
    encoder_t *self = MP_OBJ_TO_PTR(self_in);
    mp_int_t index = mp_obj_get_int(index_in), image = self->file.image, dim = self->file.dim;
    if (index < 0 || index > 1) {
        mp_raise_msg_varg(&mp_type_IndexError, MP_ERROR_TEXT("layer %d of 2"), (int)index);
    }
    mp_obj_t items[5] = {
        MP_OBJ_NEW_QSTR(index ? MP_QSTR_results : MP_QSTR_accelerator),
        MP_OBJ_NEW_QSTR(MP_QSTR_max78000),
        index ? modargs_shape(1, 1, dim) : modargs_shape(image, image, 3),
        modargs_shape(1, 1, dim),
        index ? MP_OBJ_NEW_SMALL_INT(0) : mp_obj_new_int_from_uint(self->file.macs),
    };
    return mp_obj_new_tuple(5, items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(encoder_layer_obj, encoder_layer);

static void encoder_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    const tv_max78000_file_t *file = &((encoder_t *)MP_OBJ_TO_PTR(self_in))->file;
    if (dest[0] != MP_OBJ_NULL) {
        return; // read only
    }
    switch (attr) {
        case MP_QSTR_size:
            dest[0] = MP_OBJ_NEW_SMALL_INT(file->image);
            break;
        case MP_QSTR_dim:
            dest[0] = MP_OBJ_NEW_SMALL_INT(file->dim);
            break;
        case MP_QSTR_map: {
            mp_obj_t items[2] = { MP_OBJ_NEW_SMALL_INT(file->map.out_h), MP_OBJ_NEW_SMALL_INT(file->map.out_w) };
            dest[0] = file->map.out_h ? mp_obj_new_tuple(2, items) : mp_const_none;
            break;
        }
        case MP_QSTR_arena: // what the constructor took
            dest[0] = MP_OBJ_NEW_SMALL_INT((file->embedding.fold + 4) * file->image * 3
                + ((encoder_t *)MP_OBJ_TO_PTR(self_in))->parts.need);
            break;
        case MP_QSTR_macs:
            dest[0] = mp_obj_new_int_from_uint(file->macs);
            break;
        case MP_QSTR_cycles:
            dest[0] = mp_obj_new_int_from_uint(file->embedding.cycles);
            break;
        case MP_QSTR_fingerprint:
            dest[0] = mp_obj_new_bytes(file->fingerprint, 8);
            break;
        case MP_QSTR_info:
            dest[0] = file->info == NULL ? mp_obj_new_str("{}", 2)
                : mp_obj_new_str((const char *)file->info, file->info_size);
            break;
        case MP_QSTR_backend:
            dest[0] = MP_OBJ_NEW_QSTR(MP_QSTR_max78000);
            break;
        case MP_QSTR_layers:
            dest[0] = MP_OBJ_NEW_SMALL_INT(2);
            break;
        default:
            dest[1] = MP_OBJ_SENTINEL; // a method
            break;
    }
}

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

// has_plan(data): is this buffer, or open file, one for Encoder?
static mp_obj_t max78000_has_plan(mp_obj_t obj) {
    mp_buffer_info_t data;
    if (!mp_get_buffer(obj, &data, MP_BUFFER_READ)) {
        tv_max78000_parts_t parts;
        source_t source = source_of(obj, 0);
        tv_max78000_file_parts(&parts, read_file, &source);
        return mp_obj_new_bool(parts.plan.size);
    }
    return mp_obj_new_bool(tv_max78000_file_has_plan(data.buf, data.len));
}
static MP_DEFINE_CONST_FUN_OBJ_1(max78000_has_plan_obj, max78000_has_plan);

// off(keep=False): no power for the accelerator, until the next frame. keep: weights stay; the next
// frame begins with the known-answer test, and loads them again if it fails.
static mp_obj_t max78000_off(size_t n_args, const mp_obj_t *args) {
    check_busy();
    if (begun) {
        tv_max78000_off(&chip, n_args && mp_obj_is_true(args[0]));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(max78000_off_obj, 0, 1, max78000_off);

#if TINYVLM_MAX78000_SIM
extern uint8_t _tinyvlm_memory_start, _tinyvlm_memory_end;

void *tv_max78000_board_begin(void) {
    tv_max78000_sim_t *sim = (tv_max78000_sim_t *)&_tinyvlm_memory_start;
    if ((size_t)(&_tinyvlm_memory_end - &_tinyvlm_memory_start) < sizeof(*sim)) {
        mp_raise_msg(&mp_type_MemoryError, MP_ERROR_TEXT("the simulator does not fit its region"));
    }
    tv_max78000_sim_init(sim, 1);
    return sim;
}

void tv_max78000_board_pause(void) {
}

void tv_max78000_board_guard(bool on) {
    (void)on;
}

// jam(what): break the simulated chip (TV_M78_JAM_...). -> the first misuse of it, or None
static mp_obj_t max78000_jam(mp_obj_t what) {
    if (!begun) {
        chip.bus = tv_max78000_board_begin();
        begun = true;
    }
    tv_max78000_sim_t *sim = chip.bus;
    sim->jam = (uint32_t)mp_obj_get_int(what);
    const char *fault = tv_max78000_sim_strfault(sim->fault);
    return sim->fault == TV_M78_FAULT_NONE ? mp_const_none : mp_obj_new_str(fault, strlen(fault));
}
static MP_DEFINE_CONST_FUN_OBJ_1(max78000_jam_obj, max78000_jam);
#endif

static const mp_rom_map_elem_t max78000_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__tinyvlm_max78000) },
    { MP_ROM_QSTR(MP_QSTR_Encoder), MP_ROM_PTR(&encoder_type) },
    { MP_ROM_QSTR(MP_QSTR_has_plan), MP_ROM_PTR(&max78000_has_plan_obj) },
    { MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&max78000_off_obj) },
    #if TINYVLM_MAX78000_SIM
    { MP_ROM_QSTR(MP_QSTR_jam), MP_ROM_PTR(&max78000_jam_obj) },
    #endif
};
static MP_DEFINE_CONST_DICT(max78000_globals, max78000_globals_table);

const mp_obj_module_t max78000_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&max78000_globals,
};

MP_REGISTER_MODULE(MP_QSTR__tinyvlm_max78000, max78000_module);
