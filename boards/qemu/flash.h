// SPDX-License-Identifier: MIT
// What flash.c of a board does for blockdev.c. board.h says FLASH_BLOCK, the bytes that are erased
// at a time, and FLASH_LINE, the bytes that are programmed at a time.
#ifndef FLASH_H
#define FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Symbols of the linker script: only their addresses mean something (a _size's address is the size).
extern uint8_t _disk_start[], _disk_size[], _romfs_start[], _romfs_size[];

#define DISK_SIZE   ((size_t)_disk_size)
#define ROMFS_SIZE  ((size_t)_romfs_size)

// Raises OSError where there is no flash for files.
void flash_check(void);

// All return 0 or a negative errno. Offsets and sizes lie in LittleFS's part of flash, or in ROMFS;
// disk_erase() takes the offset of a block. erase: the caller has not erased these whole blocks.
int disk_read(size_t offset, void *buf, size_t size);
int disk_write(size_t offset, const void *buf, size_t size, bool erase);
int disk_erase(size_t offset);

// Before an image of `size` bytes is written: makes the old one invalid.
int romfs_prepare(size_t size);
int romfs_write(size_t offset, const void *buf, size_t size);

#endif // FLASH_H
