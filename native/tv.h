// SPDX-License-Identifier: MIT
//
// tinyvlm's engine: an int8 image encoder in plain C99. It allocates nothing, keeps no state
// of its own and uses weights where they lie (flash, ROMFS, a mapped file).
//
//     tv_model_t model;
//     int err = tv_model_open(&model, file, file_size, NULL, NULL); // checks everything, once
//     // provide model.arena_size bytes, aligned to TV_ARENA_ALIGN
//     tv_frame_t frame = { .data = pixels, .size = n, .width = 160, .height = 120,
//                          .format = TV_RGB565_BE };
//     err = tv_frame_check(&frame, NULL);
//     err = tv_run(&model, &frame, arena, dim, embedding, NULL, NULL, NULL);
//     tv_score(embedding, vectors, rows, dim, 8, dim, cosines, NULL, NULL);
//
// Functions return 0 or a negative TV_ERR_... code; tv_strerror() gives the words.
//
// Reentrancy and lifetimes: functions keep no state and only tv_model_open() and tv_backend_use()
// write to a model. So any number of threads may run one model at once, each with an arena, a frame
// and outputs of its own. The file stays in place, and as it is, for as long as its model is used; so do
// the arena, the frame and the outputs until tv_run() is back, a hook included: it may stop the run, not
// move what the run works in; nor the file while it is opened.

#ifndef TV_H
#define TV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the arena's first byte must be a multiple of. Any allocator gives that.
#define TV_ARENA_ALIGN (8)

enum {
    TV_OK = 0,
    // the file as a whole
    TV_ERR_MAGIC = -1,
    TV_ERR_VERSION = -2,
    TV_ERR_TRUNCATED = -3,
    TV_ERR_CRC = -4,
    TV_ERR_HEADER = -5,
    TV_ERR_SECTION = -6,
    // one layer: model.bad_layer says which
    TV_ERR_OP = -7,
    TV_ERR_SHAPE = -8,
    TV_ERR_TENSOR = -9,
    TV_ERR_PRODUCER = -10,
    TV_ERR_RING = -11,
    TV_ERR_PLANAR = -12,
    TV_ERR_WEIGHTS = -13,
    TV_ERR_QUANT = -14,
    TV_ERR_SCRATCH = -15,
    TV_ERR_SEGMENT = -16,
    TV_ERR_OUTPUT = -17,
    TV_ERR_OVERLAP = -18,
    TV_ERR_WORK = -19,
    // a frame
    TV_ERR_FRAME_FORMAT = -20,
    TV_ERR_FRAME_JPEG = -21,
    TV_ERR_FRAME_EMPTY = -22,
    TV_ERR_FRAME_LARGE = -23,
    TV_ERR_FRAME_ODD = -24,
    TV_ERR_FRAME_STRIDE = -25,
    TV_ERR_FRAME_SHORT = -26,
    // a run
    TV_ERR_STOPPED = -30,
    TV_ERR_NO_MAP = -31,
    TV_ERR_NO_TEST = -32,
    TV_ERR_TEST = -33,
    TV_ERR_LIBRARY = -34,
    // a file for CMSIS-NN
    TV_ERR_NO_LIBRARY = -35,
    TV_ERR_UNALIGNED = -36,
    TV_ERR_WHOLE = -37,
    TV_ERR_ORDER = -38,
    TV_ERR_LAYER = -39,
};

// One sentence part in lower case without a full stop, e.g. "the checksum does not match".
const char *tv_strerror(int err);

// Where a tensor lies in the arena.
typedef struct {
    uint32_t offset;    // first byte, counted from the start of the arena
    uint32_t row_bytes; // bytes from one row to the next
    uint16_t rows;      // rows kept; row y lies in slot y mod rows
    uint16_t pitch;     // 0: a row is W x C int8; else planar, pitch int16 a channel
} tv_tensor_t;

// The kernels an encoder runs on. All give the same bytes; tv_model_open() takes the first, or
// "cmsis-nn" for a file that was made for it.
typedef struct tv_backend tv_backend_t;

// The backend at `index` in this build, the fastest of ours first; NULL past the last.
const tv_backend_t *tv_backend(unsigned index);

// "mve" (Cortex-M with Helium), "dsp" (with DSP extension), "portable" (plain C) or, where it is linked, "cmsis-nn"
const char *tv_backend_name(const tv_backend_t *backend);

