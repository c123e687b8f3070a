// SPDX-License-Identifier: MIT
// The qemu port is MicroPython's smallest one for a bare Cortex-M; this is its configuration,
// changed to what 512 KB of flash and 128 KB of RAM allow beside an encoder.
// Stands in for mpconfigport.h (MP_CONFIGFILE), so the port needs no change.

#include "ports/qemu/mpconfigport.h"

#undef MICROPY_FLOAT_IMPL // 1.25 sets it in the header, later ones in the Makefile: the same value
#define MICROPY_FLOAT_IMPL                  (MICROPY_FLOAT_IMPL_FLOAT)

#define MICROPY_MPHALPORT_H                 "mphalboard.h"
#define MICROPY_KBD_EXCEPTION               (1)
#define MICROPY_ENABLE_SCHEDULER            (1)
#define MICROPY_REPL_STDIN_BUFFER_MAX       (512) // the window of mpremote's raw paste
#undef MICROPY_PY_SYS_PLATFORM
#define MICROPY_PY_SYS_PLATFORM             "max78000"
#define MICROPY_PY_OS_UNAME                 (1)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER         (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT                   (1)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME                     (1)
#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL               (1)
#undef MICROPY_PY_MACHINE_INCLUDEFILE
#define MICROPY_PY_MACHINE_INCLUDEFILE      BOARD_MODMACHINE
#define MICROPY_PY_MACHINE_SOFTI2C          (1)

// What a camera that names things can do without
#undef MICROPY_EMIT_THUMB
#define MICROPY_EMIT_THUMB                  (0)
#undef MICROPY_EMIT_INLINE_THUMB
#define MICROPY_EMIT_INLINE_THUMB           (0)
#define MICROPY_PY_FRAMEBUF                 (0)
#define MICROPY_PY_DEFLATE                  (0)
#define MICROPY_PY_HEAPQ                    (0)
#define MICROPY_PY_CMATH                    (0)
#define MICROPY_PY_BUILTINS_COMPLEX         (0)
#define MICROPY_PY_UCTYPES                  (0)
#define MICROPY_PY_RE                       (0)

#define MP_NORETURN __attribute__((noreturn)) // 1.25 has it without the prefix only

static inline uint32_t board_disable_irq(void) {
    uint32_t primask;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (primask) :: "memory");
    return primask;
}

static inline void board_enable_irq(uint32_t primask) {
    __asm volatile ("msr primask, %0" :: "r" (primask) : "memory");
}

#define MICROPY_BEGIN_ATOMIC_SECTION()      board_disable_irq()
#define MICROPY_END_ATOMIC_SECTION(state)   board_enable_irq(state)

// The next SysTick, at most 1 ms away, ends the wait.
#define MICROPY_INTERNAL_WFE(timeout_ms)    __asm volatile ("wfi")
