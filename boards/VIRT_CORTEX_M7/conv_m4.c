// SPDX-License-Identifier: MIT
//
// The convolution of cores that issue one instruction at a time, beside this core's, as the backend
// "dsp-m4": so that the tests prove both.

#define TV_DUAL_ISSUE (0)
#define tv_conv_dsp tv_conv_m4
#include "tv_conv_dsp.c"
