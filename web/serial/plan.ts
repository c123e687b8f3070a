// SPDX-License-Identifier: MIT
//
// What a board shall have, compared with what it has: the rules of tinyvlm-deploy. Nothing here
// talks to a board. An encoder belongs into ROMFS, where its weights are used in place; everything
// else goes to the file system. What is there already is left alone.

import { fingerprint, isWhole } from "./bytes";
import { BoardError, OtherEncoder } from "./errors";
import { makeImage } from "./romfs";
import { sentences } from "./sentences";

// What a board is and has. Sizes in bytes; null where the board does not tell.
export interface Facts {
    name: string;
    version: string;
    machine: string;
    ram: number;
    lib: string | null;
    block: number | null;
    flash: number | null;
    free: number | null;
    fs: string;
    romfs: number | null;
    engine: string | null; // "" when built in, else the path of a native .mpy
    frozen: string | null; // version of the device package built into the firmware
    encoders: Found[]; // the first one counts
    vocabs: Found[];
    damaged: string[]; // encoders that are incomplete
    leftovers: string[]; // of a copy that was cut off
    romFiles: { path: string; size: number }[];
}

export interface Found {
    path: string;
    fingerprint: string;
    size: number;
}

// `path`: "pets.tvp", "detect.py", "base.tvlm", "lib/tinyvlm/vocab.py"; where a board has its lib
// folder and its encoder elsewhere, they go there.
export interface BoardFile {
    path: string;
    data: Uint8Array;
}

export interface Item extends BoardFile {
    was: "new" | "changed" | "unchanged";
}

export interface Plan {
    files: Item[]; // to the file system
    rom: Item | null; // the encoder, if it goes to ROMFS
    kept: { path: string; size: number }[]; // other files in ROMFS
    encoder: string; // its path on the board
    fingerprint: string | null; // of that encoder
    notes: string[];
}

export const NEW = ".new"; // behind a file's name while it is copied
const LIB = "lib/";
const PACKAGE = "lib/tinyvlm/";

// Where everything goes. BoardError says why it must not. Whether the board has it already is not
// known yet: set `was` of each of the files.
export function makePlan(facts: Facts, given: BoardFile[], replaceEncoder = false): Plan {
    given.forEach(check);
    const plan: Plan = { files: [], rom: null, kept: [], encoder: "", fingerprint: null, notes: [] };
    for (const path of facts.damaged) {
        plan.notes.push(`${path} is incomplete, a copy was cut off`);
    }
    const encoders = given.filter((file) => file.path.endsWith(".tvlm"));
    if (encoders.length > 1) {
        throw new BoardError(sentences.encoders);
    }
    for (const { path, data } of given) {
        if (path.startsWith(PACKAGE) && facts.frozen !== null) {
            continue; // built into the firmware, which finds it first
        }
        if (!path.endsWith(".tvlm")) {
            const place = path.startsWith(LIB) ? `${facts.lib ?? "lib"}/${path.slice(LIB.length)}` : path;
            plan.files.push({ path: place, data, was: "new" });
        }
    }
    const mark = (plan.fingerprint = planEncoder(plan, facts, encoders[0] ?? null, given, replaceEncoder));
    const paths = plan.files.map((file) => file.path);
    const twice = paths.find((path, at) => paths.indexOf(path) !== at);
    if (twice) {
        throw new BoardError(sentences.twice(twice));
    }
    for (const { path, fingerprint: its } of facts.vocabs) {
        if (mark && its !== mark && !paths.includes(path)) {
            plan.notes.push(`${path} was made for another encoder and will not work with this one`);
        }
    }
    return plan;
}

// Keep the board's encoder, or put the given one into ROMFS or onto the file system. Returns the
// fingerprint of the one that the board has then.
function planEncoder(
    plan: Plan,
    facts: Facts,
    given: BoardFile | null,
    files: BoardFile[],
    replace: boolean,
): string | null {
    const there = facts.encoders[0] ?? null;
    const ours = given && fingerprint(given.data);
    if (there && (!given || there.fingerprint === ours)) {
        fit(files, there.fingerprint, `the board has ${there.path}`);
        plan.encoder = there.path;
        return there.fingerprint;
    }
    const vocabs = files.filter((file) => file.path.endsWith(".tvp"));
    if (!given) {
        if (vocabs.length) {
            throw new BoardError(sentences.noEncoder);
        }
        return null;
    }
    if (there && !replace) {
        throw new OtherEncoder(sentences.otherEncoder(there.path, there.fingerprint, ours!));
    }
    fit(files, ours!, `the board gets ${given.path}`);
    const name = given.path.split("/").at(-1)!;
    if (!facts.romfs) {
        plan.files.unshift({ path: name, data: given.data, was: "new" });
        plan.encoder = name;
        plan.notes.push(`no ROMFS here: the encoder is loaded into RAM, of which ${facts.ram} bytes are free`);
        return ours;
    }
    plan.rom = { path: `/rom/${name}`, data: given.data, was: "new" };
    plan.encoder = plan.rom.path;
    for (const file of facts.romFiles) {
        if (/^\/rom\/(lib\/)?[^/]*\.tvlm$/.test(file.path)) {
            plan.rom.was = "changed";
        } else {
            plan.kept.push(file);
        }
    }
    const image = makeImage([plan.rom, ...plan.kept.map(({ path, size }) => ({ path, data: new Uint8Array(size) }))]);
    if (image.length > facts.romfs) {
        throw new BoardError(sentences.romfsFull(image.length, facts.romfs));
    }
    if (plan.kept.length) {
        plan.notes.push(`${plan.kept.length} other files in ROMFS are kept`);
    }
    return ours;
}

// Old and new lie side by side until the new ones are complete.
export function checkSpace(plan: Plan, facts: Facts): void {
    if (facts.free === null) {
        return;
    }
    const block = facts.block || 512;
    let need = 0;
    for (const { data, was } of plan.files) {
        // a block more for each file: its name, or LittleFS's own pointers
        need += was === "unchanged" ? 0 : Math.ceil(data.length / block) * block + block;
    }
    if (need > facts.free) {
        throw new BoardError(sentences.full(need, facts.free));
    }
}

function check(file: BoardFile): void {
    const parts = file.path.split("/");
    // no empty name, none that a shell or FAT would stumble over, and none of our own
    if (parts.some((part) => /^\.*$|[\x00-\x1f\\:*?"<>|]|^.{64}/.test(part)) || file.path.endsWith(NEW)) {
        throw new BoardError(sentences.badName(file.path));
    }
    if (/\.tv(lm|p)$/.test(file.path) && !isWhole(file.data)) {
        throw new BoardError(sentences.damaged(file.path));
    }
}

function fit(files: BoardFile[], mark: string, there: string): void {
    for (const { path, data } of files) {
        if (path.endsWith(".tvp") && fingerprint(data) !== mark) {
            throw new BoardError(sentences.misfit(path, fingerprint(data), there, mark));
        }
    }
}
