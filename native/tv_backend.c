// SPDX-License-Identifier: MIT
//
// Which kernels there are.

#include "tv_kernels.h"

static const tv_backend_t backends[] = {
    #if defined(__ARM_FEATURE_DSP)
    { "dsp", tv_conv_dsp, tv_depthwise_dsp, tv_add_dsp, tv_avgpool },
    #endif
    { "portable", tv_conv, tv_depthwise, tv_add, tv_avgpool },
};

const tv_backend_t *tv_backend(unsigned index) {
    return index < sizeof(backends) / sizeof(backends[0]) ? &backends[index] : NULL;
}

const char *tv_backend_name(const tv_backend_t *backend) {
    return backend->name;
}
