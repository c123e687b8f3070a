// SPDX-License-Identifier: MIT
// From reset to board_main(), and what happens when the CPU faults.

#include <stdlib.h>
#include <string.h>

#include "py/mphal.h"
#include "py/mpprint.h"

#include "board.h"
#include "semihost.h"

#define MPU_CTRL    REG(0xe000ed94)
#define MPU_RBAR    REG(0xe000ed9c)
#define MPU_RASR    REG(0xe000eda0)

#define MPU_RBAR_VALID      (1u << 4)
#define MPU_RASR_NO_ACCESS  (0u << 24)
#define MPU_RASR_READ_ONLY  (6u << 24)
#define MPU_RASR_CACHEABLE  (1u << 17)
#define MPU_CTRL_ENABLE_WITH_DEFAULT_MAP (5u)

void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void);

const void *const isr_vector[16] __attribute__((section(".isr_vector"), used)) = {
    _estack,
    Reset_Handler,
    Fault_Handler, // NMI
    Fault_Handler, // HardFault
    Fault_Handler, // MemManage
    Fault_Handler, // BusFault
    Fault_Handler, // UsageFault
    NULL, NULL, NULL, NULL,
    Fault_Handler, // SVCall
    Fault_Handler, // DebugMonitor
    NULL,
    Fault_Handler, // PendSV
    SysTick_Handler,
};

// A region's size is a power of two, and its base a multiple of the size.
static void protect(uint32_t region, uint32_t base, uint32_t log2_size, uint32_t access) {
    MPU_RBAR = base | MPU_RBAR_VALID | region;
    MPU_RASR = access | MPU_RASR_CACHEABLE | (log2_size - 1) << 1 | 1;
}

void Reset_Handler(void) {
    // The FPU comes first: the compiler may use its registers anywhere from here on.
    SCB_CPACR |= 0xfu << 20;
    __asm volatile ("dsb\n isb" ::: "memory");
    memcpy(_sdata, _sidata, (size_t)(_edata - _sdata));
    memset(_sbss, 0, (size_t)(_ebss - _sbss));

    if (__ARM_ARCH == 7) { // a Cortex-M33's MPU is another one
        // QEMU's flash is RAM, with more RAM behind it. On the chip a write there is a fault.
        protect(0, 0, 21, MPU_RASR_READ_ONLY);
        protect(1, (uint32_t)_flash_size, 21, MPU_RASR_NO_ACCESS);
        protect(2, (uint32_t)_stack_guard, 10, MPU_RASR_NO_ACCESS);
        MPU_CTRL = MPU_CTRL_ENABLE_WITH_DEFAULT_MAP;
        __asm volatile ("dsb\n isb" ::: "memory");
    }

    flash_init();
    clock_init();
    exit(board_main());
}

MP_NORETURN void exit(int status) {
    semihost_exit(status);
    for (;;) {
    }
}

#ifndef NDEBUG
MP_NORETURN void __assert_func(const char *file, int line, const char *func, const char *expr) {
    (void)func;
    mp_printf(&mp_plat_print, "%s:%d: assertion failed: %s\n", file, line, expr);
    exit(1);
}
#endif

// A reader of the port may lose what came just before it closed, so QEMU's stderr gets it as well.
static void fault_strn(void *fd, const char *str, size_t len) {
    mp_hal_stdout_tx_strn_cooked(str, len);
    semihost_write(*(int *)fd, str, len);
}

// A fault says what it was and ends QEMU: whoever waits for an answer sees the port close.
// `frame` is what the CPU pushed: r0-r3, r12, lr, pc, xpsr.
__attribute__((used)) static void fault_report(const uint32_t *frame) {
    static const char *const name[] = { "NMI", "HardFault", "MemManage", "BusFault", "UsageFault" };
    uint32_t number;
    __asm volatile ("mrs %0, ipsr" : "=r" (number));
    // The frame of a full stack lies in the guard, which this handler must not touch either.
    MPU_CTRL = 0;
    __asm volatile ("dsb\n isb" ::: "memory");
    int fd = semihost_open(":tt", SEMIHOST_MODE_A);
    const mp_print_t print = { &fd, fault_strn };
    bool overflow = SCB_MMFAR >= (uint32_t)_stack_guard && SCB_MMFAR < (uint32_t)_sstack;
    mp_printf(&print, "\n%s%s: pc=%08x lr=%08x r0=%08x r1=%08x r2=%08x r3=%08x\n",
        number >= 2 && number <= 6 ? name[number - 2] : "Fault",
        overflow ? " (stack overflow)" : "",
        frame[6], frame[5], frame[0], frame[1], frame[2], frame[3]);
    mp_printf(&print, "CFSR=%08x HFSR=%08x MMFAR=%08x BFAR=%08x\n",
        SCB_CFSR, SCB_HFSR, SCB_MMFAR, SCB_BFAR);
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
