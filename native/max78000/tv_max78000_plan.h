// SPDX-License-Identifier: MIT
//
// A plan, version 1: all that the accelerator must be given to run an encoder. The Python writer
// (host/tinyvlm/max78000/plan.py) uses the same names. All values are little-endian, a plan may
// lie at any byte address.
//
//   header, 112 bytes
//      0  4s   magic "TVMX"           4  u16  version, 1
//      6  u16  header_size, 112       8  u32  size, weights included
//     12  u32  crc32 of 16 ... head_size - 1
//     16  8s   fingerprint of the encoder
//     24  u32  head_size: bytes before the weights
//     28  u32  weights_size          32  u32  weights_crc; of a plan without weights: the other's
//     36  u8   quadrants             37  u8   layers
//     38  u8   flags                 39  u8   fold
//     40  u32  cycles
//     44  u16  registers, bias_runs, blocks, biases
//     52  u16  in_h, in_w, in_c      58  u16  reserved, 0
//     60  u32  in_offset             64  u64  in_processors
//     72  u16  out_h, out_w, out_c   78  u8   out_bytes      79  i8   out_zero_point
//     80  u32  out_offset            84  u64  out_processors
//     92  u32  test_seed             96  u32  test_crc
//    100  12s  reserved, 0
//   registers  8 bytes each: u16 offset in a quadrant, u8 quadrants, u8 0, u32 value
//   bias runs  6 bytes each: u8 quadrant, u8 0, u16 first entry, u16 count
//   biases     1 byte each: those of the first run, of the second, ...
//   blocks     6 bytes each: u8 processor, u8 0, u16 first word, u16 words
//   table      only if out_bytes is 4: i32 bias[out_c], i32 mult[out_c], u8 shift[out_c]
//   weights    of the first block, of the second, ...: 9 bytes a word, B0 first; each block is
//              filled with zeros to a multiple of 4
//
// The image is int8, (row, column, channel); with fold f its channels are those of TFLite's
// SPACE_TO_DEPTH: row in the square, column in the square, channel. The test image is in_h * in_w
// * in_c bytes of xorshift32 (docs/format.md, "Known answer"), minus 128; test_crc is the CRC-32 of
// the int8 results.

#ifndef TV_MAX78000_PLAN_H
#define TV_MAX78000_PLAN_H

#define TV_M78_PLAN_VERSION (1)
#define TV_M78_PLAN_HEADER (112)
#define TV_M78_PLAN_CRC_START (16)
#define TV_M78_PLAN_REGISTER (8)
#define TV_M78_PLAN_RUN (6)
#define TV_M78_PLAN_BLOCK (6)
#define TV_M78_PLAN_CHANNEL (9)     // of the table

#define TV_M78_FLAG_ROUND (1)       // averages are rounded half away from zero
#define TV_M78_FLAG_SHARED (2)      // no weights: those of another plan of the same encoder

#endif // TV_MAX78000_PLAN_H
