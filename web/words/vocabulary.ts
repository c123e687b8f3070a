// SPDX-License-Identifier: MIT
//
// The word list: one label a line, `label: phrase, phrase` for other words for it, # comments. What
// is legal, and what is said of what is not, is host/tinyvlm/words/vocabulary.py's.

import { casefold, length, repr, spaced, spoken, strip, unique } from "./text";

const MAX_LABELS = 65535, MAX_TEXT = 255, MAX_PHRASE = 1000, MAX_PHRASES = 1000, MAX_PROBLEMS = 100;
const MAGIC = "TVPR"; // of what is packed already
const UNKNOWN = "unknown"; // what a frame is called that shows none of the labels
const UNSEEN = /[\u00ad\u200b\u2060\ufeff]/g; // soft hyphen, spaces of no width

/** One label with the phrases that describe it, and its line in the list, from 1. */
export interface Line {
    label: string;
    phrases: string[];
    line: number;
}

/** What is wrong with a line; 0: with the list. instead: other words for the line, where known. */
export interface Problem {
    line: number;
    text: string;
    instead?: string;
}

export interface WordList {
    lines: Line[];
    problems: Problem[];
}

/** A list with at most this many problems is read to its end. */
export const MOST = MAX_PROBLEMS;

/** Bytes of UTF-8. */
export function bytesOf(text: string): Uint8Array {
    return new TextEncoder().encode(text);
}

/**
 * Read a word list. tinyvlm-pack takes it if there are no problems.
 *
 * given: the text of a box, or a file's bytes. commas: a line without a colon may hold several
 * labels (a box may say so, a file may not).
 */
export function parse(given: string | Uint8Array, { commas = false } = {}): WordList {
    const raw = typeof given === "string" ? bytesOf(given) : given;
    const alone = (text: string) => ({ lines: [], problems: [{ line: 0, text }] });
    if (MAGIC === String.fromCharCode(...raw.subarray(0, 4))) {
        return alone("packed already; give the word list it was made from");
    }
    if (raw.includes(0)) {
        return alone("not UTF-8; save the list as UTF-8 text");
    }
    const lines: Line[] = [], problems: Problem[] = [], seen = new Map<string, number>();
    for (const { number, text } of readLines(raw, commas)) {
        let problem = text === null ? "not UTF-8; save the list as UTF-8 text" : judge(text);
        if (problem === null) {
            const { label, phrases } = split(text!), same = key(label);
            if (seen.has(same)) {
                problem = `${repr(label)} stands in line ${seen.get(same)} already; remove one`;
            } else if (lines.length === MAX_LABELS) {
                problem = `more than ${MAX_LABELS} labels, the most that fit into a file`;
            } else {
                seen.set(same, number);
                lines.push({ label, phrases, line: number });
                continue;
            }
        }
        problems.push({ line: number, text: problem });
        if (problems.length === MAX_PROBLEMS || lines.length === MAX_LABELS) {
            break;
        }
    }
    if (!lines.length && !problems.length) {
        return alone("no labels in it; write one word or phrase a line");
    }
    return { lines, problems };
}

/** Lines with something in them, by number; null: not UTF-8. */
function* readLines(raw: Uint8Array, commas: boolean): Iterable<{ number: number; text: string | null }> {
    const bom = raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf ? 3 : 0;
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    let start = bom, number = 0;
    while (start < raw.length) {
        let end = start;
        while (end < raw.length && raw[end] !== 10 && raw[end] !== 13) {
            end++;
        }
        number++;
        const line = raw.subarray(start, end);
        start = end + (raw[end] === 13 && raw[end + 1] === 10 ? 2 : 1);
        let text: string;
        try {
            text = strict.decode(line);
        } catch {
            yield { number, text: null };
            continue;
        }
        text = strip(text.split("#", 1)[0].replace(UNSEEN, "").normalize("NFC"));
        const several = commas && !text.includes(":") && text.includes(",");
        for (const part of several ? text.split(",").map(strip) : [text]) {
            if (part) {
                yield { number, text: part };
            }
        }
    }
}

/** Equal for labels that look equal: joiners and marks of direction are not seen either. */
function key(label: string): string {
    return casefold(label.normalize("NFKC")).replace(/\p{Cf}/gu, "");
}

function split(text: string): { label: string; phrases: string[] } {
    const colon = text.indexOf(":");
    if (colon < 0) {
        const label = spaced(text);
        return { label, phrases: [label] };
    }
    const phrases = text.slice(colon + 1).split(",").map(spaced);
    return { label: spaced(text.slice(0, colon)), phrases: unique(phrases.filter((p) => p)) };
}

function judge(text: string): string | null {
    const pieces = text.split(/[:,]/);
    if (pieces.length > MAX_PHRASES + 1 || Math.max(...pieces.map(length)) > MAX_PHRASE) {
        return `at most ${MAX_PHRASES} phrases of ${MAX_PHRASE} letters are possible in a line`;
    }
    const { label, phrases } = split(text), bytes = bytesOf(label).length;
    if (!label) {
        return "no label before the colon; write `label: phrase, phrase`";
    }
    if (!phrases.length) {
        return `${repr(label)} has no phrase after the colon; write \`${label}: phrase, phrase\``;
    }
    if (text.indexOf(":") !== text.lastIndexOf(":")) {
        return "two colons; write `label: phrase, phrase`";
    }
    if (!text.includes(":") && text.includes(",")) {
        const parts = text.split(",").map(spaced).filter((word) => word);
        return `several labels in a line? write ${parts.join(" / ")} in ${parts.length} lines, `
            + `or \`label: ${text}\``;
    }
    if (key(label) === UNKNOWN) {
        return `${repr(label)} is what a frame is called that shows none of the labels; rename it`;
    }
    for (const phrase of phrases) {
        if (!spoken(phrase)) {
            return `${repr(phrase)} has no letters; write \`${label}: other words for it\``;
        }
    }
    if (/[\x00-\x08\n-\x1f\x7f]/.test(text)) {
        return "a control character; is this a text file?";
    }
    if (bytes > MAX_TEXT) {
        return `the label has ${bytes} bytes, at most ${MAX_TEXT} fit`;
    }
    return null;
}
