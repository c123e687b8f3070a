// SPDX-License-Identifier: MIT
//
// What the engine's files share. A kernel computes output rows, always with the same arguments:
//
//     tv_conv(layer, arena, scratch, scratch_size, y, rows)
//
// rows y ... y + rows - 1: one in a segment of several stages, all where a layer runs alone.
// The kernel fills in input rows outside the image; rows in the image lie at tv_row().
// scratch holds at least tv_layer_scratch() bytes, aligned to 4; nothing in it survives the
// call. A backend is a set of kernels; all of them give equal bytes. Kernels ignore TV_FLAG_RELU:
// tv_run() clamps what they wrote.

#ifndef TV_KERNELS_H
#define TV_KERNELS_H

#include "tv.h"
#include "tv_format.h"

// The fast kernels are for Cortex-M. A 32-bit Raspberry Pi has the instructions, too, but its
// compiler may be in ARM mode, which their assembly is not written for.
#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M'
#define TV_HAVE_DSP (1)
#else
#define TV_HAVE_DSP (0)
#endif

// Helium's vectors of integers: Cortex-M55, M85.
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define TV_HAVE_MVE (1)
#else
#define TV_HAVE_MVE (0)
#endif

typedef void tv_kernel_t(const tv_layer_t *layer, int8_t *arena,
    void *scratch, uint32_t scratch_size, uint32_t y, uint32_t rows);

// A backend that is somebody else's library: it works on whole maps, with weights in an order of its
// own (a file made for it), and has these functions instead of kernels.
typedef struct {
    // is the layer as the library wants it? TV_OK or an error; for tv_check.c
    int (*check)(const tv_model_t *m, const uint8_t *record, const tv_layer_t *l);
    int (*run)(const tv_model_t *m, tv_frame_t *frame, void *arena,
        uint32_t dim, int8_t *embedding, int8_t *map, tv_hook_t hook, void *hook_ctx); // as tv_run()
} tv_library_t;

struct tv_backend {
    const char *name;
    tv_kernel_t *conv, *depthwise, *add, *avgpool, *space_to_depth;
    const tv_library_t *library; // or NULL
};

extern const tv_backend_t tv_cmsis_nn; // only with TINYVLM_CMSIS_NN

static inline const tv_library_t *tv_library_of(const tv_backend_t *backend) {
    #if defined(TINYVLM_CMSIS_NN)
    return backend->library;
    #else
    (void)backend;
    return NULL; // none is linked: no code for one
    #endif
}

// plain C: complete, and the reference for all others
tv_kernel_t tv_conv, tv_depthwise, tv_add, tv_avgpool, tv_space_to_depth;
tv_kernel_t tv_conv_dsp, tv_depthwise_dsp, tv_add_dsp, tv_avgpool_dsp; // Cortex-M4, M7, M33
#if defined(TV_BOTH_DSP) // the virtual board: those of the other cores, too
tv_kernel_t tv_conv_m4, tv_depthwise_m4;
#endif
tv_kernel_t tv_conv_mve, tv_depthwise_mve; // Cortex-M55, M85; the rest as on an M33
tv_kernel_t tv_depthwise_wide_dsp; // what tv_depthwise_dsp() calls for 5x5 and 7x7

// Row iy of the input of a TV_OP_SPACE_TO_DEPTH goes into the output row that it belongs to.
void tv_space_to_depth_row(const tv_layer_t *l, const int8_t *from, int8_t *to, uint32_t iy);

// The first stage: row y of the image (S pixels of 3 int8) from the frame.
// scratch: 12 * S bytes. Rows of a TV_TEST_IMAGE must be asked for in order.
void tv_intake(tv_frame_t *frame, uint32_t image, uint32_t y, int8_t *out, uint32_t *scratch);

// tv_layer.c. A tensor reference of the file into `tensor`.
void tv_tensor_get(tv_tensor_t *tensor, const uint8_t *reference);
// tv_layer_get() that knows record -1, too: the frame intake, whose output is the image.
void tv_record_get(const tv_model_t *m, int index, tv_layer_t *layer);
// Steps of one row: multiply-accumulates, or values that are read or moved.
uint64_t tv_layer_work(const tv_layer_t *layer);

// tv_check.c, for tv_model_open(). Tensor of shape h x w x c: does it lie in the arena?
int tv_check_tensor(const tv_model_t *m, const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c);
int tv_check_layers(tv_model_t *m, tv_hook_t hook, void *hook_ctx);

