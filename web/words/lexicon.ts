// SPDX-License-Identifier: MIT
//
// The table of words with their vectors, and composition: host/tinyvlm/words/lexicon.py again.
//
// The page's form of the table has every name, so that what is looked up, composed or suggested is
// what tinyvlm-pack finds. The one in the page lacks the vectors of most estimated names, which would
// be seven megabytes, and says so, with the nearest name that it has; lexicon.bin, which the page
// fetches from beside it where it can, has all. host/tinyvlm/words/tvlx.py writes both:
//
//   "TVLX", then one zlib stream of
//   u32      bytes of the JSON that follows: {space, dim, names, rows, spelling}
//   spelling bytes: names in order, each as letters shared with the one before, the rest, "\n"
//   names    bytes: kind (KINDS); 128 more if the vector is not here
//   names - rows u16, low bytes and then high bytes: for each such name the row of the nearest one
//   dim * rows int8: the vectors, a column after the other

import { near } from "./alike";
import { casefold, repr, spaced, unique, words } from "./text";
import { add, normalize } from "./vectors";

const KINDS = ["exact", "ensemble", "estimated"];
const ABSENT = 128;
const LONGEST = 4; // words of a name
const ARTICLES = new Set(
    ("a an the my your our his her its their this that some of with and in on at by to for from"
    + " is are").split(" "),
);
const IRREGULAR = Object.entries({
    men: "man", people: "person", children: "child", feet: "foot", teeth: "tooth", geese: "goose",
    mice: "mouse", oxen: "ox", cacti: "cactus", fungi: "fungus", larvae: "larva",
});

/** A phrase's unit vector and, in a few words, how it came about. */
export interface Encoded {
    vector: Float32Array;
    how: string;
}

/** No vector for a phrase; the message says what to do. instead: phrases that mean nearly the same. */
export class UnknownPhrase extends Error {
    constructor(message: string, readonly instead: string[] = []) {
        super(message);
    }
}

/** "Computer_Keyboard " -> "computer keyboard": the form in which names are compared. */
export function canonical(name: string): string {
    return spaced(casefold(name).replace(/[_-]/g, " ").replace(/’/g, "'").replace(/[()]/g, " "));
}

/** Guesses at the singular of an English noun, or of a phrase's last word, likeliest first. */
export function singulars(name: string): string[] {
    const guesses = IRREGULAR.filter(([many]) => name.endsWith(many))
        .map(([many, one]) => name.slice(0, name.length - many.length) + one);
    if ([...name].length < 3 || !name.endsWith("s") || name.endsWith("ss")) {
        return guesses;
    }
    if (name.endsWith("ves")) { // leaves, knives; gloves need the rule below
        guesses.push(`${name.slice(0, -3)}f`, `${name.slice(0, -3)}fe`);
    }
    guesses.push(name.slice(0, -1));
    if (name.endsWith("ies")) {
        guesses.push(`${name.slice(0, -3)}y`);
    } else if (name.endsWith("es")) {
        guesses.push(name.slice(0, -2));
    }
    return guesses;
}

