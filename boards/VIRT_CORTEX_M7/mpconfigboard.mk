# A board for MicroPython's qemu port that lives outside of MicroPython's tree:
#   make -C $MPY_DIR/ports/qemu BOARD=VIRT_CORTEX_M7 BOARD_DIR=<this folder>
# `make board` at the top of this repository does it.

#
# CORE=m33 makes the same board of mps2-an505, with a Cortex-M33 as an RP2350 has: for tests of the
# native .mpy. It has no memory protection, and counts no instructions.

CORE ?= m7
QEMU_ARCH = arm
BOARD_ABS := $(abspath $(BOARD_DIR))
TINYVLM_CAMERA = sim
BOARD_SRC_C := $(addprefix $(BOARD_ABS)/, startup.c option.c clock.c console.c flash.c modvirt.c)

ifeq ($(CORE),m33)
QEMU_MACHINE = mps2-an505
CFLAGS += -mthumb -mcpu=cortex-m33 -mfpu=fpv5-sp-d16 -mfloat-abi=hard
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M33"' -DTIMER0=0x50000000 -DTICKS_PER_US=20
# Code, RAM and disks lie elsewhere there; all that runs is "secure".
LDSCRIPT = $(BUILD)/virt_cortex_m33.ld
$(shell mkdir -p $(BUILD) && sed 's/0x00000000/0x10000000/; s/0x20000000/0x38080000/; s/0x20020000/0x38000000/; \
	s/0x6\([01][08c]\)/0x8\1/' $(BOARD_ABS)/virt_cortex_m7.ld > $(BUILD)/virt_cortex_m33.ld)
else
QEMU_MACHINE = mps2-an500
CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M7"' -DTV_BOTH_DSP=1
LDSCRIPT = $(BOARD_ABS)/virt_cortex_m7.ld
BOARD_SRC_C += $(addprefix $(BOARD_ABS)/, conv_m4.c depthwise_m4.c depthwise_wide_m4.c)
endif

CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -I$(BOARD_ABS) -I$(BOARD_ABS)/../../native

include $(BOARD_ABS)/../qemu/board.mk
ifeq ($(CORE),m33)
SRC_BOARD_O = shared/runtime/gchelper_generic.o # the assembly of others says that it is for an M4
endif
