// SPDX-License-Identifier: MIT
//
// As conv_m4.c.

#define TV_DUAL_ISSUE (0)
#define tv_depthwise_dsp tv_depthwise_m4
#define tv_depthwise_wide_dsp tv_depthwise_wide_m4
#include "tv_depthwise_dsp.c"
