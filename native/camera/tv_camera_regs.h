// SPDX-License-Identifier: MIT
//
// Registers of an STM32H7 that take pictures: DCMI, stream 7 of DMA2, its multiplexer, their clocks.

#ifndef TV_CAMERA_REGS_H
#define TV_CAMERA_REGS_H

#define TV_DCMI_CR (0x48020000u)
#define TV_DCMI_SR (0x48020004u)
#define TV_DCMI_RIS (0x48020008u)
#define TV_DCMI_IER (0x4802000cu)
#define TV_DCMI_ICR (0x48020014u)
#define TV_DCMI_CWSTRT (0x48020020u)
#define TV_DCMI_CWSIZE (0x48020024u)
#define TV_DCMI_DR (0x48020028u)

#define TV_DCMI_CAPTURE (1u << 0)
#define TV_DCMI_SNAPSHOT (1u << 1)     // one frame
#define TV_DCMI_CROP (1u << 2)
#define TV_DCMI_EVERY_OTHER (1u << 16) // bytes: the Y of Y U Y V
#define TV_DCMI_ENABLE (1u << 14)
#define TV_DCMI_NOT_EMPTY (1u << 2)    // SR
#define TV_DCMI_FRAME (1u << 0)        // RIS: the frame has ended
#define TV_DCMI_OVERRUN (1u << 1)
#define TV_DCMI_FLAGS (0x1fu)

// The last stream of DMA2, which MicroPython uses for nothing on an STM32H7.
#define TV_DMA_STREAM (7)
#define TV_DMA_HISR (0x40020404u)
#define TV_DMA_HIFCR (0x4002040cu)
#define TV_DMA_CR (0x40020410u + 0x18 * TV_DMA_STREAM)
#define TV_DMA_NDTR (TV_DMA_CR + 0x04)
#define TV_DMA_PAR (TV_DMA_CR + 0x08)
#define TV_DMA_M0AR (TV_DMA_CR + 0x0c)
#define TV_DMA_FCR (TV_DMA_CR + 0x14)
#define TV_DMA_MUX (0x40020800u + 4 * (8 + TV_DMA_STREAM))
#define TV_DMA_MUX_DCMI (75)

#define TV_DMA_ENABLE (1u << 0)
#define TV_DMA_INCREMENT (1u << 10)    // memory
#define TV_DMA_WORDS (2u << 11 | 2u << 13)
#define TV_DMA_HIGH (3u << 16)         // priority: the sensor does not wait
#define TV_DMA_BURST_4 (1u << 23)      // memory
#define TV_DMA_FIFO (1u << 2 | 3u)     // used, written out when it is full
#define TV_DMA_FLAGS (0x3du << 22)     // of stream 7 in HISR and HIFCR
#define TV_DMA_DONE (1u << 27)
#define TV_DMA_ERROR (1u << 25 | 1u << 24)

#define TV_RCC_AHB2RSTR (0x58024484u)
#define TV_RCC_AHB1ENR (0x580244d8u)
#define TV_RCC_AHB2ENR (0x580244dcu)
#define TV_RCC_DMA2 (1u << 1)          // AHB1
#define TV_RCC_DCMI (1u << 0)          // AHB2

#endif // TV_CAMERA_REGS_H
