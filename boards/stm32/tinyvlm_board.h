// SPDX-License-Identifier: MIT
// What the STM32H7 boards of this repository set, after the port's own mpconfigboard.h.

// The linker script's _tinyvlm_arena_start and _end: all of DTCM.
#define TINYVLM_ARENA_REGION                (1)

// No network, so no lwip to build. MDC is the pin that makes the port compile its Ethernet driver.
#undef MICROPY_HW_ETH_MDC
#define MICROPY_PY_NETWORK                  (0)
