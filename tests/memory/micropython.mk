# An allocator that fails, beside the engine: tools/memory.py makes a folder of both.

SRC_USERMOD_C += $(USERMOD_DIR)/failing.c
LDFLAGS_USERMOD += -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc
