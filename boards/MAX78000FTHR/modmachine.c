// SPDX-License-Identifier: MIT
// Included by MicroPython's extmod/modmachine.c, never compiled alone.

#include "board.h"

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type) },

#define SCB_AIRCR REG(0xe000ed0c)

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

MP_NORETURN static void mp_machine_reset(void) {
    SCB_AIRCR = 0x05fa0004; // key and SYSRESETREQ
    for (;;) {
    }
}

static mp_int_t mp_machine_reset_cause(void) {
    return 0;
}
