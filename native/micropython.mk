# MicroPython finds this file with USER_C_MODULES=<top of this repository>.
# The engine is tv_*.c, the binding modtinyvlm.c; a folder without them yet builds too.

TINYVLM_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(wildcard $(TINYVLM_DIR)/modtinyvlm.c)
SRC_USERMOD_LIB_C += $(wildcard $(TINYVLM_DIR)/tv_*.c)
CFLAGS_USERMOD += -I$(TINYVLM_DIR)

# Ports compile with -Os for the sake of flash. The kernels are a few kilobytes and all of the
# time, and -Os costs them 15 to 45 %. The last -O on a command line counts.
$(BUILD)/$(notdir $(TINYVLM_DIR))/tv_%.o: CFLAGS += -O2 -Wextra
