// SPDX-License-Identifier: MIT
// The REPL's console: UART0 at 115200 baud, which the debug adapter on the board shows as a
// serial port. Received bytes go into a ring from the interrupt.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"

#include "board.h"

#define RING_SIZE (1024)

static uint8_t ring[RING_SIZE];
static volatile uint32_t ring_head, ring_tail;

// 115200 baud from IBRO, 7.3728 MHz, which no change of the CPU's clock touches.
void uart_init(uint32_t uart) {
    UART_CTRL(uart) = 1u | 3u << 10 | 2u << 16; // RX threshold 1, 8 bits, IBRO
    UART_OSR(uart) = 5;
    UART_CLKDIV(uart) = 64;
    UART_CTRL(uart) |= 1u << 8 | 1u << 9; // empty FIFOs
    UART_CTRL(uart) |= 1u << 15;
    reg_wait(&UART_CTRL(uart), 1u << 19, 1u << 19);
}

void console_init(void) {
    GCR_RST0 |= 1u << 11;
    reg_wait(&GCR_RST0, 1u << 11, 0);
    pin_function(0, 0, 1);
    pin_function(0, 1, 1);
    uart_init(UART0);
    UART_INT_EN(UART0) = 1u << 4;
    NVIC_ISER(IRQ_UART0) = NVIC_BIT(IRQ_UART0);
}

void UART0_Handler(void) {
    UART_INT_FL(UART0) = UART_INT_FL(UART0);
    while (!(UART_STATUS(UART0) & UART_RX_EMPTY)) {
        uint8_t c = (uint8_t)UART_FIFO(UART0);
        uint32_t next = (ring_head + 1) % RING_SIZE;
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else if (next != ring_tail) {
            ring[ring_head] = c;
            ring_head = next;
        }
    }
}

void console_putc(uint8_t c) {
    reg_wait(&UART_STATUS(UART0), UART_TX_FULL, 0);
    UART_FIFO(UART0) = c;
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    if (ring_head != ring_tail) {
        ready |= poll_flags & MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    while (ring_head == ring_tail) {
        mp_event_wait_indefinite(); // at most until the next millisecond
    }
    int c = ring[ring_tail];
    ring_tail = (ring_tail + 1) % RING_SIZE;
    return c;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    for (size_t i = 0; i < len; i++) {
        console_putc((uint8_t)str[i]);
    }
    return len;
}
