// SPDX-License-Identifier: MIT
//
// Prototype files (`*.tvp`, docs/format.md), read and written as device/tinyvlm/tvp.py does, with its
// words for what is wrong. host/tinyvlm/words/tvp.py writes the same bytes.

import { crc32 } from "../serial/bytes";

/** Scale, threshold and the cosine of "none of them", for a prefix of `dim` dimensions. */
export interface Level {
    dim: number;
    scale: number;
    threshold: number;
    none: number;
}

/** How often a label was shown (0: a word), what it weighs, the factor on its cosines. */
export interface Learnt {
    shots: number;
    weight: number;
    gain: number;
}

export interface Contents {
    fingerprint: Uint8Array;
    /** Names of the encoder and of the text encoder, and the prompt. */
    texts: string[];
    labels: string[];
    /** Prototypes behind the labels' for what else there is, and how many of them compete. */
    background: number;
    rivals: number;
    dim: number;
    bits: number;
    vectors: Uint8Array;
    /** By dim; the last is of the whole rows. */
    levels: Level[];
    learnt: Map<number, Learnt>;
}

const HEADER_SIZE = 48;
const SHOTS = 1; // flags
const PREFIXES = 2;
const NONE = 4;
const LEARNT = 8;
const LIST = 256; // among more labels nobody looks for two that are equal

/** A cosine that there is not: none of the softmax. */
export const NOTHING = -2;

/** Bytes of one stored prototype. */
export function rowSize(dim: number, bits: number): number {
    return bits === 8 ? dim : Math.floor((dim + 1) / 2);
}

/** Rows of int8 as they lie in a file. */
export function stored(rows: Int8Array[], bits: number): Uint8Array {
    const size = rows.length && rowSize(rows[0].length, bits);
    const packed = new Uint8Array(rows.length * size);
    rows.forEach((row, number) => {
        const at = number * size;
        if (bits === 8) {
            packed.set(row, at);
        } else {
            row.forEach((value, i) => (packed[at + (i >> 1)] |= (value & 15) << (4 * (i & 1))));
        }
    });
    return packed;
}

function bad(what: string): Error {
    return new Error(`vocabulary: ${what}`);
}

export function read(file: Uint8Array): Contents {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const u16 = (at: number) => view.getUint16(at, true);
    const u32 = (at: number) => view.getUint32(at, true);
    const f32 = (at: number) => view.getFloat32(at, true);
    if (file.length < 16 || u32(0) !== 0x52505654) {
        throw bad("not a tinyvlm vocabulary; make one with tinyvlm-pack");
    }
    if (u16(4) !== 1) {
        throw bad(`format version ${u16(4)}, this tinyvlm reads 1`);
    }
    const size = u32(8);
    if (size > file.length || size < HEADER_SIZE || u16(6) !== HEADER_SIZE) {
        throw bad(`truncated, ${file.length} of ${size} bytes; copy it again`);
    }
    if (crc32(file.subarray(16, size)) !== u32(12)) {
        throw bad("damaged (CRC differs); copy it again");
    }
    const [count, background, dim, bits, flags] = [u16(24), u16(26), u16(28), file[30], file[31]];
    const [vectors, strings] = [u32(40), u32(44)];
    if (flags & SHOTS) {
        throw bad("shown things by an older tinyvlm; pack it again and show them again");
    }
    if (flags & ~(PREFIXES | NONE | LEARNT)) {
        throw bad(`made by a newer tinyvlm (flags ${flags}); update this one`);
    }
    const rows = (count + background) * rowSize(dim, bits);
    if ((bits !== 4 && bits !== 8) || !dim || !count || vectors + rows > size) {
        throw bad("inconsistent header; pack it again");
    }

    let at = strings;
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const places: [number, number][] = [];
    for (let i = 0; i < 3 + count; i++) {
        const end = at + 2 <= size ? at + 2 + u16(at) : size + 1;
        if (end > size) {
            throw bad("inconsistent strings; pack it again");
        }
        places.push([at + 2, end]);
        at = end;
    }
    let levels: Level[] = [];
    if (flags & PREFIXES) {
        const prefixes = at < size ? file[at] : 255;
        const end = at + 1 + 10 * prefixes;
        if (end <= size) {
            for (let i = at + 1; i < end; i += 10) {
                levels.push({ dim: u16(i), scale: f32(i + 2), threshold: f32(i + 6), none: NOTHING });
            }
        }
        const dims = [0, ...levels.map((level) => level.dim), dim];
        if (end > size || dims.some((value, i) => i > 0 && dims[i - 1] >= value)) {
            throw bad("inconsistent prefixes; pack it again");
        }
        at = end;
    }
    levels.push({ dim, scale: f32(32), threshold: f32(36), none: NOTHING });
    let rivals = background;
    if (flags & NONE) {
        const end = at + 2 + 4 * levels.length;
        if (end <= size) {
            rivals = u16(at);
            levels = levels.map((level, i) => ({ ...level, none: f32(at + 2 + 4 * i) }));
        }
        if (end > size || rivals > background) {
            throw bad("inconsistent background; pack it again");
        }
        at = end;
    }
    if (!levels.every((level) => Object.values(level).every(Number.isFinite))) {
        throw bad("inconsistent prefixes; pack it again");
    }
    const text = ([from, to]: [number, number]) => {
        try {
            return decoder.decode(file.subarray(from, to));
        } catch {
            throw bad("a string is not UTF-8; pack it again");
        }
    };
    const texts = places.slice(0, 3).map(text);
    if (places.slice(3).some(([from, to]) => from === to)) {
        throw bad("an empty label; pack it again");
    }
    const labels = places.slice(3).map(text);
    if (count <= LIST && new Set(labels).size !== count) {
        throw bad("the same label twice; pack it again");
    }
    const learnt = new Map<number, Learnt>();
    if (flags & LEARNT) {
        const shown = at + 2 <= size ? u16(at) : 65535;
        if (at + 2 + 12 * shown > size) {
            throw bad("inconsistent shots; pack it again");
        }
        for (let i = at + 2; i < at + 2 + 12 * shown; i += 12) {
            const entry = { shots: u16(i + 2), weight: f32(i + 4), gain: f32(i + 8) };
            if (u16(i) >= count || !Number.isFinite(entry.weight) || !Number.isFinite(entry.gain)) {
                throw bad("inconsistent shots; pack it again");
            }
            learnt.set(u16(i), entry);
        }
    }
    return {
        fingerprint: file.slice(16, 24),
        texts,
        labels,
        background,
        rivals,
        dim,
        bits,
        vectors: file.slice(vectors, vectors + rows),
        levels,
        learnt,
    };
}

