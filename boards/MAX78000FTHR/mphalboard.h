// SPDX-License-Identifier: MIT
// Stands in for the port's mphalport.h: pins for machine.SoftI2C and its like.
#ifndef MPHALBOARD_H
#define MPHALBOARD_H

#include <stdbool.h>
#include <stddef.h>

#include "py/obj.h"
#include "shared/runtime/interrupt_char.h"

typedef struct {
    mp_obj_base_t base;
    uint8_t port, pin;
    bool open_drain;
} machine_pin_obj_t;

extern const mp_obj_type_t machine_pin_type;
#define MICROPY_PY_MACHINE_EXTRA_GLOBALS { MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type) },
machine_pin_obj_t *machine_pin_of(mp_obj_t obj);
void machine_pin_open_drain(machine_pin_obj_t *self);
void machine_pin_output(const machine_pin_obj_t *self, bool on);
void machine_pin_set(const machine_pin_obj_t *self, int value);
int machine_pin_get(const machine_pin_obj_t *self);

#define MP_HAL_PIN_FMT              "P%u.%u"
#define mp_hal_pin_obj_t            machine_pin_obj_t *
#define mp_hal_pin_name(p)          (p)->port, (p)->pin
#define mp_hal_get_pin_obj(o)       machine_pin_of(o)
#define mp_hal_pin_open_drain(p)    machine_pin_open_drain(p)
#define mp_hal_pin_od_low(p)        machine_pin_set(p, 0)
#define mp_hal_pin_od_high(p)       machine_pin_set(p, 1)
#define mp_hal_pin_read(p)          machine_pin_get(p)
#define mp_hal_delay_us_fast(us)    mp_hal_delay_us(us)

#endif // MPHALBOARD_H
