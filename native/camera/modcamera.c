// SPDX-License-Identifier: MIT
//
// The MicroPython module `camera`, for STM32H7 boards: micropython-camera-API's names, and frames that
// tinyvlm.classify() takes as they are.
//
//     from camera import Camera, FrameSize, PixelFormat
//     cam = Camera(pixel_format=PixelFormat.RGB565, frame_size=FrameSize.QQVGA)
//     frame = cam.capture()       # .width, .height, .format, .buffer; good until the next capture()
//     cam.deinit()
//
// The board's frozen module `_camera_board` has begin() -> a machine.I2C or SoftI2C, with power, pins and
// clock of the sensor set up, and perhaps ready(address), which is called when the sensor runs. With
// TINYVLM_CAMERA=sim the chip is played (tv_camera_sim.h): begin() -> a list of pictures, each a tuple
// (buffer of RGB888, width, height), which the camera sees one after the other, or None for a Ctrl-C;
// GRAYSCALE: is it a sensor without colours?

#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"

#include "tv.h"
#include "tv_camera_sensor.h"

#if TINYVLM_CAMERA_SIM
#include "tv_camera_sim.h"
#else
#include "extmod/modmachine.h"
#include "dma.h"
#include "tv_camera_regs.h"
#endif

#ifndef MP_NORETURN // MicroPython 1.25
#define MP_NORETURN NORETURN
#endif

#define SIZE(width, height) ((width) << 12 | (height))

typedef struct {
    mp_obj_base_t base;
    mp_obj_t buffer;    // a bytearray
    uint8_t *block;     // that it lies in; the collector follows no pointer into a block
    uint8_t *pixels;
    size_t size;
    uint16_t width, height;
    uint8_t format;     // TV_GRAY8 ...
} frame_t;

typedef struct {
    mp_obj_base_t base;
    tv_camera_t cam;
    mp_obj_t board;     // what begin() gave
    frame_t *frame[2];
    bool open;
    #if TINYVLM_CAMERA_SIM
    tv_camera_sim_t sim;
    size_t shown;       // pictures that were
    #endif
} camera_t;

static const mp_obj_type_t frame_type, camera_type;

// There is one DCMI: a second Camera takes it from the first.
static camera_t *owner;

static MP_NORETURN void raise(const tv_camera_t *cam, int err) {
    const char *words = tv_camera_strerror(err);
    if (err == TV_CAMERA_ERR_SIZE || err == TV_CAMERA_ERR_LARGE || err == TV_CAMERA_ERR_FORMAT) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), words);
    }
    if (err == TV_CAMERA_ERR_ID) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("the chip at 0x%02x says that it is %04x, which is no sensor that this firmware knows"),
            cam->seen[0], cam->id);
    }
    if (err == TV_CAMERA_ERR_NO_SENSOR) {
        vstr_t seen;
        vstr_init(&seen, 64);
        for (uint32_t i = 0; i < cam->seen_count; i++) {
            vstr_printf(&seen, i ? ", 0x%02x" : "; on its bus answer: 0x%02x", cam->seen[i]);
        }
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("%s%s"), words,
            seen.len ? vstr_null_terminated_str(&seen) : ": nothing does; check power, clock and wires");
    }
    mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("%s"), words);
}

