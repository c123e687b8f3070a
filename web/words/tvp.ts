// SPDX-License-Identifier: MIT
//
// A packed word list as a `*.tvp` file, byte for byte host/tinyvlm/words/tvp.py's.

import { type Contents, stored, write } from "../engine/tvp";
import { rint } from "./text";
import { bytesOf } from "./vocabulary";

const MAX_TEXT = 255;

/** The first `dim` numbers as int8 directions: round(v / max|v| * 127), or * 7 for 4 bits. */
export function quantize(vector: Float32Array, dim: number, bits: number): Int8Array {
    const row = vector.subarray(0, dim), top = bits === 8 ? 127 : 7;
    const peak = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (!(peak > 0 && peak < Infinity)) {
        throw new Error("a prototype is zero or not finite; every row must have a direction");
    }
    return Int8Array.from(row, (x) => rint((x / peak) * top));
}

/** The file. rows: the labels' vectors, then the background's. */
export function toBytes(
    rows: Float32Array[], about: Omit<Contents, "vectors" | "background">,
): Uint8Array {
    const { texts, labels, dim, bits } = about;
    for (const text of [...texts, ...labels]) {
        const { length } = bytesOf(text);
        if (length > MAX_TEXT) {
            throw new Error(`${text.slice(0, 40)}...: ${length} bytes, at most ${MAX_TEXT} fit`);
        }
    }
    const vectors = stored(rows.map((row) => quantize(row, dim, bits)), bits);
    return write({ ...about, vectors, background: rows.length - labels.length });
}
