// SPDX-License-Identifier: MIT
//
// Inside the simulator: one layer, as its registers describe it.

#ifndef TV_MAX78000_SIM_STEP_H
#define TV_MAX78000_SIM_STEP_H

#include "tv_max78000_sim.h"

typedef struct {
    bool conv;              // else pass-through
    bool flat;              // many words of one pixel are summed up: a flattened layer
    bool chw, wide, relu, abs, pools, maximum, round;
    bool pool_first;        // pool the operands, then combine them
    uint32_t kernel, pad, pool_h, pool_w, stride;
    uint32_t operands, function;
    uint32_t h, w;          // input
    uint32_t hp, wp;        // pooled
    uint32_t ho, wo;        // output
    uint32_t in_passes, out_passes;
    uint32_t time_slots;
    uint32_t bits, left;    // weights; shift - 15 ... 15, plus 16
    uint32_t read_base;
    uint32_t write_base[TV_M78_QUADRANTS]; // 17 bits: instance, word
    uint32_t instance_step, pixel_step, pass_step; // of the write address
    uint32_t enabled[TV_M78_QUADRANTS];    // processors that read, 16 bits each
    uint32_t sources;       // quadrants whose sums are added up
    uint32_t bias_quadrant; // TV_M78_QUADRANTS: none
    uint32_t bias_start;
    uint32_t first_kernel;  // in bits of one kernel byte: 8 a kernel
    uint32_t kernels;       // in all
    uint32_t outputs;       // kernels / in_passes: places that are written, over all passes
    uint32_t places;        // of one pass
} tv_max78000_step_t;

// false: the registers contradict each other, or this is not modelled.
bool tv_max78000_sim_decode(const tv_max78000_sim_t *s, uint32_t first, uint32_t group,
    uint32_t layer, tv_max78000_step_t *d);

// Cycles by the model of docs/boards.md; before: the layer before, or NULL.
uint32_t tv_max78000_sim_cycles(const tv_max78000_step_t *d, const tv_max78000_step_t *before);

#endif // TV_MAX78000_SIM_STEP_H