// An open encoder file: values, and pointers into the caller's buffer, which must stay where it is.
// To be read by anyone, written only by tv_model_open() and tv_backend_use().
typedef struct {
    const tv_backend_t *backend;
    const uint8_t *data;        // the file, at any alignment
    uint32_t size;              // its length in bytes, without what may follow it
    const uint8_t *fingerprint; // 8 bytes: the identity of the network
    uint16_t image;             // the encoder sees image x image pixels, RGB
    uint16_t dim;               // length of the embedding; every prefix of it is one, too
    uint16_t map_h, map_w;      // shape of the dense map; 0, 0: the encoder has none
    uint16_t layers;            // count, the dense layer included
    uint16_t embed_layer;       // index of the layer that writes the embedding
    uint16_t dense_layer;       // index of the layer that writes the map, or TV_NO_LAYER
    int16_t bad_layer;          // after an error: the layer it is about, or -1
    uint32_t arena_size;        // bytes of RAM a frame needs, scratch included
    uint32_t scratch_offset;    // the kernels' working memory, inside the arena
    uint32_t scratch_size;      // bytes of it
    uint32_t macs;              // multiply-accumulates of one embedding
    tv_tensor_t input;          // the image, as int8 pixel - 128
    int8_t input_zero_point;    // the int8 value that means 0
    const uint8_t *records;     // LAYR
    const uint8_t *weights;     // WGHT, or CMNN
    uint32_t weights_size;
    const uint8_t *names;       // NAME, or NULL
    const uint8_t *info;        // INFO (JSON, not terminated), or NULL
    uint32_t info_size;
    const uint8_t *test;        // TEST, or NULL
} tv_model_t;

// Called at least every 50 ms of a Cortex-M7 at 480 MHz, whatever the file: while a frame runs, before
// (end = false) and after (end = true) every row, or as many rows of a layer that runs alone as take at
// most TV_MAX_WORK steps, layer -1 being the frame intake (of a file for CMSIS-NN: a whole layer); while a
// file is opened, with end = true, after a piece of it (-1) and after every layer, twice. Anything but 0
// stops it: TV_ERR_STOPPED.
// It may also leave by longjmp: the engine holds nothing that would have to be released.
typedef int (*tv_hook_t)(void *ctx, int layer, bool end);

// Check a file and describe it. After TV_OK, running the model touches nothing outside the
// file, the arena, the frame and the outputs, whatever the file contains. Reads the whole
// file once (CRC): about 8 instructions a byte. hook may be NULL.
int tv_model_open(tv_model_t *model, const void *data, size_t size, tv_hook_t hook, void *hook_ctx);

// Run on `backend` from now on. TV_ERR_ORDER: the file is made for CMSIS-NN and this is one of ours,
// or the other way round.
int tv_backend_use(tv_model_t *model, const tv_backend_t *backend);

// One layer, as the file has it. The pointers are the caller's file.
typedef struct {
    uint8_t op, flags;          // TV_OP_..., TV_FLAG_...
    uint8_t kernel, stride;     // square
    uint8_t pad_top, pad_left;
    int8_t in_zero_point, in2_zero_point, out_zero_point;
    uint8_t out_margin;         // pixels left of x = 0 in a planar output row
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    tv_tensor_t in, in2, out;
    const uint8_t *weights;     // any alignment
    const uint8_t *table;       // any alignment
    uint16_t table_c;           // channels that the table has: out_c, or more if tv_run() makes fewer
} tv_layer_t;

// Layer `index` (less than model->layers) into `layer`.
void tv_layer_get(const tv_model_t *model, unsigned index, tv_layer_t *layer);

// Multiply-accumulates of a layer: out_h * out_w * out_c * taps; 0 for add and pool.
uint64_t tv_layer_macs(const tv_layer_t *layer);

// Bytes of scratch that the layer's kernel needs (docs/format.md, "Scratch").
// The model's scratch_size is at least that of every layer and of the intake (12 * image).
uint64_t tv_layer_scratch(const tv_layer_t *layer);

// "conv", "depthwise", "add", "avgpool", "spacetodepth"
const char *tv_op_name(uint8_t op);

// UTF-8 name of a layer, not terminated; its length goes to *size (0: the file has no names).
const char *tv_layer_name(const tv_model_t *model, unsigned index, size_t *size);

// Pixel formats, named with their byte order in memory.
enum {
    TV_GRAY8 = 0,       // 1 byte a pixel
    TV_RGB565_LE = 1,   // u16, low byte first
    TV_RGB565_BE = 2,   // u16, high byte first: what most cameras send
    TV_RGB888 = 3,
    TV_BGR888 = 4,
    TV_YUYV = 5,        // Y0 U Y1 V: 2 pixels in 4 bytes, full range BT.601
    TV_FORMATS = 6,
    TV_TEST_IMAGE = 255 // internal: the known-answer image, made on the fly from `state`
};

// A camera picture. The encoder takes its centred square.
typedef struct {
    const uint8_t *data; // first row, top to bottom
    size_t size;         // bytes at `data`
    uint32_t width;      // pixels
    uint32_t height;     // pixels; min(width, height) is at most 4096
    uint32_t stride;     // bytes from row to row; 0: rows are packed
    uint8_t format;      // TV_GRAY8 ...
    uint32_t state;      // TV_TEST_IMAGE only: state of the generator
} tv_frame_t;

// Checks format, size and buffer, and replaces a stride of 0. *need, if need is not NULL, becomes
// the bytes the buffer must have (0 if the frame is not valid at all).
int tv_frame_check(tv_frame_t *frame, uint64_t *need);

