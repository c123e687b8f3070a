// SPDX-License-Identifier: MIT
//
// Writer of `*.tvp` prototype files (docs/format.md), byte for byte host/tinyvlm/words/tvp.py's.

import { rint } from "./text";
import { bytesOf } from "./vocabulary";

const HEADER = 48, MAX_TEXT = 255, PREFIXES = 2, NONE = 4;

/** Scale and threshold for the first `dim` dimensions. */
export interface Prefix {
    dim: number;
    scale: number;
    threshold: number;
}

/** What a file holds; the fields are those of tvp.py's Prototypes. prefixes: ascending, the last is whole. */
export interface Prototypes {
    labels: string[];
    rows: Int8Array[];
    fingerprint: string;
    encoder: string;
    textEncoder: string;
    bits: 8 | 4;
    prefixes: Prefix[];
    none: number[];
    rivals: number;
}

/** The first `dim` numbers as int8 directions: round(v / max|v| * 127), or * 7 for 4 bits. */
export function quantize(vector: Float32Array, dim: number, bits: 8 | 4): Int8Array {
    const row = vector.subarray(0, dim), top = bits === 8 ? 127 : 7;
    const peak = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (!(peak > 0 && peak < Infinity)) {
        throw new Error("a prototype is zero or not finite; every row must have a direction");
    }
    return Int8Array.from(row, (x) => rint((x / peak) * top));
}

/** The file. */
export function toBytes(p: Prototypes): Uint8Array {
    const dim = p.rows[0].length, whole = p.prefixes[p.prefixes.length - 1];
    const body = p.rows.flatMap((row) => (p.bits === 8 ? [...row] : nibbles(row)));
    const strings = [p.encoder, p.textEncoder, "", ...p.labels].map(text);
    const size = strings.reduce((sum, raw) => sum + 2 + raw.length, HEADER + body.length);
    const fewer = p.prefixes.length - 1;
    const tail = (fewer ? 1 + 10 * fewer : 0) + (p.none.length ? 2 + 4 * p.none.length : 0);
    const bytes = new Uint8Array(size + tail), out = new Writer(bytes);
    out.bytes(bytesOf("TVPR"));
    out.u16(1, HEADER);
    out.u32(bytes.length, 0);
    out.bytes(p.fingerprint.match(/../g)!.map((pair) => parseInt(pair, 16)));
    out.u16(p.labels.length, p.rows.length - p.labels.length, dim);
    out.bytes([p.bits, (fewer ? PREFIXES : 0) | (p.none.length ? NONE : 0)]);
    out.f32(whole.scale, whole.threshold);
    out.u32(HEADER, HEADER + body.length);
    out.bytes(body);
    for (const raw of strings) {
        out.u16(raw.length);
        out.bytes(raw);
    }
    if (fewer) {
        out.bytes([fewer]);
        for (const { dim, scale, threshold } of p.prefixes.slice(0, -1)) {
            out.u16(dim);
            out.f32(scale, threshold);
        }
    }
    if (p.none.length) {
        out.u16(p.rivals);
        out.f32(...p.none);
    }
    new DataView(bytes.buffer).setUint32(12, crc32(bytes.subarray(16)), true);
    return bytes;
}

class Writer {
    private at = 0;
    private view: DataView;

    constructor(private into: Uint8Array) {
        this.view = new DataView(into.buffer);
    }

    bytes(values: ArrayLike<number>): void {
        this.into.set(Uint8Array.from(values), this.at); // of negative values the low 8 bits
        this.at += values.length;
    }

    u16(...values: number[]): void {
        values.forEach((value) => this.view.setUint16((this.at += 2) - 2, value, true));
    }

    u32(...values: number[]): void {
        values.forEach((value) => this.view.setUint32((this.at += 4) - 4, value, true));
    }

    f32(...values: number[]): void {
        values.forEach((value) => this.view.setFloat32((this.at += 4) - 4, value, true));
    }
}

function text(text: string): Uint8Array {
    const raw = bytesOf(text);
    if (raw.length > MAX_TEXT) {
        throw new Error(`${text.slice(0, 40)}...: ${raw.length} bytes, at most ${MAX_TEXT} fit`);
    }
    return raw;
}

function nibbles(row: Int8Array): number[] {
    const packed: number[] = [];
    for (let i = 0; i < row.length; i += 2) {
        packed.push((row[i] & 15) | ((i + 1 < row.length ? row[i + 1] & 15 : 0) << 4));
    }
    return packed;
}

/** zlib's CRC-32. */
export function crc32(bytes: Uint8Array): number {
    let crc = -1;
    for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) {
            crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return (crc ^ -1) >>> 0;
}
