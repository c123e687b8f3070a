// SPDX-License-Identifier: MIT
#include "boards/VCC_GND_H743VI/mpconfigboard.h"
#include "tinyvlm_board.h"
#include "romfs_internal.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "VCC-GND STM32H743VI with tinyvlm"
