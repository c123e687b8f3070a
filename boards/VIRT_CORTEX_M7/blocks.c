// SPDX-License-Identifier: MIT
// A plugin for QEMU (7.2 and newer) that counts how often every instruction is executed.
//
//     cc -shared -fPIC -O2 blocks.c -o blocks.so
//     qemu-system-arm ... -plugin blocks.so,mark=0x1234,out=counts.txt
//
// Whenever the instruction at address `mark` runs, what was counted since the last time is
// written to `out`, a line "address count" for each instruction, and a line "mark" at the end.
// tinyvlm.virtual.cycles builds it, marks with virt.instructions() and reads what it writes.

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// qemu-plugin.h is not in Debian's packages. These are its declarations, version 1.
typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *),
    enum qemu_plugin_cb_flags, void *);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);
int qemu_plugin_version = 1;

#define FLASH (2u << 20) // code lies below this address; Thumb instructions at even ones

static uint64_t counts[FLASH / 2];
static uint64_t mark;
static FILE *out;

static void at_mark(unsigned cpu, void *arg) {
    (void)cpu;
    (void)arg;
    for (uint32_t i = 0; i < FLASH / 2; i++) {
        if (counts[i]) {
            fprintf(out, "%" PRIx32 " %" PRIu64 "\n", 2 * i, counts[i]);
        }
    }
    fprintf(out, "mark\n");
    fflush(out);
    memset(counts, 0, sizeof(counts));
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address < FLASH) {
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                &counts[address / 2], 1);
        }
        if (address == mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "mark=", 5) == 0) {
            mark = strtoull(argv[i] + 5, NULL, 0) & ~1ull;
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (out == NULL || mark == 0) {
        fprintf(stderr, "blocks: needs mark=ADDRESS and out=FILE that can be written\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
