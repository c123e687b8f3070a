// SPDX-License-Identifier: MIT
// One turn of the outer loop from soft reset to soft reset, in the order of MicroPython's ports.

#include <stdlib.h>

#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

#include "board.h"

static void run_files(void) {
    mp_vfs_mount_romfs_protected();
    pyexec_frozen_module("_boot.py", false);
    int ret = pyexec_file_if_exists("boot.py");
    if (!(ret & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        pyexec_file_if_exists("main.py");
    }
}

static void run_repl(void) {
    int ret = 0;
    while (ret == 0) {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    }
}

int board_main(void) {
    mp_cstack_init_with_top(_estack, (size_t)(_estack - _sstack) - STACK_MARGIN);
    for (;;) {
        gc_init(_heap_start, _heap_end);
        mp_init();
        run_files();
        run_repl();
        mp_printf(&mp_plat_print, "MPY: soft reboot\n");
        gc_sweep_all();
        mp_deinit();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    mp_printf(&mp_plat_print, "FATAL: uncaught exception %p\n", val);
    exit(1);
}
