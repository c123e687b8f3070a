// SPDX-License-Identifier: MIT
//
// A played camera: a sensor on the control bus, and the STM32H7's DCMI, DMA and clocks as far as a frame
// needs them. It stands in for the chip in the tests on the PC and in the virtual board.

#ifndef TV_CAMERA_SIM_H
#define TV_CAMERA_SIM_H

#include "tv_camera.h"

// Misuse that a chip would not forgive; the first one is kept.
typedef enum {
    TV_CAMERA_FAULT_NONE,
    TV_CAMERA_FAULT_CLOCK,      // access to a block without clock
    TV_CAMERA_FAULT_STREAM,     // a DMA stream changed while it runs, or started with old flags
    TV_CAMERA_FAULT_ADDRESS,    // DMA into memory that the cache was not told of, or from a wrong register
    TV_CAMERA_FAULT_REQUEST,    // the multiplexer does not connect DCMI
    TV_CAMERA_FAULT_ORDER,      // DCMI captures before DMA is ready, or without being enabled
    TV_CAMERA_FAULT_SIZE,       // crop outside of the picture
} tv_camera_fault_t;

// What a test can break.
enum {
    TV_CAMERA_JAM_DARK = 1,     // no frame ever
    TV_CAMERA_JAM_SHORT = 2,    // frames end after half of their lines
    TV_CAMERA_JAM_OVERRUN = 4,  // DMA is too slow
    TV_CAMERA_JAM_DMA = 8,      // DMA fails
    TV_CAMERA_JAM_ONCE = 16,    // ... but only the first time
    TV_CAMERA_JAM_STUCK = 32,   // a stream does not stop
};

#define TV_CAMERA_SIM_WRITES (256)

typedef struct {
    const tv_camera_sensor_t *sensor; // NULL: none is connected
    uint16_t id;                      // that it says
    uint8_t other;                    // address of something else on the bus; 0: nothing
    uint32_t acknowledges;            // so many writes, then no more
    uint32_t jam;
    const uint8_t *scene;             // RGB888; the sensor sees its middle
    uint32_t scene_w, scene_h;
    void (*next)(void *ctx);          // called before a frame is sent; may change the scene
    void *ctx;

    uint8_t bank;
    uint16_t pointer;                 // register that a read gives
    uint32_t writes;                  // to the sensor, and what
    struct { uint16_t at; uint8_t value; } write[TV_CAMERA_SIM_WRITES]; // at: bank << 8 | register

    uint32_t time;                    // ms
    uint32_t rcc[3];                  // AHB1ENR, AHB2ENR, AHB2RSTR
    uint32_t dcmi[11];
    uint32_t dma_flags, dma[6], mux;
    uint32_t polls;                   // since the capture began
    uint32_t late;                    // polls more until DMA says that it has ended
    uint32_t frames;
    uint8_t *memory[2];               // what the cache was told of
    size_t memory_size[2];
    tv_camera_fault_t fault;
} tv_camera_sim_t;

// The last value that the sensor's register was given, or -1.
int tv_camera_sim_register(const tv_camera_sim_t *s, uint32_t at);

// What the sensor sends, by its registers, as tv_camera_*.c understand them.
typedef struct {
    uint32_t width, height;
    tv_camera_format_t format;
    uint32_t polarity;                // as DCMI must be told
    bool on;
} tv_camera_sim_sent_t;

tv_camera_sim_sent_t tv_camera_sim_sent(const tv_camera_sim_t *s);

// One row of what it sends: 2 bytes a pixel, or 1 of a grey sensor.
void tv_camera_sim_row(const tv_camera_sim_t *s, const tv_camera_sim_sent_t *sent, uint32_t y, uint8_t *row);

// The bus of a tv_camera_t whose `ctx` and `chip` are the simulator.
extern const tv_camera_bus_t tv_camera_sim_bus;

#endif // TV_CAMERA_SIM_H