static mp_obj_t of_board(qstr name) {
    mp_obj_t found[2];
    mp_obj_t board = mp_import_name(MP_QSTR__camera_board, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    mp_load_method_maybe(board, name, found);
    return found[0];
}

#if TINYVLM_CAMERA_SIM

// The next picture; None: somebody presses Ctrl-C.
static void next_picture(void *ctx) {
    camera_t *self = ctx;
    size_t count;
    mp_obj_t *pictures, *fields;
    mp_obj_get_array(self->board, &count, &pictures);
    if (pictures[self->shown++ % count] == mp_const_none) {
        mp_sched_keyboard_interrupt();
        self->shown++;
    }
    mp_obj_get_array_fixed_n(pictures[(self->shown - 1) % count], 3, &fields);
    mp_buffer_info_t pixels;
    mp_get_buffer_raise(fields[0], &pixels, MP_BUFFER_READ);
    self->sim.scene = pixels.buf;
    self->sim.scene_w = (uint32_t)mp_obj_get_int(fields[1]);
    self->sim.scene_h = (uint32_t)mp_obj_get_int(fields[2]);
    if (pixels.len < 3 * self->sim.scene_w * self->sim.scene_h) {
        self->sim.scene = NULL;
    }
}

static void connect(camera_t *self) {
    memset(&self->sim, 0, sizeof(self->sim));
    if (mp_obj_get_int(mp_obj_len(self->board)) > 0) {
        bool mono = mp_obj_is_true(of_board(MP_QSTR_GRAYSCALE));
        self->sim.sensor = mono ? &tv_camera_hm01b0 : &tv_camera_ov2640;
        self->sim.id = self->sim.sensor->id;
    }
    self->sim.acknowledges = UINT32_MAX;
    self->sim.next = next_picture;
    self->sim.ctx = self;
    self->shown = 0;
    self->cam.bus = tv_camera_sim_bus;
    self->cam.bus.ctx = self->cam.chip = &self->sim;
}

static void release(camera_t *self) {
    (void)self;
}

#else

static int transfer(mp_obj_t i2c, uint8_t address, uint8_t *data, size_t size, unsigned int flags) {
    mp_obj_base_t *base = MP_OBJ_TO_PTR(i2c);
    const mp_machine_i2c_p_t *protocol = MP_OBJ_TYPE_GET_SLOT(base->type, protocol);
    mp_machine_i2c_buf_t part = { .len = size, .buf = data };
    return protocol->transfer(base, address, 1, &part, flags | MP_MACHINE_I2C_FLAG_STOP) < 0;
}

static int bus_write(void *ctx, uint8_t address, const uint8_t *data, size_t size) {
    return transfer(MP_OBJ_FROM_PTR(ctx), address, (uint8_t *)data, size, 0);
}

static int bus_read(void *ctx, uint8_t address, uint8_t *data, size_t size) {
    return transfer(MP_OBJ_FROM_PTR(ctx), address, data, size, MP_MACHINE_I2C_FLAG_READ);
}

static uint32_t bus_ms(void *ctx) {
    (void)ctx;
    return (uint32_t)mp_hal_ticks_ms();
}

// Ctrl-C may end it: Camera stays as it is, and DMA has its buffer.
static void bus_wait(void *ctx, uint32_t ms) {
    (void)ctx;
    if (ms) {
        mp_hal_delay_ms(ms);
    } else {
        mp_handle_pending(true);
    }
}

uint32_t tv_camera_read32(void *chip, uint32_t address) {
    (void)chip;
    return *(volatile uint32_t *)address;
}

void tv_camera_write32(void *chip, uint32_t address, uint32_t value) {
    (void)chip;
    __asm volatile ("dsb" ::: "memory");
    *(volatile uint32_t *)address = value;
}

void tv_camera_uncache(void *chip, void *data, size_t size) {
    (void)chip;
    MP_HAL_CLEANINVALIDATE_DCACHE(data, (size + TV_CAMERA_ALIGN - 1) & ~(size_t)(TV_CAMERA_ALIGN - 1));
}

static void connect(camera_t *self) {
    self->cam.bus = (tv_camera_bus_t) { bus_write, bus_read, bus_ms, bus_wait, MP_OBJ_TO_PTR(self->board) };
    dma_external_acquire(1, TV_DMA_STREAM); // or MicroPython takes its clock when nobody else uses it
}

static void release(camera_t *self) {
    (void)self;
    dma_external_release(1, TV_DMA_STREAM);
}

#endif

static void close(camera_t *self) {
    if (self->open) {
        tv_camera_close(&self->cam);
        release(self);
        self->open = false;
        self->frame[0] = self->frame[1] = NULL; // their memory is free if nobody else has them
    }
    owner = owner == self ? NULL : owner;
}

static void frame_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    static const char *const names[] = { "GRAY8", "RGB565_LE", "RGB565_BE", "RGB888", "BGR888", "YUYV" };
    (void)kind;
    const frame_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Frame(%ux%u %s)", self->width, self->height, names[self->format]);
}

