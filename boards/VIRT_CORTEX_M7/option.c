// SPDX-License-Identifier: MIT
// What stands on QEMU's semihosting command line.

#include <string.h>

#include "board.h"
#include "semihost.h"

const char *board_option(const char *name) {
    // Static: the values that callers get point into it.
    static char line[512];
    uint32_t arg[2] = { (uint32_t)line, sizeof(line) };
    if (semihost_call(SEMIHOST_GET_CMDLINE, arg) != 0) {
        return NULL;
    }
    size_t len = strlen(name);
    for (char *p = strstr(line, " "); p != NULL; p = strstr(p, " ")) {
        ++p;
        if (strncmp(p, name, len) == 0 && p[len] == '=') {
            return p + len + 1;
        }
    }
    return NULL;
}
