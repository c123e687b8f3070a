TINYVLM_BASE = ARDUINO_PORTENTA_H7
TINYVLM_SINCE = 1.25 and later have it
include $(dir $(lastword $(MAKEFILE_LIST)))../stm32/board.mk

# The port puts files and ROMFS into external flash; DTCM is free for the arena.
LD_FILES += $(TINYVLM_STM32)/dtcm.ld
SRC_C += $(TINYVLM_BOARD)/no_ethernet.c
