// SPDX-License-Identifier: MIT
//
// The engine's error codes in words.

#include "tv.h"

// One after the other, in the order of the codes 0, -1, -2 ... in tv.h: a table of pointers would
// take twice the space. A code that nobody uses has no words.
static const char words[] =
    "no error\0"
    "this is not an encoder file (.tvlm)\0"
    "the file is of a version that this firmware does not read\0"
    "the file is truncated\0"
    "the checksum does not match, the file is damaged\0"
    "the header is inconsistent\0"
    "a section is missing, has a wrong size or is not UTF-8\0"
    "operation, kernel or stride is not supported\0" // -7
    "shapes do not fit the operation\0"
    "a tensor does not fit into the arena\0"
    "an operand is not what an earlier layer writes\0" // -10
    "a tensor keeps too few rows\0"
    "pitch or margin of a planar tensor is wrong\0"
    "weights or table lie outside the file, or their padding is not zero\0"
    "bias, multiplier or shift is out of range\0"
    "scratch_size is too small for a kernel\0"
    "a streamed segment is too long, not closed or has a dense layer\0"
    "the layer cannot be the embedding or the dense map\0"
    "tensors or scratch overlap\0"
    "a row, or opening, takes more steps than allowed\0"
    "unknown pixel format\0" // -20
    "this is a JPEG; ask the camera for RGB565 or GRAYSCALE\0"
    "width and height must be at least 1\0"
    "the frame is too large: its shorter side is at most 4096 pixels, its longer one at most 65535\0"
    "a YUYV frame must have an even width\0"
    "stride is less than a row of pixels\0"
    "the buffer is smaller than the frame\0"
    "\0\0\0"
    "the run was stopped\0" // -30
    "this encoder has no dense map\0"
    "the file has no known-answer test\0"
    "the embedding of the test image differs from the file's\0"
    "the library behind the backend refuses a layer\0"
    "it is made for CMSIS-NN, which is not built in here; use the encoder that it was made of\0" // -35
    #if defined(TINYVLM_CMSIS_NN)
    "a file for CMSIS-NN must lie at a multiple of 4, as tinyvlm-deploy writes it\0"
    "in a file for CMSIS-NN every tensor is whole\0"
    "its weights lie in another order than this backend wants: tinyvlm-export --cmsis-nn\0"
    "a layer takes more steps than CMSIS-NN may at one go\0"
    #endif
    ;

const char *tv_strerror(int err) {
    const char *p = words, *end = words + sizeof(words) - 1; // the string's own end
    for (; err < 0 && p < end; err++) {
        while (*p++) {
        }
    }
    return err || p == end || *p == 0 ? "unknown error" : p;
}
