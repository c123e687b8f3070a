TINYVLM_BASE = WEACTSTUDIO_MINI_STM32H743
TINYVLM_SINCE = 1.28 has it
include $(dir $(lastword $(MAKEFILE_LIST)))../stm32/board.mk

# The port puts files and ROMFS into external flash; DTCM is free for the arena.
LD_FILES += $(TINYVLM_STM32)/dtcm.ld
