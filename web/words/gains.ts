// SPDX-License-Identifier: MIT
//
// Factors on cosines that make the scores of different words comparable, to the last bit those of
// host/tinyvlm/words/gains.py, which says why.

import { quantize } from "./tvp";

const TOP = 3; // of the cohort
const MOST = 256; // labels of a list that has gains
const LOW = 0.5, HIGH = 2;

/** Means of alike photos, as base.background.json has them: int8 rows in base64. */
export interface Cohort {
    typical: number;
    rows: string[];
}

/** The gain of each of these vectors of length 1. */
export function gainsOf({ typical, rows }: Cohort, vectors: Float32Array[]): number[] {
    if (vectors.length > MOST) {
        return vectors.map(() => 1);
    }
    const means = rows.map((row) => Int8Array.from(atob(row), (c) => c.charCodeAt(0)));
    return vectors.map((vector) => {
        const row = quantize(vector, means[0].length, 8);
        const products = means.map((mean) => dot(row, mean)).sort((a, b) => b - a).slice(0, TOP);
        const height = products.reduce((a, b) => a + b) / (TOP * Math.sqrt(dot(row, row)));
        const usual = Math.max(height, typical / HIGH ** 2);
        return Math.fround(Math.max(Math.sqrt(typical / usual), LOW));
    });
}

function dot(a: Int8Array, b: Int8Array): number {
    return a.reduce((total, x, i) => total + x * b[i], 0);
}
