// SPDX-License-Identifier: MIT
//
// Strings as Python has them, so that the page reads a word list, and says what is wrong with it,
// exactly as tinyvlm-pack does.

const WHITE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${WHITE}]+`);
const ENDS = new RegExp(`^[${WHITE}]+|[${WHITE}]+$`, "g");
const CHEROKEE = /\p{Script=Cherokee}/u;
const UNSEEN = /[\p{C}\p{Z}]/u; // what Python's repr() escapes, besides the space

/** str.split(): the words, whatever stands between them. */
export function words(text: string): string[] {
    return text.split(SPACES).filter((word) => word);
}

/** str.strip(). */
export function strip(text: string): string {
    return text.replace(ENDS, "");
}

/** " ".join(text.split()). */
export function spaced(text: string): string {
    return words(text).join(" ");
}

/** str.casefold(). JavaScript has no such thing: capitals of what is small unite what it unites. */
export function casefold(text: string): string {
    let folded = "";
    for (const c of text) {
        if (c < "\x80") {
            folded += c.toLowerCase();
        } else if (CHEROKEE.test(c)) {
            folded += c.toUpperCase();
        } else {
            folded += c === "ı" ? c : c.toLowerCase().toUpperCase().toLowerCase();
        }
    }
    return folded;
}

/** repr(): in quotes, with what cannot be seen escaped. */
export function repr(text: string): string {
    const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
    let said = quote;
    for (const c of text) {
        const code = c.codePointAt(0)!;
        const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" }[c];
        if (c === quote) {
            said += `\\${c}`;
        } else if (named) {
            said += named;
        } else if (c !== " " && UNSEEN.test(c)) {
            const hex = code.toString(16);
            said += code < 256 ? `\\x${hex.padStart(2, "0")}` : code < 65536
                ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
        } else {
            said += c;
        }
    }
    return said + quote;
}

/** len(): characters, not UTF-16's halves of them. */
export function length(text: string): number {
    let count = 0;
    for (const _ of text) {
        count++;
    }
    return count;
}

/** Is a letter or a number in it? */
export function spoken(text: string): boolean {
    return /[\p{L}\p{N}]/u.test(text);
}

/** Without doubles, in order of the first of each: list(dict.fromkeys(items)). */
export function unique<T>(items: Iterable<T>): T[] {
    return [...new Set(items)];
}

/** "1 label", "2 labels". */
export function plural(count: number, noun: string): string {
    return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** round(): to an integer, halves to the even one. */
export function rint(value: number): number {
    const low = Math.floor(value), part = value - low;
    return part < 0.5 || (part === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** f"{value:.{digits}f}", of what is >= 0: digits decimals of the exact value, ties to the even one. */
export function fixed(value: number, digits: number): string {
    if (value < 0) {
        return `-${fixed(-value, digits)}`;
    }
    const rounded = value.toFixed(digits); // exact, but ties go up
    // A tie is a binary fraction: k / 2^(digits + 1), k odd, which a double times a power of two shows.
    const halves = value * 2 ** (digits + 1);
    const tie = Number.isInteger(halves) && halves % 2 === 1;
    if (tie && Number(rounded.at(-1)) % 2 === 1) {
        return (value - 10 ** -digits / 2).toFixed(digits);
    }
    return rounded;
}
