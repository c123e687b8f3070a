# A board for MicroPython's qemu port that lives outside of MicroPython's tree:
#   make -C $MPY_DIR/ports/qemu BOARD=VIRT_CORTEX_M7 BOARD_DIR=<this folder>
# `make board` at the top of this repository does it.

QEMU_ARCH = arm
QEMU_MACHINE = mps2-an500

BOARD_ABS := $(abspath $(BOARD_DIR))
TINYVLM_CAMERA = sim

CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M7"'
CFLAGS += -I$(BOARD_ABS) -I$(BOARD_ABS)/../../native -DTV_BOTH_DSP=1

LDSCRIPT = $(BOARD_ABS)/virt_cortex_m7.ld

BOARD_SRC_C := $(addprefix $(BOARD_ABS)/, \
	startup.c option.c clock.c console.c flash.c modvirt.c conv_m4.c depthwise_m4.c \
	depthwise_wide_m4.c)

include $(BOARD_ABS)/../qemu/board.mk
