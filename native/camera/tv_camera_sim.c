// SPDX-License-Identifier: MIT
//
// The played STM32H7: clocks, DCMI, one stream of DMA. A frame comes some polls after CAPTURE, at once.

#include <string.h>

#include "tv_camera_regs.h"
#include "tv_camera_sensor.h"
#include "tv_camera_sim.h"

#define POLLS (4)
#define ROW_BYTES (2 * 1280)

enum { CR, NDTR, PAR, M0AR, M1AR, FCR };
enum { DCMI_CR = 0, DCMI_SR = 1, DCMI_RIS = 2, DCMI_CWSTRT = 8, DCMI_CWSIZE = 9 };

static void fault(tv_camera_sim_t *s, tv_camera_fault_t what) {
    s->fault = s->fault == TV_CAMERA_FAULT_NONE ? what : s->fault;
}

static bool jammed(tv_camera_sim_t *s, uint32_t what) {
    if (!(s->jam & what)) {
        return false;
    }
    if (s->jam & TV_CAMERA_JAM_ONCE) {
        s->jam = 0;
    }
    return true;
}

// Where DMA writes: the address has 32 bits, a PC's pointer more.
static uint8_t *target(tv_camera_sim_t *s, size_t size) {
    for (int i = 0; i < 2; i++) {
        if (s->memory[i] != NULL && (uint32_t)(uintptr_t)s->memory[i] == s->dma[M0AR] && size <= s->memory_size[i]) {
            return s->memory[i];
        }
    }
    return NULL;
}

static void send_frame(tv_camera_sim_t *s) {
    uint8_t row[ROW_BYTES];
    if (s->next != NULL) {
        s->next(s->ctx);
    }
    tv_camera_sim_sent_t sent = tv_camera_sim_sent(s);
    uint32_t wires = TV_CAMERA_RISING | TV_CAMERA_HSYNC_HIGH | TV_CAMERA_VSYNC_HIGH;
    if (s->jam & TV_CAMERA_JAM_DARK || s->scene == NULL || s->sensor == NULL || !sent.on
        || (s->dcmi[DCMI_CR] & wires) != sent.polarity) {
        return;
    }
    uint32_t clocks = sent.format == TV_CAMERA_GRAY8 ? 1 : 2, left = 0, top = 0;
    uint32_t width = sent.width * clocks, height = sent.height;
    if (s->dcmi[DCMI_CR] & TV_DCMI_CROP) {
        left = s->dcmi[DCMI_CWSTRT] & 0x3fff;
        top = s->dcmi[DCMI_CWSTRT] >> 16;
        width = (s->dcmi[DCMI_CWSIZE] & 0x3fff) + 1;
        height = (s->dcmi[DCMI_CWSIZE] >> 16) + 1;
    }
    if (left + width > sent.width * clocks || top + height > sent.height || sent.width * clocks > ROW_BYTES) {
        fault(s, TV_CAMERA_FAULT_SIZE);
        return;
    }
    s->dcmi[DCMI_CR] &= ~TV_DCMI_CAPTURE;
    s->frames++;
    size_t left_over = 4 * (size_t)s->dma[NDTR];
    uint8_t *to = target(s, left_over);
    if (to == NULL || s->dma[PAR] != TV_DCMI_DR) {
        fault(s, TV_CAMERA_FAULT_ADDRESS);
        return;
    }
    if (jammed(s, TV_CAMERA_JAM_OVERRUN)) {
        s->dcmi[DCMI_RIS] |= TV_DCMI_OVERRUN;
        return;
    }
    if (jammed(s, TV_CAMERA_JAM_DMA)) {
        s->dma_flags |= 1u << 25;
        return;
    }
    uint32_t lines = jammed(s, TV_CAMERA_JAM_SHORT) ? height / 2 : height;
    uint32_t step = s->dcmi[DCMI_CR] & TV_DCMI_EVERY_OTHER ? 2 : 1;
    for (uint32_t y = 0; y < lines; y++) {
        tv_camera_sim_row(s, &sent, top + y, row);
        for (uint32_t x = 0; x < width && left_over; x += step, left_over--) {
            *to++ = row[left + x];
        }
    }
    s->dma[NDTR] = (uint32_t)left_over / 4;
    if (left_over == 0 && s->late == 0) {
        s->dma_flags |= TV_DMA_DONE;
        s->dma[CR] &= ~TV_DMA_ENABLE;
    }
    s->dcmi[DCMI_RIS] |= TV_DCMI_FRAME;
}

