// SPDX-License-Identifier: MIT
// A plugin for QEMU (7.2 and newer) that counts how often every instruction is executed, and which
// lines the caches would have to fill (cache.h).
//
//     cc -shared -fPIC -O2 blocks.c -o blocks.so
//     qemu-system-arm ... -plugin blocks.so,mark=0x1234,cut=0x100:0x108,out=counts.txt
//
// Whenever the instruction at address `mark` runs, what was counted since the last time is
// written to `out`: a line "address count" for each instruction, and a line "mark" at the end. Before
// them stands "fills", how many lines were filled: of code, of constants beside it, of ROMFS, of RAM.
// The stores at `cut` cut the counts up: what has run since the last of them belongs to the address
// that is stored to. A line "part address" begins each; what has run since the last store has none.
// (The engine's hook adds a layer's time to times[layer + 1], so a layer is known by that address. No
// plugin of version 1 can see a register.)
// tinyvlm.virtual.cycles builds it, marks with virt.instructions() and reads what it writes.

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"

// qemu-plugin.h is not in Debian's packages. These are its declarations, version 1.
typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *),
    enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
    void (*)(unsigned, uint32_t, uint64_t, void *), enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw,
    void *);
unsigned qemu_plugin_mem_size_shift(uint32_t);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);
int qemu_plugin_version = 1;

#define FLASH (2u << 20)      // code lies below this address; Thumb instructions at even ones
#define INSTRUCTIONS (1 << 16) // different ones that may run
#define PARTS (512)
#define CUTS (8)

// What is cached, of virt_cortex_m7.ld. Above ROMFS is RAM for a simulated MAX78000.
#define RAM (0x20020000u)
#define RAM_END (0x20080000u)
#define ROMFS (0x60800000u)
#define MORE_RAM (0x60c00000u)
#define MORE_RAM_END (0x61000000u)
enum { CODE, CONSTANTS, FILES, IN_RAM, KINDS };

static cache_t icache = { .ways = 2 }, dcache = { .ways = 4 };
static uint64_t fills[KINDS];

static uint32_t number_of[FLASH / 2]; // of an address; 0: has not run
static uint64_t address_of[INSTRUCTIONS];
static uint64_t counts[INSTRUCTIONS];
static uint32_t known = 1;

static struct {
    uint64_t address;
    uint64_t *counts;
    uint64_t fills[KINDS];
} parts[PARTS];
static uint32_t parts_known;

static uint64_t mark, cuts[CUTS];
static uint32_t cuts_known;
static FILE *out;

static void show(uint64_t *of, uint64_t *filled) {
    fprintf(out, "fills");
    for (uint32_t i = 0; i < KINDS; i++) {
        fprintf(out, " %" PRIu64, filled[i]);
        filled[i] = 0;
    }
    fprintf(out, "\n");
    for (uint32_t i = 1; i < known; i++) {
        if (of[i]) {
            fprintf(out, "%" PRIx64 " %" PRIu64 "\n", address_of[i], of[i]);
            of[i] = 0;
        }
    }
}

static void at_mark(unsigned cpu, void *arg) {
    (void)cpu;
    (void)arg;
    show(counts, fills);
    for (uint32_t i = 0; i < parts_known; i++) {
        fprintf(out, "part %" PRIx64 "\n", parts[i].address);
        show(parts[i].counts, parts[i].fills);
    }
    fprintf(out, "mark\n");
    fflush(out);
}

static void at_store(unsigned cpu, uint32_t info, uint64_t address, void *arg) {
    (void)cpu;
    (void)info;
    (void)arg;
    uint32_t part = 0;
    while (part < parts_known && parts[part].address != address) {
        part++;
    }
    if (part == PARTS) {
        return;
    }
    if (part == parts_known) {
        parts[parts_known].address = address;
        parts[parts_known++].counts = calloc(INSTRUCTIONS, sizeof(uint64_t));
    }
    for (uint32_t i = 1; i < known; i++) {
        parts[part].counts[i] += counts[i];
        counts[i] = 0;
    }
    for (uint32_t i = 0; i < KINDS; i++) {
        parts[part].fills[i] += fills[i];
        fills[i] = 0;
    }
}

// A line of code begins to run.
static void at_line(unsigned cpu, void *address) {
    (void)cpu;
    fills[CODE] += (uint64_t)cache_fill(&icache, (uint32_t)(uintptr_t)address);
}

// Data are loaded or stored; those of a store are taken in, too, as the chip's RAM is set up.
static void at_access(unsigned cpu, uint32_t info, uint64_t at, void *arg) {
    (void)cpu;
    (void)arg;
    uint32_t address = (uint32_t)at, last = address + (1u << qemu_plugin_mem_size_shift(info)) - 1;
    uint64_t *filled;
    if (address < FLASH) {
        filled = &fills[CONSTANTS];
    } else if (address >= ROMFS && address < MORE_RAM) {
        filled = &fills[FILES];
    } else if ((address >= RAM && address < RAM_END) || (address >= MORE_RAM && address < MORE_RAM_END)) {
        filled = &fills[IN_RAM];
    } else {
        return;
    }
    *filled += (uint64_t)cache_fill(&dcache, address);
    if (address / CACHE_LINE != last / CACHE_LINE) {
        *filled += (uint64_t)cache_fill(&dcache, last);
    }
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    uint64_t line = UINT64_MAX;
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address >= FLASH) {
            continue;
        }
        if (address / CACHE_LINE != line) {
            line = address / CACHE_LINE;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_line, QEMU_PLUGIN_CB_NO_REGS,
                (void *)(uintptr_t)address);
        }
        qemu_plugin_register_vcpu_mem_cb(insn, at_access, QEMU_PLUGIN_CB_NO_REGS,
            QEMU_PLUGIN_MEM_RW, NULL);
        if (number_of[address / 2] == 0 && known < INSTRUCTIONS) {
            address_of[known] = address;
            number_of[address / 2] = known++;
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
            &counts[number_of[address / 2]], 1);
        if (address == mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        for (uint32_t k = 0; k < cuts_known; k++) {
            if (address == cuts[k]) {
                qemu_plugin_register_vcpu_mem_cb(insn, at_store, QEMU_PLUGIN_CB_NO_REGS,
                    QEMU_PLUGIN_MEM_W, NULL);
            }
        }
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "mark=", 5) == 0) {
            mark = strtoull(argv[i] + 5, NULL, 0) & ~1ull;
        } else if (strncmp(argv[i], "cut=", 4) == 0) {
            const char *at = argv[i] + 3;
            while (cuts_known < CUTS && (*at == '=' || *at == ':')) {
                char *end;
                cuts[cuts_known++] = strtoull(at + 1, &end, 0);
                at = end;
            }
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
