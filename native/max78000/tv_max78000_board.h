// SPDX-License-Identifier: MIT
//
// What a board provides for the MicroPython module `_tinyvlm_max78000`, besides the two functions of
// tv_max78000_bus.h.

#ifndef TV_MAX78000_BOARD_H
#define TV_MAX78000_BOARD_H

#include <stdbool.h>

// Called once, before the accelerator is touched: the supply of its core, for example.
// Returns what goes to the bus functions as `bus`.
void *tv_max78000_board_begin(void);

// Called between two polls of the done flag; may sleep for a millisecond, or until interrupt 101.
void tv_max78000_board_pause(void);

// Called with true before the accelerator is switched on or runs, and with false when it has answered:
// what hangs the bus in between should reset the board rather than stop it for good.
void tv_max78000_board_guard(bool on);

#endif // TV_MAX78000_BOARD_H
