// SPDX-License-Identifier: MIT
// The REPL's console: QEMU's own standard input and output, which host/tinyvlm/virtual/board.py
// ties to a pty. Ten times the speed of the emulated UART. Standard input must be non-blocking:
// a read of nothing then returns at once instead of stopping the machine.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"

#include "board.h"
#include "semihost.h"

#define RING_SIZE       (8192)
#ifndef EAGER_TURNS
#define EAGER_TURNS (200)
#endif
#define STALL_TURNS     (250) // x 2 ms without one byte taken: nobody listens

static uint8_t ring[RING_SIZE];
static volatile uint32_t ring_head, ring_tail;
static int fd_in = -1, fd_out = -1;
static bool stalled;

// Moves what waits on the host into the ring. Ctrl-C is taken out here, in the interrupt, so
// that it stops C code too: whatever calls mp_handle_pending() now and then.
void console_pump(void) {
    static uint8_t chunk[1024];
    if (fd_in < 0) {
        fd_in = semihost_open(":tt", SEMIHOST_MODE_R);
    }
    size_t room = (ring_tail + RING_SIZE - ring_head - 1) % RING_SIZE;
    if (room == 0) {
        return;
    }
    size_t n = semihost_read(fd_in, chunk, MIN(room, sizeof(chunk)));
    for (size_t i = 0; i < n; ++i) {
        if (chunk[i] == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring[ring_head] = chunk[i];
            ring_head = (ring_head + 1) % RING_SIZE;
        }
    }
}

static void pump_if_empty(void) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    if (ring_head == ring_tail) {
        console_pump();
    }
    MICROPY_END_ATOMIC_SECTION(state);
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    pump_if_empty();
    if (ring_head != ring_tail) {
        ready |= poll_flags & MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    for (int turn = 0;; ++turn) {
        pump_if_empty();
        if (ring_head != ring_tail) {
            int c = ring[ring_tail];
            ring_tail = (ring_tail + 1) % RING_SIZE;
            return c;
        }
        // A host in a dialogue (mpremote) answers at once; then the CPU may sleep.
        if (turn < EAGER_TURNS) {
            mp_event_handle_nowait();
        } else {
            mp_event_wait_indefinite();
        }
    }
}

// The report of a fault is written in its handler, where no interrupt would end the sleep.
static void sleep_until_interrupt(void) {
    uint32_t handler;
    __asm volatile ("mrs %0, ipsr" : "=r" (handler));
    if (handler == 0) {
        __asm volatile ("wfi");
    }
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    if (fd_out < 0) {
        fd_out = semihost_open(":tt", SEMIHOST_MODE_W);
    }
    // The pty takes a few kilobytes that nobody reads. After that give up, as a board whose USB
    // is not plugged in does, and say so once: the next write that gets through ends it.
    const size_t all = len;
    for (int turn = 0; len > 0 && turn < (stalled ? 1 : STALL_TURNS); ++turn) {
        size_t n = semihost_write(fd_out, str, len);
        if (n > 0) {
            stalled = false;
            turn = -1;
            str += n;
            len -= n;
        } else {
            sleep_until_interrupt();
        }
    }
    stalled = stalled || len > 0;
    return all - len;
}
