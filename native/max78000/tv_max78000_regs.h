// SPDX-License-Identifier: MIT
//
// Addresses and bits of the MAX78000's CNN accelerator, and of the few system registers that
// switch it on. Four quadrants of 16 processors; four neighbours share a data memory ("instance").

#ifndef TV_MAX78000_REGS_H
#define TV_MAX78000_REGS_H

#define TV_M78_QUADRANTS (4)
#define TV_M78_PROCESSORS (64)
#define TV_M78_LAYERS (32)
#define TV_M78_WORDS (768)        // 72-bit words of weights a processor
#define TV_M78_BIASES (512)       // a quadrant
#define TV_M78_DATA_WORDS (8192)  // 32-bit words an instance

// the system
#define TV_M78_PCLKDIV (0x40000018)
#define TV_M78_PCLKDIV_MASK (0x3c000)      // source and divider of the CNN's clock
#define TV_M78_PCLKDIV_CNN (0x4u << 14)    // system clock / 2, not divided further
#define TV_M78_PCLKDIS0 (0x40000024)
#define TV_M78_PCLKDIS0_CNN (1u << 25)     // 1: no clock
#define TV_M78_POWER (0x40005800)          // power switches, one bit a quadrant
#define TV_M78_RAM_POWER (0x40005804)
#define TV_M78_ISOLATION (0x40005808)
#define TV_M78_RESET (0x4000580c)

// the accelerator as a whole
#define TV_M78_GLOBAL (0x50000000)
#define TV_M78_AOD_CTRL (0x50001000)

// one quadrant
#define TV_M78_QUADRANT(q) (0x50100000u + 0x400000u * (q))
#define TV_M78_CTRL (0x0)
#define TV_M78_SRAM (0x4)
#define TV_M78_LCNT_MAX (0x8)
#define TV_M78_TEST (0xc)
#define TV_M78_LAYER (0x10)                // + 0x80 * register + 4 * layer
#define TV_M78_LAYER_END (0xa90)
#define TV_M78_BIAS (0x8000)               // + 4 * index
#define TV_M78_TRAM (0x10000)
#define TV_M78_WEIGHTS (0x80000)           // + 0x4000 * processor in the quadrant
#define TV_M78_WEIGHTS_STEP (0x4000)
#define TV_M78_DATA (0x300000)             // + 0x8000 * instance in the quadrant
#define TV_M78_DATA_STEP (0x8000)
#define TV_M78_DATA_ADDRESS(p) \
    (TV_M78_QUADRANT((p) / 16) + TV_M78_DATA + TV_M78_DATA_STEP * ((p) % 16 / 4))

#define TV_M78_CTRL_ENABLE (1u << 0)
#define TV_M78_CTRL_CLOCK (1u << 3)
#define TV_M78_CTRL_FOLLOW (1u << 11)      // the quadrant whose index is in bits 10:9
#define TV_M78_CTRL_FOLLOW_SHIFT (9)
#define TV_M78_CTRL_DONE (1u << 12)
#define TV_M78_CTRL_ROUND (1u << 13)       // averages are rounded half away from zero
#define TV_M78_CTRL_PACKED (1u << 20)      // weights are written as a packed stream
#define TV_M78_SRAM_VALUE (0x40e)          // fastest read margin, write assist

#define TV_M78_TEST_DATA (1u << 1)         // zero a memory
#define TV_M78_TEST_WEIGHTS (1u << 3)
#define TV_M78_TEST_TRAM (1u << 5)
#define TV_M78_TEST_BIAS (1u << 7)

// registers of a layer
enum {
    TV_M78_RCNT, TV_M78_CCNT, TV_M78_ONED, TV_M78_PRCNT, TV_M78_PCCNT, TV_M78_STRIDE,
    TV_M78_WPTR_BASE, TV_M78_WPTR_TOFF, TV_M78_WPTR_MOFF, TV_M78_WPTR_CHOFF, TV_M78_RPTR_BASE,
    TV_M78_LCTRL0, TV_M78_MCNT, TV_M78_TPTR, TV_M78_EN, TV_M78_POST,
    TV_M78_STRM0, TV_M78_STRM1, TV_M78_FBUF, // for streaming: 0
    TV_M78_LCTRL1 = 20, TV_M78_REGISTERS,    // there is no 19
};

#endif // TV_MAX78000_REGS_H
