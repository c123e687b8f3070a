# A board for MicroPython's qemu port that lives outside of MicroPython's tree:
#   make -C $MPY_DIR/ports/qemu BOARD=VIRT_CORTEX_M7 BOARD_DIR=<this folder>
# `make board` at the top of this repository does it.

QEMU_ARCH = arm
QEMU_MACHINE = mps2-an500

BOARD_ABS := $(abspath $(BOARD_DIR))

CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M7"'
CFLAGS += -DMP_CONFIGFILE='"$(BOARD_ABS)/mpconfigboard.h"'
CFLAGS += -DBOARD_MODMACHINE='"$(BOARD_ABS)/modmachine.c"'
CFLAGS += -I$(BOARD_ABS)

LDSCRIPT = $(BOARD_ABS)/virt_cortex_m7.ld

# Start-up, console and main() are this board's own. `override` makes make ignore the sources
# that the port's Makefile adds later; what the board still wants of them is listed here.
BOARD_SRC_C := $(addprefix $(BOARD_ABS)/, \
	startup.c main.c clock.c console.c flash.c modvirt.c)
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
