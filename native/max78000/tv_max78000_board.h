// SPDX-License-Identifier: MIT
//
// What a board provides for the MicroPython module `_tinyvlm_max78000`, besides the two functions of
// tv_max78000_bus.h.

#ifndef TV_MAX78000_BOARD_H
#define TV_MAX78000_BOARD_H

// Called once, before the accelerator is touched: the supply of its core, for example.
// Returns what goes to the bus functions as `bus`.
void *tv_max78000_board_begin(void);

// Called between two polls of the done flag; may sleep for a millisecond, or until interrupt 101.
void tv_max78000_board_pause(void);

#endif // TV_MAX78000_BOARD_H
