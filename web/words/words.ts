// SPDX-License-Identifier: MIT
//
// From words to a vocabulary for the board: what tinyvlm-pack does, without a sentence encoder. The
// Python one is the truth; tests/test_web_words.py compares the files byte by byte.
//
//   const lexicon = await Lexicon.load(bytes);
//   const { lines, problems } = parse("cat, dog, Katze: cat", { commas: true });
//   const packed = pack(lines, lexicon, encoder, { dim: 64, unknown: "balanced" });

import { WORD } from "../engine/learn";
import { type Learnt, NOTHING } from "../engine/tvp";
import { Background, interpolate, type Fitted, type Rates, type Unknown } from "./background";
import { type Encoded, type Lexicon, UnknownPhrase } from "./lexicon";
import { examine, type Lint } from "./lint";
import { fixed, plural } from "./text";
import { toBytes } from "./tvp";
import { cosine, mean, normalize } from "./vectors";
import { type Line, MOST, type Problem } from "./vocabulary";

export { isLexicon, Lexicon } from "./lexicon";
export { CLOSE, type Lint, type Pair } from "./lint";
export { type Line, parse, type Problem, type WordList } from "./vocabulary";
export type { Fitted, Rates, Unknown } from "./background";

const LINTED = 1000; // labels that are compared with each other: half a million pairs
const KNOWN = ["exact", "ensemble"]; // kinds of the lexicon's vectors that are CLIP's own
const RIVAL = 0.5; // cosine with a label from which on a background word takes its frames

/** What is to be known of an image encoder: of its card and of what was fitted beside it. */
export interface EncoderFacts {
    name: string;
    /** In hexadecimal digits, as everywhere. */
    fingerprint: string;
    /** Dimensions of its embeddings. */
    dim: number;
    /** Name of the text space it was trained for. */
    space: string;
    /** Training's factors on cosines, by prefix; used where nothing was fitted. */
    scales?: Record<string, number>;
    background?: Fitted | null;
}

/** From base.json and base.background.json. */
export function factsOf(
    card: { name: string; text_space: string; logit_scale?: Record<string, number> },
    background: Fitted,
    dim = 256,
): EncoderFacts {
    const { fingerprint } = background;
    return {
        name: card.name, fingerprint, dim, space: card.text_space, scales: card.logit_scale, background,
    };
}

export interface Options {
    dim?: number;
    unknown?: Unknown;
    bits?: 8 | 4;
    /** Words for what else the camera sees: a frame that is nearer to one of them is unknown. */
    others?: Line[];
}

/** A packed word list. tinyvlm-pack refuses one with problems; here what is good of it is packed. */
export interface Packed {
    /** The file; null if no label is left. */
    tvp: Uint8Array | null;
    labels: string[];
    problems: Problem[];
    /** Problems of `others`. */
    otherProblems: Problem[];
    /** Words of `others` that would take a label's frames, so they are not in the file. */
    leftOut: { word: string; why: string }[];
    /** How each label got its vector; see `isKnown`. */
    notes: string[];
    /** Which labels are alike; null if no label is left, or more than LINTED are. */
    lint: Lint | null;
    /** What to expect, measured on photos; null if nothing was measured for this encoder. */
    expected: Rates | null;
    /** Unit vectors, for a map of the words or another `dim`. */
    vectors: Float32Array[];
}

