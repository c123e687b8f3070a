// SPDX-License-Identifier: MIT
//
// Which kernels there are.

#include "tv_kernels.h"

static const tv_backend_t backends[] = {
    #if TV_HAVE_MVE
    { "mve", tv_conv_mve, tv_depthwise_mve, tv_add_dsp, tv_avgpool_dsp, tv_space_to_depth, NULL },
    #endif
    #if TV_HAVE_DSP
    { "dsp", tv_conv_dsp, tv_depthwise_dsp, tv_add_dsp, tv_avgpool_dsp, tv_space_to_depth, NULL },
    #if defined(TV_BOTH_DSP)
    { "dsp-m4", tv_conv_m4, tv_depthwise_m4, tv_add_dsp, tv_avgpool_dsp, tv_space_to_depth, NULL },
    #endif
    #endif
    { "portable", tv_conv, tv_depthwise, tv_add, tv_avgpool, tv_space_to_depth, NULL },
};
#define COUNT (sizeof(backends) / sizeof(backends[0]))

const tv_backend_t *tv_backend(unsigned index) {
    #if defined(TINYVLM_CMSIS_NN)
    if (index == COUNT) {
        return &tv_cmsis_nn;
    }
    #endif
    return index < COUNT ? &backends[index] : NULL;
}

const char *tv_backend_name(const tv_backend_t *backend) {
    return backend->name;
}

int tv_backend_use(tv_model_t *model, const tv_backend_t *backend) {
    if ((tv_library_of(backend) == NULL) != (tv_library_of(model->backend) == NULL)) {
        return TV_ERR_ORDER;
    }
    model->backend = backend;
    return TV_OK;
}
