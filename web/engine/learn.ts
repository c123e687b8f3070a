// SPDX-License-Identifier: MIT
//
// Learning by showing, as Vocab.learn() of device/tinyvlm/vocab.py: the arithmetic is Python's, so
// that the files are equal.

import { type Learnt, rowSize, stored } from "./tvp";

/** What a change replaces as a whole. */
export interface Held {
    readonly labels: readonly string[];
    readonly vectors: Uint8Array;
    readonly learnt: ReadonlyMap<number, Learnt>;
    /** Sums of the unit embeddings shown, by label. */
    readonly sums: ReadonlyMap<number, Float32Array>;
}

// How many frames a word counts as, and what stands in their place for a label without a word.
export const WORD = 5;
const NO_WORD = 1;
const GAIN = 0.75; // power of the length of the mean of what made a prototype
const MOST_LABELS = 65535;

/** `held` once an embedding was shown for a label. `dim` and `bits` are the stored rows'. */
export function learn(held: Held, label: string, embedding: Int8Array, dim: number, bits: number): Held {
    if (embedding.length < dim) {
        throw new Error(`the embedding has ${embedding.length} dimensions, the vocabulary ${dim}`);
    }
    const size = new TextEncoder().encode(label).length;
    if (size === 0 || size > 255) {
        throw new Error(`a label has 1 ... 255 bytes of UTF-8, not ${size}`);
    }
    if (label === "unknown") {
        throw new Error("'unknown' is what shows none of the labels; take another name");
    }
    const shown = Float32Array.from(unit(embedding.subarray(0, dim)));
    const found = held.labels.indexOf(label);
    const known = found >= 0;
    const number = known ? found : held.labels.length;
    if (number === MOST_LABELS) {
        throw new Error(`a vocabulary has at most ${MOST_LABELS} labels`);
    }
    let { shots, weight } = { shots: 0, weight: NO_WORD };
    if (known) {
        const before = held.learnt.get(number) ?? { shots: 0, weight: WORD, gain: 1 };
        ({ shots, weight } = before);
        let total: ArrayLike<number> | undefined = held.sums.get(number);
        let length = 1;
        if (!total) {
            // from the file: its direction, as long as it counts
            total = unit(row(held.vectors, number, dim, bits));
            length = weight * before.gain ** (1 / GAIN);
        }
        for (let i = 0; i < dim; i++) {
            shown[i] += length * total[i];
        }
    }
    weight += 1;
    const gain = (Math.sqrt(squares(shown)) / weight) ** GAIN;
    const labels = known ? held.labels : [...held.labels, label];
    return {
        labels,
        vectors: replaced(held, number, known, shown, bits),
        learnt: new Map(held.learnt).set(number, { shots: Math.min(shots + 1, 65535), weight, gain }),
        sums: new Map(held.sums).set(number, shown),
    };
}

/** `held` without a label. */
export function forget(held: Held, number: number, size: number): Held {
    const vectors = new Uint8Array(held.vectors.length - size);
    vectors.set(held.vectors.subarray(0, number * size));
    vectors.set(held.vectors.subarray((number + 1) * size), number * size);
    const rest = <T>(table: ReadonlyMap<number, T>) =>
        new Map([...table].filter(([i]) => i !== number).map(([i, value]) => [i > number ? i - 1 : i, value]));
    return {
        labels: held.labels.filter((_, i) => i !== number),
        vectors,
        learnt: rest(held.learnt),
        sums: rest(held.sums),
    };
}

function squares(values: ArrayLike<number>): number {
    let sum = 0;
    for (let i = 0; i < values.length; i++) {
        sum += values[i] * values[i];
    }
    return sum;
}

function unit(values: ArrayLike<number>): Float64Array {
    const length = Math.sqrt(squares(values)) || 1;
    return Float64Array.from(values, (value) => value / length);
}

function row(vectors: Uint8Array, number: number, dim: number, bits: number): Int8Array {
    const size = rowSize(dim, bits);
    const packed = vectors.subarray(number * size, (number + 1) * size);
    if (bits === 8) {
        return Int8Array.from(packed);
    }
    return Int8Array.from({ length: dim }, (_, i) => ((packed[i >> 1] >> (4 * (i & 1))) << 28) >> 28);
}

// The prototypes with another one, or one more behind the labels'.
function replaced(held: Held, number: number, known: boolean, values: Float32Array, bits: number): Uint8Array {
    const size = rowSize(values.length, bits);
    const rows = new Uint8Array(held.vectors.length + (known ? 0 : size));
    rows.set(held.vectors.subarray(0, number * size));
    rows.set(held.vectors.subarray((known ? number + 1 : number) * size), (number + 1) * size);
    const most = bits === 8 ? 127 : 7;
    const peak = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) || 1;
    const round = (value: number) => Math.trunc((value / peak) * most + 1000.5) - 1000; // not cut
    rows.set(stored([Int8Array.from(values, round)], bits), number * size);
    return rows;
}