function squeeze(name: string): string {
    return name.replace(/[ '.]/g, "");
}

/** Phrase -> vector by table and composition. */
export class Lexicon {
    readonly name = "lexicon"; // goes into the .tvp
    private readonly index: Map<string, number>;
    private squeezed?: Map<string, string>;
    private nearest?: string[]; // the names of the rows

    private constructor(
        /** Name of the text space: an encoder for the words has the same. */
        readonly space: string,
        readonly dim: number,
        /** All names, in order. */
        readonly names: string[],
        private readonly kinds: Uint8Array,
        /** Of each name the row of its vector, or of the nearest name's. */
        private readonly rows: Uint32Array,
        private readonly vectors: Int8Array,
    ) {
        this.index = new Map(names.map((name, i) => [name, i]));
    }

    /** Of bytes that tvlx.py wrote. */
    static async load(bytes: Uint8Array): Promise<Lexicon> {
        if (!isLexicon(bytes)) {
            throw new Error("this is no lexicon of the page; a release's is called lexicon.bin");
        }
        try {
            return Lexicon.read(await inflate(bytes.subarray(4)));
        } catch {
            throw new Error("the lexicon is damaged; copy it again");
        }
    }

    private static read(data: Uint8Array): Lexicon {
        const size = new DataView(data.buffer).getUint32(0, true);
        let at = 4;
        const take = (count: number) => data.subarray(at, (at += count));
        const head = JSON.parse(new TextDecoder().decode(take(size)));
        const names = readNames(take(head.spelling));
        const kinds = take(head.names), low = take(head.names - head.rows);
        const high = take(head.names - head.rows), columns = take(head.dim * head.rows);
        if (names.length !== head.names || at !== data.length) {
            throw new Error();
        }
        const rows = new Uint32Array(names.length);
        for (let i = 0, row = 0, absent = 0; i < names.length; i++) {
            rows[i] = kinds[i] & ABSENT ? low[absent] + 256 * high[absent++] : row++;
        }
        const vectors = new Int8Array(columns.length);
        for (let d = 0; d < head.dim; d++) {
            for (let row = 0; row < head.rows; row++) {
                vectors[row * head.dim + d] = columns[d * head.rows + row];
            }
        }
        return new Lexicon(head.space, head.dim, names, kinds, rows, vectors);
    }

    /** How many names have their vectors here. */
    get size(): number {
        return this.vectors.length / this.dim;
    }

    /** Has it the names of another one, and equal vectors where both have one? */
    agrees(other: Lexicon): boolean {
        const { names, rows, kinds, vectors, dim } = this;
        const same = other.space === this.space && other.dim === dim && other.names.length === names.length;
        return same && names.every((name, i) => {
            if (name !== other.names[i]) {
                return false;
            }
            const a = rows[i] * dim, b = other.rows[i] * dim;
            const absent = (kinds[i] | other.kinds[i]) & ABSENT;
            for (let d = 0; d < dim && !absent; d++) {
                if (vectors[a + d] !== other.vectors[b + d]) {
                    return false;
                }
            }
            return true;
        });
    }

    /** Where a name's vector comes from; undefined if the table has no such name. */
    kind(name: string): string | undefined {
        const i = this.index.get(name);
        return i === undefined ? undefined : KINDS[this.kinds[i] & ~ABSENT];
    }

    /** Vector of a phrase. UnknownPhrase if there is none. */
    encode(phrase: string): Encoded {
        const all = words(canonical(phrase));
        const some = all.filter((word) => !ARTICLES.has(word)), content = some.length ? some : all;
        for (const joined of [false, true]) { // joined only when nothing else helps
            for (const candidate of [all, content]) {
                const name = this.lookup(candidate, joined);
                if (name !== undefined) {
                    const how = this.kind(name)!, same = name === casefold(phrase);
                    this.need([name]);
                    return { vector: this.row(name), how: same ? how : `${how} (${name})` };
                }
            }
        }
        const { names, ignored } = this.parts(content);
        if (names.length && !ignored.includes(content[content.length - 1])) {
            this.need(names);
            return this.compose(names, ignored);
        }
        throw new UnknownPhrase(`${repr(phrase)} is not in the lexicon${this.suggest(all, content)}`);
    }

    /** The longest names of the table in a phrase, from its begin; and the words in none. */
    private parts(content: string[]): { names: string[]; ignored: string[] } {
        const names: string[] = [], ignored: string[] = [];
        for (let at = 0; at < content.length;) {
            const { name, end } = this.longest(content, at);
            if (name === undefined) {
                ignored.push(content[at]);
            } else {
                names.push(name);
            }
            at = end;
        }
        return { names: unique(names), ignored: unique(ignored) };
    }

    private longest(content: string[], at: number): { name?: string; end: number } {
        for (const joined of [false, true]) {
            for (let end = Math.min(content.length, at + LONGEST); end > at; end--) {
                const name = this.lookup(content.slice(at, end), joined);
                if (name !== undefined) {
                    return { name, end };
                }
            }
        }
        return { end: at + 1 };
    }

    private compose(names: string[], ignored: string[]): Encoded {
        let how = names.length > 1 ? `composed of ${names.join(" + ")}` : `using ${repr(names[0])}`;
        if (ignored.length) {
            const verb = ignored.length === 1 ? "is" : "are";
            how = `${ignored.map(repr).join(" and ")} ${verb} not known and ignored; ${how}`;
        }
        return { vector: normalize(add(names.map((name) => this.row(name)))), how };
    }

    /** The table's name for these words: as they are, or with the last one in the singular. */
    private lookup(some: string[], joined = false): string | undefined {
        const name = some.join(" ");
        for (const form of [name, ...singulars(name)]) {
            const found = joined ? this.joined.get(squeeze(form)) : form;
            if (found !== undefined && this.index.has(found)) {
                return found;
            }
        }
        return undefined;
    }

    private get joined(): Map<string, string> {
        this.squeezed ??= new Map(this.names.map((name) => [squeeze(name), name]));
        return this.squeezed;
    }

    /** UnknownPhrase if the page lacks the vector of one of these names. */
    private need(names: string[]): void {
        const at = names.map((name) => this.index.get(name)!);
        const absent = at.find((i) => this.kinds[i] & ABSENT);
        if (absent === undefined) {
            return;
        }
        this.nearest ??= this.names.filter((_, i) => !(this.kinds[i] & ABSENT));
        throw new UnknownPhrase(
            `${repr(this.names[absent])} has its vector in lexicon.bin, not in this page; take the nearest `
            + `word here, ${repr(this.nearest[this.rows[absent]])}, or open the page by tinyvlm-studio`,
            at.map((i) => this.nearest![this.rows[i]]),
        );
    }

    private row(name: string): Float32Array {
        const at = this.rows[this.index.get(name)!] * this.dim;
        return normalize(Float32Array.from(this.vectors.subarray(at, at + this.dim)));
    }

    private suggest(all: string[], content: string[]): string {
        const known = content.map((word) => this.lookup([word])).filter((name) => name !== undefined);
        const asked = unique([all.join(" "), ...content.slice(-1)]); // a single word is both
        const alike = unique([...known, ...asked.flatMap((word) => near(word, this.names))]);
        if (alike.length) {
            return `; did you mean ${alike.slice(0, 4).join(", ")}?`;
        }
        return "; write `label: other words for it`, or use --text-encoder sentence";
    }
}

/** Does it look like one? */
export function isLexicon(bytes: Uint8Array): boolean {
    return String.fromCharCode(...bytes.subarray(0, 4)) === "TVLX";
}

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
    const stream = new Blob([bytes as BlobPart]).stream();
    const whole = new Response(stream.pipeThrough(new DecompressionStream("deflate")));
    return new Uint8Array(await whole.arrayBuffer());
}

function readNames(raw: Uint8Array): string[] {
    const names: string[] = [];
    let before = "";
    for (let at = 0; at < raw.length;) {
        const end = raw.indexOf(10, at + 1);
        before = before.slice(0, raw[at]) + String.fromCharCode(...raw.subarray(at + 1, end));
        names.push(before);
        at = end + 1;
    }
    return names;
}
