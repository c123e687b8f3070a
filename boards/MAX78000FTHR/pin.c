// SPDX-License-Identifier: MIT
// machine.Pin: Pin("LED_RED", Pin.OUT), Pin("P0.2", Pin.IN, Pin.PULL_UP). Three ports of GPIO.

#include <stdlib.h>
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/virtpin.h"

#include "board.h"

#define EN0_SET     (0x04) // offsets of a port's registers
#define EN0_CLR     (0x08)
#define OUTEN       (0x0c)
#define OUTEN_SET   (0x10)
#define OUTEN_CLR   (0x14)
#define OUT_SET     (0x1c)
#define OUT_CLR     (0x20)
#define IN          (0x24)
#define INEN        (0x30)
#define PADCTRL0    (0x60) // pull-up
#define PADCTRL1    (0x64) // pull-down
#define EN1_SET     (0x6c)
#define EN1_CLR     (0x70)
#define EN2_CLR     (0x78)
#define VSSEL       (0xc0) // 1: the rail of 3.3 V, else of 1.8 V

enum { MODE_IN, MODE_OUT, MODE_OPEN_DRAIN, MODE_AF1, MODE_AF2 };
enum { PULL_NONE, PULL_UP, PULL_DOWN };

static const uint32_t ports[3] = { 0x40008000, 0x40009000, 0x40080400 };

static const struct {
    const char *name;
    uint8_t port, pin;
    bool high; // LEDs and buttons hang on 3.3 V; all other pins are as they come out of a reset
} names[] = {
    { "LED_RED", 2, 0, true }, { "LED_GREEN", 2, 1, true }, { "LED_BLUE", 2, 2, true },
    { "SW1", 0, 2, true }, { "SW2", 1, 7, true },
    { "SDA", 0, 17, false }, { "SCL", 0, 16, false },
    { "SCK", 0, 7, false }, { "MOSI", 0, 5, false }, { "MISO", 0, 6, false },
};

static volatile uint32_t *reg(const machine_pin_obj_t *self, uint32_t offset) {
    return (volatile uint32_t *)(ports[self->port] + offset);
}

void pin_function(uint32_t port, uint32_t pin, uint32_t function) {
    machine_pin_obj_t self = { .port = (uint8_t)port, .pin = (uint8_t)pin };
    uint32_t bit = 1u << pin;
    *reg(&self, INEN) |= bit;
    *reg(&self, EN0_SET) = bit; // GPIO while it changes
    *reg(&self, EN2_CLR) = bit;
    *reg(&self, function == 2 ? EN1_SET : EN1_CLR) = bit;
    if (function) {
        *reg(&self, EN0_CLR) = bit;
    }
}

void machine_pin_output(const machine_pin_obj_t *self, bool on) {
    *reg(self, on ? OUTEN_SET : OUTEN_CLR) = 1u << self->pin;
}

void machine_pin_set(const machine_pin_obj_t *self, int value) {
    if (self->open_drain) {
        *reg(self, OUT_CLR) = 1u << self->pin;
        machine_pin_output(self, !value);
    } else {
        *reg(self, value ? OUT_SET : OUT_CLR) = 1u << self->pin;
    }
}

int machine_pin_get(const machine_pin_obj_t *self) {
    return *reg(self, IN) >> self->pin & 1;
}

static void set_pull(const machine_pin_obj_t *self, mp_int_t pull) {
    uint32_t bit = 1u << self->pin;
    *reg(self, PADCTRL0) = (*reg(self, PADCTRL0) & ~bit) | (pull == PULL_UP ? bit : 0);
    *reg(self, PADCTRL1) = (*reg(self, PADCTRL1) & ~bit) | (pull == PULL_DOWN ? bit : 0);
}

void machine_pin_open_drain(machine_pin_obj_t *self) {
    pin_function(self->port, self->pin, 0);
    self->open_drain = true;
    machine_pin_set(self, 1);
}

static void pin_init(machine_pin_obj_t *self, size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
    enum { ARG_mode, ARG_pull, ARG_value };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_mode, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_pull, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_value, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t a[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, args, kw, MP_ARRAY_SIZE(allowed), allowed, a);
    mp_int_t pull = a[ARG_pull].u_obj == mp_const_none ? PULL_NONE : mp_obj_get_int(a[ARG_pull].u_obj);
    if (pull < PULL_NONE || pull > PULL_DOWN) {
        mp_raise_ValueError(MP_ERROR_TEXT("pull: None, PULL_UP or PULL_DOWN"));
    }
    if (a[ARG_mode].u_obj != mp_const_none) {
        mp_int_t mode = mp_obj_get_int(a[ARG_mode].u_obj);
        if (mode < MODE_IN || mode > MODE_AF2) {
            mp_raise_ValueError(MP_ERROR_TEXT("mode: IN, OUT, OPEN_DRAIN, AF1 or AF2"));
        }
        pin_function(self->port, self->pin, mode >= MODE_AF1 ? (uint32_t)(mode - MODE_AF1 + 1) : 0);
        self->open_drain = mode == MODE_OPEN_DRAIN;
        if (a[ARG_value].u_obj != mp_const_none) { // before it is an output
            machine_pin_set(self, mp_obj_is_true(a[ARG_value].u_obj));
        } else if (self->open_drain) {
            machine_pin_set(self, 1);
        }
        if (mode != MODE_OPEN_DRAIN) {
            machine_pin_output(self, mode == MODE_OUT);
        }
        set_pull(self, pull);
    } else {
        if (a[ARG_pull].u_obj != mp_const_none) {
            set_pull(self, pull);
        }
        if (a[ARG_value].u_obj != mp_const_none) {
            machine_pin_set(self, mp_obj_is_true(a[ARG_value].u_obj));
        }
    }
}

