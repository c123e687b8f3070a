// SPDX-License-Identifier: MIT
//
// Which kernels there are.

#include "tv_kernels.h"

static const tv_backend_t backends[] = {
    #if TV_HAVE_DSP
    { "dsp", tv_conv_dsp, tv_depthwise_dsp, tv_add_dsp, tv_avgpool_dsp, tv_space_to_depth, NULL },
    #if defined(TV_BOTH_DSP)
    { "dsp-m4", tv_conv_m4, tv_depthwise_m4, tv_add_dsp, tv_avgpool_dsp, tv_space_to_depth, NULL },
    #endif
    #endif
    { "portable", tv_conv, tv_depthwise, tv_add, tv_avgpool, tv_space_to_depth, NULL },
    #if defined(TINYVLM_CMSIS_NN)
    // last, so that it is never the default: it needs memory of its own
    { "cmsis-nn", NULL, NULL, NULL, NULL, NULL, &tv_cmsis_nn },
    #endif
};

const tv_backend_t *tv_backend(unsigned index) {
    return index < sizeof(backends) / sizeof(backends[0]) ? &backends[index] : NULL;
}

const char *tv_backend_name(const tv_backend_t *backend) {
    return backend->name;
}

uint64_t tv_backend_memory(const tv_backend_t *backend, const tv_model_t *model) {
    return backend->library ? backend->library->memory(model) : 0;
}

void tv_backend_use(tv_model_t *model, const tv_backend_t *backend, void *memory) {
    model->backend = backend;
    model->memory = memory;
    if (backend->library) {
        backend->library->prepare(model);
    }
}