static void frame_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    const frame_t *self = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // read only
    }
    switch (attr) {
        case MP_QSTR_buffer:
            dest[0] = self->buffer;
            break;
        case MP_QSTR_width:
            dest[0] = MP_OBJ_NEW_SMALL_INT(self->width);
            break;
        case MP_QSTR_height:
            dest[0] = MP_OBJ_NEW_SMALL_INT(self->height);
            break;
        case MP_QSTR_format:
            dest[0] = MP_OBJ_NEW_SMALL_INT(self->format);
            break;
        case MP_QSTR_stride:
            dest[0] = MP_OBJ_NEW_SMALL_INT(0);
            break;
        default:
            break;
    }
}

static mp_int_t frame_get_buffer(mp_obj_t self_in, mp_buffer_info_t *info, mp_uint_t flags) {
    (void)flags;
    const frame_t *self = MP_OBJ_TO_PTR(self_in);
    info->buf = self->pixels;
    info->len = self->size;
    info->typecode = 'B';
    return 0;
}

static mp_obj_t frame_unary(mp_unary_op_t op, mp_obj_t self_in) {
    const frame_t *self = MP_OBJ_TO_PTR(self_in);
    return op == MP_UNARY_OP_LEN ? MP_OBJ_NEW_SMALL_INT(self->size) : MP_OBJ_NULL;
}

static MP_DEFINE_CONST_OBJ_TYPE(
    frame_type, MP_QSTR_Frame, MP_TYPE_FLAG_NONE,
    print, frame_print, attr, frame_attr, buffer, frame_get_buffer, unary_op, frame_unary
    );

static const uint8_t formats[] = {
    [TV_CAMERA_RGB565] = TV_RGB565_BE, [TV_CAMERA_GRAY8] = TV_GRAY8, [TV_CAMERA_YUV422] = TV_YUYV,
};

static frame_t *new_frame(tv_camera_format_t format, uint32_t width, uint32_t height) {
    frame_t *frame = mp_obj_malloc(frame_t, &frame_type);
    frame->size = tv_camera_bytes(format, width, height);
    frame->block = m_new(uint8_t, (frame->size + 2 * TV_CAMERA_ALIGN - 1) & ~(size_t)(TV_CAMERA_ALIGN - 1));
    frame->pixels = (uint8_t *)(((uintptr_t)frame->block + TV_CAMERA_ALIGN - 1) & ~(uintptr_t)(TV_CAMERA_ALIGN - 1));
    frame->buffer = mp_obj_new_bytearray_by_ref(frame->size, frame->pixels);
    frame->width = (uint16_t)width;
    frame->height = (uint16_t)height;
    frame->format = formats[format];
    return frame;
}

#define THE_SENSORS (-1) // format: colours if it has them

// Sensor, buffers, first frame. What raises leaves a Camera that is closed.
static void open(camera_t *self, mp_int_t wanted, uint32_t width, uint32_t height) {
    if (owner != NULL) {
        close(owner);
    }
    self->board = mp_call_function_0(of_board(MP_QSTR_begin));
    connect(self);
    self->open = true;
    owner = self;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        close(self);
        nlr_jump(nlr.ret_val);
    }
    int err = tv_camera_detect(&self->cam);
    bool mono = !err && self->cam.sensor->mono;
    tv_camera_format_t format = wanted != THE_SENSORS ? (tv_camera_format_t)wanted : mono ? TV_CAMERA_GRAY8 : TV_CAMERA_RGB565;
    err = err ? err : tv_camera_check(&self->cam, format, width, height); // before it takes memory
    if (!err) {
        for (int i = 0; i < 2; i++) {
            self->frame[i] = new_frame(format, width, height);
        }
        err = tv_camera_open(&self->cam, format, width, height, self->frame[0]->pixels, self->frame[1]->pixels);
    }
    if (err) {
        raise(&self->cam, err);
    }
    mp_obj_t ready = of_board(MP_QSTR_ready);
    if (ready != MP_OBJ_NULL) {
        mp_call_function_1(ready, MP_OBJ_NEW_SMALL_INT(self->cam.sensor->address));
    }
    nlr_pop();
}

enum { ARG_pixel_format, ARG_frame_size };

