// SPDX-License-Identifier: MIT
#include "boards/WEACTSTUDIO_MINI_STM32H743/mpconfigboard.h"
#include "tinyvlm_board.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "WeAct STM32H743 with tinyvlm"
