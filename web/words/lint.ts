// SPDX-License-Identifier: MIT
//
// Will these labels be told apart? host/tinyvlm/words/lint.py: two labels are likely confused where
// the cosine of their vectors is CLOSE or more.

import { fixed } from "./text";
import { cosine, normalize } from "./vectors";

const DIMS = [16, 32, 64, 128, 256]; // prefixes that training made good
export const CLOSE = 0.7;
const NEAREST = 10, MOST = 200; // pairs that are kept: even if far apart; even if there are more
const SHOWN = 5; // warnings before "... and more"

/** Two labels and the cosine of their vectors at each of `Lint.dims`. */
export interface Pair {
    a: string;
    b: string;
    cosines: number[];
}

/** What `examine` found. */
export class Lint {
    constructor(
        /** The packed prefix. */
        readonly dim: number,
        /** Prefixes that are compared, the packed one among them. */
        readonly dims: number[],
        /** The nearest pairs at `dim`, nearest first, those that are likely confused among them. */
        readonly pairs: Pair[],
        /** How many pairs are likely confused, by prefix. */
        readonly confused: Map<number, number>,
        /** The smallest prefix that keeps apart what the full vectors keep apart. */
        readonly suggested: number,
    ) {}

    at(pair: Pair, dim = this.dim): number {
        return pair.cosines[this.dims.indexOf(dim)];
    }

    /** The pairs that are likely confused at the packed prefix. */
    get warnings(): Pair[] {
        return this.pairs.slice(0, this.confused.get(this.dim));
    }

    /** The fewest dimensions, more than the packed ones, that part a pair; undefined: none does. */
    parted(pair: Pair): number | undefined {
        return this.dims.find((dim) => dim > this.dim && this.at(pair, dim) < CLOSE);
    }

    /** What tinyvlm-pack says: one line if all is well, the pairs to mind if not. */
    said(): string[] {
        if (!this.pairs.length) {
            return [];
        }
        const [best] = this.pairs, more = this.confused.get(this.dim)! - SHOWN;
        if (!this.warnings.length) {
            const enough = this.suggested < this.dim ? `; --dim ${this.suggested} would do` : "";
            return [`nearest: ${best.a} and ${best.b}, cosine ${fixed(this.at(best), 2)}; `
                + `none likely confused${enough}`];
        }
        return [
            `likely confused, cosine ${CLOSE} or more:`,
            ...this.warnings.slice(0, SHOWN).map((pair) => `  ${this.warning(pair)}`),
            ...(more > 0 ? [`  ... and ${more} more; --explain lists them`] : []),
        ];
    }

    private warning(pair: Pair): string {
        const dim = this.parted(pair), text = `${pair.a} and ${pair.b} ${fixed(this.at(pair), 2)}`;
        return dim === undefined
            ? `${text}; use one label for both, or other words (\`label: phrase, phrase\`)`
            : `${text}; ${fixed(this.at(pair, dim), 2)} with --dim ${dim}`;
    }
}

/** Compare every label with every other. */
export function examine(labels: string[], vectors: Float32Array[], dim: number): Lint {
    const most = vectors[0].length;
    const dims = [...new Set([...DIMS.filter((d) => d < most), dim, most])].sort((a, b) => a - b);
    const rows = new Map(dims.map((d) => [d, vectors.map((vector) => normalize(vector, d))]));
    const all: { i: number; j: number }[] = [];
    for (let i = 0; i < labels.length; i++) {
        for (let j = i + 1; j < labels.length; j++) {
            all.push({ i, j });
        }
    }
    const cosines = new Map(dims.map((d) => {
        const of = rows.get(d)!;
        return [d, all.map(({ i, j }) => cosine(of[i], of[j]))];
    }));
    const confused = new Map(dims.map((d) => [d, cosines.get(d)!.filter((c) => c >= CLOSE).length]));
    const packed = cosines.get(dim)!;
    const order = all.map((_, k) => k).sort((a, b) => packed[b] - packed[a] || a - b)
        .slice(0, Math.min(Math.max(NEAREST, confused.get(dim)!), MOST));
    const pairs = order.map((k) => (
        { a: labels[all[k].i], b: labels[all[k].j], cosines: dims.map((d) => cosines.get(d)![k]) }
    ));
    const full = cosines.get(most)!;
    const suggested = dims.find((d) => cosines.get(d)!.every((c, k) => c < CLOSE || full[k] >= CLOSE))!;
    return new Lint(dim, dims, pairs, confused, suggested);
}
