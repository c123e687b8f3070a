// SPDX-License-Identifier: MIT
//
// What is said of a section INFO of a file for the accelerator: where it is, or that there is none.
// A size without a place would be read from address 0.
//
//     test_max78000_file FILE...

#include <stdio.h>
#include <stdlib.h>

#include "tv_max78000_file.h"

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
            return 1;
        }
        size_t size = (size_t)ftell(f);
        uint8_t *data = malloc(size); // no byte more: the sanitizer watches
        rewind(f);
        if (data == NULL || fread(data, 1, size, f) != size) {
            return 1;
        }
        fclose(f);
        tv_max78000_file_t file;
        int err = tv_max78000_file_open(&file, data, size);
        printf("%d %s %u\n", err, file.info == NULL ? "none" : "there", (unsigned)file.info_size);
        free(data);
    }
    return 0;
}
