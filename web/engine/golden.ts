// SPDX-License-Identifier: MIT
//
// For tests: what Python's tinyvlm answers (tests/web_golden.py), and both builds of the engine.

import { existsSync, readFileSync } from "node:fs";
import { Engine, type Frame } from "./engine";

const BUILD = new URL("../../build/web/", import.meta.url);

/** [label, score, x0, y0, x1, y1] */
export type BoxRow = [number, number, number, number, number, number];

export interface Answer {
    match: [number, number][];
    scores: number[];
    best: number;
    detect?: BoxRow[];
    detectAll?: BoxRow[];
    detectSure?: BoxRow[];
    heat?: string;
}

export interface Golden {
    frames: Record<string, { width: number; height: number }>;
    encoders: Record<
        string,
        {
            file: string;
            fingerprint: string;
            name: string;
            size: number;
            dim: number;
            macs: number;
            arena: number;
            frames: Record<string, { embedding: string; map: string }>;
        }
    >;
    vocabularies: {
        name: string;
        encoder: string;
        file: string;
        dims: Record<
            string,
            { level: { scale: number; threshold: number; none: number }; frames: Record<string, Answer> }
        >;
        learnt?: {
            steps: { label: string; embedding: string; shots: number; file: string; reopened: boolean }[];
            removed: string;
            file: string;
        };
        after?: Record<string, Answer>;
    }[];
    /** Of each byte with each of FLIPS: what is wrong, or the best label and the first one's score. */
    changed: { file: string; embedding: string; verdicts: (string | [number, number])[] };
    hostile: Record<"model" | "tvp", { name: string; data: string; error: string | null }[]>;
}

export const builds = ["tinyvlm", "tinyvlm-simd"];

export function load(build: string): Promise<Engine> {
    return Engine.load(readFileSync(new URL(`engine/${build}.wasm`, BUILD)));
}

export function golden(): Golden {
    const file = new URL("golden/golden.json", BUILD);
    if (!existsSync(file)) {
        throw new Error("no golden data: run .venv/bin/python tests/web_golden.py build/web/golden");
    }
    return JSON.parse(readFileSync(file, "utf8"));
}

export function frame(name: string, { width, height }: { width: number; height: number }): Frame {
    return { width, height, data: readFileSync(new URL(`golden/${name}.rgba`, BUILD)) };
}

export function bytes(base64: string): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(Buffer.from(base64, "base64"));
}

export function signed(base64: string): Int8Array {
    return new Int8Array(bytes(base64).buffer);
}

/** How many of the values differ; a test wants 0 of many. */
export function differing(a: ArrayLike<number>, b: ArrayLike<number>): number {
    let count = Math.abs(a.length - b.length);
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
        count += a[i] === b[i] ? 0 : 1;
    }
    return count;
}
