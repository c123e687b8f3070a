// SPDX-License-Identifier: MIT
//
// The words to tell apart, as device/tinyvlm's Vocab: scores, regions and heat come out of the C core
// and are the boards'. One array and its objects are made for an answer, nothing in wasm.

import { hex } from "../serial/bytes";
import { Comparison } from "./comparison";
import type { Dense, Encoder, Engine } from "./engine";
import { type Held, forget, learn } from "./learn";
import { type Contents, type Level, NOTHING, levelAt, read, rowSize, write } from "./tvp";

/** label: its index, -1 for unknown. */
export interface Match {
    label: number;
    score: number;
}

/** In pixels of the frame; x1 and y1 are the first behind it. */
export interface Box extends Match {
    x0: number;
    y0: number;
    x1: number;
    y1: number;
}

/** One frame that was shown: the label's score for it before, and once it was learnt. */
export interface Shown {
    label: string;
    shots: number;
    before: number;
    after: number;
}

interface Size {
    width: number;
    height: number;
}

const CANDIDATES = 8; // labels that detect() looks at, by their warmest cell

export class Vocab {
    /** The encoder that it was packed for, 16 hex digits. */
    readonly fingerprint: string;
    readonly encoder: string;
    readonly bits: number;
    /** Dimensions of a prototype in the file. */
    readonly storedDim: number;
    private readonly packed: number; // how many labels the levels were fitted for
    private held: Held;
    private levels: Level[];
    private used: number;
    private shown: Shown[] = [];
    private readonly past: [Held, number][] = [];

    private constructor(
        private readonly contents: Contents,
        private readonly engine: Engine,
    ) {
        this.fingerprint = hex(contents.fingerprint);
        this.encoder = contents.texts[0];
        this.bits = contents.bits;
        this.storedDim = this.used = contents.dim;
        this.packed = contents.labels.length;
        this.levels = contents.levels;
        const { labels, vectors, learnt } = contents;
        this.held = { labels, vectors, learnt, sums: new Map() };
    }

    /** A .tvp file. Error says what is wrong with it. */
    static open(tvp: Uint8Array, engine: Engine): Vocab {
        return new Vocab(read(tvp), engine);
    }

    get labels(): readonly string[] {
        return this.held.labels;
    }

    /** Dimensions in use, 1 ... storedDim. */
    get dim(): number {
        return this.used;
    }

    set dim(dim: number) {
        if (!Number.isInteger(dim) || dim < 1 || dim > this.storedDim) {
            throw new Error(
                `dim ${dim}: this vocabulary holds ${this.storedDim}; set a whole number from 1 to that, or ` +
                    "pack it with a larger --dim",
            );
        }
        this.used = dim;
    }

    /** The least score that counts, for the dimensions in use. What is set holds for all. */
    get threshold(): number {
        return this.level().threshold;
    }

    set threshold(threshold: number) {
        if (!(threshold >= 0 && threshold <= 1)) {
            throw new Error(`threshold ${threshold}: a score is 0 ... 1`);
        }
        this.levels = this.levels.map((level) => ({ ...level, threshold }));
    }

    /** The cosine of "none of them" in the softmax; below -1: it has none. */
    get none(): number {
        return this.level().none;
    }

    /** The factor on cosines that makes scores probabilities. */
    get scale(): number {
        return this.level().scale;
    }

    /** Error if it was packed for another encoder. */
    check(encoder: Encoder): void {
        if (encoder.fingerprint !== this.fingerprint) {
            throw new Error(
                `vocabulary was packed for encoder ${this.encoder} (${this.fingerprint}), this is ` +
                    `${encoder.name} (${encoder.fingerprint}); pack it again with --model for this encoder`,
            );
        }
    }

    /**
     * Every label's score, best first, and unknown's. The first is the board's answer: where that is
     * unknown, its score is what the best label's leaves of 1, as on the board; else unknown is the
     * last, with what all labels' leave.
     */
    match(embedding: Int8Array): Match[] {
        const { best, scores, cosines } = this.compare(embedding).all(this.level());
        const order = Array.from(cosines.keys()).sort((a, b) => cosines[b] - cosines[a]);
        const found = order.map((label) => ({ label, score: scores[label] }));
        if (best >= 0) {
            const left = found.reduce((rest, { score }) => rest - score, 1);
            found.push({ label: -1, score: Math.max(0, left) });
        } else {
            found.unshift({ label: -1, score: 1 - found[0].score });
        }
        return found;
    }

