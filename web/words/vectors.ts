// SPDX-License-Identifier: MIT
//
// float32 arithmetic in numpy's order of summation, so that vectors come out equal to the last bit.
//
// A double that is rounded to float32 after each +, *, / or square root gives what float32 itself
// would: it has more than twice the digits, so rounding twice cannot hurt. What is left is the order
// of sums, and numpy's is fixed: pairwise along a row, one row after the other across rows.

import { rint } from "./text";

const f = Math.fround;
const BLOCK = 128; // numpy's PW_BLOCKSIZE

/** Sum of `count` values from `at` on, as numpy's add.reduce makes it. */
export function sum(values: Float32Array, at = 0, count = values.length): number {
    if (count < 8) {
        let total = 0;
        for (let i = 0; i < count; i++) {
            total = f(total + values[at + i]);
        }
        return total;
    }
    if (count <= BLOCK) {
        const r = Float32Array.from(values.subarray(at, at + 8));
        const whole = count - (count % 8);
        for (let i = 8; i < whole; i++) {
            r[i % 8] += values[at + i];
        }
        const low = f(f(r[0] + r[1]) + f(r[2] + r[3]));
        const high = f(f(r[4] + r[5]) + f(r[6] + r[7]));
        let total = f(low + high);
        for (let i = whole; i < count; i++) {
            total = f(total + values[at + i]);
        }
        return total;
    }
    const half = Math.floor(count / 2), left = half - (half % 8);
    return f(sum(values, at, left) + sum(values, at + left, count - left));
}

/** A vector of length 1, of the first `dim` numbers. */
export function normalize(vector: Float32Array, dim = vector.length): Float32Array {
    const row = vector.subarray(0, dim);
    const length = f(Math.sqrt(sum(row.map((x) => x * x))));
    const divisor = Math.max(length, f(1e-12));
    return row.map((x) => x / divisor);
}

/** Sum of rows, one after the other. */
export function add(rows: Float32Array[]): Float32Array {
    const total = rows[0].slice();
    for (const row of rows.slice(1)) {
        for (let i = 0; i < total.length; i++) {
            total[i] += row[i];
        }
    }
    return total;
}

/** Mean of rows. */
export function mean(rows: Float32Array[]): Float32Array {
    return add(rows).map((x) => x / rows.length);
}

/** The product of two vectors of length 1, to a millionth: the same whatever is added first. */
export function cosine(a: Float32Array, b: Float32Array): number {
    let total = 0;
    for (let i = 0; i < a.length; i++) {
        total += a[i] * b[i];
    }
    return rint(total * 1e6) / 1e6 + 0; // as numpy rounds, and no zero is negative
}
