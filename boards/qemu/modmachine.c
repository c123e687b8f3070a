// SPDX-License-Identifier: MIT
// Included by MicroPython's extmod/modmachine.c, never compiled alone.

#include "board.h"

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

// A reset as the button does it: QEMU goes on with the same flash.
MP_NORETURN static void mp_machine_reset(void) {
    SCB_AIRCR = 0x05fa0004; // key and SYSRESETREQ
    for (;;) {
    }
}

static mp_int_t mp_machine_reset_cause(void) {
    return 0;
}
