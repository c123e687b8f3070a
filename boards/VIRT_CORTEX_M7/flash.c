// SPDX-License-Identifier: MIT
// The external flash chip: 4 MB for LittleFS, 4 MB for ROMFS, both memory mapped at reset.
//
// With `flash=FILE` on the command line the chip is a file of the host: LittleFS first, ROMFS
// behind it. Every block goes to the file when it is written, not later, so that killing QEMU
// is the same as pulling the plug. Without a file the contents end with QEMU.
//
// LittleFS then reads and writes the host file alone, and not its part of RAM; ROMFS is copied into
// RAM at reset, because its users need a pointer.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"

#include "board.h"
#include "flash.h"
#include "semihost.h"

static const char *file_name;
static int file = -1;

// Both return 0, or a negative errno.
static int file_read(size_t offset, void *buf, size_t len) {
    return semihost_seek(file, offset) == 0 && semihost_read(file, buf, len) == len ? 0 : -MP_EIO;
}

static int file_write(size_t offset, const void *buf, size_t len) {
    return semihost_seek(file, offset) == 0 && semihost_write(file, buf, len) == len ? 0 : -MP_EIO;
}

static bool romfs_present(void) {
    static const uint8_t magic[3] = { 0xd2, 0xcd, 0x31 };
    return memcmp(_romfs_start, magic, sizeof(magic)) == 0;
}

void flash_init(void) {
    file_name = board_option("flash");
    if (file_name == NULL) {
        return;
    }
    file = semihost_open(file_name, SEMIHOST_MODE_RW);
    // An image that QEMU's loader put there takes precedence over the one in the file.
    if (file >= 0 && !romfs_present() && file_read(DISK_SIZE, _romfs_start, 16) == 0
        && romfs_present()) {
        file_read(DISK_SIZE, _romfs_start, ROMFS_SIZE);
    }
}

void flash_check(void) {
    if (file_name != NULL && file < 0) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("can't open flash file %s"), file_name);
    }
}

int disk_read(size_t offset, void *buf, size_t size) {
    if (file >= 0) {
        return file_read(offset, buf, size);
    }
    memcpy(buf, _disk_start + offset, size);
    return 0;
}

// RAM and files need no erasing.
int disk_write(size_t offset, const void *buf, size_t size, bool erase) {
    (void)erase;
    if (file >= 0) {
        return file_write(offset, buf, size);
    }
    memcpy(_disk_start + offset, buf, size);
    return 0;
}

// A block is erased to 0xff before it is programmed, as on the chip: a plug pulled in between
// leaves what it would leave there.
int disk_erase(size_t offset) {
    static uint8_t blank[FLASH_BLOCK];
    memset(blank, 0xff, sizeof(blank));
    return disk_write(offset, blank, sizeof(blank), false);
}

// Spoil the old image first, so that an interrupted deploy leaves no image, not half of one.
int romfs_prepare(size_t size) {
    static const uint8_t blank[16] = { 0 };
    (void)size;
    return romfs_write(0, blank, sizeof(blank));
}

int romfs_write(size_t offset, const void *buf, size_t size) {
    memcpy(_romfs_start + offset, buf, size);
    return file >= 0 ? file_write(DISK_SIZE + offset, buf, size) : 0;
}
