// SPDX-License-Identifier: MIT
// The accelerator on the chip's bus. bus_qemu.c stands in for this file where there is no chip.

#include "max78000/tv_max78000_board.h"
#include "max78000/tv_max78000_bus.h"

#include "py/mphal.h"

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

// The done flag keeps the interrupt asserted until the driver clears it, so the handler only
// disables it: its sole purpose is to wake the CPU.
void CNN_Handler(void) {
    NVIC_ICER(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
}

// An interrupt that comes before wfi still ends it: it is pending. SysTick comes in any case.
void tv_max78000_board_pause(void) {
    mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    NVIC_ICPR(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
    NVIC_ISER(IRQ_CNN) = NVIC_BIT(IRQ_CNN);
    __asm volatile ("dsb\n wfi" ::: "memory");
    MICROPY_END_ATOMIC_SECTION(state);
}