static bool clocked(tv_camera_sim_t *s, uint32_t address) {
    bool dma = address >= 0x40020000u && address < 0x40020900u;
    bool on = dma ? s->rcc[0] & TV_RCC_DMA2 : s->rcc[1] & TV_RCC_DCMI;
    if (!on) {
        fault(s, TV_CAMERA_FAULT_CLOCK);
    }
    return on;
}

static uint32_t *rcc(tv_camera_sim_t *s, uint32_t address) {
    return address == TV_RCC_AHB1ENR ? &s->rcc[0] : address == TV_RCC_AHB2ENR ? &s->rcc[1]
        : address == TV_RCC_AHB2RSTR ? &s->rcc[2] : NULL;
}

uint32_t tv_camera_read32(void *chip, uint32_t address) {
    tv_camera_sim_t *s = chip;
    if (rcc(s, address) != NULL) {
        return *rcc(s, address);
    }
    if (!clocked(s, address)) {
        return 0;
    }
    if (address == TV_DMA_HISR) {
        if (s->dcmi[DCMI_CR] & TV_DCMI_CAPTURE && ++s->polls == POLLS) {
            send_frame(s);
        } else if (s->late && s->dma[CR] & TV_DMA_ENABLE && s->dma[NDTR] == 0 && --s->late == 0) {
            s->dma_flags |= TV_DMA_DONE;
            s->dma[CR] &= ~TV_DMA_ENABLE;
        }
        return s->dma_flags;
    }
    if (address >= TV_DMA_CR && address <= TV_DMA_FCR) {
        s->time += address == TV_DMA_CR && s->jam & TV_CAMERA_JAM_STUCK ? 1 : 0; // else it would stand still
        return s->dma[(address - TV_DMA_CR) / 4];
    }
    if (address == TV_DMA_MUX) {
        return s->mux;
    }
    return address - TV_DCMI_CR < sizeof(s->dcmi) ? s->dcmi[(address - TV_DCMI_CR) / 4] : 0;
}

static void write_dma(tv_camera_sim_t *s, uint32_t index, uint32_t value) {
    bool runs = s->dma[CR] & TV_DMA_ENABLE;
    if (index == CR) {
        if (value & TV_DMA_ENABLE && !runs && s->dma_flags) {
            fault(s, TV_CAMERA_FAULT_STREAM);
        }
        if (value & TV_DMA_ENABLE && s->mux != TV_DMA_MUX_DCMI) {
            fault(s, TV_CAMERA_FAULT_REQUEST);
        }
        if (runs && !(value & TV_DMA_ENABLE) && jammed(s, TV_CAMERA_JAM_STUCK)) {
            return;
        }
    } else if (runs) {
        fault(s, TV_CAMERA_FAULT_STREAM);
        return;
    }
    s->dma[index] = value;
}

void tv_camera_write32(void *chip, uint32_t address, uint32_t value) {
    tv_camera_sim_t *s = chip;
    if (rcc(s, address) != NULL) {
        *rcc(s, address) = value;
        if (s->rcc[2] & TV_RCC_DCMI) {
            memset(s->dcmi, 0, sizeof(s->dcmi));
        }
        return;
    }
    if (!clocked(s, address)) {
        return;
    }
    if (address == TV_DMA_HIFCR) {
        s->dma_flags &= ~value;
    } else if (address >= TV_DMA_CR && address <= TV_DMA_FCR) {
        write_dma(s, (address - TV_DMA_CR) / 4, value);
    } else if (address == TV_DMA_MUX) {
        s->mux = value;
    } else if (address == TV_DCMI_ICR) {
        s->dcmi[DCMI_RIS] &= ~value;
    } else if (address == TV_DCMI_CR) {
        if (value & TV_DCMI_CAPTURE) {
            if (!(value & s->dcmi[DCMI_CR] & TV_DCMI_ENABLE) || !(s->dma[CR] & TV_DMA_ENABLE)) {
                fault(s, TV_CAMERA_FAULT_ORDER);
            }
            s->polls = 0;
        }
        s->dcmi[DCMI_CR] = value;
    } else if (address - TV_DCMI_CR < sizeof(s->dcmi)) {
        s->dcmi[(address - TV_DCMI_CR) / 4] = value;
    }
}

void tv_camera_uncache(void *chip, void *data, size_t size) {
    tv_camera_sim_t *s = chip;
    int i = s->memory[0] == data || s->memory[0] == NULL ? 0 : 1;
    s->memory[i] = data;
    s->memory_size[i] = size;
}
