// SPDX-License-Identifier: MIT
//
// What the page asks its worker, and what the worker answers. Every question has a number and
// gets one answer: a value, or a sentence that says what is wrong.

import type { Frame } from "../engine/engine";
import type { Problem, Rates, Unknown } from "../words/words";

export type { Frame, Problem, Rates, Unknown };

export interface Options {
    text: string; // the word list as typed
    dim: number;
    unknown: Unknown;
    threshold: number | null; // null: the one that was fitted
}

export interface Ready {
    encoder: string;
    simd: boolean;
    cycles: number; // of a Cortex-M7 a frame, estimated
}

export interface Word {
    label: string;
    known: boolean; // false: only photos can tell what it means
    shots: number;
    note: string; // "" or where its vector comes from, if that is a guess
}

export interface Pair {
    a: string;
    b: string;
    cosine: number;
}

// What another number of dimensions would give.
export interface Size {
    dim: number;
    bytes: number;
    right: number | null; // of 100 frames
}

export interface Summary {
    labels: string[]; // of the vocabulary in use, in order; [] if there is none
    words: Word[]; // all that were typed or shown
    problems: Problem[];
    confused: Pair[];
    nearest: Pair | null;
    rates: Rates | null;
    bytes: number; // of the .tvp
    sizes: Size[];
    threshold: number;
    shown: Shot[];
    vectors: { here: number; all: number }; // of the lexicon's names
}

export interface Shot {
    label: string;
    before: number; // the label's score for this frame before the frame was added
}

export interface Score {
    label: string;
    score: number;
}

export interface Box extends Score {
    x0: number;
    y0: number;
    x1: number;
    y1: number;
}

export interface Heat {
    rows: number;
    cols: number;
    values: Float32Array;
}

export interface Look {
    scores: Score[]; // of all labels, and of "" for unknown; the first is the answer
    said: string; // the best label, or "" where the board would say unknown
    boxes: Box[];
    heat: Heat | null;
    ms: number;
}

export interface Wanted {
    where: boolean;
    heat: string | null; // the label
}

// Operation -> [arguments, answer].
export interface Operations {
    load: [Loaded, Ready];
    words: [Options, Summary];
    look: [{ frame: Frame; wanted: Wanted }, Look];
    show: [{ label: string; frame: Frame }, Summary];
    undo: [null, Summary];
    forget: [null, Summary];
    file: [null, Uint8Array];
    lexicon: [Uint8Array, Summary]; // the whole one, for the page's
}

// What lies in the page itself, by name: see data.ts.
export type Loaded = Record<"engine" | "encoder" | "lexicon" | "background" | "card", Block>;

export interface Block {
    text: string;
    size: number;
    deflated: boolean;
}

export type Operation = keyof Operations;
export type Question = { id: number; op: Operation; args: unknown };
export type Answer =
    | { id: number; value: unknown }
    | { id: number; error: string }
    | { progress: Part };
export type Part = "engine" | "encoder" | "lexicon"; // that is being loaded
