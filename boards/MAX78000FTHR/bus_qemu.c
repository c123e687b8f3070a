// SPDX-License-Identifier: MIT
// The accelerator where there is none: QEMU has only stubs in its place. Accesses go out through
// UART1 to a simulator on the PC (host/tinyvlm/max78000/virtual.py), which answers reads:
//
//   'W' address value     a store; 'N' value: at the last address + 4; 'B' address value: one byte
//   'R' address           a load; 4 bytes come back
//
// Addresses and values have 32 bits, little-endian; the value of 'B' is one byte.

#include "max78000/tv_max78000_board.h"
#include "max78000/tv_max78000_bus.h"

#include "board.h"

#define LIMIT_MS (2000)

void CNN_Handler(void);

static uint32_t last_address;

static void put(uint8_t byte) {
    UART_FIFO(UART1) = byte; // QEMU's is never full
}

static void put32(uint32_t value) {
    for (int i = 0; i < 4; i++) {
        put((uint8_t)(value >> 8 * i));
    }
}

// No answer: zeros, which the driver takes for an accelerator without power.
uint32_t tv_max78000_read32(void *bus, uint32_t address) {
    (void)bus;
    put('R');
    put32(address);
    uint32_t value = 0, begin = clock_ms();
    for (int i = 0; i < 4; i++) {
        while (UART_STATUS(UART1) & UART_RX_EMPTY) {
            if (clock_ms() - begin > LIMIT_MS) {
                return 0;
            }
        }
        value |= (UART_FIFO(UART1) & 0xff) << 8 * i;
    }
    return value;
}

void tv_max78000_write32(void *bus, uint32_t address, uint32_t value) {
    (void)bus;
    if (address % 4) {
        put('B');
        put32(address);
        put((uint8_t)value);
        return;
    }
    put(address == last_address + 4 ? 'N' : 'W');
    if (address != last_address + 4) {
        put32(address);
    }
    put32(value);
    last_address = address;
}

void *tv_max78000_board_begin(void) {
    GCR_PCLKDIS0 &= ~(1u << 10);
    uart_init(UART1);
    return NULL;
}

void tv_max78000_board_pause(void) {
}

void tv_max78000_board_guard(bool on) {
    (void)on;
}

void board_debugger_window(void) {
}

void CNN_Handler(void) {
}
