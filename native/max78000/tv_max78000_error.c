// SPDX-License-Identifier: MIT
//
// The driver's error codes in words.

#include "tv_max78000.h"

const char *tv_max78000_strerror(int err) {
    switch (err) {
        case TV_MAX78000_OK:
            return "no error";
        case TV_MAX78000_ERR_MAGIC:
            return "this is not a plan for the MAX78000";
        case TV_MAX78000_ERR_VERSION:
            return "the plan is of a version that this firmware does not read";
        case TV_MAX78000_ERR_TRUNCATED:
            return "the plan is truncated";
        case TV_MAX78000_ERR_CRC:
            return "the checksum does not match, the plan is damaged";
        case TV_MAX78000_ERR_HEADER:
            return "the plan's header is inconsistent";
        case TV_MAX78000_ERR_REGISTERS:
            return "the plan's registers are not those of its layers and quadrants";
        case TV_MAX78000_ERR_BIAS:
            return "the plan's biases lie outside the bias memories";
        case TV_MAX78000_ERR_WEIGHTS:
            return "the plan's weights lie outside the weight memories";
        case TV_MAX78000_ERR_INPUT:
            return "the plan's image does not fit the data memories";
        case TV_MAX78000_ERR_OUTPUT:
            return "the plan's results do not fit the data memories";
        case TV_MAX78000_ERR_QUANT:
            return "a bias, multiplier or shift of the plan is out of range";
        case TV_MAX78000_ERR_POWER:
            return "the accelerator does not answer: it has no power or no clock";
        case TV_MAX78000_ERR_OFF:
            return "the accelerator is off, or lacks a quadrant that the plan needs";
        case TV_MAX78000_ERR_LOADED:
            return "this plan is not loaded, or its weights are not";
        case TV_MAX78000_ERR_STREAM:
            return "the weights could not be read";
        case TV_MAX78000_ERR_DAMAGED:
            return "the checksum of the weights does not match, they are damaged";
        case TV_MAX78000_ERR_ROWS:
            return "these rows are not rows of the image";
        case TV_MAX78000_ERR_TIMEOUT:
            return "the accelerator did not finish in time";
        case TV_MAX78000_ERR_STOPPED:
            return "the run was stopped";
        case TV_MAX78000_ERR_TEST:
            return "the results of the test image differ from the plan's";
        case TV_MAX78000_ERR_STUCK:
            return "the accelerator's done flag is stuck: it is set before the start";
        default:
            return "unknown error";
    }
}
