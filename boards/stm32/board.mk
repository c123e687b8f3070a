# What the STM32H7 boards of this repository share. Each is a thin layer over a board of
# MicroPython's stm32 port, TINYVLM_BASE, and lives outside of MicroPython's tree:
#   make -C $MPY_DIR/ports/stm32 BOARD_DIR=<one of the folders beside this one>
# `make firmware BOARD=...` at the top of this repository does it, and says what is missing.

TINYVLM_BOARD := $(abspath $(BOARD_DIR))
TINYVLM_STM32 := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
TINYVLM_TOP := $(abspath $(TINYVLM_STM32)/../..)

ifeq ($(wildcard boards/$(TINYVLM_BASE)/mpconfigboard.mk),)
$(error $(BOARD) builds on $(TINYVLM_BASE), which this MicroPython has not: $(TINYVLM_SINCE))
endif
ifeq ($(USE_MBOOT),1)
$(error $(BOARD) is built without mboot: its flash holds firmware, encoder and files)
endif

include boards/$(TINYVLM_BASE)/mpconfigboard.mk

# From here on the port takes pins, HAL configuration and C files from its own board. Only
# mpconfigboard.h is ours: its folder comes first among the includes, and it includes the port's.
override BOARD_DIR := boards/$(TINYVLM_BASE)
CFLAGS += -I$(TINYVLM_BOARD) -I$(TINYVLM_STM32)
QSTR_GLOBAL_DEPENDENCIES += $(TINYVLM_BOARD)/mpconfigboard.h $(TINYVLM_STM32)/tinyvlm_board.h

# No network: smaller, and the submodules of lwip, mbedtls, nimble, cyw43 and libmetal can stay away.
MICROPY_PY_LWIP = 0
MICROPY_PY_SSL = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_PY_BLUETOOTH = 0
MICROPY_BLUETOOTH_NIMBLE = 0
MICROPY_PY_NETWORK_CYW43 = 0
MICROPY_PY_OPENAMP = 0
MICROPY_PY_OPENAMP_REMOTEPROC = 0

FROZEN_MANIFEST = $(TINYVLM_STM32)/manifest.py
export TINYVLM_BOARD
TINYVLM_CAMERA = 1
# MicroPython insists on a folder of micropython-lib, although nothing is taken from it.
ifeq ($(wildcard $(MPY_LIB_DIR)/README.md),)
MPY_LIB_DIR = $(TOP)
endif

# MicroPython 1.29 learns of the C module from the manifest. Both ways at once would be it twice.
ifeq ($(wildcard $(TOP)/py/manifest.mk),)
USER_C_MODULES ?= $(TINYVLM_TOP)
endif
