// SPDX-License-Identifier: MIT
#include "boards/ARDUINO_PORTENTA_H7/mpconfigboard.h"
#include "tinyvlm_board.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Arduino Portenta H7 with tinyvlm"
