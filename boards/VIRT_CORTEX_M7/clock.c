// SPDX-License-Identifier: MIT
// Time, and the count of instructions executed.
//
// CMSDK timer 0 counts down at 25 MHz, one tick every 40 ns. Started with `-icount shift=7`
// QEMU lets 128 ns of that time pass for each instruction, whatever the host does, so
//
//     instructions = ticks * 40 / 128 = ticks * 5 / 16
//
// and since a tick is less than a third of an instruction, rounding gives the exact count.
// Time asleep (time.sleep, waiting for input) passes too, as if instructions were executed. The
// console's interrupt runs every 2 ms; it subtracts its own instructions, so that a count
// comes out the same however often it struck. Without -icount time is the host's time and
// there is nothing to count.

#include "py/mphal.h"
#include "py/runtime.h"

#include "board.h"

#ifndef TIMER0 // another core's makefile gives both
#define TIMER0          0x40000000
#define TICKS_PER_US    (25)
#endif
#define TIMER0_CTRL     REG(TIMER0)
#define TIMER0_VALUE    REG(TIMER0 + 4)
#define TIMER0_RELOAD   REG(TIMER0 + 8)
#define TEXT(macro)     TEXT_OF(macro)
#define TEXT_OF(value)  #value

#define PUMP_TICKS      (50000) // 2 ms

static bool counting;
static uint32_t ticks_low, ticks_high;

// Instructions of SysTick_Handler so far, modulo 2^32. Its assembly knows this name.
uint32_t clock_pump_instructions;

void clock_init(void) {
    const char *shift = board_option("icount");
    counting = shift != NULL && shift[0] == '7';
    TIMER0_CTRL = 0;
    TIMER0_RELOAD = 0xffffffff;
    TIMER0_VALUE = 0xffffffff;
    TIMER0_CTRL = 1;
    SYST_RVR = PUMP_TICKS - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
}

// The hardware's 32 bits wrap after 171 s; the pump calls this far more often than that.
static uint64_t ticks(void) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    uint32_t low = ~TIMER0_VALUE;
    ticks_high += low < ticks_low;
    ticks_low = low;
    uint64_t now = (uint64_t)ticks_high << 32 | low;
    MICROPY_END_ATOMIC_SECTION(state);
    return now;
}

__attribute__((used)) void clock_pump(void) {
    ticks();
    console_pump();
}

// Every instruction of this handler is counted: what runs between the two reads of the timer
// by the timer, the 13 others by hand. One more or less shows in tests/test_board.py.
__attribute__((naked)) void SysTick_Handler(void) {
    __asm volatile (
        "push {r4, lr}\n"
        "ldr r4, =" TEXT(TIMER0) " + 4\n"
        "ldr r4, [r4]\n"
        "bl clock_pump\n"
        "ldr r0, =" TEXT(TIMER0) " + 4\n"
        "ldr r0, [r0]\n"
        "subs r4, r4, r0\n"
        "add r4, r4, r4, lsl #2\n"
        "adds r4, #8\n"
        "lsrs r4, #4\n"
        "adds r4, #13\n"
        "ldr r1, =clock_pump_instructions\n"
        "ldr r0, [r1]\n"
        "add r0, r4\n"
        "str r0, [r1]\n"
        "pop {r4, pc}\n"
        );
}

bool clock_counts_instructions(void) {
    return counting;
}

// Sums up from call to call, because a CPU that wakes from sleep stands between two multiples of
// 128 ns: only a difference of ticks can be rounded, and only where no sleep lies in between.
uint64_t clock_instructions(void) {
    static uint64_t last, sum;
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    uint64_t now = ticks();
    sum += ((now - last) * 5 + 8) / 16;
    last = now;
    uint64_t n = sum - clock_pump_instructions;
    MICROPY_END_ATOMIC_SECTION(state);
    return n;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(ticks() / (TICKS_PER_US * 1000));
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(ticks() / TICKS_PER_US);
}

// Instructions where they are counted, 40 ns ticks elsewhere.
mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)(counting ? clock_instructions() : ticks());
}

uint64_t mp_hal_time_ns(void) {
    return ticks() * (1000 / TICKS_PER_US);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;
    while (ticks() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = ticks() + (uint64_t)ms * TICKS_PER_US * 1000;
    mp_event_handle_nowait();
    while (ticks() < end) {
        mp_event_wait_ms(1);
    }
}
