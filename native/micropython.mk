# MicroPython finds this file with USER_C_MODULES=<top of this repository>.
# The engine is tv_*.c, the binding modtinyvlm.c and modargs.c; a folder without them yet builds too.

TINYVLM_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(wildcard $(TINYVLM_DIR)/modtinyvlm.c $(TINYVLM_DIR)/modargs.c)
SRC_USERMOD_LIB_C += $(wildcard $(TINYVLM_DIR)/tv_*.c)
CFLAGS_USERMOD += -I$(TINYVLM_DIR)

# An encoder on the accelerator of a MAX78000: the board brings the bus (1), or a simulator does (sim).
ifneq ($(TINYVLM_MAX78000),)
TINYVLM_SIM_C := $(wildcard $(TINYVLM_DIR)/max78000/tv_max78000_sim*.c)
SRC_USERMOD_C += $(TINYVLM_DIR)/modmax78000.c
SRC_USERMOD_LIB_C += $(filter-out $(TINYVLM_SIM_C), $(wildcard $(TINYVLM_DIR)/max78000/tv_*.c))
CFLAGS_USERMOD += -I$(TINYVLM_DIR)/max78000
ifeq ($(TINYVLM_MAX78000),sim)
SRC_USERMOD_LIB_C += $(TINYVLM_SIM_C)
CFLAGS_USERMOD += -DTINYVLM_MAX78000_SIM=1
endif
endif

# The module `camera`: an STM32H7's DCMI (1), or a played one (sim).
ifneq ($(TINYVLM_CAMERA),)
TINYVLM_CAMERA_SIM_C := $(wildcard $(TINYVLM_DIR)/camera/tv_camera_sim*.c)
SRC_USERMOD_C += $(TINYVLM_DIR)/camera/modcamera.c
SRC_USERMOD_LIB_C += $(filter-out $(TINYVLM_CAMERA_SIM_C), $(wildcard $(TINYVLM_DIR)/camera/tv_*.c))
CFLAGS_USERMOD += -I$(TINYVLM_DIR)/camera
ifeq ($(TINYVLM_CAMERA),sim)
SRC_USERMOD_LIB_C += $(TINYVLM_CAMERA_SIM_C)
CFLAGS_USERMOD += -DTINYVLM_CAMERA_SIM=1
endif
endif

# Ports compile with -Os for the sake of flash. The kernels are a few kilobytes and all of the
# time, and -Os costs them 15 to 45 %. The last -O on a command line counts. What runs once a file or
# once a frame stays small. Without errno a square root is the FPU's instruction alone; else sqrtf()
# stands by, which a port of doubles has not.
TINYVLM_BUILD := $(BUILD)/$(notdir $(TINYVLM_DIR))
$(TINYVLM_BUILD)/tv_%.o $(TINYVLM_BUILD)/max78000/tv_%.o: CFLAGS += -O2 -Wextra -fno-math-errno
$(addprefix $(TINYVLM_BUILD)/tv_,backend.o check.o check_plan.o error.o layer.o model.o region.o run.o): CFLAGS += -Os
# Flags that change here make them anew.
$(patsubst $(TINYVLM_DIR)/%.c,$(TINYVLM_BUILD)/%.o,$(filter $(TINYVLM_DIR)/%,$(SRC_USERMOD_C) $(SRC_USERMOD_LIB_C))): $(TINYVLM_DIR)/micropython.mk

# CMSIS_NN=/prefix adds the backend "cmsis-nn", from an installed library: prefix/include and
# prefix/lib. -u makes the linker look for its functions there, wherever the library stands on
# the command line.
ifneq ($(and $(wildcard $(CMSIS_NN)/include/arm_nnfunctions.h),$(wildcard $(CMSIS_NN)/lib/libcmsis-nn.a)),)
CFLAGS_USERMOD += -DTINYVLM_CMSIS_NN -isystem $(CMSIS_NN)/include
LDFLAGS_USERMOD += $(addprefix -u ,arm_convolve_wrapper_s8 arm_convolve_wrapper_s8_get_buffer_size \
	arm_depthwise_conv_wrapper_s8 arm_depthwise_conv_wrapper_s8_get_buffer_size \
	arm_elementwise_add_s8 arm_avgpool_s8 arm_avgpool_s8_get_buffer_size)
LDFLAGS_USERMOD += $(CMSIS_NN)/lib/libcmsis-nn.a
else
$(info Building without the backend "cmsis-nn": no library in CMSIS_NN=$(CMSIS_NN))
endif
