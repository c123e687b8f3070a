// SPDX-License-Identifier: MIT
// From reset to board_main(), and what happens when the CPU faults.

#include <stdlib.h>
#include <string.h>

#include "py/mphal.h"
#include "py/mpprint.h"

#include "board.h"

#define IRQS        (104)

void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void);
void UART0_Handler(void);
void CNN_Handler(void);

const void *const isr_vector[16 + IRQS] __attribute__((section(".isr_vector"), used, aligned(512))) = {
    [0] = _estack,
    [1] = Reset_Handler,
    [2] = Fault_Handler, // NMI
    [3] = Fault_Handler, // HardFault
    [4] = Fault_Handler, // MemManage
    [5] = Fault_Handler, // BusFault
    [6] = Fault_Handler, // UsageFault
    [11] = Fault_Handler, // SVCall
    [12] = Fault_Handler, // DebugMonitor
    [14] = Fault_Handler, // PendSV
    [15] = SysTick_Handler,
    [16 + IRQ_UART0] = UART0_Handler,
    [16 + IRQ_CNN] = CNN_Handler,
};

// Every wait is bounded: an emulator may lack what is waited for, and a slow chip beats a dead one.
static void clocks_init(void) {
    ICC_CTRL &= ~1u;
    ICC_INVALIDATE = 1;
    reg_wait(&ICC_CTRL, 1u << 16, 1u << 16);
    ICC_CTRL |= 1;
    reg_wait(&ICC_CTRL, 1u << 16, 1u << 16);
    GCR_CLKCTRL |= 1u << 19 | 1u << 20; // IPO, 100 MHz; IBRO, 7.3728 MHz for the console
    reg_wait(&GCR_CLKCTRL, 1u << 28, 1u << 28);
    if (reg_wait(&GCR_CLKCTRL, 1u << 27, 1u << 27)) { // else it stays at 60 MHz: milliseconds of 1.67
        GCR_CLKCTRL = (GCR_CLKCTRL & ~(7u << 9 | 7u << 6)) | 4u << 9;
        reg_wait(&GCR_CLKCTRL, 1u << 13, 1u << 13);
    }
    GCR_PCLKDIS0 &= ~(1u << 0 | 1u << 1 | 1u << 9); // GPIO0, GPIO1, UART0
    LPGCR_PCLKDIS &= ~1u; // GPIO2
}

__attribute__((used, noreturn)) static void start(void) {
    // The FPU comes first: the compiler may use its registers anywhere from here on.
    SCB_CPACR |= 0xfu << 20;
    __asm volatile ("dsb\n isb" ::: "memory");
    memcpy(_sdata, _sidata, (size_t)(_edata - _sdata));
    memset(_sbss, 0, (size_t)(_ebss - _sbss));
    SCB_VTOR = (uint32_t)isr_vector;
    __asm volatile ("cpsie i" ::: "memory");
    clocks_init();
    clock_init();
    console_init();
    board_debugger_window();
    exit(board_main());
}

// The chip's boot ROM jumps here; what it leaves in the stack pointers is its own affair.
__attribute__((naked)) void Reset_Handler(void) {
    __asm volatile (
        "cpsid i\n"
        "movs r0, #0\n"
        "msr control, r0\n" // the main stack
        "ldr r0, =_estack\n"
        "msr msp, r0\n"
        "isb\n"
        "b start\n"
        );
}

// There is nothing to return to: red light (if LEDs are active low, see
// docs/boards/max78000fthr.md), and silence.
MP_NORETURN void exit(int status) {
    (void)status;
    REG(0x40080410) = 1;   // P2.0 is an output,
    REG(0x40080420) = 1;   // and low
    for (;;) { // without wfi: a debugger can get in
    }
}

// `frame` is what the CPU pushed: r0-r3, r12, lr, pc, xpsr.
__attribute__((used)) static void fault_report(const uint32_t *frame) {
    uint32_t number;
    __asm volatile ("mrs %0, ipsr" : "=r" (number));
    mp_printf(&mp_plat_print, "\nFault %u: pc=%08x lr=%08x r0=%08x r1=%08x r2=%08x r3=%08x\n",
        (unsigned)number, (unsigned)frame[6], (unsigned)frame[5], (unsigned)frame[0], (unsigned)frame[1],
        (unsigned)frame[2], (unsigned)frame[3]);
    mp_printf(&mp_plat_print, "CFSR=%08x BFAR=%08x\n", (unsigned)SCB_CFSR, (unsigned)SCB_BFAR);
    exit(1);
}

// The report runs on a fresh stack: the old one may be what is broken.
__attribute__((naked)) void Fault_Handler(void) {
    __asm volatile (
        "mov r0, sp\n"
        "ldr r1, =_estack\n"
        "mov sp, r1\n"
        "b fault_report\n"
        );
}