// What is not given, or None, stays.
static void parse(size_t n_args, const mp_obj_t *args, mp_map_t *kw, mp_int_t *format, mp_int_t *width, mp_int_t *height) {
    const mp_arg_t allowed[] = {
        { MP_QSTR_pixel_format, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_frame_size, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t values[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, args, kw, MP_ARRAY_SIZE(allowed), allowed, values);
    if (values[ARG_pixel_format].u_obj != mp_const_none) {
        *format = mp_obj_get_int(values[ARG_pixel_format].u_obj);
        if (*format < 0 || *format > TV_CAMERA_YUV422) {
            mp_raise_ValueError(MP_ERROR_TEXT("pixel_format: PixelFormat.RGB565, GRAYSCALE or YUV422"));
        }
    }
    mp_obj_t size = values[ARG_frame_size].u_obj;
    if (mp_obj_is_int(size)) {
        *width = mp_obj_get_int(size) >> 12;
        *height = mp_obj_get_int(size) & 0xfff;
    } else if (size != mp_const_none) {
        mp_obj_t *fields;
        mp_obj_get_array_fixed_n(size, 2, &fields);
        *width = mp_obj_get_int(fields[0]);
        *height = mp_obj_get_int(fields[1]);
    }
    if (*width < 0 || *height < 0 || *width > 0xfff || *height > 0xfff) {
        mp_raise_ValueError(MP_ERROR_TEXT("frame_size: FrameSize.QQVGA, ..., or (width, height)"));
    }
}

static mp_obj_t camera_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_map_t kw;
    mp_map_init_fixed_table(&kw, n_kw, args + n_args);
    mp_int_t format = THE_SENSORS, width = 160, height = 120;
    parse(n_args, args, &kw, &format, &width, &height);
    camera_t *self = mp_obj_malloc_with_finaliser(camera_t, type);
    self->open = false;
    self->board = mp_const_none;
    self->frame[0] = self->frame[1] = NULL;
    memset(&self->cam, 0, sizeof(self->cam));
    open(self, format, (uint32_t)width, (uint32_t)height);
    return MP_OBJ_FROM_PTR(self);
}

static camera_t *opened(mp_obj_t self_in) {
    camera_t *self = MP_OBJ_TO_PTR(self_in);
    if (!self->open) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("this Camera is closed: make a new one"));
    }
    return self;
}

// capture() -> Frame, one of two in turns: it is overwritten after the next capture(). No allocation.
static mp_obj_t camera_capture(mp_obj_t self_in) {
    camera_t *self = opened(self_in);
    uint8_t *pixels;
    int err = tv_camera_capture(&self->cam, &pixels);
    if (err) {
        raise(&self->cam, err);
    }
    return MP_OBJ_FROM_PTR(self->frame[pixels == self->frame[1]->pixels]);
}
static MP_DEFINE_CONST_FUN_OBJ_1(camera_capture_obj, camera_capture);

// reconfigure(pixel_format=, frame_size=): what is not given stays.
static mp_obj_t camera_reconfigure(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
    camera_t *self = opened(args[0]);
    mp_int_t format = self->cam.format, width = self->cam.width, height = self->cam.height;
    parse(n_args - 1, args + 1, kw, &format, &width, &height);
    int err = tv_camera_check(&self->cam, (tv_camera_format_t)format, (uint32_t)width, (uint32_t)height);
    if (err) { // before anything is given up
        raise(&self->cam, err);
    }
    open(self, format, (uint32_t)width, (uint32_t)height);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(camera_reconfigure_obj, 1, camera_reconfigure);

static mp_obj_t camera_deinit(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    close(MP_OBJ_TO_PTR(args[0]));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(camera_deinit_obj, 1, 4, camera_deinit);

// free_buffer(): for programs of micropython-camera-API; nothing needs to be freed here.
static mp_obj_t camera_itself(mp_obj_t self_in) {
    return self_in;
}
static MP_DEFINE_CONST_FUN_OBJ_1(camera_itself_obj, camera_itself);

static void camera_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    const camera_t *self = MP_OBJ_TO_PTR(self_in);
    const tv_camera_t *cam = &self->cam;
    if (dest[0] != MP_OBJ_NULL) {
        return; // read only
    }
    switch (attr) {
        case MP_QSTR_pixel_width:
            dest[0] = MP_OBJ_NEW_SMALL_INT(cam->width);
            break;
        case MP_QSTR_pixel_height:
            dest[0] = MP_OBJ_NEW_SMALL_INT(cam->height);
            break;
        case MP_QSTR_pixel_format:
            dest[0] = MP_OBJ_NEW_SMALL_INT(cam->format);
            break;
        case MP_QSTR_frame_size:
            dest[0] = MP_OBJ_NEW_SMALL_INT(SIZE(cam->width, cam->height));
            break;
        case MP_QSTR_sensor_name:
            dest[0] = cam->sensor == NULL ? mp_const_none : mp_obj_new_str(cam->sensor->name, strlen(cam->sensor->name));
            break;
        case MP_QSTR_fb_count:
            dest[0] = MP_OBJ_NEW_SMALL_INT(2);
            break;
        default:
            dest[1] = MP_OBJ_SENTINEL; // a method
            break;
    }
}

static void camera_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const camera_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->open) {
        mp_printf(print, "Camera(%s, %ux%u)", self->cam.sensor->name, self->cam.width, self->cam.height);
    } else {
        mp_printf(print, "Camera(closed)");
    }
}

