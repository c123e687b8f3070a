// SPDX-License-Identifier: MIT
// The accelerator on the chip's bus. bus_qemu.c stands in for this file where there is no chip.

#include "max78000/tv_max78000_board.h"
#include "max78000/tv_max78000_bus.h"

#include "py/mphal.h"
#include "py/mpprint.h"

#include "board.h"

uint32_t tv_max78000_read32(void *bus, uint32_t address) {
    (void)bus;
    return REG(address);
}

void tv_max78000_write32(void *bus, uint32_t address, uint32_t value) {
    (void)bus;
    if (address % 4) {
        *(volatile uint8_t *)address = (uint8_t)value;
    } else {
        REG(address) = value;
    }
}

// The core's supply, then the time that the PMIC needs for it.
void *tv_max78000_board_begin(void) {
    SIMO_VREGO_C = 0x43;
    mp_hal_delay_ms(200);
    return NULL;
}

// A read of a quadrant without power may never end: then the watchdog resets the board.
void tv_max78000_board_guard(bool on) {
    if (on) {
        watchdog_start();
    } else {
        watchdog_stop();
    }
}

// While the CPU sleeps (wfi), the debug adapter cannot reach it, and the prompt sleeps nearly always.
// So firmware can be replaced in these two seconds after every reset.
#define DEBUGGER_MS (2000)

void board_debugger_window(void) {
    for (uint32_t begin = clock_ms(); clock_ms() - begin < DEBUGGER_MS; ) {
    }
    if (watchdog_has_bitten()) {
        mp_printf(&mp_plat_print, "The accelerator hung the bus (a quadrant without power?); the watchdog has reset the board.\n");
    }
}

// Never runs: the interrupt is enabled only while interrupts are masked.
void CNN_Handler(void) {
    NVIC_ICER(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
}

// Sleeps until interrupt 101 or the next millisecond. It may be a pulse, and come before wfi: it is
// pending then, enabled or not, and ends wfi at once. So pending is cleared after wfi, never before;
// the caller reads the done flag next, and one that an earlier run has left costs a poll.
void tv_max78000_board_pause(void) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    NVIC_ISER(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
    __asm volatile ("dsb\n wfi" ::: "memory");
    NVIC_ICER(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
    NVIC_ICPR(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
    MICROPY_END_ATOMIC_SECTION(state);
}
