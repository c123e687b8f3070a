// SPDX-License-Identifier: MIT
//
// Driver of the MAX78000's CNN accelerator. It runs a plan (tv_max78000_plan.h), which the PC
// makes of an encoder. Plain C99: no allocation, no globals; of the engine it needs tv_crc32.c alone.
//
//     tv_max78000_plan_t plan;
//     tv_max78000_t dev = { .bus = NULL };
//     int err = tv_max78000_plan_open(&plan, file, size);    // checks everything, once
//     err = tv_max78000_on(&dev, &plan);                     // power and clock
//     err = tv_max78000_load(&dev, &plan, NULL, NULL);       // registers, biases, weights
//     err = tv_max78000_rows(&dev, &plan, image, 0, plan.in_h);
//     err = tv_max78000_run(&dev, &plan, 0, NULL, NULL);     // start, and wait for the end
//     err = tv_max78000_results(&dev, &plan, embedding);
//     tv_max78000_off(&dev, false);
//
// Everything the driver does to the chip goes through tv_max78000_bus.h. Functions return 0 or a
// negative code; tv_max78000_strerror() gives the words. Every wait is bounded.

#ifndef TV_MAX78000_H
#define TV_MAX78000_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TV_MAX78000_OK = 0,
    // the plan
    TV_MAX78000_ERR_MAGIC = -40,
    TV_MAX78000_ERR_VERSION = -41,
    TV_MAX78000_ERR_TRUNCATED = -42,
    TV_MAX78000_ERR_CRC = -43,
    TV_MAX78000_ERR_HEADER = -44,
    TV_MAX78000_ERR_REGISTERS = -45,
    TV_MAX78000_ERR_BIAS = -46,
    TV_MAX78000_ERR_WEIGHTS = -47,
    TV_MAX78000_ERR_INPUT = -48,
    TV_MAX78000_ERR_OUTPUT = -49,
    TV_MAX78000_ERR_QUANT = -50,
    // the chip
    TV_MAX78000_ERR_POWER = -51,
    TV_MAX78000_ERR_OFF = -52,
    TV_MAX78000_ERR_LOADED = -53,
    TV_MAX78000_ERR_STREAM = -54,
    TV_MAX78000_ERR_DAMAGED = -55,
    TV_MAX78000_ERR_ROWS = -56,
    TV_MAX78000_ERR_TIMEOUT = -57,
    TV_MAX78000_ERR_STOPPED = -58,
    TV_MAX78000_ERR_TEST = -59,
    // -60 is TV_MAX78000_ERR_OTHER (tv_max78000_file.h)
    TV_MAX78000_ERR_STUCK = -61,
};

// One sentence part in lower case without a full stop, e.g. "the plan is truncated".
const char *tv_max78000_strerror(int err);

// An open plan: values, and pointers into the caller's buffer, which must stay where it is.
typedef struct {
    const uint8_t *fingerprint;   // 8 bytes: the identity of the encoder
    const uint8_t *registers, *bias_runs, *biases, *blocks, *table;
    const uint8_t *weights;       // NULL: they are not in the buffer and must be streamed
    uint32_t weights_size, weights_crc;
    uint32_t register_count, bias_run_count, block_count;
    uint32_t cycles;              // of an inference, by the model
    uint8_t quadrants;            // that are used, one bit each
    uint8_t layers;
    bool round;                   // averages are rounded
    bool shared;                  // no weights of its own: those of another plan of the encoder
    uint8_t fold;                 // squares of fold x fold pixels become one
    uint16_t in_h, in_w, in_c;    // the image
    uint16_t out_h, out_w, out_c;
    uint8_t out_bytes;            // 1: int8; 4: sums, which become int8 by `table`
    int8_t out_zero_point;
    uint32_t in_offset, out_offset;
    uint64_t in_processors, out_processors;
    uint32_t test_seed, test_crc;
    uint32_t crc;                 // identity of the plan
} tv_max78000_plan_t;

// Check a plan and describe it. After TV_MAX78000_OK nothing is written outside the accelerator's
// blocks, whatever the plan contains. `size` may end before the weights; the rest is all read
// (CRC): about 10 instructions a byte.
int tv_max78000_plan_open(tv_max78000_plan_t *plan, const void *data, size_t size);

// The accelerator. Zero-initialize it, but for `bus`.
typedef struct {
    void *bus;               // handed to tv_max78000_read32() and ..._write32()
    uint8_t quadrants;       // that have power
    bool loaded;             // a plan's registers, biases and weights are in
    bool kept;               // only weights are, over tv_max78000_off()
    uint8_t kept_quadrants;  // and where
    uint32_t plan_crc;       // of the plan
    uint32_t weights_crc;    // of the weights
    uint8_t fingerprint[8];  // of the encoder
} tv_max78000_t;

// Power and clock of the quadrants that the plan uses. TV_MAX78000_ERR_POWER: they do not answer.
int tv_max78000_on(tv_max78000_t *dev, const tv_max78000_plan_t *plan);

// Reads bytes offset ... offset + size - 1 of the plan's weights into `buffer`, in order, at most
// TV_MAX78000_CHUNK of them. Anything but 0 ends the loading with TV_MAX78000_ERR_STREAM.
typedef int (*tv_max78000_read_t)(void *ctx, uint8_t *buffer, uint32_t offset, uint32_t size);
#define TV_MAX78000_CHUNK (256)

// Registers, biases and weights of the plan; weights from `read` if it is given, else from the
// plan. Weights that are there already, of a plan of the same encoder, are not loaded again.
int tv_max78000_load(tv_max78000_t *dev, const tv_max78000_plan_t *plan, tv_max78000_read_t read, void *ctx);

// Rows y ... y + count - 1 of the image, int8, in_w x in_c bytes a row. Both are multiples of
// `fold`. Rows may come in any order and in pieces, so that an image need not exist in RAM.
int tv_max78000_rows(tv_max78000_t *dev, const tv_max78000_plan_t *plan, const int8_t *rows, uint32_t y, uint32_t count);

// Called between two polls of the done flag; to sleep until interrupt 101, for example. Anything
// but 0 stops the run.
typedef int (*tv_max78000_wait_t)(void *ctx);

// One inference. polls: reads of the done flag before TV_MAX78000_ERR_TIMEOUT; 0: twice the cycles
// of the plan and 10,000 more. wait may be NULL.
int tv_max78000_run(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t polls, tv_max78000_wait_t wait, void *ctx);

// The same in two steps, with time for other work in between. tv_max78000_wait() must follow: it
// acknowledges the run.
int tv_max78000_start(tv_max78000_t *dev, const tv_max78000_plan_t *plan);
int tv_max78000_wait(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t polls, tv_max78000_wait_t wait, void *ctx);

// The first `dim` results of every pixel as int8, out_h x out_w x dim: what the encoder says.
int tv_max78000_results(tv_max78000_t *dev, const tv_max78000_plan_t *plan, uint32_t dim, int8_t *out);

// The accelerator's own values: sums if out_bytes is 4, else as above.
int tv_max78000_results32(tv_max78000_t *dev, const tv_max78000_plan_t *plan, int32_t *out);

// Run the known-answer test; TV_MAX78000_ERR_TEST: the results differ. row: in_w x in_c x fold bytes.
int tv_max78000_selftest(tv_max78000_t *dev, const tv_max78000_plan_t *plan, int8_t *row,
    uint32_t polls, tv_max78000_wait_t wait, void *ctx);

// Everything off; keep: the weight memories stay powered.
void tv_max78000_off(tv_max78000_t *dev, bool keep);

#endif // TV_MAX78000_H