static const mp_rom_map_elem_t camera_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_capture), MP_ROM_PTR(&camera_capture_obj) },
    { MP_ROM_QSTR(MP_QSTR_reconfigure), MP_ROM_PTR(&camera_reconfigure_obj) },
    { MP_ROM_QSTR(MP_QSTR_free_buffer), MP_ROM_PTR(&camera_itself_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&camera_deinit_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&camera_deinit_obj) }, // a soft reset calls it, too
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&camera_itself_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&camera_deinit_obj) },
};
static MP_DEFINE_CONST_DICT(camera_locals, camera_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    camera_type, MP_QSTR_Camera, MP_TYPE_FLAG_NONE,
    make_new, camera_make_new, print, camera_print, attr, camera_attr, locals_dict, &camera_locals
    );

static const mp_rom_map_elem_t format_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_RGB565), MP_ROM_INT(TV_CAMERA_RGB565) },
    { MP_ROM_QSTR(MP_QSTR_GRAYSCALE), MP_ROM_INT(TV_CAMERA_GRAY8) },
    { MP_ROM_QSTR(MP_QSTR_YUV422), MP_ROM_INT(TV_CAMERA_YUV422) },
};
static MP_DEFINE_CONST_DICT(format_locals, format_locals_table);
static MP_DEFINE_CONST_OBJ_TYPE(format_type, MP_QSTR_PixelFormat, MP_TYPE_FLAG_NONE, locals_dict, &format_locals);

static const mp_rom_map_elem_t size_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_R96X96), MP_ROM_INT(SIZE(96, 96)) },
    { MP_ROM_QSTR(MP_QSTR_QQVGA), MP_ROM_INT(SIZE(160, 120)) },
    { MP_ROM_QSTR(MP_QSTR_R128X128), MP_ROM_INT(SIZE(128, 128)) },
    { MP_ROM_QSTR(MP_QSTR_QCIF), MP_ROM_INT(SIZE(176, 144)) },
    { MP_ROM_QSTR(MP_QSTR_HQVGA), MP_ROM_INT(SIZE(240, 176)) },
    { MP_ROM_QSTR(MP_QSTR_R240X240), MP_ROM_INT(SIZE(240, 240)) },
    { MP_ROM_QSTR(MP_QSTR_QVGA), MP_ROM_INT(SIZE(320, 240)) },
    { MP_ROM_QSTR(MP_QSTR_R320X320), MP_ROM_INT(SIZE(320, 320)) },
};
static MP_DEFINE_CONST_DICT(size_locals, size_locals_table);
static MP_DEFINE_CONST_OBJ_TYPE(size_type, MP_QSTR_FrameSize, MP_TYPE_FLAG_NONE, locals_dict, &size_locals);

static const mp_rom_map_elem_t camera_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_camera) },
    { MP_ROM_QSTR(MP_QSTR_Camera), MP_ROM_PTR(&camera_type) },
    { MP_ROM_QSTR(MP_QSTR_Frame), MP_ROM_PTR(&frame_type) },
    { MP_ROM_QSTR(MP_QSTR_PixelFormat), MP_ROM_PTR(&format_type) },
    { MP_ROM_QSTR(MP_QSTR_FrameSize), MP_ROM_PTR(&size_type) },
};
static MP_DEFINE_CONST_DICT(camera_globals, camera_globals_table);

const mp_obj_module_t camera_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&camera_globals,
};

MP_REGISTER_MODULE(MP_QSTR_camera, camera_module);
