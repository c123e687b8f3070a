// SPDX-License-Identifier: MIT
// For boards without external flash: ROMFS in the chip's own, where h743_romfs.ld says.

#define MICROPY_HW_ROMFS_ENABLE_INTERNAL_FLASH  (1)
#define MICROPY_HW_ROMFS_ENABLE_PART0           (1)
