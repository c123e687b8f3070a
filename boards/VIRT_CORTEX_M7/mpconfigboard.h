// SPDX-License-Identifier: MIT
// The qemu port's configuration, plus what mpremote and a filesystem need.
// Stands in for mpconfigport.h (MP_CONFIGFILE), so the port needs no change.

#include "ports/qemu/mpconfigport.h"

#undef MICROPY_FLOAT_IMPL // 1.25 sets it in the header, later ones in the Makefile: the same value
#define MICROPY_FLOAT_IMPL                  (MICROPY_FLOAT_IMPL_FLOAT)

#define TINYVLM_ARENA_REGION                (1) // the linker script's _tinyvlm_arena_start and _end
#define MICROPY_KBD_EXCEPTION               (1)
#define MICROPY_ENABLE_SCHEDULER            (1)
#define MICROPY_REPL_STDIN_BUFFER_MAX       (4096) // the window of mpremote's raw paste
#define MICROPY_PY_OS_UNAME                 (1)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER         (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT                   (1)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME                     (1)
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO                  (1)
#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL               (1)
#undef MICROPY_PY_MACHINE_INCLUDEFILE
#define MICROPY_PY_MACHINE_INCLUDEFILE      BOARD_MODMACHINE

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

// The next SysTick, at most 2 ms away, ends the wait.
#define MICROPY_INTERNAL_WFE(timeout_ms)    __asm volatile ("wfi")
