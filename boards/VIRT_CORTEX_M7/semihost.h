// SPDX-License-Identifier: MIT
// ARM semihosting: the guest asks QEMU to do file I/O on the host. One instruction a request.
#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SEMIHOST_OPEN = 0x01,
    SEMIHOST_WRITE = 0x05,
    SEMIHOST_READ = 0x06,
    SEMIHOST_SEEK = 0x0a,
    SEMIHOST_GET_CMDLINE = 0x15,
    SEMIHOST_EXIT_EXTENDED = 0x20,
};

// Modes of SEMIHOST_OPEN, as of fopen(). The name ":tt" is the console: R is standard input,
// W standard output, A standard error.
enum {
    SEMIHOST_MODE_R = 0, // "r"
    SEMIHOST_MODE_RW = 3, // "r+b"
    SEMIHOST_MODE_W = 4, // "w"
    SEMIHOST_MODE_A = 8, // "a"
};

static inline uint32_t semihost_call(uint32_t op, const void *arg) {
    register uint32_t r0 __asm__ ("r0") = op;
    register const void *r1 __asm__ ("r1") = arg;
    __asm volatile ("bkpt 0xab" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

// Returns a file handle, or -1.
static inline int semihost_open(const char *name, uint32_t mode) {
    uint32_t arg[3] = { (uint32_t)name, mode, strlen(name) };
    return (int)semihost_call(SEMIHOST_OPEN, arg);
}

// Both return how many bytes were moved; an error moves none.
static inline size_t semihost_read(int fd, void *buf, size_t len) {
    uint32_t arg[3] = { (uint32_t)fd, (uint32_t)buf, len };
    uint32_t left = semihost_call(SEMIHOST_READ, arg);
    return left > len ? 0 : len - left;
}

static inline size_t semihost_write(int fd, const void *buf, size_t len) {
    uint32_t arg[3] = { (uint32_t)fd, (uint32_t)buf, len };
    uint32_t left = semihost_call(SEMIHOST_WRITE, arg);
    return left > len ? 0 : len - left;
}

// Returns 0, or a negative integer.
static inline int semihost_seek(int fd, size_t offset) {
    uint32_t arg[2] = { (uint32_t)fd, offset };
    return (int)semihost_call(SEMIHOST_SEEK, arg);
}

static inline void semihost_exit(int status) {
    // ADP_Stopped_ApplicationExit, and the status that QEMU exits with.
    uint32_t arg[2] = { 0x20026, (uint32_t)status };
    semihost_call(SEMIHOST_EXIT_EXTENDED, arg);
}

#endif // SEMIHOST_H
