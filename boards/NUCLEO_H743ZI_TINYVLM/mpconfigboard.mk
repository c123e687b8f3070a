TINYVLM_BASE = NUCLEO_H743ZI
TINYVLM_SINCE = 1.25 and later have it
include $(dir $(lastword $(MAKEFILE_LIST)))../stm32/board.mk

# ROMFS in internal flash, and DTCM for the arena alone.
LD_FILES = $(TINYVLM_STM32)/h743_romfs.ld $(TINYVLM_STM32)/dtcm.ld boards/common_basic.ld
