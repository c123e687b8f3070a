// SPDX-License-Identifier: MIT
// Registers of the MAX78000, and what the parts of this board know of each other.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cortex_m.h"

#define GCR_CLKCTRL     REG(0x40000008)
#define GCR_PCLKDIS0    REG(0x40000024)
#define GCR_PCLKDIS1    REG(0x40000048)
#define GCR_SYSCTRL     REG(0x40000000)
#define GCR_RST0        REG(0x40000004)
#define LPGCR_PCLKDIS   REG(0x4008000c)
#define SIMO_VREGO_C    REG(0x4000440c)
#define ICC_INVALIDATE  REG(0x4002a700)
#define ICC_CTRL        REG(0x4002a100)
#define NVIC_ISER(n)    REG(0xe000e100 + 4 * ((n) / 32))
#define NVIC_ICER(n)    REG(0xe000e180 + 4 * ((n) / 32))
#define NVIC_ICPR(n)    REG(0xe000e280 + 4 * ((n) / 32))
#define NVIC_BIT(n)     (1u << (n) % 32)

#define UART0           (0x40042000)
#define UART1           (0x40043000)
#define UART_CTRL(u)    REG((u) + 0x00)
#define UART_STATUS(u)  REG((u) + 0x04)
#define UART_INT_EN(u)  REG((u) + 0x08)
#define UART_INT_FL(u)  REG((u) + 0x0c)
#define UART_CLKDIV(u)  REG((u) + 0x10)
#define UART_OSR(u)     REG((u) + 0x14)
#define UART_FIFO(u)    REG((u) + 0x20)
#define UART_RX_EMPTY   (1u << 4)
#define UART_TX_FULL    (1u << 7)

#define IRQ_UART0       (14)
#define IRQ_CNN         (101)

#define CPU_HZ          (100000000u)

#define FLASH_BLOCK     (8192)
#define FLASH_LINE      (16)

// Symbols of max78000fthr.ld: only their addresses mean something.
extern uint8_t _flash_start[], _flash_end[], _firmware_end[], _sidata[], _sdata[], _edata[], _sbss[], _ebss[];
extern uint8_t _heap_start[], _heap_end[], _sstack[], _estack[];

// Waits until the bits of `mask` are as in `value`, or for a million turns; some 50 ms.
static inline bool reg_wait(volatile uint32_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t turn = 0; turn < 1000000; turn++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

// clock.c
void clock_init(void);
uint32_t clock_ms(void);

// console.c
void uart_init(uint32_t uart);
void console_init(void);
void console_putc(uint8_t c);

// pin.c: function 0 is GPIO. Port 0 ... 2.
void pin_function(uint32_t port, uint32_t pin, uint32_t function);

// What C code below MicroPython's last stack check may need: littlefs, printing, interrupts.
#define STACK_MARGIN (3072)

// bus.c, bus_qemu.c: the first seconds after a reset
void board_debugger_window(void);

// watchdog.c
void watchdog_start(void);
void watchdog_stop(void);
bool watchdog_has_bitten(void);

// ../qemu/main.c
int board_main(void);

#endif // BOARD_H