export function write(contents: Contents): Uint8Array {
    const { levels, learnt, labels, texts } = contents;
    const last = levels[levels.length - 1];
    const strings = [...texts, ...labels].map((text) => new TextEncoder().encode(text));
    const prefixes = levels.length > 1;
    const none = last.none !== NOTHING;
    const flags = (prefixes ? PREFIXES : 0) | (none ? NONE : 0) | (learnt.size ? LEARNT : 0);
    const start = HEADER_SIZE + contents.vectors.length;
    const size =
        strings.reduce((sum, text) => sum + 2 + text.length, start) +
        (prefixes ? 1 + 10 * (levels.length - 1) : 0) +
        (none ? 2 + 4 * levels.length : 0) +
        (learnt.size ? 2 + 12 * learnt.size : 0);
    const file = new Uint8Array(size);
    const view = new DataView(file.buffer);
    let at = 0;
    const u8 = (value: number) => view.setUint8((at += 1) - 1, value);
    const u16 = (value: number) => view.setUint16((at += 2) - 2, value, true);
    const u32 = (value: number) => view.setUint32((at += 4) - 4, value, true);
    const f32 = (value: number) => view.setFloat32((at += 4) - 4, value, true);
    const raw = (value: Uint8Array) => file.set(value, (at += value.length) - value.length);
    u32(0x52505654);
    [1, HEADER_SIZE].forEach(u16);
    [size, 0].forEach(u32);
    raw(contents.fingerprint);
    [labels.length, contents.background, contents.dim].forEach(u16);
    [contents.bits, flags].forEach(u8);
    [last.scale, last.threshold].forEach(f32);
    [HEADER_SIZE, start].forEach(u32);
    raw(contents.vectors);
    for (const text of strings) {
        u16(text.length);
        raw(text);
    }
    if (prefixes) {
        u8(levels.length - 1);
        for (const level of levels.slice(0, -1)) {
            u16(level.dim);
            [level.scale, level.threshold].forEach(f32);
        }
    }
    if (none) {
        u16(contents.rivals);
        levels.forEach((level) => f32(level.none));
    }
    if (learnt.size) {
        u16(learnt.size);
        for (const [label, { shots, weight, gain }] of [...learnt].sort(([a], [b]) => a - b)) {
            [label, shots].forEach(u16);
            [weight, gain].forEach(f32);
        }
    }
    view.setUint32(12, crc32(file.subarray(16)), true);
    return file;
}

/** The level of a prefix: between two that are listed linear in the logarithm of dim. */
export function levelAt(levels: Level[], dim: number): Level {
    const high = levels.find((level) => dim <= level.dim) ?? levels[levels.length - 1];
    const low = levels[Math.max(0, levels.indexOf(high) - 1)];
    if (dim === high.dim || low === high) {
        return high; // below the first, that one
    }
    const part = Math.log(dim / low.dim) / Math.log(high.dim / low.dim);
    const between = (key: "scale" | "threshold" | "none") => low[key] + part * (high[key] - low[key]);
    return { dim, scale: between("scale"), threshold: between("threshold"), none: between("none") };
}