// tv_check_plan.c: are the operands of record `index` what earlier records wrote, when it reads them?
int tv_check_operands(const tv_model_t *m, int index);

// A record, with the rows that it has to write and those that it has written.
typedef struct {
    tv_layer_t layer;
    int index;
    uint32_t rows, done;
} tv_stage_t;

// tv_run.c. The last record of the segment that `index` is in.
int tv_segment_end(const tv_model_t *m, int index);
// Records first ... last, at most TV_MAX_STAGES + 1, as stages.
void tv_segment(const tv_model_t *m, int first, int last, tv_stage_t *stages);
// Whose turn it is to write a row, so that `last` can.
tv_stage_t *tv_next_stage(tv_stage_t *stages, tv_stage_t *last);

// After `count` values more of vocabularies: is it time for the hook?
static inline bool tv_is_due(size_t *done, size_t count, tv_hook_t hook) {
    *done += count;
    if (hook == NULL || *done < TV_MAX_VALUES) {
        return false;
    }
    *done = 0;
    return true;
}

// Does the next record read this one's output while it is made?
static inline bool tv_streams(const tv_model_t *m, int index) {
    return index < 0 || (m->records[(size_t)index * TV_LAYER_SIZE + 1] & TV_FLAG_STREAM);
}

// Where a tensor ends in the arena, once tv_check_tensor() has found it sound.
static inline uint32_t tv_tensor_end(const tv_tensor_t *t, uint32_t w, uint32_t c) {
    return t->offset + (t->rows - 1u) * t->row_bytes + c * (t->pitch ? 2u * t->pitch : w);
}

// Taps of one output channel as stored, padding included.
static inline uint64_t tv_stored_taps(const tv_layer_t *l) {
    uint32_t k = l->kernel;
    return l->op == TV_OP_CONV ? (k * k * (uint64_t)l->in_c + 3) / 4 * 4 : k * tv_align4(k);
}

static inline int8_t *tv_row(int8_t *arena, const tv_tensor_t *t, uint32_t y) {
    uint32_t slot = y < t->rows ? y : y % t->rows;
    return arena + t->offset + (size_t)slot * t->row_bytes;
}

// Input rows that must exist before the layer's row y can be computed.
static inline uint32_t tv_rows_needed(const tv_layer_t *l, uint32_t y) {
    if (l->op == TV_OP_ADD) {
        return y + 1;
    }
    uint32_t end = y * l->stride + l->kernel; // pad_top < kernel: no underflow below
    end -= l->pad_top;
    return end < l->in_h ? end : l->in_h;
}

// Is the layer a matrix product, or a sum, of whole maps that lie pixel after pixel? Then the
// rows y ... y + rows - 1 are one long row.
static inline bool tv_is_whole(const tv_tensor_t *t, uint32_t h, uint32_t w, uint32_t c) {
    return t->pitch == 0 && t->rows == h && (h == 1 || t->row_bytes == w * c);
}

static inline bool tv_is_flat(const tv_layer_t *l) {
    bool pointwise = l->op == TV_OP_ADD
        || (l->op == TV_OP_CONV && l->kernel == 1 && l->stride == 1
            && l->in_h == l->out_h && l->in_w == l->out_w);
    return pointwise && tv_is_whole(&l->in, l->in_h, l->in_w, l->in_c)
           && tv_is_whole(&l->out, l->out_h, l->out_w, l->out_c)
           && (l->op != TV_OP_ADD || tv_is_whole(&l->in2, l->in_h, l->in_w, l->in_c));
}

// acc * mult * 2^-31 * 2^-shift with gemmlowp's double rounding: a rounding doubling high
// multiply, then a right shift that rounds half away from zero. gemmlowp writes the first
// as a truncating division with a nudge that depends on the sign; that equals this floor.
// |acc| < 2^30 keeps all of it inside int32 (format.md, "Limits"). `>>` of a negative int
// is arithmetic on every compiler this is meant for.
static inline int32_t tv_high_mul(int32_t acc, int32_t mult) {
    return (int32_t)(((int64_t)acc * mult + (1 << 30)) >> 31);
}

static inline int32_t tv_requantize(int32_t acc, int32_t mult, uint32_t shift) {
    int32_t high = tv_high_mul(acc, mult);
    return (high + (high >> 31) + (1 << (shift - 1))) >> shift; // shift is 1 ... 30
}

static inline int8_t tv_clamp8(int32_t v) {
    v = v < -128 ? -128 : v;
    return (int8_t)(v > 127 ? 127 : v);
}

#endif // TV_KERNELS_H
