// SPDX-License-Identifier: MIT
#include "boards/NUCLEO_H743ZI/mpconfigboard.h"
#include "tinyvlm_board.h"
#include "romfs_internal.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "NUCLEO-H743ZI with tinyvlm"
