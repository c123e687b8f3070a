// SPDX-License-Identifier: MIT
//
// Which kernels there are.

#include "tv_kernels.h"

const tv_backend_t tv_portable = { "portable", tv_conv, tv_depthwise, tv_add, tv_avgpool };

#if defined(__ARM_FEATURE_DSP)
const tv_backend_t tv_dsp = { "dsp", tv_conv_dsp, tv_depthwise_dsp, tv_add_dsp, tv_avgpool };
#else
const tv_backend_t tv_dsp = { "portable", tv_conv, tv_depthwise, tv_add, tv_avgpool };
#endif
