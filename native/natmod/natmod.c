// SPDX-License-Identifier: MIT
//
// `_tinyvlm` as a native .mpy: the binding of the firmware, compiled for dynamic loading, and the
// tables that the firmware has as constants.

#include "port.h"
#include "../modargs.c"
#include "../modtinyvlm.c"

mp_obj_dict_t *natmod_globals;
uint32_t natmod_ticks, natmod_ticks_seen;

mp_map_elem_t encoder_locals_table[5];
static MP_DEFINE_CONST_DICT(encoder_locals_dict, encoder_locals_table);

#define METHOD(i, name) encoder_locals_table[i] = (mp_map_elem_t) { \
        MP_OBJ_NEW_QSTR(MP_QSTR_##name), MP_OBJ_FROM_PTR(&encoder_##name##_obj) }
#define FUNCTION(name) mp_store_global(MP_QSTR_##name, MP_OBJ_FROM_PTR(&tinyvlm_##name##_obj))
#define NUMBER(name) mp_store_global(MP_QSTR_##name, MP_OBJ_NEW_SMALL_INT(TV_##name))

// Names that mpy_ld.py must find here, as it does not expand macros: MP_QSTR_embed
// MP_QSTR_embed_map MP_QSTR_profile MP_QSTR_selftest MP_QSTR_layer MP_QSTR_score
// MP_QSTR_weigh MP_QSTR_largest MP_QSTR_rank MP_QSTR_best MP_QSTR_map_peaks MP_QSTR_map_heat
// MP_QSTR_map_mean MP_QSTR_map_region MP_QSTR_crc32 MP_QSTR_backends MP_QSTR_heap
// MP_QSTR_GRAY8 MP_QSTR_RGB565_LE MP_QSTR_RGB565_BE MP_QSTR_RGB888 MP_QSTR_BGR888 MP_QSTR_YUYV
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    natmod_globals = self->context->module.globals;

    METHOD(0, embed);
    METHOD(1, embed_map);
    METHOD(2, profile);
    METHOD(3, selftest);
    METHOD(4, layer);
    encoder_type.base.type = &mp_type_type;
    encoder_type.flags = MP_TYPE_FLAG_NONE;
    encoder_type.name = MP_QSTR_Encoder;
    MP_OBJ_TYPE_SET_SLOT(&encoder_type, make_new, encoder_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&encoder_type, attr, encoder_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&encoder_type, locals_dict, (void *)&encoder_locals_dict, 2);

    mp_store_global(MP_QSTR___name__, MP_OBJ_NEW_QSTR(MP_QSTR__tinyvlm));
    mp_store_global(MP_QSTR_Encoder, MP_OBJ_FROM_PTR(&encoder_type));
    FUNCTION(score);
    FUNCTION(weigh);
    FUNCTION(largest);
    FUNCTION(rank);
    FUNCTION(best);
    FUNCTION(map_peaks);
    FUNCTION(map_heat);
    FUNCTION(map_mean);
    FUNCTION(map_region);
    FUNCTION(crc32);
    FUNCTION(backends);
    FUNCTION(heap);
    NUMBER(GRAY8);
    NUMBER(RGB565_LE);
    NUMBER(RGB565_BE);
    NUMBER(RGB888);
    NUMBER(BGR888);
    NUMBER(YUYV);
    MP_DYNRUNTIME_INIT_EXIT
}