    /**
     * What is in a frame, and where, best first: labels that win in their region, or in the whole
     * frame. threshold: instead of the vocabulary's; 0: the likeliest eight, whether they win or not.
     */
    detect(dense: Dense, frame: Size, threshold?: number): Box[] {
        const own = this.level();
        const level = { ...own, threshold: threshold ?? own.threshold };
        const compared = this.compare(dense.embedding, dense);
        const candidates = compared.warmest(CANDIDATES);
        const first = compared.all(level);
        const whole = { label: first.best, score: first.scores[first.best] };
        if (whole.label >= 0 && !candidates.includes(whole.label)) {
            candidates[candidates.length - 1] = whole.label;
        }
        const side = Math.min(frame.width, frame.height);
        const left = Math.floor((frame.width - side) / 2);
        const top = Math.floor((frame.height - side) / 2);
        const found: Box[] = [];
        for (const label of candidates) {
            compared.heat(label);
            const [x, y, width, height] = compared.region(side);
            const { best, scores } = compared.all(level);
            let score = label === best || threshold === 0 ? scores[label] : -1;
            if (label === whole.label) {
                score = Math.max(score, whole.score);
            }
            if (score >= 0) {
                const [x0, y0] = [left + x, top + y];
                found.push({ label, score, x0, y0, x1: x0 + width, y1: y0 + height });
            }
        }
        return found.sort((a, b) => b.score - a.score);
    }

    /** How much of a label is in each cell, row by row. */
    heat(dense: Dense, label: number): Float32Array {
        return this.compare(dense.embedding, dense).heat(label).slice();
    }

    /** Shows frames by their embeddings for a label, a new one or not. One step for undo(). */
    add(label: string, embeddings: Int8Array[]): void {
        const before = this.held;
        const shown = [...this.shown];
        try {
            for (const embedding of embeddings) {
                const next = learn(this.held, label, embedding, this.storedDim, this.bits);
                const first = this.score(label, embedding);
                this.held = next;
                const { shots } = this.held.learnt.get(this.labels.indexOf(label))!;
                shown.push({ label, shots, before: first, after: this.score(label, embedding) });
            }
        } catch (error) {
            this.held = before; // all of them or none
            throw error;
        }
        this.past.push([before, this.shown.length]);
        this.shown = shown;
    }

    /** Forgets a label. One step for undo(). */
    remove(label: string): void {
        const number = this.labels.indexOf(label);
        if (number < 0) {
            throw new Error(`vocabulary has no label '${label}'; see .labels`);
        }
        if (this.labels.length === 1) {
            throw new Error(`'${label}' is the last label; a vocabulary needs one`);
        }
        this.past.push([this.held, this.shown.length]);
        this.held = forget(this.held, number, rowSize(this.storedDim, this.bits));
    }

    /** Takes the last add() or remove() back. False: there is none. */
    undo(): boolean {
        const last = this.past.pop();
        if (!last) {
            return false;
        }
        this.held = last[0];
        this.shown = this.shown.slice(0, last[1]);
        return true;
    }

    /** What every frame that was shown here changed, in order. */
    curve(): readonly Shown[] {
        return this.shown;
    }

    /** How often a label was shown, here or on a board. */
    shots(label: number): number {
        return this.held.learnt.get(label)?.shots ?? 0;
    }

    /** The .tvp file, as a board's vocab.save() writes it. */
    bytes(): Uint8Array {
        const { labels, vectors, learnt } = this.held;
        const changed = { labels: [...labels], vectors, learnt: new Map(learnt), levels: this.grown() };
        return write({ ...this.contents, ...changed });
    }

    private compare(embedding: Int8Array, dense?: Dense): Comparison {
        return new Comparison(this.engine, this.contents, this.held, this.used, embedding, dense);
    }

    private level(): Level {
        return levelAt(this.grown(), this.used);
    }

    // "None of them" counts as much beside many labels as beside few, see device/tinyvlm/vocab.py.
    private grown(): Level[] {
        const count = this.labels.length;
        if (count === this.packed || this.levels[this.levels.length - 1].none === NOTHING) {
            return this.levels;
        }
        const more = Math.log(count / this.packed);
        return this.levels.map((level) => ({ ...level, none: level.none + more / level.scale }));
    }

    private score(label: string, embedding: Int8Array): number {
        const number = this.labels.indexOf(label);
        return number < 0 ? 0 : this.compare(embedding).all(this.level()).scores[number];
    }
}
