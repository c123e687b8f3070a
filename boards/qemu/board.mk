# What our boards on MicroPython's qemu port share. A board's mpconfigboard.mk sets BOARD_ABS and
# BOARD_SRC_C, its own sources, and includes this.

CFLAGS += -DMP_CONFIGFILE='"$(BOARD_ABS)/mpconfigboard.h"'
CFLAGS += -DBOARD_MODMACHINE='"$(BOARD_ABS)/../qemu/modmachine.c"'
CFLAGS += -I$(BOARD_ABS)/../qemu

# Start-up, console, flash and main() are ours. `override` makes make ignore the sources that the port's
# Makefile adds later; what the boards still want of them is listed here.
BOARD_SRC_C += $(abspath $(addprefix $(BOARD_ABS)/../qemu/, main.c blockdev.c))
override SRC_C := $(BOARD_SRC_C) \
	shared/libc/string0.c \
	shared/readline/readline.c \
	shared/runtime/interrupt_char.c \
	shared/runtime/pyexec.c \
	shared/runtime/stdout_helpers.c \
	shared/runtime/sys_stdio_mphal.c \
	shared/timeutils/timeutils.c
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
# MicroPython's headers are not clean under -Wextra in these two points.
$(addprefix $(BUILD)/, $(BOARD_SRC_C:.c=.o)): CFLAGS += -Wextra -Wno-unused-parameter -Wno-sign-compare

MICROPY_VFS_LFS2 = 1
MICROPY_FLOAT_IMPL = float
SUPPORTS_HARDWARE_FP_SINGLE = 1
FROZEN_MANIFEST ?= $(BOARD_ABS)/manifest.py
MPY_CROSS_FLAGS += -march=armv7emsp
