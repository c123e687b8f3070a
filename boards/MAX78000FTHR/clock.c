// SPDX-License-Identifier: MIT
// Time: SysTick counts the CPU's cycles down, 100,000 of them a millisecond.
//
// QEMU's SysTick always runs at 60 MHz: its milliseconds last 1.67.

#include "py/mphal.h"
#include "py/runtime.h"

#include "board.h"

#define PERIOD      (CPU_HZ / 1000)

static volatile uint32_t milliseconds;

void clock_init(void) {
    SYST_RVR = PERIOD - 1;
    SYST_CVR = 0;
    SYST_CSR = 7; // the CPU's clock, with interrupt
}

void SysTick_Handler(void) {
    milliseconds++;
}

uint32_t clock_ms(void) {
    return milliseconds;
}

static uint64_t cycles(void) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    uint32_t ms = milliseconds, left = SYST_CVR;
    if (SCB_ICSR & 1u << 26) { // it has just struck and was not counted yet
        left = SYST_CVR;
        ms++;
    }
    MICROPY_END_ATOMIC_SECTION(state);
    return (uint64_t)ms * PERIOD + (PERIOD - 1 - left);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return milliseconds;
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(cycles() / (CPU_HZ / 1000000));
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)cycles();
}

uint64_t mp_hal_time_ns(void) {
    return cycles() * (1000000000 / CPU_HZ);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t begin = cycles(), wanted = (uint64_t)us * (CPU_HZ / 1000000);
    while (cycles() - begin < wanted) { // ends early, not never, when milliseconds wrap around
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t begin = milliseconds;
    mp_event_handle_nowait();
    while (milliseconds - begin < ms) {
        mp_event_wait_ms(1);
    }
}