// "P0.17", or a name of the table above.
static bool find(const char *name, machine_pin_obj_t *self) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i].name) == 0) {
            self->port = names[i].port;
            self->pin = names[i].pin;
            if (names[i].high) {
                *reg(self, VSSEL) |= 1u << self->pin;
            }
            return true;
        }
    }
    if (name[0] != 'P' || name[1] < '0' || name[1] > '2' || name[2] != '.') {
        return false;
    }
    uint32_t pin = 0;
    const char *p = name + 3;
    for (; *p >= '0' && *p <= '9' && p < name + 5; p++) {
        pin = pin * 10 + (uint32_t)(*p - '0');
    }
    self->port = (uint8_t)(name[1] - '0');
    self->pin = (uint8_t)pin;
    return p > name + 3 && *p == 0 && pin < 32;
}

static mp_obj_t pin_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    machine_pin_obj_t *self = mp_obj_malloc(machine_pin_obj_t, type);
    self->open_drain = false;
    const char *name = mp_obj_str_get_str(args[0]);
    if (!find(name, self)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("no pin %s; say P0.17, LED_RED, SW1, ..."), name);
    }
    mp_map_t kw;
    mp_map_init_fixed_table(&kw, n_kw, args + n_args);
    pin_init(self, n_args - 1, args + 1, &kw);
    return MP_OBJ_FROM_PTR(self);
}

static void pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Pin('P%u.%u')", self->port, self->pin);
}

static mp_obj_t pin_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (n_args == 0) {
        return MP_OBJ_NEW_SMALL_INT(machine_pin_get(self));
    }
    machine_pin_set(self, mp_obj_is_true(args[0]));
    return mp_const_none;
}

static mp_obj_t pin_obj_init(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
    pin_init(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_init_obj, 1, pin_obj_init);

static mp_obj_t pin_value(size_t n_args, const mp_obj_t *args) {
    return pin_call(args[0], n_args - 1, 0, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_value_obj, 1, 2, pin_value);

static mp_obj_t pin_on(mp_obj_t self_in) {
    machine_pin_set(MP_OBJ_TO_PTR(self_in), 1);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_on_obj, pin_on);

static mp_obj_t pin_off(mp_obj_t self_in) {
    machine_pin_set(MP_OBJ_TO_PTR(self_in), 0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_off_obj, pin_off);

static mp_obj_t pin_toggle(mp_obj_t self_in) {
    machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    machine_pin_set(self, !(*reg(self, 0x18) >> self->pin & 1)); // what it puts out, not what comes in
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_toggle_obj, pin_toggle);

static const mp_rom_map_elem_t pin_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&pin_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&pin_value_obj) },
    { MP_ROM_QSTR(MP_QSTR_on), MP_ROM_PTR(&pin_on_obj) },
    { MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&pin_off_obj) },
    { MP_ROM_QSTR(MP_QSTR_toggle), MP_ROM_PTR(&pin_toggle_obj) },
    { MP_ROM_QSTR(MP_QSTR_IN), MP_ROM_INT(MODE_IN) },
    { MP_ROM_QSTR(MP_QSTR_OUT), MP_ROM_INT(MODE_OUT) },
    { MP_ROM_QSTR(MP_QSTR_OPEN_DRAIN), MP_ROM_INT(MODE_OPEN_DRAIN) },
    { MP_ROM_QSTR(MP_QSTR_AF1), MP_ROM_INT(MODE_AF1) },
    { MP_ROM_QSTR(MP_QSTR_AF2), MP_ROM_INT(MODE_AF2) },
    { MP_ROM_QSTR(MP_QSTR_PULL_UP), MP_ROM_INT(PULL_UP) },
    { MP_ROM_QSTR(MP_QSTR_PULL_DOWN), MP_ROM_INT(PULL_DOWN) },
};
static MP_DEFINE_CONST_DICT(pin_locals_dict, pin_locals_table);

static mp_uint_t pin_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    (void)errcode;
    if (request == MP_PIN_READ) {
        return (mp_uint_t)machine_pin_get(self);
    }
    if (request == MP_PIN_WRITE) {
        machine_pin_set(self, (int)arg);
        return 0;
    }
    return (mp_uint_t)-1;
}

static const mp_pin_p_t pin_protocol = { .ioctl = pin_ioctl };

MP_DEFINE_CONST_OBJ_TYPE(
    machine_pin_type,
    MP_QSTR_Pin,
    MP_TYPE_FLAG_NONE,
    make_new, pin_make_new,
    print, pin_print,
    call, pin_call,
    protocol, &pin_protocol,
    locals_dict, &pin_locals_dict
    );

machine_pin_obj_t *machine_pin_of(mp_obj_t obj) {
    if (!mp_obj_is_type(obj, &machine_pin_type)) {
        mp_raise_TypeError(MP_ERROR_TEXT("expecting a machine.Pin"));
    }
    return MP_OBJ_TO_PTR(obj);
}