/** Pack a word list. Throws what is wrong with the options or with encoder and lexicon. */
export function pack(
    lines: Line[], lexicon: Lexicon, encoder: EncoderFacts,
    { dim = 64, unknown = "balanced", bits = 8, others = [] }: Options = {},
): Packed {
    if (!(Number.isInteger(dim) && dim >= 1 && dim <= encoder.dim)) {
        throw new Error(`dim ${dim}: ${encoder.name} has 1 ... ${encoder.dim} dimensions`);
    }
    if (others.length && unknown === "off") {
        throw new Error("background needs unknown; leave out unknown off");
    }
    if (lexicon.space !== encoder.space) {
        throw new Error(`${encoder.name} was trained with another CLIP than ${lexicon.name} has `
            + `(${encoder.space}, not ${lexicon.space})`);
    }
    const { labels, vectors, notes, problems } = encode(lines, lexicon, encoder.dim);
    const room = encode(others, lexicon, encoder.dim), otherProblems = room.problems;
    const { rivals, leftOut } = rivalsOf(labels, vectors, room.labels, room.vectors);
    const found = { labels, problems, otherProblems, leftOut, notes, vectors };
    if (!labels.length) {
        return { ...found, tvp: null, lint: null, expected: null };
    }
    const fitted = encoder.background?.fingerprint === encoder.fingerprint ? encoder.background : null;
    const chosen = fitted ? new Background(fitted, labels.length, unknown) : null;
    const rows = chosen ? chosen.rows(lexicon, vectors) : [];
    const scales = Object.entries(encoder.scales ?? {}).map(([d, s]): [number, number] => [Number(d), s]);
    const known = chosen ? chosen.dims : scales.map(([d]) => d).sort((a, b) => a - b);
    const dims = [...known.filter((d) => d < dim), dim];
    const trained = (d: number) => interpolate(scales.length ? scales : [[64, 20]], d);
    const learnt = new Map<number, Learnt>();
    for (const [i, gain] of (chosen?.gains(vectors) ?? []).entries()) {
        if (gain !== 1) {
            learnt.set(i, { shots: 0, weight: WORD, gain });
        }
    }
    const tvp = toBytes([...vectors, ...rivals, ...rows], {
        fingerprint: Uint8Array.from(encoder.fingerprint.match(/../g)!, (pair) => parseInt(pair, 16)),
        texts: [encoder.name, lexicon.name, ""],
        labels,
        rivals: rivals.length,
        learnt,
        dim,
        bits,
        levels: dims.map((d) => ({
            dim: d,
            scale: chosen?.scale(d) ?? trained(d),
            threshold: chosen?.threshold(d) ?? 0,
            none: chosen?.none(d) ?? NOTHING,
        })),
    });
    const lint = labels.length > LINTED ? null : examine(labels, vectors, dim);
    return { ...found, tvp, lint, expected: chosen?.rates(dim) ?? null };
}

/** The background words that are no label's cousins, and why others are left out. */
function rivalsOf(labels: string[], vectors: Float32Array[], words: string[], rows: Float32Array[]) {
    const rivals: Float32Array[] = [], leftOut: Packed["leftOut"] = [];
    rows.forEach((row, i) => {
        const cosines = vectors.map((vector) => cosine(row, vector)), most = Math.max(...cosines);
        if (most >= RIVAL) {
            const why = `cosine ${fixed(most, 2)} with ${labels[cosines.indexOf(most)]}`;
            leftOut.push({ word: words[i], why });
        } else {
            rivals.push(row);
        }
    });
    return { rivals, leftOut };
}

/** Is nothing in a note estimated, composed or found under another name? */
export function isKnown(note: string): boolean {
    return KNOWN.includes(note) || /^\d+ phrases? known$/.test(note);
}

function encode(lines: Line[], lexicon: Lexicon, most: number) {
    const labels: string[] = [], vectors: Float32Array[] = [], notes: string[] = [];
    const problems: Problem[] = [];
    for (const { label, phrases, line } of lines) {
        const encoded: Encoded[] = [], instead: string[] = [];
        let problem: UnknownPhrase | undefined, helpless = false;
        for (const phrase of phrases) {
            try {
                encoded.push(lexicon.encode(phrase));
                instead.push(phrase);
            } catch (error) {
                if (!(error instanceof UnknownPhrase)) {
                    throw error;
                }
                problem ??= error;
                instead.push(...error.instead);
                helpless ||= !error.instead.length;
            }
        }
        if (problem) {
            const known = helpless ? {} : { instead: `${label}: ${instead.join(", ")}` };
            problems.push({ line, text: problem.message, ...known });
            if (problems.length === MOST) { // looking for what was meant takes time
                problems.push({ line: 0, text: "... and perhaps more" });
                break;
            }
            continue;
        }
        vectors.push(normalize(normalize(mean(encoded.map((one) => one.vector))), most));
        labels.push(label);
        notes.push(origin(encoded.map((one) => one.how)));
    }
    return { labels, vectors, notes, problems };
}

/** Where a label's vector comes from: "exact", or "3 phrases known, 1 estimated". */
function origin(hows: string[]): string {
    if (hows.length === 1) {
        return hows[0];
    }
    const known = hows.filter((how) => KNOWN.includes(how)).length;
    const estimated = hows.filter((how) => how === "estimated").length;
    const others = hows.filter((how) => ![...KNOWN, "estimated"].includes(how));
    return [
        ...(known ? [`${plural(known, "phrase")} known`] : []),
        ...(estimated ? [`${estimated} estimated`] : []),
        ...others,
    ].join(", ");
}
