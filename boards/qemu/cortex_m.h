// SPDX-License-Identifier: MIT
// Registers that every Cortex-M has.
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#ifndef REG // tests play registers
#define REG(address) (*(volatile uint32_t *)(address))
#endif

#define SYST_CSR    REG(0xe000e010)
#define SYST_RVR    REG(0xe000e014)
#define SYST_CVR    REG(0xe000e018)
#define SCB_ICSR    REG(0xe000ed04)
#define SCB_VTOR    REG(0xe000ed08)
#define SCB_AIRCR   REG(0xe000ed0c)
#define SCB_CFSR    REG(0xe000ed28)
#define SCB_HFSR    REG(0xe000ed2c)
#define SCB_MMFAR   REG(0xe000ed34)
#define SCB_BFAR    REG(0xe000ed38)
#define SCB_CPACR   REG(0xe000ed88)

#endif // CORTEX_M_H
