// SPDX-License-Identifier: MIT
#include "boards/ARDUINO_NICLA_VISION/mpconfigboard.h"
#include "tinyvlm_board.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Arduino Nicla Vision with tinyvlm"
