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
CFLAGS += -I$(BOARD_ABS) -I$(BOARD_ABS)/../../native

LDSCRIPT = $(BOARD_ABS)/max78000fthr.ld

BOARD_SRC_C := $(addprefix $(BOARD_ABS)/, \
	startup.c clock.c console.c flash.c pin.c pcif.c watchdog.c modboard.c bus.c)

include $(BOARD_ABS)/../qemu/board.mk
$(BUILD)/$(BOARD_ABS)/pcif.o: CFLAGS += -O2

# The same objects with another bus, for QEMU.
$(BUILD)/qemu.elf: $(BUILD)/firmware.elf $(BOARD_ABS)/bus_qemu.c
	$(Q)$(CC) $(CFLAGS) -Wextra -c -o $(BUILD)/bus_qemu.o $(BOARD_ABS)/bus_qemu.c
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter-out %/MAX78000FTHR/bus.o, $(OBJ)) $(BUILD)/bus_qemu.o $(LIBS)

$(BUILD)/%.bin: $(BUILD)/%.elf
	$(Q)$(CROSS_COMPILE)objcopy -O binary $< $@
	$(Q)python3 $(BOARD_ABS)/budget.py $@
