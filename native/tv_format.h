// SPDX-License-Identifier: MIT
//
// The encoder file *.tvlm, version 1. docs/format.md says the same in more words, and the
// Python writer (host/tinyvlm/net/tvlm.py) uses the same names. All values are little-endian.
//
//   header, 72 bytes
//      0  4s   magic "TVLM"           4  u16  version, 1
//      6  u16  header_size, 72        8  u32  file_size
//     12  u32  crc32 of 16...        16  8s   fingerprint of the network
//     24  u16  in_h, in_w, in_c      30  i8   in_zero_point
//     31  u8   sections              32  f32  in_scale
//     36  u16  layers                38  u16  embed_layer
//     40  u16  dense_layer | 0xffff  44  u32  arena_size
//     48  u32  scratch_offset        52  u32  scratch_size
//     56  12s  input                 68  u32  macs
//   section table, `sections` times: 4s tag, u32 offset in the file, u32 size
//      LAYR  72 bytes a layer        WGHT  weights and tables
//      NAME  u8 length, UTF-8        INFO  JSON
//      TEST  u32 seed, i8 embedding[dim]
//      CMNN  instead of WGHT: the same as CMSIS-NN wants it (tv_cmsis_nn.c)
//   tensor reference, 12 bytes
//      0  u32  offset in the arena    4  u32  row_bytes
//      8  u16  rows kept (a ring if fewer than the height)
//     10  u16  pitch: 0 = a row is W x C; else a row is planar, C x pitch
//   layer record, 72 bytes
//      0  u8   op, TV_OP_...          1  u8   flags, TV_FLAG_...
//      2  u8   kernel, stride         4  u8   pad_top, pad_left
//      6  i8   in_zero_point, out_zero_point
//      8  u16  in_h, in_w, in_c      14  u16  out_h, out_w, out_c
//     20  12s  in                    32  12s  out             44  12s  in2
//     56  i8   in2_zero_point        57  u8   out_margin
//     60  u32  weights in WGHT       64  u32  table in WGHT   68  f32  out_scale
//   weights of conv: blocks of two output channels, 2 * K4 bytes each: four weights of the
//      first, four of the second, the next four of the first ... (K4: taps rounded up to 4)
//   weights of depthwise: per channel, per ky: kernel weights, rounded up to 4
//   table of conv, depthwise: i32 bias[out_c], i32 mult[out_c], u8 shift[out_c]
//   table of add: i32 mult1, mult2, mult_out, u8 shift1, shift2, shift_out
//
// A file may lie at any byte address (ROMFS aligns nothing): fields are read with the helpers
// below and never through a cast pointer.

#ifndef TV_FORMAT_H
#define TV_FORMAT_H

#include <stdint.h>
#include <string.h>

#define TV_VERSION (1)
#define TV_HEADER_SIZE (72)
#define TV_SECTION_SIZE (12)
#define TV_LAYER_SIZE (72)
#define TV_CRC_START (16)
#define TV_NO_LAYER (0xffff)

enum {
    TV_OP_CONV = 1, TV_OP_DEPTHWISE = 2, TV_OP_ADD = 3, TV_OP_AVGPOOL = 4,
    TV_OP_SPACE_TO_DEPTH = 5,
};
enum { TV_FLAG_DENSE = 1, TV_FLAG_STREAM = 2, TV_FLAG_RELU = 4 };

// Limits that keep every accumulator and every intermediate of the engine inside 32 bits.
#define TV_MAX_IMAGE (1024)
#define TV_MAX_STAGES (16)
#define TV_MAX_LAYERS (1024)
#define TV_MAX_ARENA (1u << 26)
#define TV_MAX_CHANNELS (1u << 18) // of all layers: so many entries of tables are checked
#define TV_MAX_INFO (0xffffu) // bytes
#define TV_MAX_WORK (1u << 23) // steps between two calls of the hook, of 3 instructions: 50 ms of a Cortex-M7
#define TV_MAX_LIBRARY_WORK (10000000u) // steps of a layer of a file for CMSIS-NN, of 2.5 instructions: the same
#define TV_MAX_VALUES (1u << 18) // of vocabularies between two calls of the hook, up to 15 instructions each
#define TV_MAX_ACC (1 << 30)
#define TV_MAX_SHIFT (22) // of conv and depthwise: the rounding constant stays in int32
#define TV_ADD_LEFT_SHIFT (20)
#define TV_ADD_TABLE_SIZE (15)

static inline uint16_t tv_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t tv_u32(const uint8_t *p) {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    // one unaligned load where the core has it
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
    #else
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    #endif
}

static inline int32_t tv_i32(const uint8_t *p) {
    return (int32_t)tv_u32(p);
}

static inline int8_t tv_i8(const uint8_t *p) {
    return (int8_t)*p;
}

static inline uint32_t tv_align4(uint32_t n) {
    return (n + 3) & ~(uint32_t)3;
}

#endif // TV_FORMAT_H
