# A board of its own, built with the Makefile of MicroPython's qemu port, from outside of its tree:
#   make -C $MPY_DIR/ports/qemu BOARD=MAX78000FTHR BOARD_DIR=<this folder> BUILD=<folder> \
#       <folder>/firmware.bin <folder>/qemu.bin
# `make max78000` at the top of this repository does it.

QEMU_ARCH = arm
QEMU_MACHINE = max78000fthr

BOARD_ABS := $(abspath $(BOARD_DIR))
TINYVLM_MAX78000 = 1

CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard
CFLAGS += -DMICROPY_HW_MCU_NAME='"MAX78000"'
CFLAGS += -DMP_CONFIGFILE='"$(BOARD_ABS)/mpconfigboard.h"'
CFLAGS += -DBOARD_MODMACHINE='"$(BOARD_ABS)/modmachine.c"'
CFLAGS += -I$(BOARD_ABS) -I$(BOARD_ABS)/../../native

LDSCRIPT = $(BOARD_ABS)/max78000fthr.ld

# Start-up, console and main() are this board's own. `override` makes make ignore the sources
# that the port's Makefile adds later; what the board still wants of them is listed here.
BOARD_SRC_C := $(addprefix $(BOARD_ABS)/, \
	startup.c main.c clock.c console.c flash.c pin.c modboard.c bus.c)
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

# The same objects with another bus, for QEMU.
$(BUILD)/qemu.elf: $(BUILD)/firmware.elf $(BOARD_ABS)/bus_qemu.c
	$(Q)$(CC) $(CFLAGS) -Wextra -c -o $(BUILD)/bus_qemu.o $(BOARD_ABS)/bus_qemu.c
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter-out %/MAX78000FTHR/bus.o, $(OBJ)) $(BUILD)/bus_qemu.o $(LIBS)

$(BUILD)/%.bin: $(BUILD)/%.elf
	$(Q)$(CROSS_COMPILE)objcopy -O binary $< $@
	$(Q)python3 $(BOARD_ABS)/budget.py $@
