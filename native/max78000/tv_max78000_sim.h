// SPDX-License-Identifier: MIT
//
// A simulator of the MAX78000's CNN accelerator, as seen from the bus. It knows of no network: it
// computes from what was written to its registers, weight, bias and data memories. It is for
// tests on a PC and for firmware that runs without the chip.
//
//     tv_max78000_sim_t *sim = ...;          // 1.5 MB, the caller's
//     tv_max78000_sim_init(sim, 1);
//     tv_max78000_sim_write(sim, address, value);
//
// It knows more options of a layer than the mapper uses, for the golden networks that it is tested
// with: flattened layers, weights of 1, 2 and 4 bits, absolute values, other combinations than sums,
// and images that lie channel by channel.
//
// It is stricter than the chip. What should not be done (an access without power or clock or
// while a network runs, an address that is not there, registers that contradict each other) is
// counted as a fault. Memories hold noise after power-up; bytes that are not defined after a run
// get a value of their own.

#ifndef TV_MAX78000_SIM_H
#define TV_MAX78000_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "tv_max78000_regs.h"

typedef enum {
    TV_M78_FAULT_NONE,
    TV_M78_FAULT_ADDRESS,   // nothing is there
    TV_M78_FAULT_POWER,     // a quadrant without power, clock or with its reset on
    TV_M78_FAULT_PACKED,    // a packed stream that was not begun or is not in order
    TV_M78_FAULT_BUSY,      // a memory while a network runs
    TV_M78_FAULT_START,     // a quadrant has no clock, or follows nobody
    TV_M78_FAULT_REGISTERS, // registers contradict each other or ask for what is not modelled
    TV_M78_FAULT_MEMORY,    // a layer reads or writes outside a memory
    TV_M78_FAULT_OVERLAP,   // a layer writes over what it reads
} tv_max78000_fault_t;

// What a test can break.
enum {
    TV_M78_JAM_DONE = 1,    // the done flag never comes
    TV_M78_JAM_POWER = 2,   // the power switches do nothing
    TV_M78_JAM_LATE = 4,    // the done flag comes after 1,000 polls
    TV_M78_JAM_STUCK = 8,   // the done flag cannot be cleared
    TV_M78_JAM_FORGET = 16, // weights do not survive without power, though their memories have some
};

typedef struct {
    uint32_t ctrl, sram, last_layer, test;
    uint32_t layer[TV_M78_REGISTERS][TV_M78_LAYERS];
    uint8_t bias[TV_M78_BIASES];
    uint8_t weights[16][TV_M78_WORDS][9];
    uint32_t data[4][TV_M78_DATA_WORDS];
    uint32_t slot[16][3];   // an unpacked word before its last part comes
    uint32_t next[16];      // packed stream: offset of the next store + 1, 0: none was begun
    uint16_t word[16];      // packed stream: the word that is being filled
    uint8_t filled[16];     // packed stream: bytes of it
    uint8_t bytes[16][9];
} tv_max78000_quadrant_t;

typedef struct {
    tv_max78000_quadrant_t quadrant[TV_M78_QUADRANTS];
    uint32_t power[4];      // switches, RAM, isolation, reset
    uint32_t clock, gates;  // PCLKDIV, PCLKDIS0
    uint32_t aod;
    uint32_t jam;           // TV_M78_JAM_...
    uint32_t noise;
    uint32_t group;         // quadrants that run, one bit each
    uint32_t polls;         // reads of CTRL until the done flag comes
    uint32_t cycles;        // of the last run, by the cycle model
    uint32_t layer_cycles[TV_M78_LAYERS];
    uint32_t runs;          // finished ones
    tv_max78000_fault_t fault; // the first
    uint32_t fault_address; // of an access; or index of the layer
    uint32_t faults;
    int8_t input[TV_M78_PROCESSORS * TV_M78_DATA_WORDS]; // of a layer, pooled and combined
    int8_t kernel[TV_M78_PROCESSORS * 256];              // of one output channel
} tv_max78000_sim_t;

// As the chip is after a reset: no power, no clock. `noise` seeds what the memories hold.
void tv_max78000_sim_init(tv_max78000_sim_t *sim, uint32_t noise);

uint32_t tv_max78000_sim_read(tv_max78000_sim_t *sim, uint32_t address);

// An address that is not a multiple of 4 stores a byte.
void tv_max78000_sim_write(tv_max78000_sim_t *sim, uint32_t address, uint32_t value);

// "a memory was accessed while a network ran"
const char *tv_max78000_sim_strfault(tv_max78000_fault_t fault);

// Run the layers 0 ... last of quadrant `first` and its followers. false: a fault.
bool tv_max78000_sim_run(tv_max78000_sim_t *sim, uint32_t first, uint32_t group);

void tv_max78000_sim_fault(tv_max78000_sim_t *sim, tv_max78000_fault_t fault, uint32_t address);

#endif // TV_MAX78000_SIM_H
