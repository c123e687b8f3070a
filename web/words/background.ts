// SPDX-License-Identifier: MIT
//
// What was fitted beside an encoder, base.background.json: the scale that makes scores
// probabilities, the cosine of "none of them", and from which score on a label counts.
// host/tinyvlm/words/background.py says why.

import { gainsOf, type Cohort } from "./gains";
import { UnknownPhrase, type Lexicon } from "./lexicon";
import { fixed } from "./text";
import { cosine, normalize } from "./vectors";

export type Unknown = "cautious" | "balanced" | "eager" | "off";

/** Frames of a hundred: of those that show a label, and, named, of those that show none. */
export interface Rates {
    right: number;
    unknown: number;
    wrong: number;
    named: number;
}

/** base.background.json, as far as it is used. */
export interface Fitted {
    fingerprint: string;
    words: string[];
    margin: number;
    cohort?: Cohort;
    sizes: Record<string, { dims: Record<string, Record<string, number | Record<string, number>>> }>;
}

/** The choice for vocabularies of `labels` labels. */
export class Background {
    /** Prefixes that were measured, ascending. */
    readonly dims: number[];

    constructor(private fitted: Fitted, private labels: number, readonly unknown: Unknown) {
        const sizes = Object.values(fitted.sizes).flatMap((size) => Object.keys(size.dims));
        this.dims = [...new Set(sizes.map(Number))].sort((a, b) => a - b);
    }

    /** The factor on cosines for `dim` dimensions. */
    scale(dim: number): number {
        return this.unknown === "off" ? this.at(dim, "off", "logit_scale") : this.at(dim, "logit_scale");
    }

    /** The cosine that stands for none of them; null if every frame gets a label. */
    none(dim: number): number | null {
        return this.unknown === "off" ? null : this.at(dim, "none");
    }

    /** The least score with which a label counts as seen. */
    threshold(dim: number): number {
        return this.unknown === "off" ? 0 : Number(fixed(this.at(dim, this.unknown, "threshold"), 3));
    }

    /** The factor on the cosines of each label. */
    gains(labels: Float32Array[]): number[] {
        return this.fitted.cohort ? gainsOf(this.fitted.cohort, labels) : labels.map(() => 1);
    }

    rates(dim: number): Rates {
        const at = (name: string) => this.at(dim, this.unknown, name);
        return { right: at("right"), unknown: at("unknown"), wrong: at("wrong"), named: at("named") };
    }

    /** Vectors of the words that are far enough from all labels: what detect() sees heat against. */
    rows(lexicon: Lexicon, labels: Float32Array[]): Float32Array[] {
        const rows: Float32Array[] = [];
        for (const word of this.unknown === "off" ? [] : this.fitted.words) {
            try {
                const row = normalize(lexicon.encode(word).vector);
                if (labels.every((label) => cosine(label, row) < this.fitted.margin)) {
                    rows.push(row);
                }
            } catch (error) {
                if (!(error instanceof UnknownPhrase)) {
                    throw error;
                }
            }
        }
        return rows;
    }

    private at(dim: number, first: string, second?: string): number {
        const values = Object.entries(this.fitted.sizes).map(([size, { dims }]) => {
            const table = Object.entries(dims).map(([d, row]): [number, number] => {
                const value = row[first];
                return [Number(d), typeof value === "object" ? value[second!] : value];
            });
            return [Number(size), interpolate(table, dim)] as [number, number];
        });
        return interpolate(values, this.labels);
    }
}

/** Between two entries linear in the logarithm, beyond the ends constant. */
export function interpolate(table: [number, number][], at: number): number {
    const known = [...table].sort((a, b) => a[0] - b[0]);
    const next = known.findIndex(([key]) => key > at);
    if (next <= 0) {
        return known[next < 0 ? known.length - 1 : 0][1];
    }
    const [[low, from], [high, to]] = [known[next - 1], known[next]];
    if (low === at) {
        return from;
    }
    const start = Math.log(low), slope = (to - from) / (Math.log(high) - start);
    return slope * (Math.log(at) - start) + from;
}
