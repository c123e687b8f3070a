// SPDX-License-Identifier: MIT
//
// The engine's error codes in words.

#include "tv.h"

const char *tv_strerror(int err) {
    switch (err) {
        case TV_OK:
            return "no error";
        case TV_ERR_MAGIC:
            return "this is not an encoder file (.tvlm)";
        case TV_ERR_VERSION:
            return "the file is of a version that this firmware does not read";
        case TV_ERR_TRUNCATED:
            return "the file is truncated";
        case TV_ERR_CRC:
            return "the checksum does not match, the file is damaged";
        case TV_ERR_HEADER:
            return "the header is inconsistent";
        case TV_ERR_SECTION:
            return "a section is missing, has a wrong size or is not UTF-8";
        case TV_ERR_OP:
            return "operation, kernel or stride is not supported";
        case TV_ERR_SHAPE:
            return "shapes do not fit the operation";
        case TV_ERR_TENSOR:
            return "a tensor does not fit into the arena";
        case TV_ERR_PRODUCER:
            return "an operand is not what an earlier layer writes";
        case TV_ERR_RING:
            return "a tensor keeps too few rows";
        case TV_ERR_PLANAR:
            return "pitch or margin of a planar tensor is wrong";
        case TV_ERR_WEIGHTS:
            return "weights or table lie outside the file, or their padding is not zero";
        case TV_ERR_QUANT:
            return "bias, multiplier or shift is out of range";
        case TV_ERR_SCRATCH:
            return "scratch_size is too small for a kernel";
        case TV_ERR_SEGMENT:
            return "a streamed segment is too long, not closed or has a dense layer";
        case TV_ERR_OUTPUT:
            return "the layer cannot be the embedding or the dense map";
        case TV_ERR_OVERLAP:
            return "tensors or scratch overlap";
        case TV_ERR_WORK:
            return "a row takes more steps than Ctrl-C may wait for";
        case TV_ERR_FRAME_FORMAT:
            return "unknown pixel format";
        case TV_ERR_FRAME_JPEG:
            return "this is a JPEG; ask the camera for RGB565 or GRAYSCALE";
        case TV_ERR_FRAME_EMPTY:
            return "width and height must be at least 1";
        case TV_ERR_FRAME_LARGE:
            return "the frame is too large: its shorter side is at most 4096 pixels, "
                   "its longer one at most 65535";
        case TV_ERR_FRAME_ODD:
            return "a YUYV frame must have an even width";
        case TV_ERR_FRAME_STRIDE:
            return "stride is less than a row of pixels";
        case TV_ERR_FRAME_SHORT:
            return "the buffer is smaller than the frame";
        case TV_ERR_STOPPED:
            return "the run was stopped";
        case TV_ERR_NO_MAP:
            return "this encoder has no dense map";
        case TV_ERR_NO_TEST:
            return "the file has no known-answer test";
        case TV_ERR_TEST:
            return "the embedding of the test image differs from the file's";
        case TV_ERR_LIBRARY:
            return "the library behind the backend refuses a layer";
        default:
            return "unknown error";
    }
}