// Frame -> the first `dim` (1 ... model->dim) dimensions of its embedding, zero point 0. Those behind
// cost nothing. `frame` has passed tv_frame_check().
// map: map_h * map_w * dim bytes, or NULL to skip the dense layer. hook may be NULL.
// arena: model->arena_size bytes, aligned to TV_ARENA_ALIGN; its contents do not matter.
int tv_run(const tv_model_t *model, tv_frame_t *frame, void *arena,
    uint32_t dim, int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx);

// Run the file's known-answer test; `embedding` receives what this machine computes.
int tv_selftest(const tv_model_t *model, void *arena, int8_t *embedding,
    tv_hook_t hook, void *hook_ctx);

// Cosines of the first `dim` dimensions of `embedding` with those of each of `rows` vectors.
// A stored vector has stored_dim dimensions: stored_dim bytes for 8 bits, (stored_dim + 1) / 2
// for 4 bits, the even index in the low nibble. A zero vector scores 0.
// The hook, or NULL, is called with end = true now and then; if it stops this, TV_ERR_STOPPED.
int tv_score(const int8_t *embedding, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, float *cosines, tv_hook_t hook, void *hook_ctx);

// Multiplies the cosine at index[i] by factors[i], for `count` of them.
void tv_weigh(float *cosines, const uint16_t *index, size_t count, const float *factors);

// The indices of the `count` largest of `rows` (at most 65536) values, largest first; of equal ones
// the first. Returns how many: count, or rows if that is less.
size_t tv_largest(const float *values, size_t rows, size_t count, uint16_t *index);

// The softmax of scale * cosine over `rows` cosines, of which the first `labels` (at most 65536) get
// their scores[labels], and the indices of the `count` nearest labels, nearest first. `none` is the
// cosine with which "none of them" takes part in the softmax; below -1: it does not. Returns how many
// labels count: 0 if a row behind them is nearer, else those not below the threshold.
size_t tv_rank(const float *cosines, size_t labels, size_t rows, float scale, float threshold,
    float none, float *scores, size_t count, uint16_t *index);

// A vocabulary: the vectors of its labels (at most 65536), then those that stand for none of them.
typedef struct {
    const uint8_t *vectors;  // as for tv_score()
    size_t labels, rows;     // rows: the labels' and the others
    size_t stored_dim, dim;
    int bits;
    const uint16_t *shown;   // shown_count labels, ascending, whose cosines are multiplied by gains[]
    size_t shown_count;
    const float *gains;
    tv_hook_t hook;          // as for tv_score(), or NULL; if it stops tv_best(), that returns 0
    void *hook_ctx;
} tv_prototypes_t;

// The same answer as tv_score(), tv_weigh() and tv_rank() give, with no memory for all cosines and
// scores: the `count` nearest labels are in index[], nearest first, their scores in scores[].
size_t tv_best(const int8_t *embedding, const tv_prototypes_t *prototypes, float scale, float threshold,
    float none, size_t count, uint16_t *index, float *scores);

// Heat of a dense map's cells (tv_map.c says what that is). map: cells * map_dim bytes; dim, at
// most map_dim, dimensions are compared. First every vector's highest heat: peaks[rows], levels[2 *
// cells], which the next call needs; cosines[rows] is working memory. The hook, or NULL, is called after
// every cell and now and then in between, with end = true; if it stops this, TV_ERR_STOPPED, peaks and levels are half-done.
int tv_map_peaks(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *vectors, size_t rows,
    size_t stored_dim, int bits, size_t dim, float *cosines, float *peaks, float *levels,
    tv_hook_t hook, void *hook_ctx);

// Then one vector's heat in all cells: heat[cells].
void tv_map_heat(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *vector,
    size_t stored_dim, int bits, size_t dim, const float *levels, float *heat);

// The first dim dimensions of the embedding of the cells whose mask[] is not 0, as if the frame had only
// these: the direction of their sum, the largest value 127. cells: at most TV_MAX_CELLS, or sums would not fit.
#define TV_MAX_CELLS ((1 << 24) - 1)
void tv_map_mean(const int8_t *map, size_t cells, size_t map_dim, const uint8_t *mask, size_t dim, int8_t *embedding);

// The region of a label by its heat[height * width]: mask[height * width] is 1 in its cells, else 0,
// and box[4] is its x, y, width and height in a square of side * side pixels. side: at most 65535;
// height, width: at most 255.
void tv_map_region(const float *heat, size_t height, size_t width, uint32_t side, uint8_t *mask, uint16_t *box);

// Bytes of one stored vector.
static inline size_t tv_vector_size(size_t stored_dim, int bits) {
    return bits == 4 ? (stored_dim + 1) / 2 : stored_dim;
}

// zlib's CRC-32. Start with crc = 0; feed pieces with the last result.
uint32_t tv_crc32(uint32_t crc, const void *data, size_t size);

#endif // TV_H
