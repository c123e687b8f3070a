// SPDX-License-Identifier: MIT
//
// What libFuzzer is to a target, for a corpus alone and for every compiler: each file once.
//
//     fuzz_model FILE ...

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        fseek(f, 0, SEEK_END);
        long size = ftell(f);
        rewind(f);
        uint8_t *input = malloc(size > 0 ? (size_t)size : 1);
        if (fread(input, 1, (size_t)size, f) != (size_t)size) {
            return 1;
        }
        fclose(f);
        fprintf(stderr, "%s\n", argv[i]); // the last one is the one that did it
        LLVMFuzzerTestOneInput(input, (size_t)size);
        free(input);
    }
    printf("%d inputs, nothing found\n", argc - 1);
    return 0;
}
